//! Limits round any store: how long an operation may take, how many there are at one time, how many wait; and what each
//! came to, for the metrics. A store that does not answer is one that is not available, and holds nobody for ever.

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{SessionId, Span};
use proto::{ByteStream, StreamError};
use service_kit::clock::Clock;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{Object, PublicUrl, Store, StoreError, Writer, operation::Operation};
use crate::layout::{ObjectName, Place};

use measured::{Measured, Outcome};

mod measured;

/// What a store may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may be silent: until an operation is done, and from one piece of a body to the next.
    pub silence: Duration,
    /// How long what moves many bytes may take: append, commit, publish, and removing an upload.
    pub whole: Duration,
    /// Operations at one time. A body that is being read is none, and what brings bytes is not among them.
    pub at_once: usize,
    /// Appends, commits and publishes at one time: a store may send what it was given before, and have nobody else wait
    /// for that.
    pub writes_at_once: usize,
    /// Operations that wait for others, each no longer than `silence`, and as many that bring bytes. More are refused.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (silence, whole) = (Duration::from_secs(30), Duration::from_mins(10));
        Self { silence, whole, at_once: 256, writes_at_once: 256, waiting: 1024 }
    }
}

/// A store within limits. Clones are the same.
#[derive(Clone)]
pub struct Watched(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    limits: Limits,
    writes: Lane,
    others: Lane,
    clock: Arc<dyn Clock>,
    measured: Measured,
}

/// Operations that wait for each other, and for no others.
struct Lane {
    places: Semaphore,
    queue: Semaphore,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl Watched {
    /// `store` within `limits`. `clock` measures, and decides nothing.
    pub fn new(store: Arc<dyn Store>, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let lane = |places| Lane { places: Semaphore::new(places), queue: Semaphore::new(limits.waiting) };
        let (writes, others) = (lane(limits.writes_at_once), lane(limits.at_once));
        Self(Arc::new(Parts { store, limits, writes, others, clock, measured: Measured::new() }))
    }

    /// Does `work` when it is its turn, if it is done in time.
    async fn watch<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let _place = self.place(operation).await?;
        let limit = match operation {
            Operation::Append | Operation::Commit | Operation::Publish | Operation::RemoveUpload => {
                self.0.limits.whole
            }
            _ => self.0.limits.silence,
        };
        let began = self.0.clock.now();
        let done = timeout(limit, work).await;
        let took = self.0.clock.now().duration_since(began).as_secs_f64();

        let (outcome, done) = match done {
            Ok(done) => (Outcome::of(&done), done),
            Err(_) => (Outcome::Late, Err(late(operation))),
        };
        self.0.measured.operation(operation, outcome, Some(took));
        done
    }

    async fn place(&self, operation: Operation) -> Result<SemaphorePermit<'_>, StoreError> {
        let lane = match operation {
            Operation::Append | Operation::Commit | Operation::Publish => &self.0.writes,
            _ => &self.0.others,
        };
        if let Ok(place) = lane.places.try_acquire() {
            return Ok(place);
        }
        let full = || {
            self.0.measured.operation(operation, Outcome::Refused, None);
            unavailable(operation, io::Error::other("too many operations at one time"))
        };
        let _waiting = lane.queue.try_acquire().map_err(|_| full())?;
        match timeout(self.0.limits.silence, lane.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    /// A body whose pieces come in time. The time in which nobody asks for one does not count.
    fn body(&self, name: &ObjectName, body: ByteStream) -> ByteStream {
        let (watched, name) = (self.clone(), name.clone());
        Box::pin(stream::unfold(Some(body), move |body| {
            let (watched, name) = (watched.clone(), name.clone());
            async move {
                let mut body = body?;
                match timeout(watched.0.limits.silence, body.next()).await {
                    Ok(Some(Ok(piece))) => Some((Ok(piece), Some(body))),
                    Ok(Some(Err(error))) => Some((Err(error), None)),
                    Ok(None) => None,
                    Err(_) => {
                        tracing::error!(%name, "the store has stopped in the midst of a blob");
                        watched.0.measured.operation(Operation::Read, Outcome::Late, None);
                        Some((Err(StreamError::Source), None))
                    }
                }
            }
        }))
    }
}

#[async_trait]
impl Store for Watched {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        let writer = self.watch(Operation::Write, self.0.store.write(name, before)).await?;
        Ok(Box::new(WatchedWriter { watched: self.clone(), writer }))
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        self.watch(Operation::Publish, self.0.store.publish(parts, content)).await
    }

    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        self.watch(Operation::Sizes, self.0.store.sizes(parts)).await
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        self.watch(Operation::Size, self.0.store.size(name)).await
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        let found = self.watch(Operation::Read, self.0.store.read(name, span)).await?;
        Ok(found.map(|object| Object { body: self.body(name, object.body), ..object }))
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        self.watch(Operation::RemoveUpload, self.0.store.remove_upload(session)).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.watch(Operation::Remove, self.0.store.remove(name)).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        self.watch(Operation::List, self.0.store.list(place, after, limit)).await
    }

    fn file<'a>(&self, name: &'a ObjectName) -> Option<&'a str> {
        self.0.store.file(name)
    }

    async fn redirect(&self, name: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        self.watch(Operation::Redirect, self.0.store.redirect(name, lifetime)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.watch(Operation::Check, self.0.store.check()).await
    }
}

struct WatchedWriter {
    watched: Watched,
    writer: Box<dyn Writer>,
}

#[async_trait]
impl Writer for WatchedWriter {
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.watched.watch(Operation::Append, self.writer.append(bytes)).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { watched, writer } = *self;
        watched.watch(Operation::Commit, writer.commit()).await
    }
}

fn late(operation: Operation) -> StoreError {
    unavailable(operation, io::ErrorKind::TimedOut.into())
}

fn unavailable(operation: Operation, cause: io::Error) -> StoreError {
    StoreError::Unavailable { attempted: format!("the operation {} of the store", operation.name()), cause }
}
