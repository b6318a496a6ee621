//! A request body in batches, and the part that they become: hashed and written at the same time, on two
//! threads, while the next batch arrives. It does not know what the part belongs to.

use bytes::Bytes;
use futures_util::{StreamExt as _, future::join};
use proto::{
    ByteStream,
    blob::{BlobError, Ended},
};
use service_kit::failpoint;

use crate::{
    hasher::Hasher,
    store::{StoreError, Writer},
};

// Large enough that the hand-over to another thread costs nothing beside the work.
const BATCH_BYTES: usize = 1024 * 1024;
// What a client sends byte by byte must not become a batch of half a million pieces.
const BATCH_CHUNKS: usize = 256;

// From here on a test may end the process in the midst of a body.
const FAILPOINT_BYTES: u64 = 1024 * 1024;

/// A body, as far as it has arrived.
pub(crate) struct Incoming {
    body: ByteStream,
    expected_bytes: Option<u64>,
    arrived_bytes: u64,
    ended: Option<Ended>,
}

impl Incoming {
    /// A body of which `expected_bytes` were announced, if any were.
    pub(crate) fn new(body: ByteStream, expected_bytes: Option<u64>) -> Self {
        Self { body, expected_bytes, arrived_bytes: 0, ended: None }
    }

    /// The next bytes; none only at the end.
    pub(crate) async fn batch(&mut self) -> Result<Vec<Bytes>, BlobError> {
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        while self.ended.is_none() && batch_bytes < BATCH_BYTES && batch.len() < BATCH_CHUNKS {
            match self.body.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    self.count(&chunk)?;
                    batch_bytes += chunk.len();
                    batch.push(chunk);
                }
                // What has arrived is right, whichever way the rest was lost.
                Some(Err(_)) => self.ended = Some(Ended::Cut),
                None => self.ended = Some(self.end()),
            }
        }
        Ok(batch)
    }

    /// How it ended, once there are no more batches.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.unwrap_or(Ended::Cut)
    }

    fn count(&mut self, chunk: &Bytes) -> Result<(), BlobError> {
        self.arrived_bytes += chunk.len() as u64;
        match self.expected_bytes {
            Some(expected_bytes) if self.arrived_bytes > expected_bytes => {
                Err(BlobError::TooLong { expected_bytes })
            }
            _ => Ok(()),
        }
    }

    fn end(&self) -> Ended {
        let all = self.expected_bytes.is_none_or(|expected| self.arrived_bytes == expected);
        if all { Ended::Complete } else { Ended::Cut }
    }
}

/// A part that is being written.
pub(crate) struct IncomingPart {
    writer: Box<dyn Writer>,
    hasher: Option<Hasher>,
    size_bytes: u64,
}

impl IncomingPart {
    /// A part without bytes. Without a `hasher` it is not hashed.
    pub(crate) fn new(writer: Box<dyn Writer>, hasher: Option<Hasher>) -> Self {
        Self { writer, hasher, size_bytes: 0 }
    }

    /// Writes and hashes a batch.
    pub(crate) async fn write(&mut self, batch: Vec<Bytes>) -> Result<(), StoreError> {
        let before = self.size_bytes;
        self.size_bytes += batch.iter().map(|chunk| chunk.len() as u64).sum::<u64>();

        if let Some(hasher) = self.hasher.take() {
            let (hasher, written) = join(hasher.advance(batch.clone()), self.writer.append(batch)).await;
            written?;
            self.hasher = Some(hasher?);
        } else {
            self.writer.append(batch).await?;
        }

        if (before..self.size_bytes).contains(&(FAILPOINT_BYTES - 1)) {
            failpoint::hit("blob.append.body");
        }
        Ok(())
    }

    /// Makes the part durable. Its length and the hash with it.
    pub(crate) async fn commit(self) -> Result<(u64, Option<Hasher>), StoreError> {
        self.writer.commit().await?;
        Ok((self.size_bytes, self.hasher))
    }
}
