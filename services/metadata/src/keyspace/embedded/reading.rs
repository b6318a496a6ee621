//! Every read of the port, once for whatever reads in a transaction: the engine, which begins one for each, and a
//! snapshot, which has one. It does not know who.

use bytes::Bytes;
use redb::ReadTransaction;

use super::tables::{FIELDS, Failure, MEMBERS, VALUES, read_field, read_fields, read_members, read_record};
use crate::keyspace::{
    Direction, Error, Field, Follow, Followed, Key, MemberRange, READ_LIMIT, Record,
    commit::{at_most, check_fields, check_keys, check_range},
};

/// Reads in a transaction.
pub(super) trait Reading {
    /// Does `read`, all of it at one moment.
    fn read<T>(
        &self,
        attempted: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Error>;
}

pub(super) fn value(from: &impl Reading, key: &Key) -> Result<Option<Bytes>, Error> {
    key.check()?;

    from.read("reading a value", |transaction| {
        let value = transaction.open_table(VALUES)?.get(&key.as_bytes()[..])?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    })
}

pub(super) fn many(from: &impl Reading, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
    check_fields(fields)?;

    from.read("reading fields", |transaction| {
        let table = transaction.open_table(FIELDS)?;
        fields.iter().map(|(key, field)| read_field(&table, key, field)).collect()
    })
}

pub(super) fn records(from: &impl Reading, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
    check_keys(keys)?;
    let records = from.read("reading records", |transaction| {
        let table = transaction.open_table(FIELDS)?;
        keys.iter().map(|key| read_record(&table, key)).collect::<Result<Vec<_>, _>>()
    })?;
    records.iter().flatten().try_for_each(check_whole)?;

    Ok(records)
}

pub(super) fn fields(
    from: &impl Reading,
    key: &Key,
    after: Option<&Bytes>,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, Error> {
    check_range(key, limit)?;

    from.read("reading a page of fields", |transaction| {
        read_fields(&transaction.open_table(FIELDS)?, key, after, limit)
    })
}

pub(super) fn members(
    from: &impl Reading,
    key: &Key,
    members: &MemberRange,
    limit: usize,
    direction: Direction,
) -> Result<Vec<Bytes>, Error> {
    check_range(key, limit)?;

    from.read("reading members", |transaction| {
        read_members(&transaction.open_table(MEMBERS)?, key, members, limit, direction)
    })
}

pub(super) fn followed(from: &impl Reading, follow: &Follow) -> Result<Followed, Error> {
    follow.check()?;
    let followed = from.read("following a pointer", |transaction| {
        let table = transaction.open_table(FIELDS)?;
        let guard = read_field(&table, &follow.guard.0, &follow.guard.1)?;
        let pointer = read_field(&table, &follow.pointer.0, &follow.pointer.1)?;
        let target = match pointer.as_ref().map(|pointer| follow.target(pointer)).transpose() {
            Ok(target) => target,
            Err(damaged) => return Ok(Err(damaged)),
        };
        let record = target.map(|target| read_record(&table, &target)).transpose()?.flatten();

        Ok(Ok(Followed { guard, pointer, record }))
    })??;
    followed.record.iter().try_for_each(check_whole)?;

    Ok(followed)
}

fn check_whole(record: &Record) -> Result<(), Error> {
    at_most("the number of fields in a record", record.len(), READ_LIMIT)
}
