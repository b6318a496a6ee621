//! What is not needed any more (ARCHITECTURE.md §4, Reclaim): metadata finds it, the blob service deletes it,
//! and people ask why something is still there. Every call may come late, twice and from anyone.

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{Digest, Generation, Locator, RepositoryName, SessionId, Tag};
use serde::{Deserialize, Serialize};

use super::More;

pub use client::ReclaimClient;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Entries in one answer or request, at most.
pub const MOST_AT_ONCE: usize = 500;

/// What is not needed any more.
#[async_trait]
pub trait Reclaim: Send + Sync + 'static {
    /// Takes or keeps the office of the one who reclaims, for `term`. It spares work: two at once do no harm.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn take_office(&self, holder: &Generation, term: Duration) -> Result<Office, ReclaimError>;

    /// Unlinks, in the repositories after `after`, what no manifest has used for the grace, and gives up deleted
    /// manifests that cannot be restored any more. A bounded step of a walk: go on from `next`.
    ///
    /// # Errors
    /// `Unavailable`; `NoSpace`; `Damaged`.
    async fn unlink(&self, after: Option<&RepositoryName>) -> Result<Unlinked, ReclaimError>;

    /// Removes tags that rules let go, each manifest whose last tag that was and that is part of no index, and those that
    /// have had no tag for as long as a rule says. A bounded step of a walk over all repositories: it begins without a
    /// cursor, and goes on from the answered one.
    ///
    /// # Errors
    /// As `unlink`.
    async fn retain(&self, cursor: Option<&str>) -> Result<Retained, ReclaimError>;

    /// Removes what deleted repositories held, and old names that lead nowhere any more. A bounded step.
    ///
    /// # Errors
    /// As `unlink`.
    async fn purge(&self) -> Result<Purged, ReclaimError>;

    /// Takes the bytes of content that nothing references or holds out of use, and queues them. A bounded step.
    ///
    /// # Errors
    /// As `unlink`.
    async fn reap(&self) -> Result<Reaped, ReclaimError>;

    /// Queued generations that may be deleted, oldest first, at most `limit`: nothing points to them, and
    /// nothing ever will.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    async fn garbage(&self, limit: usize) -> Result<Vec<Discarded>, ReclaimError>;

    /// Says that the bytes are deleted.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_garbage(&self, deleted: &[Discarded]) -> Result<(), ReclaimError>;

    /// Upload sessions that are too old to be used, oldest first, at most `limit`: their parts may be deleted.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    async fn stale_uploads(&self, limit: usize) -> Result<Vec<StaleUpload>, ReclaimError>;

    /// Says that the parts are deleted, and ends the sessions.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn forget_uploads(&self, uploads: &[StaleUpload]) -> Result<(), ReclaimError>;

    /// Compares what is in the store with what is known. Bytes that nobody knows and nobody can come to know, which
    /// a crash has left, are queued as garbage; sessions that have ended are named: their parts may be deleted.
    ///
    /// # Errors
    /// `Unavailable`; `NoSpace`; `Damaged`.
    async fn audit(&self, found: &Found) -> Result<Audited, ReclaimError>;

    /// What the repositories after `after` would give back. A bounded step.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    async fn survey(&self, after: Option<&RepositoryName>) -> Result<Survey, ReclaimError>;

    /// What keeps the content or manifest `digest`, in the repositories after `after`. A bounded step.
    ///
    /// # Errors
    /// `Unavailable`; `Damaged`.
    async fn why(&self, digest: &Digest, after: Option<&RepositoryName>) -> Result<Why, ReclaimError>;
}

/// Whether the office is one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Office {
    /// It is, for the term.
    Held,
    /// Somebody else has it.
    Taken,
}

/// What a step of unlinking has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// Links that are gone.
    pub links: u64,
    /// Their sizes together.
    pub size_bytes: u64,
    /// Deleted manifests that cannot be restored any more.
    pub manifests: u64,
    /// Whether more is due in the same repositories: walk again.
    pub more: More,
    /// Where to go on; none at the end.
    pub next: Option<RepositoryName>,
}

/// What a step of retention has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Tags that went.
    pub tags: u64,
    /// Manifests that went, with their last tag or because they had none, and can be restored.
    pub manifests: u64,
    /// How many of them had none.
    pub untagged: u64,
    /// Where to go on; none at the end. Only metadata knows what it means.
    pub next: Option<String>,
}

/// What a step of purging has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Deleted repositories of which nothing is left.
    pub repositories: u64,
    /// Links that are gone.
    pub links: u64,
    /// Whether there is more to remove.
    pub more: More,
}

/// What a step of reaping has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Contents whose bytes are queued.
    pub contents: u64,
    /// Their sizes together.
    pub size_bytes: u64,
    /// Whether there is more to look at now.
    pub more: More,
}

/// A generation that nothing points to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// When it was queued.
    pub since: Timestamp,
    /// Where its bytes are.
    pub locator: Locator,
}

/// An upload session that is too old to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleUpload {
    /// The session.
    pub session: SessionId,
    /// When it was opened.
    pub started: Timestamp,
}

/// What a walk over the store has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Published bytes.
    pub locators: Vec<Locator>,
    /// Sessions that have parts.
    pub sessions: Vec<SessionId>,
}

/// What an audit has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// Locators that are garbage from now on.
    pub queued: u64,
    /// Sessions that have ended.
    pub ended: Vec<SessionId>,
}

/// What a step of the survey has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The repositories that would give something back.
    pub repositories: Vec<Reclaimable>,
    /// Where to go on; none at the end.
    pub next: Option<RepositoryName>,
}

/// What a repository would give back (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reclaimable {
    /// The repository.
    pub repository: RepositoryName,
    /// Nothing else keeps it, and its grace is over.
    pub now_bytes: u64,
    /// Nothing else keeps it, but its grace lasts.
    pub later_bytes: u64,
    /// Used only by manifests that were deleted and can still be restored.
    pub restorable_bytes: u64,
    /// Unused here, but linked by other repositories too.
    pub shared_bytes: u64,
}

/// What keeps something, as far as a step has looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// Where its bytes are, if it is content with bytes.
    pub locator: Option<Locator>,
    /// How many they are.
    pub size_bytes: Option<u64>,
    /// Whether an upload under way holds it.
    pub held: bool,
    /// What keeps it.
    pub keepers: Vec<Keeper>,
    /// Where to go on; none at the end.
    pub next: Option<RepositoryName>,
}

/// One way in which a repository keeps something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// The repository.
    pub repository: RepositoryName,
    /// How.
    pub kept: Kept,
    /// From what has the tags, was deleted or is untagged, down to what was asked for, that included.
    pub path: Vec<Digest>,
}

/// How something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// By these tags, of which some are named.
    Tagged(Vec<Tag>),
    /// It has no tag. Only a rule about that removes it.
    Untagged,
    /// It was deleted, and can be restored until then.
    Restorable {
        /// The end of the undo window.
        until: Timestamp,
    },
    /// Nothing uses it; it is unlinked after that.
    Unused {
        /// The end of the grace.
        until: Timestamp,
    },
}

/// What a caller of [`Reclaim`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ReclaimError {
    /// A record cannot be read; an operator must look.
    #[error("damaged record: {what}")]
    Damaged {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// The engine is full: freeing space heals it, reads go on.
    #[error("the metadata store has no space left while {attempted}")]
    NoSpace {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// The engine cannot answer now; retrying may help.
    #[error("metadata unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
