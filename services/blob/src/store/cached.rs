//! Copies of contents on a disk of this process, before any store. What is read whole is copied on its way, once for all
//! who read it meanwhile; what has not been used for longest makes room. The copies are nobody's only ones: whatever goes
//! wrong with them, the store has the bytes.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use oci::{SessionId, Span};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::{Object, PublicUrl, Store, StoreError, Writer, disk::OpenError};
use crate::layout::{ObjectName, Place};

use counted::{Counted, Outcome};
use directory::Directory;
use flight::{Fetch, Joined, Lead, Progress};
use index::Index;
use reading::Reading;

mod counted;
mod directory;
mod flight;
mod index;
mod reading;

/// What is larger than this part of the cache is not copied: it would push out all that is small and asked for often.
const SHARE: u64 = 8;

/// Copies that are made at one time.
const FETCHES: usize = 64;

/// How often a reader looks again because the one that fetched has gone away.
const ATTEMPTS: usize = 3;

/// A store behind copies. Clones are the same.
#[derive(Clone)]
pub struct Cached(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    directory: Directory,
    largest_bytes: u64,
    known: Mutex<Known>,
    fetches: Arc<Semaphore>,
    tasks: TaskTracker,
    counted: Counted,
}

struct Known {
    index: Index,
    flights: HashMap<ObjectName, watch::Receiver<Progress>>,
}

/// What is known of a content.
enum Found {
    Copy {
        size_bytes: u64,
    },
    Flight(watch::Receiver<Progress>),
    Nothing,
    /// This reader is the one who fetches it.
    Mine(Lead),
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl Cached {
    /// Keeps at most `max_bytes` of `store` in `directory`, which is this process's own. What is there is adopted.
    ///
    /// # Errors
    /// With the path, and what does not work there.
    pub async fn open(store: Arc<dyn Store>, directory: PathBuf, max_bytes: u64) -> Result<Self, OpenError> {
        let tasks = TaskTracker::new();
        tasks.close();
        let opening = tasks.spawn_blocking(move || Directory::open(&directory, max_bytes));
        let (directory, index) = opening.await.map_err(|_| OpenError::Interrupted)??;
        Ok(Self(Arc::new(Parts {
            store,
            directory,
            largest_bytes: max_bytes / SHARE,
            known: Mutex::new(Known { index, flights: HashMap::new() }),
            fetches: Arc::new(Semaphore::new(FETCHES)),
            tasks,
            counted: Counted::new(),
        })))
    }

    /// Waits until nothing is being fetched or removed.
    pub async fn idle(&self) {
        self.0.tasks.wait().await;
    }

    /// Bytes that copies take, those that are being made included.
    pub fn used_bytes(&self) -> u64 {
        self.known().index.used_bytes()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of `name`. Only who reads from the beginning fetches it: a range would cost the whole.
    fn find(&self, name: &ObjectName, span: Span) -> Found {
        let mut known = self.known();
        if let Some(size_bytes) = known.index.used(name) {
            return Found::Copy { size_bytes };
        }
        if let Some(flight) = known.flights.get(name) {
            return Found::Flight(flight.clone());
        }
        if span.first > 0 || span.length == 0 {
            return Found::Nothing;
        }
        let (lead, progress) = Lead::new(self.clone(), name.clone());
        known.flights.insert(name.clone(), progress);
        Found::Mine(lead)
    }

    /// The copy of `name`, if it is what it should be.
    async fn copy(&self, name: &ObjectName, size_bytes: u64) -> Option<Arc<File>> {
        let (cache, wanted) = (self.clone(), name.clone());
        let opened =
            self.0.tasks.spawn_blocking(move || cache.0.directory.open_copy(&wanted, size_bytes)).await;
        if let Ok(Ok(file)) = opened {
            return Some(Arc::new(file));
        }
        tracing::warn!(%name, "a copy of a blob is gone or has lost its end; the store has it still");
        self.0.counted.read(Outcome::Damaged);
        self.forget(name).await;
        None
    }

    async fn forget(&self, name: &ObjectName) {
        if self.known().index.forget(name) {
            self.remove_copies(vec![name.clone()]).await;
        }
    }

    async fn remove_copies(&self, names: Vec<ObjectName>) {
        let cache = self.clone();
        // What cannot be removed is found again at the next start.
        let _ = self.0.tasks.spawn_blocking(move || cache.remove_unknown(&names)).await;
    }

    /// Removes the files of copies that are none any more.
    fn remove_unknown(&self, names: &[ObjectName]) {
        for name in names {
            // Looked up and removed in one: a copy that has been made again meanwhile stays.
            let known = self.known();
            if !known.index.has(name) {
                self.0.directory.remove_copies(std::slice::from_ref(name));
            }
        }
    }

    /// Reads as the first of all who want it now, and lets the others have what comes.
    async fn lead(&self, name: &ObjectName, span: Span, lead: Lead) -> Result<Option<Object>, StoreError> {
        let object = match self.0.store.read(name, span).await {
            Ok(Some(object)) => object,
            other => {
                lead.give_up();
                return other;
            }
        };
        let whole = span.length >= object.size_bytes;
        let worth_it = whole && (1..=self.0.largest_bytes).contains(&object.size_bytes);
        let fetch = if worth_it { self.begin(name, object.size_bytes).await } else { None };
        let Some(fetch) = fetch else {
            lead.give_up();
            self.0.counted.read(Outcome::Passed);
            return Ok(Some(object));
        };

        self.0.counted.read(Outcome::Fetched);
        let size_bytes = object.size_bytes;
        let reading = self.reading(name, span, (fetch.file(), size_bytes), Some(lead.progress()));
        self.0.tasks.spawn(fetch.run(lead, object.body));
        Ok(Some(Object { size_bytes, body: reading.body() }))
    }

    /// Makes room for a copy and begins its file; none if there is no room, or too many are being made.
    async fn begin(&self, name: &ObjectName, size_bytes: u64) -> Option<Fetch> {
        let permit = self.0.fetches.clone().try_acquire_owned().ok()?;
        let (room, evicted) = Room::reserve(self, size_bytes)?;
        self.0.counted.evicted(evicted.len());

        let (cache, wanted) = (self.clone(), name.clone());
        // It goes on when the reader has gone away: what it has taken, and what it has made, ends with the fetch.
        let begun = self.0.tasks.spawn_blocking(move || {
            cache.remove_unknown(&evicted);
            let (file, partial) = cache.0.directory.begin_copy(&wanted)?;
            Ok::<Fetch, io::Error>(Fetch::new(cache, wanted, (file, partial), (room, permit)))
        });
        match begun.await {
            Ok(Ok(fetch)) => Some(fetch),
            Ok(Err(error)) => {
                tracing::warn!(%name, %error, "a blob cannot be copied into the cache");
                None
            }
            Err(_) => None,
        }
    }

    fn reading(
        &self,
        name: &ObjectName,
        span: Span,
        (file, size_bytes): (Arc<File>, u64),
        progress: Option<watch::Receiver<Progress>>,
    ) -> Reading {
        let left = span.length.min(size_bytes.saturating_sub(span.first));
        Reading { cache: self.clone(), name: name.clone(), file, size_bytes, progress, at: span.first, left }
    }
}

/// Bytes that are kept free for a copy, until there is one.
struct Room {
    cache: Cached,
    size_bytes: u64,
}

impl Room {
    /// And what must go for it.
    fn reserve(cache: &Cached, size_bytes: u64) -> Option<(Self, Vec<ObjectName>)> {
        let evicted = cache.known().index.reserve(size_bytes)?;
        Some((Self { cache: cache.clone(), size_bytes }, evicted))
    }

    /// The file `partial` is a copy from now on. Who removes copies sees both the file and that it is known, or neither.
    fn fill(mut self, name: &ObjectName, partial: &Path) -> io::Result<()> {
        let cache = self.cache.clone();
        let mut known = cache.known();
        cache.0.directory.end_copy(partial, name)?;
        known.index.keep(name.clone(), std::mem::take(&mut self.size_bytes));
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.cache.known().index.release(self.size_bytes);
    }
}

/// Room for a copy, and a place among those that are made.
type Taken = (Room, OwnedSemaphorePermit);

#[async_trait]
impl Store for Cached {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        self.0.store.write(name, before).await
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        self.0.store.publish(parts, content).await
    }

    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        self.0.store.sizes(parts).await
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        self.0.store.size(name).await
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        if name.is_part() {
            return self.0.store.read(name, span).await;
        }
        for _ in 0..ATTEMPTS {
            match self.find(name, span) {
                Found::Copy { size_bytes } => {
                    if let Some(file) = self.copy(name, size_bytes).await {
                        self.0.counted.read(Outcome::Hit);
                        let body = self.reading(name, span, (file, size_bytes), None).body();
                        return Ok(Some(Object { size_bytes, body }));
                    }
                }
                Found::Flight(progress) => match flight::join(progress, span).await {
                    Joined::Following { file, size_bytes, progress } => {
                        self.0.counted.read(Outcome::Joined);
                        let body = self.reading(name, span, (file, size_bytes), Some(progress)).body();
                        return Ok(Some(Object { size_bytes, body }));
                    }
                    Joined::Passed => break,
                    Joined::Alone => {}
                },
                Found::Mine(lead) => return self.lead(name, span, lead).await,
                Found::Nothing => break,
            }
        }
        self.0.counted.read(Outcome::Passed);
        self.0.store.read(name, span).await
    }

    async fn distrust(&self, name: &ObjectName) {
        tracing::warn!(%name, "a copy of a blob is not what the store has");
        self.0.counted.read(Outcome::Damaged);
        self.forget(name).await;
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        self.0.store.remove_upload(session).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.forget(name).await;
        self.0.store.remove(name).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        self.0.store.list(place, after, limit).await
    }

    fn file<'a>(&self, name: &'a ObjectName) -> Option<&'a str> {
        self.0.store.file(name)
    }

    async fn redirect(&self, name: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        self.0.store.redirect(name, lifetime).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.store.check().await
    }
}
