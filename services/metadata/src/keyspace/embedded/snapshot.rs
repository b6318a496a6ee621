//! One moment of the file, read for as long as it is kept. Meanwhile the file cannot give back what is removed from it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use redb::ReadTransaction;

use super::{
    file::port_error,
    reading::{self, Reading},
    tables::Failure,
};
use crate::keyspace::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Record,
};

/// A transaction that only reads. A file that is reopened ends it.
pub(super) struct Snapshot(Mutex<ReadTransaction>);

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction) -> Self {
        Self(Mutex::new(transaction))
    }
}

impl Reading for Snapshot {
    fn read<T>(
        &self,
        attempted: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let transaction = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = AssertUnwindSafe(|| read(&transaction));
        let outcome = catch_unwind(attempt).unwrap_or_else(|_| Err(Failure::Corrupted(attempted.to_owned())));

        outcome.map_err(|failure| port_error(&failure, attempted))
    }
}

#[async_trait]
impl Keyspace for Snapshot {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        reading::value(self, key)
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        reading::many(self, fields)
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        reading::records(self, keys)
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        reading::fields(self, key, after, limit)
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        reading::members(self, key, &members, limit, direction)
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        reading::followed(self, follow)
    }

    async fn commit(&self, _: Commit) -> Result<(), CommitError> {
        Err(Error::Unavailable { attempted: "writing to a moment that has passed" }.into())
    }
}
