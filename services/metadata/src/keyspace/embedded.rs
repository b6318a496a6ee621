//! The keyspace in one file (`metadata.redb`), for one metadata process and no server. Reads go
//! straight to the file; commits go through one thread that syncs many at once.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, RwLock, TryLockError, atomic::Ordering},
    thread::JoinHandle,
};

use async_trait::async_trait;
use bytes::Bytes;
use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};

use self::{
    committer::{BATCH_COMMITS, Committer, Counters, Pending, Request, Slot},
    file::{Place, is_latched, port_error},
    inbox::Inbox,
    reading::Reading,
    snapshot::Snapshot,
    tables::Failure,
};
use super::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Record,
};

mod committer;
mod file;
mod inbox;
mod journal;
mod reading;
mod snapshot;
mod tables;

/// Where the embedded engine keeps its file, and what it may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the file; made, for this user only, if it is not there.
    pub directory: PathBuf,
    /// Memory for pages of the file (bytes).
    pub cache_bytes: usize,
    /// Space that stays free for removing things on a full disk (bytes).
    pub reserve_bytes: u64,
}

impl Options {
    /// The shipped limits, in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_bytes: 32 * 1_024 * 1_024,
            reserve_bytes: 8 * 1_024 * 1_024,
        }
    }
}

/// Why the embedded engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it; stop that one, or use an engine that is a server.
    #[error(
        "another process has {} open; the embedded engine allows one metadata process; more replicas need Redis or its kin",
        directory.display()
    )]
    InUse { directory: PathBuf },
    /// The directory cannot be made or used.
    #[error("metadata directory {} cannot be used: {source}", directory.display())]
    Directory { directory: PathBuf, source: io::Error },
    /// The file is there and cannot be opened.
    #[error("metadata file {} cannot be opened: {source}", path.display())]
    Database { path: PathBuf, source: Box<redb::Error> },
    /// The thread that writes cannot be started.
    #[error("the thread that writes metadata cannot be started: {0}")]
    Thread(io::Error),
}

/// What the engine has done since it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Commits applied.
    pub commits: u64,
    /// Times the file was synced for them.
    pub batches: u64,
    /// Times the file was reopened after it had failed.
    pub reopened: u64,
}

/// The embedded engine. Dropping it finishes what is queued and closes the file.
pub struct Embedded {
    // Before the thread: once nobody can ask, it drains what is queued and ends.
    requests: mpsc::Sender<Request>,
    slot: Arc<RwLock<Slot>>,
    counters: Arc<Counters>,
    _thread: JoinOnDrop,
}

impl Embedded {
    /// Opens the file, and makes it the first time. Blocks; after a crash it may read the whole file.
    ///
    /// # Errors
    /// `InUse` if another process has it.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let place = Place::take(options)?;
        let database = place.open_or_create()?;
        let journal = place.journal(&database)?;
        let slot = Slot { database: Some(database), generation: 0 };
        let slot = Arc::new(RwLock::new(slot));
        let counters = Arc::<Counters>::default();
        let (requests, received) = mpsc::channel(BATCH_COMMITS);
        let committer = Committer {
            slot: Arc::clone(&slot),
            place,
            reserve_bytes: options.reserve_bytes,
            requests: Inbox::new(received),
            counters: Arc::clone(&counters),
            journal,
        };
        let thread = std::thread::Builder::new().name("metadata-commit".to_owned());
        let thread = thread.spawn(move || committer.run()).map_err(OpenError::Thread)?;

        Ok(Self { requests, slot, counters, _thread: JoinOnDrop(Some(thread)) })
    }

    /// Finishes what is queued and closes the file; later calls are `Unavailable`.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// What the engine has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            commits: self.counters.commits.load(Ordering::Relaxed),
            batches: self.counters.batches.load(Ordering::Relaxed),
            reopened: self.counters.reopened.load(Ordering::Relaxed),
        }
    }

    fn with_database<T>(
        &self,
        attempted: &'static str,
        work: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        // Only the committer writes the slot, to reopen the file, which may take long.
        let slot = match self.slot.try_read() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(slot)) => slot.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Error::Unavailable { attempted }),
        };
        let Some(database) = &slot.database else {
            self.ask_to_reopen(slot.generation);
            return Err(Error::Unavailable { attempted });
        };

        // redb asserts what it finds in the file; one damaged page shall not look like a bug of the caller.
        let attempt = AssertUnwindSafe(|| work(database));
        let outcome = catch_unwind(attempt).unwrap_or_else(|_| Err(Failure::Corrupted(attempted.to_owned())));

        outcome.map_err(|failure| {
            if is_latched(&failure) {
                self.ask_to_reopen(slot.generation);
            }
            port_error(&failure, attempted)
        })
    }

    fn ask_to_reopen(&self, generation: u64) {
        // If the queue is full, a commit in it will find out as well.
        let _ = self.requests.try_send(Request::Reopen { generation });
    }
}

impl Reading for Embedded {
    // Reads block the calling worker: one takes about a microsecond, handing it to another thread
    // ten times that, and their number and size are bounded.
    fn read<T>(
        &self,
        attempted: &'static str,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.with_database(attempted, |database| read(&database.begin_read()?))
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

struct JoinOnDrop(Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if self.0.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes metadata panicked");
        }
    }
}

#[async_trait]
impl Keyspace for Embedded {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        reading::value(self, key)
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        reading::many(self, fields)
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        reading::records(self, keys)
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        reading::fields(self, key, after, limit)
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        reading::members(self, key, &members, limit, direction)
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        reading::followed(self, follow)
    }

    fn snapshot(&self) -> Result<Option<Arc<dyn Keyspace>>, Error> {
        let transaction = self.with_database("taking a snapshot", |database| Ok(database.begin_read()?))?;
        Ok(Some(Arc::new(Snapshot::new(transaction))))
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        commit.check()?;
        let gone = || Error::Unavailable { attempted: "committing" };
        let (answer, answered) = oneshot::channel();
        let request = Request::Commit(Pending { commit, answer });
        self.requests.send(request).await.map_err(|_| gone())?;

        answered.await.map_err(|_| gone())?
    }
}
