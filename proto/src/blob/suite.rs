//! The blob contract as behaviours, for every implementation and across gRPC.
//! A failure names the behaviour by the function that it lies in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use oci::{Digest, Generation, Locator, RepositoryName, SessionId, Span};

use super::{
    Append, Appended, BlobError, Blobs, Delivery, Ended, Finish, Finished, Grant, GrantKey, GrantRefused,
    HashState, Opened, Part,
};
use crate::{ByteStream, StreamError, empty_stream, stream_of};

mod appends;
mod finishes;
mod reads;

/// An implementation, and what it was told.
pub struct Harness {
    blobs: Arc<dyn Blobs>,
    grants: GrantKey,
    now: Timestamp,
    sessions: AtomicU32,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Harness {
    /// `blobs` over a store without uploads, which verifies grants with `grants` and whose clock stands at `now`.
    pub fn new(blobs: Arc<dyn Blobs>, grants: GrantKey, now: Timestamp) -> Self {
        Self { blobs, grants, now, sessions: AtomicU32::new(0) }
    }
}

/// Runs all behaviours.
///
/// # Panics
/// If one does not hold.
pub async fn run(harness: &Harness) {
    appends::run(harness).await;
    finishes::run(harness).await;
    reads::run(harness).await;
}

/// An upload session, as metadata would keep it.
struct Upload<'a> {
    blobs: &'a dyn Blobs,
    session: SessionId,
}

impl Upload<'_> {
    async fn append(&self, after: &Appended, bytes: impl Into<Bytes>) -> Appended {
        self.append_body(after, body(bytes), None).await.unwrap()
    }

    async fn append_body(
        &self,
        after: &Appended,
        body: ByteStream,
        expected_bytes: Option<u64>,
    ) -> Result<Appended, BlobError> {
        let Appended { part: before, offset, hash, .. } = after.clone();
        self.blobs.append(Append { session: self.session, before, offset, hash, expected_bytes }, body).await
    }

    /// The finish of what has been recorded, in order.
    fn finish(&self, recorded: &[&Appended], digest: Digest) -> Finish {
        let last = recorded.last().map_or_else(start, |last| (*last).clone());
        Finish {
            session: self.session,
            parts: recorded.iter().map(|recorded| recorded.part.clone().unwrap()).collect::<Vec<Part>>(),
            offset: last.offset,
            hash: last.hash,
            digest,
            existing: None,
            expected_bytes: None,
        }
    }

    async fn publish(&self, recorded: &[&Appended], content: &[u8]) -> (Locator, u64) {
        let finish = self.finish(recorded, Digest::of_sha256(content));
        published(self.blobs.finish(finish, empty_stream()).await)
    }
}

impl Harness {
    fn upload(&self) -> Upload<'_> {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let session = format!("00000000-0000-4000-8000-{session:012x}").parse().unwrap();
        Upload { blobs: self.blobs.as_ref(), session }
    }

    async fn published(&self, content: impl Into<Bytes>) -> (Locator, u64) {
        let (upload, content) = (self.upload(), content.into());
        let part = upload.append(&start(), content.clone()).await;
        upload.publish(&[&part], &content).await
    }

    fn grant(&self, locator: &Locator, size_bytes: u64) -> Grant {
        self.grants.grant(locator.clone(), repository(), size_bytes, self.now + Duration::from_mins(1))
    }

    async fn open(
        &self,
        locator: &Locator,
        size_bytes: u64,
        span: Option<Span>,
    ) -> Result<Streamed, BlobError> {
        let grant = self.grant(locator, size_bytes);
        match self.blobs.open(&grant, span, Delivery::default()).await? {
            Opened::Stream { span, body } => Ok(Streamed { span, body }),
            other => panic!("{other:?} for who takes only bytes"),
        }
    }

    async fn read(&self, locator: &Locator, size_bytes: u64) -> Bytes {
        let opened = self.open(locator, size_bytes, None).await.unwrap();
        assert_eq!((opened.span.first, opened.span.length), (0, size_bytes));
        collected(opened.body).await
    }

    async fn refused(&self, grant: &Grant) -> GrantRefused {
        match self.blobs.open(grant, None, Delivery::default()).await {
            Err(BlobError::GrantRefused { why }) => why,
            other => panic!("{other:?} of {grant:?}"),
        }
    }
}

/// A blob that came as bytes.
struct Streamed {
    span: Span,
    body: ByteStream,
}

/// Before the first append.
fn start() -> Appended {
    Appended { part: None, offset: 0, hash: HashState::default(), ended: Ended::Complete }
}

fn body(bytes: impl Into<Bytes>) -> ByteStream {
    stream_of(bytes.into())
}

fn broken(bytes: &'static str, error: StreamError) -> ByteStream {
    stream::iter([Ok(Bytes::from(bytes)), Err(error)]).boxed()
}

async fn collected(body: ByteStream) -> Bytes {
    let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
    pieces.concat().into()
}

fn published(finished: Result<Finished, BlobError>) -> (Locator, u64) {
    match finished {
        Ok(Finished::Published { locator, size_bytes }) => (locator, size_bytes),
        other => panic!("{other:?} of a finish"),
    }
}

fn repository() -> RepositoryName {
    "library/suite".parse().unwrap()
}

/// A generation of which nothing has been written.
fn never() -> Generation {
    "00000000000000000000000000".parse().unwrap()
}
