//! Whether everything that a block holds is in an engine.

use bytes::Bytes;

use super::format::Entry;
use crate::keyspace::{Direction, Error, Field, Key, Keyspace, MemberRange};

/// The key of the first entry that is not there, if any is not.
pub(super) async fn missing(entries: &[Entry], keyspace: &dyn Keyspace) -> Result<Option<Key>, Error> {
    let mut fields = Vec::new();
    for entry in entries {
        let there = match entry {
            Entry::Value(key, value) => keyspace.get(key).await?.as_ref() == Some(value),
            Entry::Member(key, member) => is_member(key, member, keyspace).await?,
            Entry::Field(key, field, _) => {
                fields.push((key.clone(), field.clone()));
                true
            }
        };
        if !there {
            return Ok(Some(key_of(entry).clone()));
        }
    }

    missing_field(&fields, keyspace).await
}

async fn is_member(key: &Key, member: &Bytes, keyspace: &dyn Keyspace) -> Result<bool, Error> {
    let only = MemberRange::starting_at(member.clone()).through(member.clone());
    Ok(!keyspace.range(key, only, 1, Direction::Forward).await?.is_empty())
}

async fn missing_field(fields: &[(Key, Field)], keyspace: &dyn Keyspace) -> Result<Option<Key>, Error> {
    let values = keyspace.get_many(fields).await?;
    let found = fields.iter().zip(values).find(|(_, value)| value.is_none());
    Ok(found.map(|((key, _), _)| key.clone()))
}

const fn key_of(entry: &Entry) -> &Key {
    match entry {
        Entry::Value(key, _) | Entry::Field(key, ..) | Entry::Member(key, _) => key,
    }
}
