//! Between the port's values and the texts that commands and scripts take and answer. It sends nothing.

use std::ops::Bound;

use bytes::Bytes;
use redis::{Cmd, Value};

use crate::keyspace::{
    Commit, CommitError, Condition, Error, Field, Follow, Followed, Key, MemberRange, Mutation, READ_LIMIT,
    Record,
};

/// Answers of scripts begin with so many texts that mean nothing.
const HEAD: usize = 3;

/// What there may be only so many of in one hash that is read whole.
pub(super) const FIELDS: &str = "the number of fields in a record";

/// Writes a commit as the arguments of its script.
pub(super) fn write_commit(commit: &Commit, command: &mut Cmd) {
    let sums = commit.mutations.iter().any(|mutation| matches!(mutation, Mutation::Increment(..)));
    command.arg(commit.conditions.len()).arg(if sums { "1" } else { "0" });
    for condition in &commit.conditions {
        write_condition(condition, command);
    }
    for mutation in &commit.mutations {
        write_mutation(mutation, command);
    }
}

fn write_condition(condition: &Condition, command: &mut Cmd) {
    match condition {
        Condition::ValueAbsent(key) => command.arg("v").arg(text(key)),
        Condition::FieldEquals(key, field, value) => {
            command.arg("=").arg(text(key)).arg(name(field)).arg(&value[..])
        }
        Condition::FieldPresent(key, field) => command.arg("p").arg(text(key)).arg(name(field)),
        Condition::FieldAbsent(key, field) => command.arg("a").arg(text(key)).arg(name(field)),
        Condition::RecordAbsent(key) => command.arg("r").arg(text(key)),
        // Engines differ in what they make of bounds the wrong way round.
        Condition::Members { members, count, .. } if members.is_empty() => {
            command.arg(if *count == 0 { "t" } else { "f" })
        }
        Condition::Members { key, members, count } => {
            command.arg("n").arg(text(key)).arg(lower(members)).arg(upper(members)).arg(*count)
        }
    };
}

fn write_mutation(mutation: &Mutation, command: &mut Cmd) {
    match mutation {
        Mutation::SetValue(key, value) => command.arg("S").arg(text(key)).arg(&value[..]),
        Mutation::RemoveValue(key) => command.arg("D").arg(text(key)),
        Mutation::SetField(key, field, value) => {
            command.arg("H").arg(text(key)).arg(name(field)).arg(&value[..])
        }
        Mutation::RemoveField(key, field) => command.arg("F").arg(text(key)).arg(name(field)),
        Mutation::RemoveRecord(key) => command.arg("R").arg(text(key)),
        Mutation::Increment(key, field, by) => command.arg("I").arg(text(key)).arg(name(field)).arg(*by),
        Mutation::AddMember(key, member) => command.arg("Z").arg(text(key)).arg(&member[..]),
        Mutation::RemoveMember(key, member) => command.arg("M").arg(text(key)).arg(&member[..]),
        Mutation::RemoveSet(key) => command.arg("X").arg(text(key)),
    };
}

/// A key as an argument.
pub(super) fn text(key: &Key) -> &[u8] {
    key.as_bytes()
}

/// A field as an argument.
pub(super) fn name(field: &Field) -> &[u8] {
    field.as_bytes()
}

/// The lower bound as ordered sets take it.
pub(super) fn lower(members: &MemberRange) -> Vec<u8> {
    match members.from() {
        Bound::Included(from) => marked(b'[', from),
        // No member is empty, so that all are above.
        Bound::Excluded(from) if from.is_empty() => b"-".to_vec(),
        Bound::Excluded(from) => marked(b'(', from),
        Bound::Unbounded => b"-".to_vec(),
    }
}

/// The upper bound as ordered sets take it.
pub(super) fn upper(members: &MemberRange) -> Vec<u8> {
    match members.to() {
        Bound::Included(to) => marked(b'[', to),
        Bound::Excluded(to) => marked(b'(', to),
        Bound::Unbounded => b"+".to_vec(),
    }
}

fn marked(mark: u8, member: &[u8]) -> Vec<u8> {
    std::iter::once(mark).chain(member.iter().copied()).collect()
}

/// What became of a commit.
pub(super) fn outcome(answer: &Value, commit: &Commit) -> Result<(), CommitError> {
    let Value::Int(answer) = answer else {
        return Err(unexpected(answer).into());
    };
    let place = usize::try_from(answer.unsigned_abs()).unwrap_or(usize::MAX);
    match *answer {
        0 => Ok(()),
        1.. => Err(CommitError::Conflict { condition: place - 1 }),
        _ => {
            let mut increments = commit.mutations.iter().filter_map(|mutation| match mutation {
                Mutation::Increment(key, field, _) => Some(format!("{key} {field}")),
                _ => None,
            });
            let which = increments.nth(place - 1).unwrap_or_default();
            Err(Error::Damaged { what: format!("{which} is not a number to add to") }.into())
        }
    }
}

/// A value, or none.
pub(super) fn value(answer: Value) -> Result<Option<Bytes>, Error> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(value) => Ok(Some(value.into())),
        other => Err(unexpected(&other)),
    }
}

/// Values, and for each that is not there none.
pub(super) fn values(answer: Value) -> Result<Vec<Option<Bytes>>, Error> {
    list(answer)?.into_iter().map(value).collect()
}

/// Members of an ordered set.
pub(super) fn members(answer: Value) -> Result<Vec<Bytes>, Error> {
    list(answer)?.into_iter().map(present).collect()
}

/// Where a scan of a hash goes on, and the fields and values of its step.
pub(super) fn scanned(answer: Value) -> Result<(Bytes, Vec<(Bytes, Bytes)>), Error> {
    let mut parts = list(answer)?.into_iter();
    let next = present(parts.next().unwrap_or_default())?;
    let mut entries = list(parts.next().unwrap_or_default())?.into_iter();
    let count = entries.len();
    Ok((next, taken_pairs(&mut entries, count)?))
}

/// What a script answers, without its head.
pub(super) fn body(answer: Value) -> Result<Value, Error> {
    let mut entries = list(answer)?;
    if entries.len() < HEAD {
        return Err(Error::Damaged { what: "a script of the metadata engine answers too little".to_owned() });
    }
    Ok(Value::Array(entries.split_off(HEAD)))
}

/// Hashes, and for each that is not there none; `Limit` if one of them was not read because of its length.
pub(super) fn records(answer: Value, asked: usize) -> Result<Vec<Option<Record>>, Error> {
    let mut entries = list(answer)?.into_iter();
    let mut records = Vec::with_capacity(asked);
    for _ in 0..asked {
        let count = match entries.next() {
            Some(Value::Int(count)) if count < 0 => {
                let fields = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
                return Err(Error::Limit { what: FIELDS, size: fields, limit: READ_LIMIT });
            }
            Some(Value::Int(count)) => usize::try_from(count).unwrap_or_default(),
            other => return Err(unexpected(&other.unwrap_or_default())),
        };
        records.push(taken_record(&mut entries, count)?);
    }
    Ok(records)
}

/// A guard, a pointer, and the hash it leads to.
pub(super) fn followed(answer: Value, follow: &Follow) -> Result<Followed, Error> {
    let mut entries = list(answer)?.into_iter();
    let _head = entries.next();
    let guard = value(entries.next().unwrap_or_default())?;
    let pointer = value(entries.next().unwrap_or_default())?;
    pointer.as_ref().map(|pointer| follow.target(pointer)).transpose()?;

    let count = entries.len();
    Ok(Followed { guard, pointer, record: taken_record(&mut entries, count)? })
}

/// A hash from the next `count` texts, fields and values in turn.
fn taken_record(entries: &mut impl Iterator<Item = Value>, count: usize) -> Result<Option<Record>, Error> {
    let pairs = taken_pairs(entries, count)?;
    Ok((!pairs.is_empty()).then(|| pairs.into_iter().collect()))
}

fn taken_pairs(
    entries: &mut impl Iterator<Item = Value>,
    count: usize,
) -> Result<Vec<(Bytes, Bytes)>, Error> {
    let mut pairs = Vec::with_capacity(count / 2);
    for _ in 0..count / 2 {
        let field = present(entries.next().unwrap_or_default())?;
        pairs.push((field, present(entries.next().unwrap_or_default())?));
    }
    Ok(pairs)
}

fn present(answer: Value) -> Result<Bytes, Error> {
    value(answer)?.ok_or_else(|| unexpected(&Value::Nil))
}

fn list(answer: Value) -> Result<Vec<Value>, Error> {
    match answer {
        Value::Array(entries) => Ok(entries),
        // LedisDB has no empty lists.
        Value::Nil => Ok(Vec::new()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Value) -> Error {
    let kind = match answer {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a text",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    Error::Damaged { what: format!("the metadata engine answers {kind} where it should not") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_keep_every_byte() {
        let range = MemberRange::after(&b"\0\xff("[..]).before(&b"[\n"[..]);
        assert_eq!(lower(&range), b"(\0\xff(");
        assert_eq!(upper(&range), b"([\n");
        assert_eq!((lower(&MemberRange::all()), upper(&MemberRange::all())), (b"-".to_vec(), b"+".to_vec()));
    }

    #[test]
    fn an_answer_that_cannot_be_is_an_error() {
        let commit = Commit::synced();
        assert!(outcome(&Value::Nil, &commit).is_err());
        assert_eq!(outcome(&Value::Int(3), &commit), Err(CommitError::Conflict { condition: 2 }));
        assert!(records(Value::Array(vec![Value::Nil]), 1).is_err());
        let long = records(Value::Array(vec![Value::Int(-10_001)]), 1);
        assert_eq!(long, Err(Error::Limit { what: FIELDS, size: 10_001, limit: READ_LIMIT }));
        assert!(members(Value::Array(vec![Value::Nil])).is_err());
    }
}
