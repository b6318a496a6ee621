//! What the blob service needs from the world: a place that keeps named bytes. Small enough for an object
//! store: nothing is written twice, nothing is opened again to go on writing, nothing is looked for.

use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{SessionId, Span};
use proto::ByteStream;

use crate::layout::{ObjectName, Place};

pub mod disk;
pub mod memory;
#[cfg(feature = "suite")]
pub mod suite;

/// Named bytes.
///
/// A name is written once: whoever writes has made it with a fresh generation. An object is there whole or not at all.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins an object that nobody sees until it is committed.
    ///
    /// # Errors
    /// `NoSpace`; `Unavailable`.
    async fn write(&self, name: &ObjectName) -> Result<Box<dyn Writer>, StoreError>;

    /// Makes `content` of `parts`, one after the other; durable when it returns. The parts stay.
    ///
    /// # Errors
    /// `Missing` if a part is not there; `NoSpace`; `Unavailable`. Then there is no `content`.
    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<(), StoreError>;

    /// The length of an object in bytes, if it is there.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError>;

    /// The bytes of an object, if it is there. The body has exactly those of `span` that exist, or ends with
    /// an error; what is removed meanwhile may still be read to its end.
    ///
    /// # Errors
    /// `Unavailable`, also mid-stream.
    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError>;

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
    /// The store does not work now; retrying may help.
    #[error("{attempted}: {cause}")]
    Unavailable {
        /// What was attempted, and with what.
        attempted: String,
        /// What the system said.
        cause: io::Error,
    },
}
