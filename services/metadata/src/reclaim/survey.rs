//! What repositories would give back: bytes that nothing else keeps, by when they go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use oci::{Digest, Needed, RepositoryName};
use proto::metadata::reclaim::{Reclaimable, Survey};

use crate::{
    Service,
    content::BlobLink,
    failure::parsed_member,
    keys::{self, RepositoryId},
    keyspace::{Direction, Error, Key, MemberRange, RANGE_LIMIT},
    manifests::recorded_needs,
    placement::Placement,
};

/// Repositories in one step.
const REPOSITORIES: usize = 20;

/// Users of a blob that are looked at, to see whether all of them are deleted.
const USERS: usize = 100;

impl Service {
    pub(super) async fn reclaimable(&self, after: Option<&RepositoryName>) -> Result<Survey, Error> {
        let (repositories, next) = self.walked(after, REPOSITORIES).await?;
        let mut survey = Survey { repositories: Vec::new(), next };
        for (name, place) in repositories {
            let found = self.surveyed(name, place).await?;
            let Reclaimable { now_bytes, later_bytes, restorable_bytes, shared_bytes, .. } = found;
            if now_bytes + later_bytes + restorable_bytes + shared_bytes > 0 {
                survey.repositories.push(found);
            }
        }
        Ok(survey)
    }

    async fn surveyed(&self, repository: RepositoryName, place: Placement) -> Result<Reclaimable, Error> {
        let mut found =
            Reclaimable { repository, now_bytes: 0, later_bytes: 0, restorable_bytes: 0, shared_bytes: 0 };
        let over = (self.now() - self.0.reclaim.unused_grace).as_millisecond();

        for digest in self.every_digest(&keys::unused(place.id)).await? {
            let Some(link) = self.link(place.id, &digest).await? else { continue };
            let Some(since) = link.unused_since_ms else { continue };
            match (self.is_shared(&digest).await?, since < over) {
                (true, _) => found.shared_bytes += link.size_bytes,
                (false, true) => found.now_bytes += link.size_bytes,
                (false, false) => found.later_bytes += link.size_bytes,
            }
        }
        for digest in self.only_deleted_need(place.id).await? {
            let Some(link) = self.link(place.id, &digest).await? else { continue };
            if self.is_shared(&digest).await? {
                found.shared_bytes += link.size_bytes;
            } else {
                found.restorable_bytes += link.size_bytes;
            }
        }
        Ok(found)
    }

    /// The last parts of all members, each once.
    async fn every_digest(&self, key: &Key) -> Result<BTreeSet<Digest>, Error> {
        let (mut found, mut range) = (BTreeSet::new(), MemberRange::all());
        loop {
            let members = self.keyspace().range(key, range, RANGE_LIMIT, Direction::Forward).await?;
            for member in &members {
                found.insert(parsed_member(key, keys::last_part(member))?);
            }
            match members.last() {
                Some(last) if members.len() == RANGE_LIMIT => range = MemberRange::after(last.clone()),
                _ => return Ok(found),
            }
        }
    }

    async fn link(&self, id: RepositoryId, digest: &Digest) -> Result<Option<BlobLink>, Error> {
        let value = self.keyspace().get_many(&[BlobLink::field(id, digest)]).await?.pop().flatten();
        value.map(|value| BlobLink::read(id, digest, &value)).transpose()
    }

    /// Whether another repository links it, too.
    async fn is_shared(&self, digest: &Digest) -> Result<bool, Error> {
        match self.keyspace().record(&keys::refs(digest)).await {
            Ok(refs) => Ok(refs.is_some_and(|refs| refs.len() > 1)),
            // More than can be read at once.
            Err(Error::Limit { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Blobs that deleted manifests need, and no other.
    async fn only_deleted_need(&self, id: RepositoryId) -> Result<BTreeSet<Digest>, Error> {
        let deleted = self.every_digest(&keys::trash(id)).await?;
        let mut needed = BTreeSet::new();
        for manifest in &deleted {
            let key = keys::trashed(id, manifest);
            let Some(record) = self.keyspace().record(&key).await? else { continue };
            let blobs = recorded_needs(&key, &record)?.into_iter().filter(|(what, _)| *what == Needed::Blob);
            needed.extend(blobs.map(|(_, blob)| blob));
        }

        let (edges, mut only) = (keys::uses(id), BTreeSet::new());
        for blob in needed {
            let users =
                self.keyspace().range(&edges, keys::of_digest(&blob), USERS, Direction::Forward).await?;
            let users: Vec<Digest> = users
                .iter()
                .map(|user| parsed_member(&edges, keys::last_part(user)))
                .collect::<Result<_, _>>()?;
            if users.iter().all(|user| deleted.contains(user)) {
                only.insert(blob);
            }
        }
        Ok(only)
    }

    /// When the undo window of what was deleted at `deleted_ms` ends.
    pub(crate) fn restorable_until(&self, deleted_ms: i64) -> Timestamp {
        let deleted = Timestamp::from_millisecond(deleted_ms).unwrap_or(Timestamp::MIN);
        deleted.checked_add(self.0.reclaim.undo_window).unwrap_or(Timestamp::MAX)
    }

    /// When the grace of what is unused since `since_ms` ends.
    pub(super) fn unused_until(&self, since_ms: i64) -> Timestamp {
        let since = Timestamp::from_millisecond(since_ms).unwrap_or(Timestamp::MIN);
        since.checked_add(self.0.reclaim.unused_grace).unwrap_or(Timestamp::MAX)
    }
}
