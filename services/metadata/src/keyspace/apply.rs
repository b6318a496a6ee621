//! What a commit means, once for every engine that reads and writes single entries: conditions
//! first, then mutations in their order. It does not know how the entries are kept.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{Commit, CommitError, Condition, Error, Field, Key, MemberRange, Mutation};

/// Entries that one writer reads and changes; atomicity is the implementer's.
pub(super) trait Tables {
    /// Why the engine failed; it ends the whole transaction, not one commit.
    type Failure;

    fn has_value(&self, key: &Key) -> Result<bool, Self::Failure>;
    fn field(&self, key: &Key, field: &Field) -> Result<Option<Bytes>, Self::Failure>;
    fn has_record(&self, key: &Key) -> Result<bool, Self::Failure>;
    /// How many members there are within bounds, counted no further than `limit`.
    fn count(&self, key: &Key, members: &MemberRange, limit: usize) -> Result<usize, Self::Failure>;

    fn set_value(&mut self, key: &Key, value: &Bytes) -> Result<(), Self::Failure>;
    fn remove_value(&mut self, key: &Key) -> Result<(), Self::Failure>;
    fn set_field(&mut self, key: &Key, field: &Field, value: &Bytes) -> Result<(), Self::Failure>;
    fn remove_field(&mut self, key: &Key, field: &Field) -> Result<(), Self::Failure>;
    fn remove_record(&mut self, key: &Key) -> Result<(), Self::Failure>;
    fn add_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Self::Failure>;
    fn remove_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Self::Failure>;
    fn remove_set(&mut self, key: &Key) -> Result<(), Self::Failure>;
}

/// Applies a commit, or says why not and leaves the tables as they were.
pub(super) fn apply<T: Tables>(
    commit: &Commit,
    tables: &mut T,
) -> Result<Result<(), CommitError>, T::Failure> {
    for (condition, asked) in commit.conditions.iter().enumerate() {
        if !holds(asked, tables)? {
            return Ok(Err(CommitError::Conflict { condition }));
        }
    }

    // All sums are known before the first mutation, so that none can fail half-way.
    let sums = match sums(&commit.mutations, tables)? {
        Ok(sums) => sums,
        Err(error) => return Ok(Err(error.into())),
    };
    let mut sums = sums.into_iter();
    for mutation in &commit.mutations {
        change(mutation, &mut sums, tables)?;
    }

    Ok(Ok(()))
}

fn holds<T: Tables>(condition: &Condition, tables: &T) -> Result<bool, T::Failure> {
    Ok(match condition {
        Condition::ValueAbsent(key) => !tables.has_value(key)?,
        Condition::FieldEquals(key, field, value) => tables.field(key, field)?.as_ref() == Some(value),
        Condition::FieldPresent(key, field) => tables.field(key, field)?.is_some(),
        Condition::FieldAbsent(key, field) => tables.field(key, field)?.is_none(),
        Condition::RecordAbsent(key) => !tables.has_record(key)?,
        Condition::Members { key, members, count } => tables.count(key, members, count + 1)? == *count,
    })
}

fn change<T: Tables>(
    mutation: &Mutation,
    sums: &mut impl Iterator<Item = Bytes>,
    tables: &mut T,
) -> Result<(), T::Failure> {
    match mutation {
        Mutation::SetValue(key, value) => tables.set_value(key, value),
        Mutation::RemoveValue(key) => tables.remove_value(key),
        Mutation::SetField(key, field, value) => tables.set_field(key, field, value),
        Mutation::RemoveField(key, field) => tables.remove_field(key, field),
        Mutation::RemoveRecord(key) => tables.remove_record(key),
        Mutation::Increment(key, field, _) => {
            sums.next().map_or(Ok(()), |sum| tables.set_field(key, field, &sum))
        }
        Mutation::AddMember(key, member) => tables.add_member(key, member),
        Mutation::RemoveMember(key, member) => tables.remove_member(key, member),
        Mutation::RemoveSet(key) => tables.remove_set(key),
    }
}

/// What each increment comes to, in order, counting what the mutations before it do to its field.
fn sums<T: Tables>(mutations: &[Mutation], tables: &T) -> Result<Result<Vec<Bytes>, Error>, T::Failure> {
    let mut sums = Vec::new();
    if !mutations.iter().any(|mutation| matches!(mutation, Mutation::Increment(..))) {
        return Ok(Ok(sums));
    }

    let mut written = HashMap::new();
    let mut removed = HashSet::new();
    for mutation in mutations {
        match mutation {
            Mutation::SetField(key, field, value) => {
                written.insert((key, field), Some(value.clone()));
            }
            Mutation::RemoveField(key, field) => {
                written.insert((key, field), None);
            }
            Mutation::RemoveRecord(key) => {
                written.retain(|(written, _), _| *written != key);
                removed.insert(key);
            }
            Mutation::Increment(key, field, by) => {
                let before = match written.get(&(key, field)) {
                    Some(value) => value.clone(),
                    None if removed.contains(key) => None,
                    None => tables.field(key, field)?,
                };
                match sum(before.as_ref(), *by) {
                    Some(sum) => {
                        written.insert((key, field), Some(sum.clone()));
                        sums.push(sum);
                    }
                    None => {
                        return Ok(Err(Error::Damaged {
                            what: format!("{key} {field} is not a number to add to"),
                        }));
                    }
                }
            }
            _ => {}
        }
    }

    Ok(Ok(sums))
}

/// What an increment comes to; none if there is no number, or one too many.
pub(super) fn sum(before: Option<&Bytes>, by: i64) -> Option<Bytes> {
    let before: i64 = match before {
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        None => 0,
    };

    Some(before.checked_add(by)?.to_string().into())
}
