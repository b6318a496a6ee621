//! Mutations as bytes, for engines that keep what is still to be done. It knows neither where they are kept nor why.

use bytes::{Buf as _, BufMut as _, Bytes};

use super::{Field, Key, Mutation};

/// Appends one change.
pub(super) fn write(to: &mut Vec<u8>, mutation: &Mutation) {
    let (kind, parts): (u8, [&[u8]; 3]) = match mutation {
        Mutation::SetValue(key, value) => (1, [key.as_bytes(), value, &[]]),
        Mutation::RemoveValue(key) => (2, [key.as_bytes(), &[], &[]]),
        Mutation::SetField(key, field, value) => (3, [key.as_bytes(), field.as_bytes(), value]),
        Mutation::RemoveField(key, field) => (4, [key.as_bytes(), field.as_bytes(), &[]]),
        Mutation::RemoveRecord(key) => (5, [key.as_bytes(), &[], &[]]),
        Mutation::Increment(key, field, by) => {
            return write_parts(to, 6, [key.as_bytes(), field.as_bytes(), &by.to_be_bytes()]);
        }
        Mutation::AddMember(key, member) => (7, [key.as_bytes(), member, &[]]),
        Mutation::RemoveMember(key, member) => (8, [key.as_bytes(), member, &[]]),
        Mutation::RemoveSet(key) => (9, [key.as_bytes(), &[], &[]]),
    };
    write_parts(to, kind, parts);
}

fn write_parts(to: &mut Vec<u8>, kind: u8, parts: [&[u8]; 3]) {
    to.put_u8(kind);
    for part in parts {
        // Values are at most some MiB.
        to.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
        to.put_slice(part);
    }
}

/// The changes that `write` has appended one behind the other; none if it is nothing that it has made.
pub(super) fn parse(mut payload: Bytes) -> Option<Vec<Mutation>> {
    let mut mutations = Vec::new();
    while payload.has_remaining() {
        let kind = payload.try_get_u8().ok()?;
        let mut part = || {
            let length = payload.try_get_u32().ok()? as usize;
            (length <= payload.len()).then(|| payload.split_to(length))
        };
        let (key, second, third) = (Key::new(part()?), part()?, part()?);
        mutations.push(match kind {
            1 => Mutation::SetValue(key, second),
            2 => Mutation::RemoveValue(key),
            3 => Mutation::SetField(key, Field::new(second), third),
            4 => Mutation::RemoveField(key, Field::new(second)),
            5 => Mutation::RemoveRecord(key),
            6 => Mutation::Increment(key, Field::new(second), third.clone().try_get_i64().ok()?),
            7 => Mutation::AddMember(key, second),
            8 => Mutation::RemoveMember(key, second),
            9 => Mutation::RemoveSet(key),
            _ => return None,
        });
    }
    Some(mutations)
}
