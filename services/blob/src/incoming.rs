//! A request body in batches, and the part that they become: hashed and written at the same time, on two
//! threads, while the next batch arrives. It does not know what the part belongs to.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, future::join};
use proto::{
    ByteStream,
    blob::{BlobError, Ended},
};
use service_kit::failpoint;

use crate::{
    hasher::Hasher,
    hashing::Hashing,
    store::{StoreError, Writer},
};

// Large enough that the hand-over to another thread costs nothing beside the work.
const BATCH_BYTES: usize = 1024 * 1024;
// Of a length that nobody announced, the first batch begins with so many, and grows.
const FIRST_BYTES: usize = 64 * 1024;

// From here on a test may end the process in the midst of a body.
const FAILPOINT_BYTES: u64 = 1024 * 1024;

/// A body, as far as it has arrived.
pub(crate) struct Incoming {
    body: ByteStream,
    expected_bytes: Option<u64>,
    arrived_bytes: u64,
    /// What did not fit into the last batch.
    rest: Bytes,
    buffers: Buffers,
    ended: Option<Ended>,
}

impl Incoming {
    /// A body of which `expected_bytes` were announced, if any were.
    pub(crate) fn new(body: ByteStream, expected_bytes: Option<u64>) -> Self {
        let (rest, buffers) = (Bytes::new(), Buffers::default());
        Self { body, expected_bytes, arrived_bytes: 0, rest, buffers, ended: None }
    }

    /// The next bytes; none only at the end.
    pub(crate) async fn batch(&mut self) -> Result<Bytes, BlobError> {
        let mut batch = self.buffers.take(self.first_bytes());
        while batch.len() < BATCH_BYTES {
            if !self.rest.is_empty() {
                let fitting = self.rest.len().min(BATCH_BYTES - batch.len());
                batch.extend_from_slice(&self.rest.split_to(fitting));
            } else if self.ended.is_none() {
                self.arrive().await?;
            } else {
                break;
            }
        }
        Ok(self.buffers.lend(batch))
    }

    async fn arrive(&mut self) -> Result<(), BlobError> {
        match self.body.next().await {
            Some(Ok(chunk)) => {
                self.count(&chunk)?;
                self.rest = chunk;
            }
            // What has arrived is right, whichever way the rest was lost.
            Some(Err(_)) => self.ended = Some(Ended::Cut),
            None => self.ended = Some(self.end()),
        }
        Ok(())
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

    /// Room for the next batch, as far as one can know.
    fn first_bytes(&self) -> usize {
        let known = match self.expected_bytes {
            Some(expected) => expected.saturating_sub(self.arrived_bytes) + self.rest.len() as u64,
            None if self.arrived_bytes == 0 => FIRST_BYTES as u64,
            None => BATCH_BYTES as u64,
        };
        usize::try_from(known).unwrap_or(BATCH_BYTES).min(BATCH_BYTES)
    }

    fn end(&self) -> Ended {
        let all = self.expected_bytes.is_none_or(|expected| self.arrived_bytes == expected);
        if all { Ended::Complete } else { Ended::Cut }
    }
}

/// The memory of batches, which comes back when they have been written and hashed. Fresh memory for every batch would
/// cost a push of a large blob more than receiving it does: the kernel clears each page before it is first used.
#[derive(Default)]
struct Buffers(Vec<Bytes>);

impl Buffers {
    fn take(&mut self, size_bytes: usize) -> BytesMut {
        let free = self.0.iter().position(Bytes::is_unique);
        match free.map(|free| self.0.swap_remove(free).try_into_mut()) {
            Some(Ok(mut buffer)) => {
                buffer.clear();
                buffer
            }
            Some(Err(_)) | None => BytesMut::with_capacity(size_bytes),
        }
    }

    fn lend(&mut self, buffer: BytesMut) -> Bytes {
        let lent = buffer.freeze();
        self.0.push(lent.clone());
        lent
    }
}

/// A part that is being written.
pub(crate) struct IncomingPart {
    writer: Box<dyn Writer>,
    hashing: Option<Hashing>,
    size_bytes: u64,
}

impl IncomingPart {
    /// A part without bytes. Without a `hasher` it is not hashed.
    pub(crate) fn new(writer: Box<dyn Writer>, hasher: Option<Hasher>) -> Self {
        Self { writer, hashing: hasher.map(Hashing::new), size_bytes: 0 }
    }

    /// Writes a batch, while it is hashed and perhaps longer.
    pub(crate) async fn write(&mut self, batch: Bytes) -> Result<(), StoreError> {
        let before = self.size_bytes;
        self.size_bytes += batch.len() as u64;

        if let Some(hashing) = &mut self.hashing {
            hashing.advance(batch.clone()).await?;
        }
        self.writer.append(batch).await?;

        if (before..self.size_bytes).contains(&(FAILPOINT_BYTES - 1)) {
            failpoint::hit("blob.append.body");
        }
        Ok(())
    }

    /// Makes the part durable. Its length and the hash with it.
    pub(crate) async fn commit(self) -> Result<(u64, Option<Hasher>), StoreError> {
        let Self { writer, hashing, size_bytes } = self;
        let digesting = async {
            match hashing {
                Some(hashing) => hashing.finish().await.map(Some),
                None => Ok(None),
            }
        };
        let (committed, hasher) = join(writer.commit(), digesting).await;
        committed?;
        Ok((size_bytes, hasher?))
    }
}
