//! A hash that is made beside receiving and writing: bytes wait in a short queue, and a thread has them only while there
//! are any. So nobody waits for a slower one batch by batch, and an upload that rests holds no thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    hasher::{AT_ONCE_BYTES, Hasher},
    store::StoreError,
};

/// Batches that wait or are being hashed, at most.
const AHEAD: usize = 2;

/// A hash in the making.
pub(crate) struct Hashing {
    queue: Arc<Mutex<Queue>>,
    room: Arc<Semaphore>,
    job: Option<JoinHandle<()>>,
}

struct Queue {
    /// None while a job has it, and after one has failed.
    hasher: Option<Hasher>,
    waiting: VecDeque<(Bytes, OwnedSemaphorePermit)>,
}

impl Hashing {
    /// Goes on with `hasher`.
    pub(crate) fn new(hasher: Hasher) -> Self {
        let queue = Queue { hasher: Some(hasher), waiting: VecDeque::new() };
        Self { queue: Arc::new(Mutex::new(queue)), room: Arc::new(Semaphore::new(AHEAD)), job: None }
    }

    /// Hashes `bytes` in their turn; waits only for room.
    pub(crate) async fn advance(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| interrupted())?;
        if let Some(hasher) = self.enqueue(bytes, room) {
            // The job before has ended, or is about to: it has given the hasher back.
            if let Some(ended) = self.job.take() {
                ended.await.map_err(|_| interrupted())?;
            }
            let queue = Arc::clone(&self.queue);
            let closing = Closing(Some(Arc::clone(&self.room)));
            self.job = Some(spawn_blocking(move || run(hasher, &queue, closing)));
        }
        Ok(())
    }

    /// The hasher, if nobody has it and there is work that needs a thread.
    fn enqueue(&self, bytes: Bytes, room: OwnedSemaphorePermit) -> Option<Hasher> {
        let mut queue = locked(&self.queue);
        match &mut queue.hasher {
            Some(hasher) if bytes.len() <= AT_ONCE_BYTES => {
                hasher.update(&bytes);
                None
            }
            _ => {
                queue.waiting.push_back((bytes, room));
                queue.hasher.take()
            }
        }
    }

    /// The hash of all bytes.
    pub(crate) async fn finish(self) -> Result<Hasher, StoreError> {
        if let Some(job) = self.job {
            job.await.map_err(|_| interrupted())?;
        }
        let hasher = locked(&self.queue).hasher.take();
        hasher.ok_or_else(interrupted)
    }
}

/// Room that a job makes, until it has ended well. One that panics makes none: whoever waits for it is told.
struct Closing(Option<Arc<Semaphore>>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(room) = &self.0 {
            room.close();
        }
    }
}

/// Hashes what waits, until nothing does.
fn run(mut hasher: Hasher, queue: &Mutex<Queue>, mut closing: Closing) {
    loop {
        let (bytes, _room) = {
            let mut queue = locked(queue);
            let Some(next) = queue.waiting.pop_front() else {
                queue.hasher = Some(hasher);
                closing.0 = None;
                return;
            };
            next
        };
        hasher.update(&bytes);
    }
}

// What a panicking job leaves has no hasher, and that is an error for whoever asks for it.
fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn interrupted() -> StoreError {
    StoreError::Unavailable {
        attempted: "hashing".to_owned(),
        cause: std::io::Error::other("the hash of an earlier batch has failed"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oci::Algorithm;

    use super::Hashing;
    use crate::hasher::Hasher;

    #[tokio::test]
    async fn batches_of_all_sizes_are_hashed_in_their_order() {
        let batches: Vec<Bytes> = [1_usize, 1 << 20, 5, 70_000, 1 << 20, 1 << 20, 3, 40_000, 0]
            .iter()
            .enumerate()
            .map(|(number, length)| vec![u8::try_from(number).unwrap(); *length].into())
            .collect();

        let mut hashing = Hashing::new(Hasher::new(Algorithm::Sha256));
        for batch in &batches {
            hashing.advance(batch.clone()).await.unwrap();
        }
        let digest = hashing.finish().await.unwrap().digest();
        assert_eq!(digest, oci::Digest::of_sha256(&batches.concat()));
    }
}
