//! What the blob service needs from the world: a place that keeps named bytes. Small enough for an object
//! store: nothing is written twice, nothing is opened again to go on writing, nothing is looked for.

use std::{fmt, io, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{SessionId, Span};
use proto::{ByteStream, metadata::RepositoryError};

use crate::layout::{ObjectName, Place};

pub mod cached;
pub mod disk;
#[cfg(feature = "suite")]
pub mod faulty;
mod marker;
pub mod memory;
pub mod object;
pub mod operation;
#[cfg(feature = "suite")]
pub mod suite;
pub mod swift;
pub mod watched;

pub use marker::Marker;

/// Named bytes.
///
/// A name is written once: whoever writes has made it with a fresh generation. An object is there whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins a part that nobody sees until it is committed. `before` is the part that it goes on with, none at the
    /// start of an upload: a store may keep there what it needs of all parts so far.
    ///
    /// # Errors
    /// `Missing` if `before` is needed and is not there; `NoSpace`; `Unavailable`.
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError>;

    /// Makes content of `parts`, each of which was written with the one in front of it as `before`; durable when it
    /// returns. The parts stay. Answers its name: `content`, or the same content under the generation that the store
    /// had to give its bytes when they were written.
    ///
    /// # Errors
    /// `Missing` if a part is not there; `NoSpace`; `Unavailable`. Then there is no such content.
    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError>;

    /// The lengths of `parts`, each of which was written with the one in front of it as `before`; none of one that is
    /// not there, if it is still needed.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        let mut sizes = Vec::with_capacity(parts.len());
        for part in parts {
            sizes.push(self.size(part).await?);
        }
        Ok(sizes)
    }

    /// The length of an object in bytes, if it is there.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError>;

    /// The bytes of an object, if it is there. The body has exactly those of `span` that exist, or ends with
    /// an error; what is removed meanwhile may still be read to its end.
    ///
    /// # Errors
    /// `Unavailable`, also mid-stream; `Unpublished` of a part that the store gives out only as content.
    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError>;

    /// Gives up a copy of `name` in front of the store, because it is not what the store has. A store itself has none.
    async fn distrust(&self, _name: &ObjectName) {}

    /// Removes all parts of `session`; none being there is no error.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError>;

    /// Removes an object; none being there is no error. What is being read may still be read to its end.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError>;

    /// The objects of `place` behind `after`, in the order of their names, at most `limit`. What others have put
    /// there is passed over.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError>;

    /// Where the object is a file, relative to the directory of the store; none if the store is no directory.
    fn file<'a>(&self, _name: &'a ObjectName) -> Option<&'a str> {
        None
    }

    /// Where whoever has no other key can fetch the bytes of `name` for `lifetime`; none if the store has no address of
    /// its own. Nothing is looked up: the object may not be there.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn redirect(
        &self,
        _name: &ObjectName,
        _lifetime: Duration,
    ) -> Result<Option<PublicUrl>, StoreError> {
        Ok(None)
    }

    /// Writes, reads and removes something, to see whether the store works.
    ///
    /// # Errors
    /// `NoSpace`; `Unavailable`.
    async fn check(&self) -> Result<(), StoreError>;
}

/// An object that is being written. Dropped before it is committed, it leaves nothing behind.
#[async_trait]
pub trait Writer: Send {
    /// Appends `bytes`. After an error, or when dropped before it is done, the object can only be dropped.
    ///
    /// # Errors
    /// `NoSpace`; `Unavailable`.
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// Makes the object durable, then visible.
    ///
    /// # Errors
    /// `NoSpace`; `Unavailable`.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// An object that is being read.
pub struct Object {
    /// Bytes of the whole object.
    pub size_bytes: u64,
    /// Those that were asked for.
    pub body: ByteStream,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// An address at which bytes can be fetched for a time. What is behind its `?` is as good as a key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The address `url`.
    pub fn new(url: String) -> Self {
        Self(url)
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, _) = self.0.split_once('?').unwrap_or((&self.0, ""));
        write!(f, "PublicUrl({address}?…)")
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be one.
    #[error(transparent)]
    Disk(#[from] disk::OpenError),
    /// The bucket cannot be one.
    #[error(transparent)]
    Objects(#[from] object::OpenError),
    /// The hub has repositories: their blobs must be somewhere else.
    #[error(
        "{place} does not say that it is a blob store, but the hub has repositories: is it the right place, and is it \
         mounted? If it is, start once with `blob.claim = true`; blobs that are not there must then be pushed again"
    )]
    Unclaimed {
        /// The directory, bucket or container.
        place: String,
    },
    /// Metadata does not say whether the hub has repositories.
    #[error("{place} is no blob store yet, and whether the hub is new cannot be asked: {error}")]
    Unasked {
        /// The directory, bucket or container.
        place: String,
        /// What metadata said.
        error: Box<RepositoryError>,
    },
    /// The container cannot be one.
    #[error(transparent)]
    Swift(#[from] swift::OpenError),
}

/// Why a store did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store is full, or would keep less than its reserve.
    #[error("no space left in the store")]
    NoSpace,
    /// An object that is needed is not there.
    #[error("{name} is not in the store")]
    Missing {
        /// Which.
        name: ObjectName,
    },
    /// The store has these bytes, and gives them out only once they are content.
    #[error("{name} can only be read once it is published")]
    Unpublished {
        /// Which.
        name: ObjectName,
    },
    /// The store does not work now; retrying may help.
    #[error("{attempted}: {cause}")]
    Unavailable {
        /// What was attempted, and with what.
        attempted: String,
        /// What the system said.
        cause: io::Error,
    },
}
