//! The one thread that writes: it takes what is queued as one batch, applies the commits one after
//! another in one transaction, syncs once, and answers all. A batch of relaxed commits is synced with the next that
//! is not, or when nothing comes. It also reopens a database that failed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redb::{Database, Durability as Sync};
use service_kit::failpoint;
use tokio::sync::oneshot;

use super::{
    file::{Place, is_latched, port_error},
    inbox::Inbox,
    journal::Journal,
    tables::{Failure, Writing},
};
use crate::keyspace::{Commit, CommitError, Durability, Error, apply::apply};

/// Most commits that share one transaction; what is queued beyond waits for the next.
pub(super) const BATCH_COMMITS: usize = 1_024;
/// No commit joins a batch that has reached this size (bytes), to bound its memory and its time.
const BATCH_BYTES: usize = 8 * 1_024 * 1_024;
// A reopen may read the whole file; callers that ask all the time shall not keep the disk busy.
const PAUSE_AFTER_FAILED_REOPEN: Duration = Duration::from_millis(200);
// How long a relaxed commit waits for its sync: what the loss of power then takes with it.
const RELAXED_FOR: Duration = Duration::from_millis(100);
/// A disk that is full is not asked all the time.
const UNTIL_THERE_IS_ROOM: Duration = Duration::from_secs(2);
const COMMITTING: &str = "committing";

type Outcome = Result<(), CommitError>;

/// What the committer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Apply a commit.
    Commit(Pending),
    /// A read failed on the database of this generation.
    Reopen { generation: u64 },
    /// Finish what is queued, close the database, take nothing more.
    Close(oneshot::Sender<()>),
}

/// A commit and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// The database now open, if any. Only the committer writes it, when the database failed or ends.
pub(super) struct Slot {
    pub(super) database: Option<Database>,
    pub(super) generation: u64,
}

/// What the committer counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) reopened: AtomicU64,
}

/// The state of the committer's thread.
pub(super) struct Committer {
    pub(super) slot: Arc<RwLock<Slot>>,
    pub(super) place: Place,
    pub(super) reserve_bytes: u64,
    pub(super) requests: Inbox<Request>,
    pub(super) counters: Arc<Counters>,
    pub(super) journal: Journal,
}

#[derive(Default)]
struct Batch {
    commits: Vec<Pending>,
    failed_generation: Option<u64>,
    closing: Option<oneshot::Sender<()>>,
}

impl Committer {
    /// Works until everyone who could ask is gone, or until asked to close.
    pub(super) fn run(mut self) {
        let mut closing = Vec::new();
        while let Some(request) = self.next_request() {
            let batch = self.gather(request);
            closing.extend(batch.closing);

            self.turn(batch.commits, batch.failed_generation);
        }

        self.catch_up();
        self.replace(None);
        // The lock goes before the answer: who was told that it is closed can open it.
        drop(self);
        for answer in closing {
            let _ = answer.send(());
        }
    }

    fn next_request(&mut self) -> Option<Request> {
        let mut patience = RELAXED_FOR;
        while !self.journal.is_empty() {
            if let Ok(request) = self.requests.next_within(patience) {
                return request;
            }
            self.catch_up();
            patience = UNTIL_THERE_IS_ROOM;
        }
        self.requests.next()
    }

    /// Syncs what was relaxed, once there is room on the disk. If that fails, the database is opened again, with what
    /// the journal says.
    fn catch_up(&mut self) {
        if self.journal.is_empty() || !matches!(self.room(), Ok(1..)) {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| self.sync())) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                let _logged = self.recover(&failure);
            }
            Err(_) => self.replace(None),
        }
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let database = slot.database.as_ref().ok_or(Failure::DatabaseClosed)?;
        let transaction = database.begin_write()?;
        self.journal.supersede(&transaction)?;
        transaction.commit()?;
        self.journal.superseded();
        Ok(())
    }

    fn gather(&mut self, first: Request) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Commit(pending) => {
                    bytes += pending.commit.size_bytes();
                    batch.commits.push(pending);
                }
                Request::Reopen { generation } => batch.failed_generation = Some(generation),
                Request::Close(answer) => {
                    self.requests.close();
                    batch.closing = Some(answer);
                }
            }
            let full = batch.commits.len() >= BATCH_COMMITS || bytes >= BATCH_BYTES;
            next = if full { None } else { self.requests.at_hand() };
        }

        batch
    }

    // redb asserts what it finds in the file, and without this thread nothing would be written until
    // a restart. Who waited for the batch is told `Unavailable`: its answers are dropped.
    fn turn(&mut self, batch: Vec<Pending>, failed_generation: Option<u64>) {
        let work = AssertUnwindSafe(|| {
            let healed = self.heal(failed_generation);
            self.settle(batch, healed);
        });

        if catch_unwind(work).is_err() {
            tracing::error!("embedded metadata engine panicked and will be reopened");
            self.replace(None);
            std::thread::sleep(PAUSE_AFTER_FAILED_REOPEN);
        }
    }

    /// Reopens the database if there is none, or if it is still the one that failed.
    fn heal(&mut self, failed_generation: Option<u64>) -> Result<(), Error> {
        let needed = {
            let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
            slot.database.is_none() || failed_generation == Some(slot.generation)
        };

        if needed { self.reopen() } else { Ok(()) }
    }

    // Once an operation on the file has failed, redb refuses all further ones until it is reopened.
    fn reopen(&mut self) -> Result<(), Error> {
        self.replace(None);
        let opened = self.place.open().and_then(|database| {
            self.journal.recover(&database)?;
            Ok(database)
        });
        let database = opened.map_err(|failure| {
            std::thread::sleep(PAUSE_AFTER_FAILED_REOPEN);
            port_error(&failure, "reopening the file")
        })?;
        self.replace(Some(database));

        self.counters.reopened.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("embedded metadata engine reopened its file after a failure");
        Ok(())
    }

    fn replace(&self, database: Option<Database>) {
        let closed = {
            let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
            slot.generation += u64::from(database.is_some());
            std::mem::replace(&mut slot.database, database)
        };

        // Closing writes what a fast start needs, and asserts as well; it lets the file go in any case.
        if catch_unwind(AssertUnwindSafe(|| drop(closed))).is_err() {
            tracing::error!("embedded metadata engine could not be closed in order");
        }
    }

    fn settle(&mut self, batch: Vec<Pending>, healed: Result<(), Error>) {
        if batch.is_empty() {
            return;
        }

        let room = healed.and_then(|()| self.room());
        let outcomes =
            room.and_then(|room| self.write(&batch, room).map_err(|failure| self.recover(&failure)));
        match outcomes {
            Ok(outcomes) => answer(batch, outcomes),
            Err(error) => {
                let outcomes = vec![Err(CommitError::Engine(error)); batch.len()];
                answer(batch, outcomes);
            }
        }
    }

    // Before the answer, so that who is told of the failure finds reads going on.
    fn recover(&mut self, failure: &Failure) -> Error {
        if is_latched(failure) {
            // If it fails, the next request tries again.
            let _ = self.reopen();
        }

        port_error(failure, COMMITTING)
    }

    /// How much may be written before the reserve is touched (bytes).
    fn room(&self) -> Result<u64, Error> {
        let free = self.place.free_bytes().map_err(|error| port_error(&error.into(), COMMITTING))?;

        Ok(free.saturating_sub(self.reserve_bytes))
    }

    // Conflicts are answered after the sync too: they may rest on a commit of the same batch.
    fn write(&mut self, batch: &[Pending], mut room: u64) -> Result<Vec<Outcome>, Failure> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let database = slot.database.as_ref().ok_or(Failure::DatabaseClosed)?;
        let mut transaction = database.begin_write()?;
        let relaxed = batch.iter().all(|pending| pending.commit.durability == Durability::Relaxed)
            && self.journal.has_room();
        if relaxed {
            transaction.set_durability(Sync::None)?;
        } else if !self.journal.is_empty() {
            self.journal.supersede(&transaction)?;
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        {
            let mut tables = Writing::open(&transaction)?;
            for pending in batch {
                outcomes.push(apply_within(&mut room, &pending.commit, &mut tables)?);
            }
        }
        if outcomes.iter().all(Result::is_err) {
            transaction.abort()?;
            return Ok(outcomes);
        }

        failpoint::hit("metadata.commit.before");
        transaction.commit()?;
        drop(slot);
        if relaxed {
            self.note(batch, &outcomes)?;
        } else if !self.journal.is_empty() {
            self.journal.superseded();
        }
        failpoint::hit("metadata.commit.after");
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.counters.commits.fetch_add(applied(&outcomes), Ordering::Relaxed);

        Ok(outcomes)
    }

    /// Writes to the journal what was committed and not synced.
    fn note(&mut self, batch: &[Pending], outcomes: &[Outcome]) -> Result<(), Failure> {
        let done = batch.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok());
        let changes = done.flat_map(|(pending, _)| &pending.commit.mutations);
        if let Err(error) = self.journal.append(changes) {
            tracing::warn!(%error, "the journal cannot be written: the commits are synced instead");
            self.sync()?;
        }
        Ok(())
    }
}

/// Refuses what would grow into the reserve; what only removes may use it.
fn apply_within(room: &mut u64, commit: &Commit, tables: &mut Writing<'_>) -> Result<Outcome, Failure> {
    let needed = if commit.grows() { room_bytes(commit) } else { 0 };
    if needed > *room {
        return Ok(Err(Error::NoSpace { attempted: COMMITTING }.into()));
    }

    let outcome = apply(commit, tables)?;
    if outcome.is_ok() {
        *room -= needed;
    }

    Ok(outcome)
}

/// How much the file may grow by before the commit's old pages are free (bytes).
fn room_bytes(commit: &Commit) -> u64 {
    // Large values take pages of a power of two; each mutation may rewrite a leaf and split it.
    (commit.size_bytes() * 2 + commit.mutations.len() * 2 * 4_096) as u64
}

fn applied(outcomes: &[Outcome]) -> u64 {
    outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64
}

fn answer(batch: Vec<Pending>, outcomes: Vec<Outcome>) {
    for (pending, outcome) in batch.into_iter().zip(outcomes) {
        // Who asked may have gone away; the commit stands.
        let _ = pending.answer.send(outcome);
    }
}
