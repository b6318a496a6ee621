//! What the blob service offers: parts of uploads, published content, and granted reads.
//! It knows no names and no users; what may be read is said by a grant from metadata.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Generation, Locator, SessionId, Span};
use serde::{Deserialize, Serialize};

pub use client::BlobClient;
pub use delivery::{Delivery, Handoff, HandoffPath, Opened, PlaceError, Redirect, RedirectUrl};
pub use grant::{Grant, GrantKey, GrantRefused};

use crate::ByteStream;

pub mod client;
mod delivery;
mod grant;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Content-addressed bytes.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Writes `body` as one part that only this call can have opened, hashing while it writes.
    ///
    /// The part counts only once metadata has recorded it. A body cut short keeps what arrived and says so.
    ///
    /// # Errors
    /// `TooLong` if `body` exceeds `expected_bytes`; `PartMissing`; `NoSpace`; `Unavailable`.
    async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError>;

    /// Writes `last` as a further part, verifies length and digest of the recorded parts and it, and
    /// publishes them under a new generation. May be repeated; the parts stay until `discard`.
    ///
    /// # Errors
    /// `DigestMismatch`; `PartMissing`; `TooLong`; `NoSpace`; `Unavailable`.
    async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError>;

    /// Streams a granted blob, or a span of it; or says where else it is read, as far as `delivery` allows. Then the
    /// bytes are there, in their full length.
    ///
    /// # Errors
    /// `GrantRefused`; `Missing` if the bytes are gone although granted; `Unavailable`, also mid-stream.
    async fn open(&self, grant: &Grant, span: Option<Span>, delivery: Delivery) -> Result<Opened, BlobError>;

    /// Removes the parts of a session that has ended. Repeating it, or none being there, is no error.
    async fn discard(&self, session: &SessionId) -> Result<(), BlobError>;
}

/// A stretch of an upload at `<session>/<offset>-<generation>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Bytes of the upload before this part.
    pub offset: u64,
    /// Bytes in this part, more than none.
    pub size_bytes: u64,
    /// What tells apart two parts written at one offset.
    pub generation: Generation,
}

/// The state of the hash over the first `offset` bytes of an upload: opaque, empty at offset 0. It begins
/// with a format version; a state that cannot be read makes the blob service read the parts again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashState(pub Bytes);

/// Where and how a part goes on with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The session that the part belongs to.
    pub session: SessionId,
    /// The last recorded part: what a store has kept of all parts so far is found by it.
    pub before: Option<Part>,
    /// Bytes recorded so far.
    pub offset: u64,
    /// The hash of those bytes.
    pub hash: HashState,
    /// The length that the client announced, if it did.
    pub expected_bytes: Option<u64>,
}

/// What an append has left in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The part to record; none if the body was empty.
    pub part: Option<Part>,
    /// Bytes of the upload including the part.
    pub offset: u64,
    /// The hash of those bytes.
    pub hash: HashState,
    /// Whether all of the body arrived.
    pub ended: Ended,
}

/// How a request body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All of it arrived.
    Complete,
    /// The client stopped before its end.
    Cut,
}

/// What is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The session whose parts these are.
    pub session: SessionId,
    /// The recorded parts in order, without gaps.
    pub parts: Vec<Part>,
    /// Bytes recorded so far: the sum of the parts.
    pub offset: u64,
    /// The hash of those bytes.
    pub hash: HashState,
    /// What the client claims.
    pub digest: Digest,
    /// Where the same content is already. Bytes found there with the right length are not written again;
    /// the client's are verified all the same.
    pub existing: Option<Locator>,
    /// The length of the last body that the client announced, if it did.
    pub expected_bytes: Option<u64>,
}

/// How a finish ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The bytes are at the locator, durable, and `size_bytes` long.
    Published {
        /// A new generation, or `existing`.
        locator: Locator,
        /// Length of the content.
        size_bytes: u64,
    },
    /// The last body was cut short; nothing was published.
    Cut(Appended),
}

/// What a caller of [`Blobs`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum BlobError {
    /// The bytes are not what the client claims; nothing was published and the session lives on.
    #[error("the uploaded bytes have the digest {actual}, not {claimed}")]
    DigestMismatch {
        /// What the client said.
        claimed: Digest,
        /// What arrived.
        actual: Digest,
    },
    /// More bytes arrived than were announced; none of them count.
    #[error("the body is longer than the announced {expected_bytes} bytes")]
    TooLong {
        /// What was announced.
        expected_bytes: u64,
    },
    /// A recorded part is not in the store, so that the upload must begin anew.
    #[error("upload {session} has lost the part at {offset}")]
    PartMissing {
        /// The upload.
        session: SessionId,
        /// Where the part begins.
        offset: u64,
    },
    /// The bytes at the locator are gone or have the wrong length: quarantine it.
    #[error("no bytes at {locator}")]
    Missing {
        /// Where they should be.
        locator: Locator,
    },
    /// The grant was not made by our metadata service, has expired or is for other bytes.
    #[error("the grant was refused: {why}")]
    GrantRefused {
        /// What is wrong with it.
        why: GrantRefused,
    },
    /// The span does not lie within the blob.
    #[error("bytes {first} and on are outside of a blob of {size_bytes} bytes")]
    OutOfRange {
        /// Where the span begins.
        first: u64,
        /// Length of the blob.
        size_bytes: u64,
    },
    /// The store is full: freeing space heals it, reads go on.
    #[error("the blob store has no space left while {attempted}")]
    NoSpace {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// The store cannot answer now; retrying may help.
    #[error("blob store unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
