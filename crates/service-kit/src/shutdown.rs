//! The end of a process: say so, go on for as long as callers need to hear it, stop accepting, let what runs finish
//! within a limit, then go. Tasks belong to a [`Shutdown`], so that none is left behind.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long what runs may take to finish, unless the configuration says otherwise.
pub const DEFAULT_DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// How long the tasks of [`Shutdown::last`] may take.
const LAST_LIMIT: Duration = Duration::from_secs(2);

/// How the drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything that ran has finished.
    Finished,
    /// The limit passed, or a second signal came, and this many tasks were cut off.
    CutOff {
        /// Tasks that still ran.
        tasks: usize,
    },
}

/// The stop signal of a process, and its tasks. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    leave: CancellationToken,
    delay: Arc<Mutex<Duration>>,
    stop: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
    last_abort: CancellationToken,
    last_tasks: TaskTracker,
}

impl Shutdown {
    /// Nothing stops yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For what must go on while the rest drains, as probes and metrics: it stops when the others have ended.
    #[must_use]
    pub fn last(&self) -> Self {
        Self {
            leave: self.abort.clone(),
            delay: Arc::default(),
            stop: self.abort.clone(),
            abort: self.last_abort.clone(),
            tasks: self.last_tasks.clone(),
            last_abort: self.last_abort.clone(),
            last_tasks: self.last_tasks.clone(),
        }
    }

    /// Runs `task` as one of the tasks that a drain waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// After a signal everything is still accepted for this long, if nobody has asked for longer.
    pub fn delay(&self, delay: Duration) {
        let mut longest = self.delay.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = delay.max(*longest);
    }

    /// Tells callers to go elsewhere.
    pub fn leave(&self) {
        self.leave.cancel();
    }

    /// Tells everybody to accept nothing new.
    pub fn begin(&self) {
        self.leave();
        self.stop.cancel();
    }

    /// Whether callers are to go elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.leave.is_cancelled()
    }

    /// Waits until callers are to go elsewhere. What they still ask for is done.
    pub async fn leaving(&self) {
        self.leave.cancelled().await;
    }

    /// Whether nothing new is accepted.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until nothing new is to be accepted.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Waits until what still runs is to end at once.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }

    /// Stops, and waits for the tasks, but not longer than `limit`.
    pub async fn drain(&self, limit: Duration) -> Drained {
        self.begin();
        self.tasks.close();
        let finished = timeout(limit, self.tasks.wait()).await;
        let drained = finished.map_or_else(|_| self.cut_off(), |()| Drained::Finished);

        self.end().await;
        drained
    }

    /// Waits for SIGTERM, SIGINT or [`Shutdown::begin`], then leaves and drains; a second signal ends at once.
    ///
    /// # Errors
    /// When the process cannot listen for signals.
    pub async fn drain_on_signal(&self, limit: Duration) -> io::Result<Drained> {
        let mut signals = Signals::listen()?;
        select! {
            () = signals.next() => {}
            () = self.stopping() => {}
        }

        select! {
            drained = self.leave_and_drain(limit) => Ok(drained),
            () = signals.next() => {
                let drained = self.cut_off();
                self.end().await;
                Ok(drained)
            }
        }
    }

    async fn leave_and_drain(&self, limit: Duration) -> Drained {
        self.leave();
        let delay = *self.delay.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_stopping() && !delay.is_zero() {
            tracing::info!(
                delay_seconds = delay.as_secs_f64(),
                "leaving: still answering whoever has not heard of it"
            );
            select! {
                () = sleep(delay) => {}
                () = self.stopping() => {}
            }
        }

        tracing::info!(
            limit_seconds = limit.as_secs(),
            tasks = self.tasks.len(),
            "stopping: letting requests finish"
        );
        self.drain(limit).await
    }

    fn cut_off(&self) -> Drained {
        Drained::CutOff { tasks: self.tasks.len() }
    }

    async fn end(&self) {
        self.abort.cancel();
        self.last_abort.cancel();
        self.last_tasks.close();
        let _ = timeout(LAST_LIMIT, self.last_tasks.wait()).await;
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_what_runs() {
        let shutdown = Shutdown::new();
        let (started, has_started) = oneshot::channel();
        let stopping = shutdown.clone();
        shutdown.spawn(async move {
            started.send(()).unwrap();
            stopping.stopping().await;
        });
        has_started.await.unwrap();

        assert_eq!(shutdown.drain(Duration::from_secs(30)).await, Drained::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_at_its_limit_and_says_what_it_cut_off() {
        let shutdown = Shutdown::new();
        let aborted = shutdown.clone();
        shutdown.spawn(async move { aborted.aborted().await });
        shutdown.spawn(std::future::pending());

        assert_eq!(shutdown.drain(Duration::from_secs(30)).await, Drained::CutOff { tasks: 2 });
        assert!(shutdown.last().is_stopping());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_goes_on_for_the_longest_delay() {
        let shutdown = Shutdown::new();
        shutdown.delay(Duration::from_secs(3));
        shutdown.delay(Duration::from_secs(1));
        let began = tokio::time::Instant::now();
        let waiting = shutdown.clone();
        let (left, stopped) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let (leaves, stops) = (left.clone(), stopped.clone());
        shutdown.spawn(async move {
            waiting.leaving().await;
            *leaves.lock().unwrap() = Some(began.elapsed());
            waiting.stopping().await;
            *stops.lock().unwrap() = Some(began.elapsed());
        });

        assert_eq!(shutdown.leave_and_drain(Duration::from_secs(30)).await, Drained::Finished);

        let whole_seconds = |at: &Mutex<Option<Duration>>| at.lock().unwrap().map(|at| at.as_secs());
        assert_eq!((whole_seconds(&left), whole_seconds(&stopped)), (Some(0), Some(3)));
    }

    #[tokio::test]
    async fn the_last_parts_stop_after_the_others() {
        let shutdown = Shutdown::new();
        let last = shutdown.last();
        shutdown.begin();
        assert!(shutdown.is_stopping());
        assert!(!last.is_stopping());

        shutdown.drain(Duration::from_secs(1)).await;
        assert!(last.is_stopping());
    }
}
