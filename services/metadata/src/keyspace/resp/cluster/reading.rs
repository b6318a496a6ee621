//! What is asked of one slot, as commands and scripts. Who has the slot, `cluster.rs` knows.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Nodes, map::slot_of_all};
use crate::keyspace::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, READ_LIMIT,
    Record,
    commit::{check_fields, check_keys, check_range},
    resp::{asked_for, check_whole, wire},
};

impl Nodes {
    /// Fields of one hash.
    async fn fields_of(
        &self,
        slot: u16,
        key: &Key,
        fields: &[(Key, Field)],
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let answer = self.read("reading fields", slot, |_| {
            let mut command = redis::cmd("HMGET");
            command.arg(wire::text(key));
            for (_, field) in fields {
                command.arg(wire::name(field));
            }
            command
        });
        wire::values(answer.await?)
    }
}

#[async_trait]
impl Keyspace for Nodes {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        key.check()?;
        let Some(slot) = slot_of_all([key])? else { return Ok(None) };
        let answer = self.read("reading a value", slot, |_| {
            let mut command = redis::cmd("GET");
            command.arg(wire::text(key));
            command
        });

        wire::value(answer.await?)
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        check_fields(fields)?;
        let mut keys: Vec<Key> = fields.iter().map(|(key, _)| key.clone()).collect();
        keys.dedup();
        let Some(slot) = slot_of_all(&keys)? else { return Ok(Vec::new()) };
        if let [key] = &keys[..] {
            return asked_for(self.fields_of(slot, key, fields).await?, fields.len());
        }

        let answer = self.read("reading fields", slot, |named| {
            let mut command = self.scripts.fields.run_on(named, &keys);
            for (key, field) in fields {
                command.arg(wire::text(key)).arg(wire::name(field));
            }
            command
        });
        asked_for(wire::values(wire::body(answer.await?)?)?, fields.len())
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        check_keys(keys)?;
        let Some(slot) = slot_of_all(keys)? else { return Ok(Vec::new()) };
        let answer = self.read("reading records", slot, |named| {
            let mut command = self.scripts.records.run_on(named, keys);
            command.arg(READ_LIMIT);
            for key in keys {
                command.arg(wire::text(key));
            }
            command
        });
        wire::records(wire::body(answer.await?)?, keys.len())
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        check_range(key, limit)?;
        match self.record(key).await {
            Ok(record) => Ok(record.unwrap_or_default().page(after, limit)),
            // A hash that is moved meanwhile is not found there: then it is asked for again.
            Err(Error::Limit { .. }) => self.master_of(key)?.fields(key, after, limit).await,
            Err(error) => Err(error),
        }
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        check_range(key, limit)?;
        let Some(slot) = slot_of_all([key])?.filter(|_| limit > 0 && !members.is_empty()) else {
            return Ok(Vec::new());
        };
        let (lower, upper) = (wire::lower(&members), wire::upper(&members));
        let answer = self.read("reading members", slot, |_| {
            let (name, from, to) = match direction {
                Direction::Forward => ("ZRANGEBYLEX", &lower, &upper),
                Direction::Backward => ("ZREVRANGEBYLEX", &upper, &lower),
            };
            let mut command = redis::cmd(name);
            command.arg(wire::text(key)).arg(&from[..]).arg(&to[..]).arg("LIMIT").arg(0).arg(limit);
            command
        });

        wire::members(answer.await?)
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        follow.check()?;
        let keys = [follow.guard.0.clone(), follow.pointer.0.clone()];
        let slot = slot_of_all(keys.iter().chain([&follow.prefix]))?.unwrap_or_default();
        let answer = self.read("following a pointer", slot, |named| {
            let mut command = self.scripts.follow.run_on(named, &keys);
            for (key, field) in [&follow.guard, &follow.pointer] {
                command.arg(wire::text(key)).arg(wire::name(field));
            }
            command.arg(wire::text(&follow.prefix));
            command
        });
        let mut followed = wire::followed(answer.await?, follow)?;
        if let (Some(pointer), None) = (&followed.pointer, &followed.record) {
            // While the slot is moved, a script finds only what has not gone yet.
            followed.record = self.record(&follow.target(pointer)?).await?;
        }
        followed.record.iter().try_for_each(check_whole)?;

        Ok(followed)
    }

    fn is_replicated(&self) -> bool {
        self.has_replicas()
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.write(&commit).await
    }
}
