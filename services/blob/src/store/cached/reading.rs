//! Reading a copy, also one that is still being made. Where it fails, the store goes on from the same byte.

use std::{fs::File, sync::Arc};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use oci::Span;
use proto::{ByteStream, StreamError};
use tokio::sync::watch;

use super::{Cached, flight::Progress};
use crate::{layout::ObjectName, store::disk::read_piece};

// The size of a message between services.
const PIECE_BYTES: u64 = 256 * 1024;

/// What is left to read.
pub(super) struct Reading {
    pub(super) cache: Cached,
    pub(super) name: ObjectName,
    pub(super) file: Arc<File>,
    pub(super) size_bytes: u64,
    /// None if all of it is there.
    pub(super) progress: Option<watch::Receiver<Progress>>,
    pub(super) at: u64,
    pub(super) left: u64,
}

/// Where the next bytes come from.
enum Source {
    Copy(Reading),
    Store(ByteStream),
}

type Next = Result<Option<(Bytes, Source)>, StreamError>;

impl Reading {
    pub(super) fn body(self) -> ByteStream {
        Box::pin(stream::try_unfold(Source::Copy(self), |source| async move {
            match source {
                Source::Copy(reading) => reading.next().await,
                Source::Store(body) => next_of(body).await,
            }
        }))
    }

    async fn next(mut self) -> Next {
        if self.left == 0 {
            return Ok(None);
        }
        match self.piece().await {
            Some(piece) => {
                self.at += piece.len() as u64;
                self.left -= piece.len() as u64;
                Ok(Some((piece, Source::Copy(self))))
            }
            None => self.go_on_in_store().await,
        }
    }

    /// The next bytes of the copy, as soon as they are there; none if they will not be.
    async fn piece(&mut self) -> Option<Bytes> {
        let there = match &mut self.progress {
            None => self.left,
            Some(progress) => beyond(self.at, progress).await?,
        };
        let (file, at, length) = (self.file.clone(), self.at, self.left.min(there).min(PIECE_BYTES));
        let read = self.cache.0.tasks.spawn_blocking(move || read_piece(&file, at, length)).await;
        read.ok()?.ok()
    }

    async fn go_on_in_store(self) -> Next {
        let span = Span { first: self.at, length: self.left };
        tracing::warn!(name = %self.name, at = self.at, "a copy of a blob cannot be read on; the store goes on");
        // One in the making is not known yet, and is no copy if it fails.
        self.cache.forget(&self.name).await;
        match self.cache.0.store.read(&self.name, span).await {
            Ok(Some(object)) if object.size_bytes == self.size_bytes => next_of(object.body).await,
            other => {
                tracing::error!(name = %self.name, ?other, "nor can the store");
                Err(StreamError::Source)
            }
        }
    }
}

/// How many bytes are in the file beyond `at`, once there are any; none if the one who fetches has gone.
async fn beyond(at: u64, progress: &mut watch::Receiver<Progress>) -> Option<u64> {
    loop {
        let bytes = match &*progress.borrow_and_update() {
            Progress::Copied { bytes, .. } => *bytes,
            Progress::Asked => 0,
            Progress::GivenUp => return None,
        };
        if bytes > at {
            return Some(bytes - at);
        }
        progress.changed().await.ok()?;
    }
}

async fn next_of(mut body: ByteStream) -> Next {
    Ok(body.try_next().await?.map(|piece| (piece, Source::Store(body))))
}
