//! Upload sessions, and the way from uploaded bytes to a linked blob. Sessions live here, so that any
//! replica of any service can go on with any upload.

use std::borrow::Cow;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{Digest, Locator, RepositoryName, SessionId};
use serde::{Deserialize, Serialize};

pub use client::UploadsClient;

use super::{Actor, Standing, quotas::Size};
use crate::{
    auth::Subject,
    blob::{HashState, Part},
};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Parts in one session, at most: what every object store allows.
pub const MAX_PARTS: usize = 10_000;

/// Repositories that one mount looks for its blob in, at most.
pub const MAX_MOUNT_SOURCES: usize = 100;

/// Upload sessions. A session that does not exist, has ended or belongs to another repository is `UploadUnknown`.
#[async_trait]
pub trait Uploads: Send + Sync + 'static {
    /// Opens a session. The repository need not exist yet; its namespace must, unless an administrator asks.
    ///
    /// # Errors
    /// `NamespaceUnknown`; `QuotaExceeded` if its namespace is full; `Unavailable`.
    async fn start(&self, repository: &RepositoryName, actor: &Actor) -> Result<UploadSession, UploadError>;

    /// Links a blob of another repository here, or opens a session if none of the sources has it. What is read
    /// depends on the request alone, so that time does not tell what other repositories have.
    ///
    /// # Errors
    /// As `start`; `QuotaExceeded` also if the blob does not fit.
    async fn mount(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError>;

    /// Reads a session.
    ///
    /// # Errors
    /// `UploadUnknown`; `Unavailable`.
    async fn session(&self, address: &UploadAddress) -> Result<UploadSession, UploadError>;

    /// Records a part: a compare-and-set on the offset. Answers the new offset.
    ///
    /// # Errors
    /// `OffsetMoved` if the session is elsewhere by now; `TooManyParts`; `QuotaExceeded` if what there is by now does not
    /// fit; `UploadUnknown`; `Unavailable`.
    async fn advance(&self, advance: &Advance) -> Result<u64, UploadError>;

    /// Makes sure that content `digest` is not reclaimed under this session, and says where it is, if anywhere.
    ///
    /// # Errors
    /// `UploadUnknown`; `Unavailable`.
    async fn hold(&self, address: &UploadAddress, digest: &Digest) -> Result<Held, UploadError>;

    /// Links held content into the session's repository and ends the session. Durable when it returns.
    /// The content's locator becomes `link.locator`, unless another push won: then that one stays and ours is
    /// queued as garbage. Repeating a link that has succeeded is no error.
    ///
    /// # Errors
    /// `QuotaExceeded`, which ends the session; `HoldLost` (hold again); `UploadUnknown`; `Conflict`; `Unavailable`.
    async fn link(&self, link: &Link, actor: &Actor) -> Result<(), UploadError>;

    /// Ends a session without a blob.
    ///
    /// # Errors
    /// `UploadUnknown`; `Unavailable`.
    async fn cancel(&self, address: &UploadAddress, actor: &Actor) -> Result<(), UploadError>;
}

/// Which session, and of which repository the caller believes it to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UploadAddress {
    /// The repository.
    pub repository: RepositoryName,
    /// The session.
    pub session: SessionId,
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    /// Its address.
    pub address: UploadAddress,
    /// Who opened it.
    pub subject: Subject,
    /// Whether that account may still be used.
    pub standing: Standing,
    /// When it was opened.
    pub started: Timestamp,
    /// Bytes recorded so far: the sum of the parts.
    pub offset: u64,
    /// The recorded parts in order, without gaps.
    pub parts: Vec<Part>,
    /// The hash of the recorded bytes.
    pub hash: HashState,
}

/// A cross-repository mount (distribution-spec, end-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where to.
    pub repository: RepositoryName,
    /// What.
    pub digest: Digest,
    /// Where from: the first of these that has it, at most [`MAX_MOUNT_SOURCES`]. The caller has checked that the
    /// subject may pull there.
    pub from: Vec<RepositoryName>,
}

/// How a mount ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mounted {
    /// The blob is linked here now.
    Linked,
    /// No source has such a blob: upload it.
    Started(UploadSession),
}

/// A part to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The session.
    pub address: UploadAddress,
    /// The part; it begins at the offset that the session must still have.
    pub part: Part,
    /// The hash including the part.
    pub hash: HashState,
}

/// A session whose content is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The session.
    pub session: UploadSession,
    /// Where the content is already, if anywhere.
    pub locator: Option<Locator>,
}

/// Content to link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The session that holds it.
    pub address: UploadAddress,
    /// What.
    pub digest: Digest,
    /// Its length.
    pub size_bytes: u64,
    /// Where its bytes are: verified and durable.
    pub locator: Locator,
    /// What `hold` answered.
    pub seen: Option<Locator>,
}

/// What a caller of [`Uploads`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum UploadError {
    /// There is no such user or organization, and the actor may not make one.
    #[error("there is no user or organization {namespace}")]
    NamespaceUnknown {
        /// The first part of the repository's name.
        namespace: oci::Namespace,
    },
    /// The repository is called otherwise now: push to that name. Only those who may know of it may be told so.
    #[error("repository {repository} is called {to} now")]
    Moved {
        /// The name asked for.
        repository: RepositoryName,
        /// Its name.
        to: RepositoryName,
    },
    /// The session does not exist here: it has ended, or never was.
    #[error("upload {session} is not known")]
    UploadUnknown {
        /// The session asked for.
        session: SessionId,
    },
    /// Another request went on with the upload: go on from `recorded`.
    #[error("the upload is at offset {recorded}")]
    OffsetMoved {
        /// Bytes recorded.
        recorded: u64,
    },
    /// The upload has as many parts as one may have: send larger chunks.
    #[error("the upload has {limit} parts already; send larger chunks")]
    TooManyParts {
        /// How many it may have.
        limit: usize,
    },
    /// The namespace may not use so much: delete something, or raise its quota. Pushes that end at the same moment may
    /// exceed it by what they bring.
    #[error("{}", over(namespace, *used_bytes, *limit_bytes, *size_bytes))]
    QuotaExceeded {
        /// Whose quota.
        namespace: oci::Namespace,
        /// What it uses: the bytes of the blobs that each of its repositories links.
        used_bytes: u64,
        /// What it may use.
        limit_bytes: u64,
        /// What does not fit; none: nothing does.
        size_bytes: Option<u64>,
    },
    /// The hold has expired: hold again, and look whether the content is still there.
    #[error("the hold of {digest} has expired")]
    HoldLost {
        /// What was held.
        digest: Digest,
    },
    /// Others changed the same records too often; nothing was written, and retrying may help.
    #[error("too many writers at once while {attempted}")]
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

fn over(namespace: &oci::Namespace, used_bytes: u64, limit_bytes: u64, size_bytes: Option<u64>) -> String {
    let used = format!("{namespace} has used {} of {}", Size(used_bytes), Size(limit_bytes));
    match size_bytes {
        Some(size_bytes) => format!("{used}; this blob of {} does not fit", Size(size_bytes)),
        None => format!("{used}; no blob fits any more"),
    }
}
