//! Three tables of redb and how keys, fields and members become their keys. It knows neither
//! transactions nor files.

use std::ops::Bound;

use bytes::Bytes;
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::keyspace::{Direction, Field, Key, MemberRange, READ_LIMIT, Record, apply::Tables};

/// What redb says when it fails.
pub(super) type Failure = redb::Error;

/// Key → value.
pub(super) const VALUES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("values");
/// Key and field → value.
pub(super) const FIELDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("fields");
/// Key and member.
pub(super) const MEMBERS: TableDefinition<&[u8], ()> = TableDefinition::new("members");

/// The tables of one write transaction.
pub(super) struct Writing<'t> {
    values: Table<'t, &'static [u8], &'static [u8]>,
    fields: Table<'t, &'static [u8], &'static [u8]>,
    members: Table<'t, &'static [u8], ()>,
}

impl<'t> Writing<'t> {
    /// Opens the tables, and makes them in a new file.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Failure> {
        Ok(Self {
            values: transaction.open_table(VALUES)?,
            fields: transaction.open_table(FIELDS)?,
            members: transaction.open_table(MEMBERS)?,
        })
    }
}

impl Tables for Writing<'_> {
    type Failure = Failure;

    fn has_value(&self, key: &Key) -> Result<bool, Failure> {
        Ok(self.values.get(&key.as_bytes()[..])?.is_some())
    }

    fn field(&self, key: &Key, field: &Field) -> Result<Option<Bytes>, Failure> {
        read_field(&self.fields, key, field)
    }

    fn has_record(&self, key: &Key) -> Result<bool, Failure> {
        Ok(self.fields.range::<&[u8]>(borrowed(&everything(key)))?.next().transpose()?.is_some())
    }

    fn count(&self, key: &Key, members: &MemberRange, limit: usize) -> Result<usize, Failure> {
        Ok(read_members(&self.members, key, members, limit, Direction::Forward)?.len())
    }

    fn set_value(&mut self, key: &Key, value: &Bytes) -> Result<(), Failure> {
        self.values.insert(&key.as_bytes()[..], &value[..])?;
        Ok(())
    }

    fn remove_value(&mut self, key: &Key) -> Result<(), Failure> {
        self.values.remove(&key.as_bytes()[..])?;
        Ok(())
    }

    fn set_field(&mut self, key: &Key, field: &Field, value: &Bytes) -> Result<(), Failure> {
        self.fields.insert(&joined(key, field.as_bytes())[..], &value[..])?;
        Ok(())
    }

    fn remove_field(&mut self, key: &Key, field: &Field) -> Result<(), Failure> {
        self.fields.remove(&joined(key, field.as_bytes())[..])?;
        Ok(())
    }

    fn remove_record(&mut self, key: &Key) -> Result<(), Failure> {
        Ok(self.fields.retain_in::<&[u8], _>(borrowed(&everything(key)), |_, _| false)?)
    }

    fn add_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Failure> {
        self.members.insert(&joined(key, member)[..], ())?;
        Ok(())
    }

    fn remove_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Failure> {
        self.members.remove(&joined(key, member)[..])?;
        Ok(())
    }

    fn remove_set(&mut self, key: &Key) -> Result<(), Failure> {
        Ok(self.members.retain_in::<&[u8], _>(borrowed(&everything(key)), |_, ()| false)?)
    }
}

/// The value of a field.
pub(super) fn read_field(
    fields: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &Key,
    field: &Field,
) -> Result<Option<Bytes>, Failure> {
    let value = fields.get(&joined(key, field.as_bytes())[..])?;

    Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
}

/// A hash, and no more than one field beyond `READ_LIMIT`.
pub(super) fn read_record(
    fields: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &Key,
) -> Result<Option<Record>, Failure> {
    let start = joined(key, &[]).len();
    let entries = fields.range::<&[u8]>(borrowed(&everything(key)))?.take(READ_LIMIT + 1).map(|entry| {
        let (name, value) = entry?;
        Ok((Bytes::copy_from_slice(&name.value()[start..]), Bytes::copy_from_slice(value.value())))
    });
    let record = entries.collect::<Result<Record, Failure>>()?;

    Ok(Some(record).filter(|record| !record.is_empty()))
}

/// Fields of a hash above `after`, with their values.
pub(super) fn read_fields(
    fields: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &Key,
    after: Option<&Bytes>,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, Failure> {
    let start = joined(key, &[]).len();
    let (first, end) = everything(key);
    let from = after.map_or(first, |after| Bound::Excluded(joined(key, after)));
    let entries = fields.range::<&[u8]>(borrowed(&(from, end)))?.take(limit).map(|entry| {
        let (name, value) = entry?;
        Ok((Bytes::copy_from_slice(&name.value()[start..]), Bytes::copy_from_slice(value.value())))
    });

    entries.collect()
}

/// Members of an ordered set.
pub(super) fn read_members(
    table: &impl ReadableTable<&'static [u8], ()>,
    key: &Key,
    members: &MemberRange,
    limit: usize,
    direction: Direction,
) -> Result<Vec<Bytes>, Failure> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let start = joined(key, &[]).len();
    let (first, end) = everything(key);
    let from = match members.from() {
        Bound::Unbounded => first,
        bound => bound.map(|member| joined(key, member)),
    };
    let to = match members.to() {
        Bound::Unbounded => end,
        bound => bound.map(|member| joined(key, member)),
    };

    let mut entries = table.range::<&[u8]>(borrowed(&(from, to)))?;
    let next = || match direction {
        Direction::Forward => entries.next(),
        Direction::Backward => entries.next_back(),
    };
    let read = std::iter::from_fn(next)
        .take(limit)
        .map(|entry| Ok(Bytes::copy_from_slice(&entry?.0.value()[start..])));

    read.collect()
}

/// A field or member under its key. The length before the key keeps `a` + `bc` and `ab` + `c`
/// apart and all of one key together, whatever bytes they hold; a key is at most 1,024 bytes.
fn joined(key: &Key, rest: &[u8]) -> Vec<u8> {
    let key = key.as_bytes();
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes();

    [&length, &key[..], rest].concat()
}

/// From the first to above the last entry of a key.
fn everything(key: &Key) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let first = joined(key, &[]);
    let above = crate::keyspace::successor(&first);

    (Bound::Included(first), above.map_or(Bound::Unbounded, |above| Bound::Excluded(above.to_vec())))
}

fn borrowed(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_alike_keep_their_entries_apart() {
        // given
        let (short, long) = (Key::new("a"), Key::new("ab"));

        // then
        assert_ne!(joined(&short, b"bc"), joined(&long, b"c"));
        let (_, Bound::Excluded(above)) = everything(&short) else { panic!("no end") };
        assert!(joined(&short, &[0xff; 1_024]) < above);
        assert!(joined(&long, &[]) >= above);
    }
}
