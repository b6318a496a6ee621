//! The keyspace in memory, for tests: nothing outlives it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    convert::Infallible,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, READ_LIMIT,
    Record,
    apply::{Tables, apply},
    commit::{at_most, check_fields, check_keys, check_range},
};

/// A keyspace that lives as long as the value.
#[derive(Debug, Default)]
pub struct Memory(Mutex<State>);

#[derive(Clone, Debug, Default)]
struct State {
    values: BTreeMap<Key, Bytes>,
    hashes: BTreeMap<Key, BTreeMap<Bytes, Bytes>>,
    sets: BTreeMap<Key, BTreeSet<Bytes>>,
}

impl Memory {
    /// An empty keyspace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every entry, to be compared: values, then fields, then members, each in order.
    #[cfg(any(test, feature = "suite"))]
    pub fn entries(&self) -> Vec<(Key, Bytes, Bytes)> {
        let state = self.state();
        let values = state.values.iter().map(|(key, value)| (key.clone(), Bytes::new(), value.clone()));
        let fields = state.hashes.iter().flat_map(|(key, fields)| {
            fields.iter().map(move |(field, value)| (key.clone(), field.clone(), value.clone()))
        });
        let members = state.sets.iter().flat_map(|(key, members)| {
            members.iter().map(move |member| (key.clone(), member.clone(), Bytes::new()))
        });

        values.chain(fields).chain(members).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Keyspace for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        key.check()?;

        Ok(self.state().values.get(key).cloned())
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        check_fields(fields)?;
        let state = self.state();

        Ok(fields.iter().map(|(key, field)| state.read_field(key, field)).collect())
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        check_keys(keys)?;
        let state = self.state();

        keys.iter().map(|key| state.record(key)).collect()
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        check_range(key, limit)?;
        let state = self.state();
        let Some(fields) = state.hashes.get(key) else {
            return Ok(Vec::new());
        };
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let above = fields.range((from, Bound::Unbounded)).take(limit);

        Ok(above.map(|(field, value)| (field.clone(), value.clone())).collect())
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        check_range(key, limit)?;
        let state = self.state();
        let members = state.members(key, &members);

        Ok(match direction {
            Direction::Forward => members.take(limit).cloned().collect(),
            Direction::Backward => members.rev().take(limit).cloned().collect(),
        })
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        follow.check()?;
        let state = self.state();
        let pointer = state.read_field(&follow.pointer.0, &follow.pointer.1);
        let record = match &pointer {
            Some(pointer) => state.record(&follow.target(pointer)?)?,
            None => None,
        };

        Ok(Followed { guard: state.read_field(&follow.guard.0, &follow.guard.1), pointer, record })
    }

    fn snapshot(&self) -> Result<Option<Arc<dyn Keyspace>>, Error> {
        Ok(Some(Arc::new(Self(Mutex::new(self.state().clone())))))
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;
        let Ok(outcome) = apply(&commit, &mut *self.state());

        outcome
    }
}

impl State {
    fn read_field(&self, key: &Key, field: &Field) -> Option<Bytes> {
        self.hashes.get(key)?.get(field.as_bytes()).cloned()
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, Error> {
        let Some(fields) = self.hashes.get(key) else {
            return Ok(None);
        };
        at_most("the number of fields in a record", fields.len(), READ_LIMIT)?;

        Ok(Some(Record(fields.clone())))
    }

    fn members(&self, key: &Key, members: &MemberRange) -> impl DoubleEndedIterator<Item = &Bytes> {
        let set = self.sets.get(key).filter(|_| !members.is_empty());
        let bounds = (members.from(), members.to());

        set.into_iter().flat_map(move |set| set.range::<Bytes, _>(bounds))
    }
}

impl Tables for State {
    type Failure = Infallible;

    fn has_value(&self, key: &Key) -> Result<bool, Infallible> {
        Ok(self.values.contains_key(key))
    }

    fn field(&self, key: &Key, field: &Field) -> Result<Option<Bytes>, Infallible> {
        Ok(self.read_field(key, field))
    }

    fn has_record(&self, key: &Key) -> Result<bool, Infallible> {
        Ok(self.hashes.contains_key(key))
    }

    fn count(&self, key: &Key, members: &MemberRange, limit: usize) -> Result<usize, Infallible> {
        Ok(self.members(key, members).take(limit).count())
    }

    fn set_value(&mut self, key: &Key, value: &Bytes) -> Result<(), Infallible> {
        self.values.insert(key.clone(), value.clone());
        Ok(())
    }

    fn remove_value(&mut self, key: &Key) -> Result<(), Infallible> {
        self.values.remove(key);
        Ok(())
    }

    fn set_field(&mut self, key: &Key, field: &Field, value: &Bytes) -> Result<(), Infallible> {
        self.hashes.entry(key.clone()).or_default().insert(field.as_bytes().clone(), value.clone());
        Ok(())
    }

    fn remove_field(&mut self, key: &Key, field: &Field) -> Result<(), Infallible> {
        if let btree_map::Entry::Occupied(mut hash) = self.hashes.entry(key.clone()) {
            hash.get_mut().remove(field.as_bytes());
            if hash.get().is_empty() {
                hash.remove();
            }
        }
        Ok(())
    }

    fn remove_record(&mut self, key: &Key) -> Result<(), Infallible> {
        self.hashes.remove(key);
        Ok(())
    }

    fn add_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Infallible> {
        self.sets.entry(key.clone()).or_default().insert(member.clone());
        Ok(())
    }

    fn remove_member(&mut self, key: &Key, member: &Bytes) -> Result<(), Infallible> {
        if let btree_map::Entry::Occupied(mut set) = self.sets.entry(key.clone()) {
            set.get_mut().remove(member);
            if set.get().is_empty() {
                set.remove();
            }
        }
        Ok(())
    }

    fn remove_set(&mut self, key: &Key) -> Result<(), Infallible> {
        self.sets.remove(key);
        Ok(())
    }
}
