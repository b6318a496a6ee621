//! The keyspace over an engine that commits only what lies together, as a cluster does: it spells keys so that what is
//! under one name lies together, and makes one commit of what does not. docs/decisions/0021 says how.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use service_kit::random::Random;

use self::{
    patience::Patience,
    plan::{Mode, Plan},
};
use super::{
    Commit, CommitError, Condition, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange,
    Record,
    commit::{check_fields, check_keys, check_range},
};
use crate::keys::spread::{self, Group, spread};

pub use patience::Waits;

mod apart;
mod ending;
mod patience;
mod plan;
#[cfg(test)]
mod tests;

/// A keyspace over an engine that reads and commits only what lies together.
///
/// - A commit is all or nothing for everybody who commits. Who reads while it is under way may see its first part: the
///   mutations up to one of them, in the order written.
/// - What a process has decided and not finished is finished by whoever next writes where it lies.
/// - Reads of several groups are not of one moment.
#[derive(Debug)]
pub struct Sharded<K> {
    engine: Arc<K>,
    random: Arc<dyn Random>,
    waits: Waits,
}

impl<K: Keyspace> Sharded<K> {
    /// Over `engine`. By `random` commits are told apart.
    pub fn new(engine: Arc<K>, random: Arc<dyn Random>, waits: Waits) -> Self {
        Self { engine, random, waits }
    }

    /// What it is over.
    pub fn engine(&self) -> &Arc<K> {
        &self.engine
    }

    /// Waits where somebody is about to write in the group.
    async fn commit_together(
        &self,
        group: &Group,
        mode: Mode,
        mut commit: Commit,
    ) -> Result<(), CommitError> {
        commit.conditions.insert(0, vacant(group, mode));
        let mut patience = Patience::new(self.waits);
        loop {
            match self.engine.commit(commit.clone()).await {
                Err(CommitError::Conflict { condition: 0 }) => {
                    self.wait_for(group, "", &mut patience).await?;
                }
                Err(CommitError::Conflict { condition }) => {
                    return Err(CommitError::Conflict { condition: condition - 1 });
                }
                outcome => return outcome,
            }
        }
    }

    async fn followed_apart(&self, follow: &Follow) -> Result<Followed, Error> {
        let mut read = self.get_many(&[follow.guard.clone(), follow.pointer.clone()]).await?.into_iter();
        let (guard, pointer) = (read.next().flatten(), read.next().flatten());
        let record = match &pointer {
            Some(pointer) => self.record(&follow.target(pointer)?).await?,
            None => None,
        };
        Ok(Followed { guard, pointer, record })
    }
}

/// That a commit may write in the group now.
fn vacant(group: &Group, mode: Mode) -> Condition {
    match mode {
        Mode::Alone => Condition::RecordAbsent(group.locks()),
        Mode::Shared => Condition::FieldAbsent(group.locks(), spread::ALONE),
    }
}

/// What is asked, by group, and where each comes in the answer.
fn by_group<T>(asked: impl Iterator<Item = (Group, T)>) -> Vec<(Vec<usize>, Vec<T>)> {
    let mut groups: BTreeMap<Group, (Vec<usize>, Vec<T>)> = BTreeMap::new();
    for (place, (group, one)) in asked.enumerate() {
        let (places, all) = groups.entry(group).or_default();
        places.push(place);
        all.push(one);
    }
    groups.into_values().collect()
}

/// The answers, in the order in which they were asked for.
fn in_order<T: Clone>(length: usize, answers: Vec<(Vec<usize>, Vec<Option<T>>)>) -> Vec<Option<T>> {
    let mut ordered = vec![None; length];
    for (places, values) in answers {
        for (place, value) in places.into_iter().zip(values) {
            ordered[place] = value;
        }
    }
    ordered
}

#[async_trait]
impl<K: Keyspace> Keyspace for Sharded<K> {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        key.check()?;

        self.engine.get(&spread(key).1).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        check_fields(fields)?;
        let asked = by_group(fields.iter().map(|(key, field)| {
            let (group, key) = spread(key);
            (group, (key, field.clone()))
        }));
        let answers = asked.into_iter().map(|(places, fields)| async move {
            Ok::<_, Error>((places, self.engine.get_many(&fields).await?))
        });

        Ok(in_order(fields.len(), try_join_all(answers).await?))
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        check_keys(keys)?;
        let asked = by_group(keys.iter().map(spread));
        let answers = asked
            .into_iter()
            .map(|(places, keys)| async move { Ok::<_, Error>((places, self.engine.records(&keys).await?)) });

        Ok(in_order(keys.len(), try_join_all(answers).await?))
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        check_range(key, limit)?;

        self.engine.fields(&spread(key).1, after, limit).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        check_range(key, limit)?;

        self.engine.range(&spread(key).1, members, limit, direction).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        follow.check()?;
        let (group, guard) = spread(&follow.guard.0);
        let (pointing, pointer) = spread(&follow.pointer.0);
        let (leading, prefix) = spread(&follow.prefix);
        if group != pointing || group != leading {
            return self.followed_apart(follow).await;
        }

        let spelled = Follow {
            guard: (guard, follow.guard.1.clone()),
            pointer: (pointer, follow.pointer.1.clone()),
            prefix,
        };
        let followed = self.engine.follow(&spelled).await?;
        match &followed.pointer {
            // The prefix may end before the suffix begins.
            Some(pointer) if spread(&follow.target(pointer)?).1 != spelled.prefix.followed_by(pointer) => {
                self.followed_apart(follow).await
            }
            _ => Ok(followed),
        }
    }

    fn is_replicated(&self) -> bool {
        self.engine.is_replicated()
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;

        match Plan::of(commit) {
            Plan::Nothing => Ok(()),
            Plan::Together(group, mode, commit) => self.commit_together(&group, mode, commit).await,
            Plan::Apart(apart) => self.commit_apart(&apart).await,
        }
    }
}
