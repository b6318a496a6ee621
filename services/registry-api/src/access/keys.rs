//! The public keys that verify tokens: read from auth in the background, and at once when a token names one
//! that is not known, but not more often than a stranger may make us ask.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use proto::auth::{Auth, KeyId, PublicKey};
use service_kit::{clock::Clock, jose::KeySet, readiness::Readiness, shutdown::Shutdown};
use tokio::{sync::watch, time};

use crate::Process;

/// The part of readiness that is up once there is a key.
const PART: &str = "keys";

/// Unknown key ids make us ask at most so often: with keys, and while there are none.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
const ASK_FIRST_AFTER: Duration = Duration::from_millis(100);

/// How long a request waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two reads in the background: with keys, and while there are none. A key that is not told any more ends all
/// tokens that it has signed within this time.
const REFRESH: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_millis(500);

/// The keys, shared by all requests.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Shared>);

struct Shared {
    auth: Arc<dyn Auth>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    readiness: Readiness,
    known: ArcSwap<KeySet>,
    asking: Mutex<Asking>,
    reads: watch::Sender<u64>,
}

#[derive(Default)]
enum Asking {
    #[default]
    Never,
    Now,
    Since(jiff::Timestamp),
}

impl Keys {
    /// No keys yet, and a task that reads them until the shutdown.
    pub(crate) fn new(auth: Arc<dyn Auth>, process: &Process) -> Self {
        process.readiness.down(PART);
        let keys = Self(Arc::new(Shared {
            auth,
            clock: Arc::clone(&process.clock),
            shutdown: process.shutdown.clone(),
            readiness: process.readiness.clone(),
            known: ArcSwap::default(),
            asking: Mutex::default(),
            reads: watch::Sender::new(0),
        }));
        process.shutdown.spawn(keys.clone().kept_fresh());
        keys
    }

    /// Whether there are none, so that nothing can be said about any token.
    pub(crate) fn are_absent(&self) -> bool {
        self.0.known.load().is_empty()
    }

    /// Whether `id` is among those that are known now.
    pub(crate) fn has(&self, id: &KeyId) -> bool {
        self.0.known.load().find(&id.0).is_some()
    }

    /// All that are known now, for those who verify tokens themselves.
    pub(crate) fn known(&self) -> Arc<KeySet> {
        self.0.known.load_full()
    }

    /// The key called `id`; auth is asked once if it is not known.
    pub(crate) async fn find(&self, id: &KeyId) -> Option<PublicKey> {
        if !self.has(id) {
            self.ask().await;
        }
        self.0.known.load().find(&id.0).copied()
    }

    /// Waits for a read that is under way, or for a new one if it is time.
    async fn ask(&self) {
        let mut reads = self.0.reads.subscribe();
        match self.0.turn() {
            Turn::Read => {
                // In a task of its own: the others who wait must not depend on this request.
                let keys = self.clone();
                self.0.shutdown.spawn(async move { keys.read().await });
            }
            Turn::Wait => {}
            Turn::Leave => return,
        }
        // Nothing within the limit is the same as nothing new.
        let _ = time::timeout(PATIENCE, reads.changed()).await;
    }

    async fn kept_fresh(self) {
        loop {
            if matches!(self.0.turn(), Turn::Read) {
                self.read().await;
            }
            let pause = if self.are_absent() { RETRY } else { REFRESH };
            tokio::select! {
                () = self.0.shutdown.stopping() => return,
                () = time::sleep(pause) => {}
            }
        }
    }

    async fn read(&self) {
        let shared = &self.0;
        match shared.auth.keys().await {
            Ok(keys) if keys.is_empty() => tracing::warn!("auth has no keys yet"),
            Ok(keys) => {
                let named = keys.into_iter().map(|key| (key.id.0, key.public_key));
                shared.known.store(Arc::new(named.collect()));
                shared.readiness.up(PART);
            }
            // Those that are known stay in use: an outage of auth must not end every push and pull.
            Err(error) => tracing::warn!(%error, "reading the keys that verify tokens"),
        }
        *shared.asking() = Asking::Since(shared.clock.now());
        shared.reads.send_modify(|reads| *reads += 1);
    }
}

/// What is to be done about a key that is not known.
enum Turn {
    Read,
    Wait,
    Leave,
}

impl Shared {
    fn turn(&self) -> Turn {
        let pause = if self.known.load().is_empty() { ASK_FIRST_AFTER } else { ASK_AGAIN_AFTER };
        let now = self.clock.now();
        let mut asking = self.asking();
        match *asking {
            Asking::Now => Turn::Wait,
            Asking::Since(then) if now.duration_since(then).unsigned_abs() < pause => Turn::Leave,
            Asking::Never | Asking::Since(_) => {
                *asking = Asking::Now;
                Turn::Read
            }
        }
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
