//! Memory in which somebody else acts between two reads: right after a list was read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;

use super::cut::Cutting;
use crate::keyspace::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Record,
};

/// What somebody does once.
type Rival = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is in another memory, for whoever is disturbed.
pub(super) struct Stirred {
    memory: Arc<Cutting>,
    rival: Mutex<Option<(Key, Rival)>>,
}

impl Stirred {
    pub(super) fn over(memory: Arc<Cutting>) -> Arc<Self> {
        Arc::new(Self { memory, rival: Mutex::default() })
    }

    /// `rival` happens once, between the next read of `list` and the one after it.
    pub(super) fn once_read(&self, list: Key, rival: impl Future<Output = ()> + Send + 'static) {
        *self.rival.lock().unwrap() = Some((list, Box::pin(rival)));
    }

    /// Whether the list was not read.
    pub(super) fn waits(&self) -> bool {
        self.rival.lock().unwrap().is_some()
    }
}

#[async_trait]
impl Keyspace for Stirred {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.memory.get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.memory.get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.memory.records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        to: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        let read = self.memory.range(key, members, limit, to).await;
        let rival = self.rival.lock().unwrap().take_if(|(list, _)| *list == *key);
        if let Some((_, rival)) = rival {
            rival.await;
        }
        read
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.memory.follow(follow).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.memory.commit(commit).await
    }
}
