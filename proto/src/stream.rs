//! A stream of blob bytes between services: the only way that blob bytes travel.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, stream};

/// Bytes in order; chunks of any size. An error ends it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send + 'static>>;

/// Why a stream of bytes ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The sender went away, or sent less than it had announced.
    #[error("the body was cut short")]
    Cut,
    /// The sender sent nothing for as long as it may.
    #[error("the body stalled")]
    Stalled,
    /// The store or the service in between failed; what was received so far is right.
    #[error("the source of the bytes failed")]
    Source,
}

/// A stream without bytes.
pub fn empty_stream() -> ByteStream {
    Box::pin(stream::empty())
}

/// A stream of `bytes`, as one chunk.
pub fn stream_of(bytes: Bytes) -> ByteStream {
    Box::pin(stream::once(async move { Ok(bytes) }))
}
