//! The last events of deleted repositories: they go when every reader has them, or has been away for too long.

use std::time::Duration;

use bytes::Bytes;
use proto::metadata::outbox::ReaderName;

use super::{names, readers_unchanged};
use crate::{
    Service,
    failure::parsed_member,
    keys::{self, RepositoryId},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT},
    step,
};

/// Repositories in one step.
const REPOSITORIES: usize = 100;

/// How long the last events wait for readers that are away.
const WAITING: Duration = Duration::from_hours(24 * 7);

impl Service {
    pub(crate) async fn forget_last_events(&self) -> Result<(), Error> {
        self.spread().await?;
        let record = self.reader_records().await?;
        let lists = lists(&names(&record)?);
        let all = MemberRange::all();
        for member in self.keyspace().range(&keys::LAST, all, REPOSITORIES, Direction::Forward).await? {
            let id = RepositoryId(parsed_member(&keys::LAST, &member)?);
            let all = MemberRange::all();
            let events =
                self.keyspace().range(&keys::events(id), all, RANGE_LIMIT, Direction::Forward).await?;
            let since = keys::first_at(self.now() - WAITING);
            let waits = events.last().is_some_and(|last| keys::first_part(last) >= since.as_bytes());
            if !waits {
                self.forget_events(Commit::relaxed(), (id, &member), events, &lists).await?;
            } else if !self.is_unread(&member, &lists).await? {
                let unlisted = lists.iter().map(|list| not_in(list, &member));
                let read = readers_unchanged(&record).when_all(unlisted);
                self.forget_events(read, (id, &member), events, &lists).await?;
            }
        }
        Ok(())
    }

    /// Whether a reader may not have read all.
    async fn is_unread(&self, member: &Bytes, lists: &[Key]) -> Result<bool, Error> {
        for list in lists {
            if !self.keyspace().range(list, only(member), 1, Direction::Forward).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nobody writes there any more. It stays listed until nothing is left.
    async fn forget_events(
        &self,
        commit: Commit,
        (id, member): (RepositoryId, &Bytes),
        events: Vec<Bytes>,
        lists: &[Key],
    ) -> Result<(), Error> {
        let whole = events.len() < RANGE_LIMIT;
        let gone = events.into_iter().map(|event| Mutation::RemoveMember(keys::events(id), event));
        let mut commit = commit.then_all(gone);
        if whole {
            let lists = lists.iter().cloned().chain([keys::DIRTY, keys::LAST]);
            commit = commit
                .then(Mutation::RemoveSet(keys::read(id)))
                .then(Mutation::RemoveRecord(keys::outbox(id)))
                .then_all(lists.map(|list| Mutation::RemoveMember(list, member.clone())));
        }
        let _either_way = self.commit(step!("forget_events"), commit).await?;
        Ok(())
    }
}

/// Where a repository is that somebody has not read to the end. What is not spread yet comes first, because from there it
/// comes into the others; if nobody reads, it waits for nobody.
fn lists(readers: &[ReaderName]) -> Vec<Key> {
    let unspread = (!readers.is_empty()).then_some(keys::DIRTY);
    unspread.into_iter().chain(readers.iter().map(keys::dirty)).collect()
}

fn only(member: &Bytes) -> MemberRange {
    MemberRange::starting_at(member.clone()).through(member.clone())
}

fn not_in(list: &Key, member: &Bytes) -> Condition {
    Condition::Members { key: list.clone(), members: only(member), count: 0 }
}
