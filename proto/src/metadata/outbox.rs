//! The outbox: what has happened in repositories, for readers that do something about it. Each reader has a place of its
//! own in each repository, and gets everything at least once, in order, until it says that it has it.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{Digest, EventId, RepositoryId, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

pub use client::OutboxClient;

use super::{More, Via};
use crate::auth::Subject;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Readers that there may be at one time.
pub const MAX_READERS: usize = 16;

/// Events in one answer, at most.
pub const MAX_EVENTS: usize = 1_000;

/// Events of repositories, for readers that are known by name. Several processes may read as one reader: they may get
/// the same events.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// From about now on, events are kept for this reader. Again is no error, and changes nothing.
    ///
    /// # Errors
    /// `TooManyReaders`; `Conflict`; `Unavailable`.
    async fn add_reader(&self, reader: &ReaderName) -> Result<(), OutboxError>;

    /// Nothing is kept for this reader any more. Again is no error.
    ///
    /// # Errors
    /// `Conflict`; `Unavailable`.
    async fn remove_reader(&self, reader: &ReaderName) -> Result<(), OutboxError>;

    /// All readers, by name.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn readers(&self) -> Result<Vec<ReaderName>, OutboxError>;

    /// Events that the reader has not acknowledged, of some repositories. They come again until it has.
    ///
    /// # Errors
    /// `ReaderUnknown`; `Unavailable`.
    async fn events(&self, wanted: &WantedEvents) -> Result<Batches, OutboxError>;

    /// The reader has what a batch had.
    ///
    /// # Errors
    /// `ReaderUnknown`; `Outdated`, and the events come again; `Unavailable`.
    async fn acknowledge(
        &self,
        reader: &ReaderName,
        repository: &RepositoryId,
        receipt: &Receipt,
    ) -> Result<(), OutboxError>;
}

/// What a reader is called: a small letter, and up to 31 of these, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReaderName(String);

/// A text that is no name of a reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reader is called by a small letter and up to 31 small letters, digits and hyphens")]
pub struct ReaderNameError;

impl ReaderName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReaderName {
    type Err = ReaderNameError;

    fn from_str(text: &str) -> Result<Self, ReaderNameError> {
        let begins = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if begins && text.len() <= 32 && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ReaderNameError)
        }
    }
}

impl TryFrom<String> for ReaderName {
    type Error = ReaderNameError;

    fn try_from(text: String) -> Result<Self, ReaderNameError> {
        text.parse()
    }
}

impl From<ReaderName> for String {
    fn from(name: ReaderName) -> Self {
        name.0
    }
}

impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedEvents {
    /// Who reads.
    pub reader: ReaderName,
    /// Only of repositories behind this one; none: of all. So one that cannot be worked off holds up no others.
    pub after: Option<RepositoryId>,
    /// At most so many, 1 to [`MAX_EVENTS`].
    pub limit: usize,
}

/// Events of some repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    /// One for each repository.
    pub batches: Vec<Batch>,
    /// Behind which repository there may be more; none: that was all for now.
    pub next: Option<RepositoryId>,
}

/// Events of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which repository, however it is called.
    pub repository: RepositoryId,
    /// How it is called now; none: it is deleted, and these are its last.
    pub name: Option<RepositoryName>,
    /// Whether the reader has missed some.
    pub gap: Gap,
    /// In the order in which they happened.
    pub events: Vec<OutboxEvent>,
    /// Whether there are more behind these.
    pub more: More,
    /// What acknowledges this batch.
    pub receipt: Receipt,
}

/// Whether events are missing before those of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// None.
    None,
    /// The reader was away for so long that some were dropped, or some cannot be read: look at the repository itself.
    Lost,
}

/// What acknowledges a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Up to which event.
    pub through: EventId,
    /// How many entries that were.
    pub entries: usize,
}

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    /// Which, and about when.
    pub id: EventId,
    /// About when.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To which tag.
    pub tag: Option<Tag>,
    /// To which manifest or blob, or what the tag names or has named.
    pub digest: Option<Digest>,
    /// What the tag named before.
    pub previous: Option<Digest>,
    /// How a repository was called that is deleted.
    pub repository: Option<RepositoryName>,
    /// On whose behalf.
    pub subject: Subject,
    /// Through which door.
    pub via: Via,
    /// From where, if known.
    pub address: Option<IpAddr>,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A manifest has come.
    ManifestPushed,
    /// A manifest has gone.
    ManifestDeleted,
    /// A manifest is back.
    ManifestRestored,
    /// A tag names something else.
    TagMoved,
    /// A tag has gone.
    TagDeleted,
    /// A blob was unlinked.
    BlobDeleted,
    /// The repository has gone.
    RepositoryDeleted,
}

/// What a caller of [`Outbox`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum OutboxError {
    /// Nobody has added the reader.
    #[error("there is no reader {reader}; add it first")]
    ReaderUnknown {
        /// The name.
        reader: ReaderName,
    },
    /// There are as many readers as there may be.
    #[error("there are {limit} readers already; remove one first")]
    TooManyReaders {
        /// How many.
        limit: usize,
    },
    /// Others came before what was read, or some were dropped: the events come again.
    #[error("the events of {repository} are not those that were read any more; read them again")]
    Outdated {
        /// Of which repository.
        repository: RepositoryId,
    },
    /// Others were changing the same; trying again helps.
    #[error("too many were {attempted} at once")]
    Conflict {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
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
