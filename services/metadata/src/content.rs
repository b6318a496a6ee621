//! The record of content that all repositories share, and a repository's link to it.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, Locator, RepositoryName};
use ulid::Ulid;

use crate::{
    failure::{damaged, next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Error, Field, Key, Mutation},
    placement::Target,
};

const LIVE: &str = "live";
const QUARANTINED: &str = "quarantined";

/// What is known of content. The record may be absent: then nothing is.
#[derive(Debug)]
pub(crate) struct Content {
    key: Key,
    recorded: Option<Bytes>,
    locator: Option<Locator>,
    quarantined: bool,
    size_bytes: Option<u64>,
}

impl Content {
    pub(crate) fn fields(digest: &Digest) -> [(Key, Field); 3] {
        [field::LOCATOR, field::STATE, field::SIZE].map(|field| (keys::image(digest), field))
    }

    /// Reads the next values, which were asked for by `fields`.
    pub(crate) fn read(
        digest: &Digest,
        values: &mut impl Iterator<Item = Option<Bytes>>,
    ) -> Result<Self, Error> {
        let key = keys::image(digest);
        let (recorded, state, size) = (next(values), next(values), next(values));
        let locator = recorded.as_ref().map(|text| parsed(&key, &field::LOCATOR, Some(text))).transpose()?;
        let size_bytes = size.as_ref().map(|text| parsed(&key, &field::SIZE, Some(text))).transpose()?;
        let quarantined = state.is_some_and(|state| state != LIVE);

        Ok(Self { key, recorded, locator, quarantined, size_bytes })
    }

    /// Where the bytes are, if they can be served.
    pub(crate) fn live(&self) -> Option<&Locator> {
        self.locator.as_ref().filter(|_| !self.quarantined)
    }

    /// The locator in the record, also when its bytes are known to be gone.
    pub(crate) fn recorded(&self) -> Option<&Locator> {
        self.locator.as_ref()
    }

    pub(crate) const fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The bytes are still where they were when this was read.
    pub(crate) fn unmoved(&self) -> Condition {
        match &self.recorded {
            Some(recorded) => Condition::FieldEquals(self.key.clone(), field::LOCATOR, recorded.clone()),
            None => Condition::FieldAbsent(self.key.clone(), field::LOCATOR),
        }
    }

    /// The bytes are at `locator` from now on. The locator comes last: it is what makes them count.
    pub(crate) fn moved_to(&self, locator: &Locator, size_bytes: u64, now: Timestamp) -> [Mutation; 4] {
        let set = |field, value: String| Mutation::SetField(self.key.clone(), field, value.into());
        [
            set(field::SIZE, size_bytes.to_string()),
            set(field::VERIFIED, now.as_millisecond().to_string()),
            set(field::STATE, LIVE.to_owned()),
            set(field::LOCATOR, locator.to_string()),
        ]
    }

    /// Nothing needs the bytes any more. The locator goes before the generation is queued: what is queued must not
    /// be found by anybody, whatever of this has been applied.
    pub(crate) fn reaped(&self, now: Timestamp) -> Vec<Mutation> {
        let cleared = Mutation::RemoveField(self.key.clone(), field::LOCATOR);
        let queued = self.locator.iter().map(|locator| discarded(locator, now));
        let forgotten = Mutation::RemoveRecord(self.key.clone());

        std::iter::once(cleared).chain(queued).chain([forgotten]).collect()
    }

    /// The bytes are gone. The old locator becomes garbage only when nothing points there any more.
    pub(crate) fn quarantined(locator: &Locator, digest: &Digest, now: Timestamp) -> [Mutation; 3] {
        let key = keys::image(digest);
        [
            Mutation::SetField(key.clone(), field::STATE, QUARANTINED.into()),
            Mutation::RemoveField(key, field::LOCATOR),
            discarded(locator, now),
        ]
    }
}

/// Queues a generation that nothing points to any more; it never comes back.
pub(crate) fn discarded(locator: &Locator, now: Timestamp) -> Mutation {
    Mutation::AddMember(keys::GARBAGE, keys::garbage(now, locator))
}

/// A repository's link to content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobLink {
    pub(crate) size_bytes: u64,
    /// The same in the content's references: what ties the two.
    pub(crate) token: Ulid,
    /// Since when no manifest uses it, in milliseconds; none if one does.
    pub(crate) unused_since_ms: Option<i64>,
}

impl BlobLink {
    pub(crate) fn field(id: RepositoryId, digest: &Digest) -> (Key, Field) {
        (keys::blobs(id), keys::named(digest))
    }

    pub(crate) fn read(id: RepositoryId, digest: &Digest, value: &Bytes) -> Result<Self, Error> {
        Self::parsed(value).ok_or_else(|| damaged(&keys::blobs(id), &keys::named(digest)))
    }

    fn parsed(value: &Bytes) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.split(' ');
        let size_bytes = parts.next()?.parse().ok()?;
        let token = parts.next()?.parse().ok()?;
        let unused_since_ms = parts.next().map(str::parse).transpose().ok()?;

        Some(Self { size_bytes, token, unused_since_ms })
    }

    /// The repository has no such link.
    pub(crate) fn absent(id: RepositoryId, digest: &Digest) -> Condition {
        Condition::FieldAbsent(keys::blobs(id), keys::named(digest))
    }

    /// This link is what the repository has.
    pub(crate) fn unchanged(&self, id: RepositoryId, digest: &Digest) -> Condition {
        Condition::FieldEquals(keys::blobs(id), keys::named(digest), self.to_string().into())
    }

    fn set(&self, id: RepositoryId, digest: &Digest) -> Mutation {
        Mutation::SetField(keys::blobs(id), keys::named(digest), self.to_string().into())
    }

    /// A link that is not there yet: the content's reference first, then what the repository may serve. The namespace
    /// counts it before: a crash leaves that with more than it has, and never with less.
    pub(crate) fn added(&self, (target, name): (&Target, &RepositoryName), digest: &Digest) -> Vec<Mutation> {
        let (id, size_bytes) = (target.id(), self.counted());
        let mut mutations =
            vec![Mutation::SetField(keys::refs(digest), keys::named(id), self.token.to_string().into())];
        mutations.extend(self.listed_unused(id, digest));
        mutations.push(target.used(name, size_bytes));
        mutations.push(self.set(id, digest));
        mutations.push(Mutation::Increment(keys::state(id), field::BYTES, size_bytes));
        mutations
    }

    /// No manifest uses it from now on; its grace begins anew.
    pub(crate) fn left_unused(&self, id: RepositoryId, digest: &Digest, now: Timestamp) -> Vec<Mutation> {
        let left = Self { unused_since_ms: Some(now.as_millisecond()), ..*self };
        if left == *self {
            return Vec::new();
        }

        let mut mutations: Vec<_> = left.listed_unused(id, digest).into_iter().collect();
        mutations.push(left.set(id, digest));
        mutations.extend(self.unlisted_unused(id, digest));
        mutations
    }

    /// The repository has it no longer. The content may have lost its last reference, which is said first; the
    /// entry of the unused goes last: as long as it is there, an unlinking that was cut off is completed.
    pub(crate) fn removed(
        &self,
        (target, name): (&Target, &RepositoryName),
        digest: &Digest,
        at: Ulid,
    ) -> Vec<Mutation> {
        let (id, size_bytes) = (target.id(), self.counted());
        let mut mutations = vec![
            Mutation::AddMember(keys::IDLE, keys::idle(at, digest)),
            Mutation::RemoveField(keys::blobs(id), keys::named(digest)),
            Mutation::Increment(keys::state(id), field::BYTES, -size_bytes),
            target.used(name, -size_bytes),
            Mutation::RemoveField(keys::refs(digest), keys::named(id)),
        ];
        mutations.extend(self.unlisted_unused(id, digest));
        mutations
    }

    /// A manifest uses it from now on.
    pub(crate) fn taken_into_use(&self, id: RepositoryId, digest: &Digest) -> Vec<Mutation> {
        let Some(unlisted) = self.unlisted_unused(id, digest) else {
            return Vec::new();
        };
        vec![Self { unused_since_ms: None, ..*self }.set(id, digest), unlisted]
    }

    /// The content's reference is the one that belongs to this link.
    pub(crate) fn referenced(&self, id: RepositoryId, digest: &Digest) -> Condition {
        Condition::FieldEquals(keys::refs(digest), keys::named(id), self.token.to_string().into())
    }

    fn counted(&self) -> i64 {
        i64::try_from(self.size_bytes).unwrap_or(i64::MAX)
    }

    fn listed_unused(&self, id: RepositoryId, digest: &Digest) -> Option<Mutation> {
        let since = self.unused_since_ms?;
        Some(Mutation::AddMember(keys::unused(id), keys::unused_since(since, digest)))
    }

    fn unlisted_unused(&self, id: RepositoryId, digest: &Digest) -> Option<Mutation> {
        let since = self.unused_since_ms?;
        Some(Mutation::RemoveMember(keys::unused(id), keys::unused_since(since, digest)))
    }
}

impl fmt::Display for BlobLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size_bytes, token, unused_since_ms } = self;
        match unused_since_ms {
            Some(since) => write!(f, "{size_bytes} {token} {since}"),
            None => write!(f, "{size_bytes} {token}"),
        }
    }
}
