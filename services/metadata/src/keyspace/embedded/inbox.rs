//! What waits for the committer, which is a thread and can wait for a while only: channels of tokio cannot do that
//! outside its runtime.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::sync::mpsc::Receiver;

/// The receiving end of a channel, for one thread.
pub(super) struct Inbox<T>(Receiver<T>);

/// Nothing came in time.
#[derive(Debug)]
pub(super) struct Quiet;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl<T> Inbox<T> {
    pub(super) fn new(receiver: Receiver<T>) -> Self {
        Self(receiver)
    }

    /// Waits for the next; none once nobody can send any more.
    pub(super) fn next(&mut self) -> Option<T> {
        self.0.blocking_recv()
    }

    /// Waits for the next, about as long as `patience`, perhaps shorter.
    pub(super) fn next_within(&mut self, patience: Duration) -> Result<Option<T>, Quiet> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        for pause in [Some(patience), None] {
            match (self.0.poll_recv(&mut context), pause) {
                (Poll::Ready(next), _) => return Ok(next),
                (Poll::Pending, Some(pause)) => thread::park_timeout(pause),
                (Poll::Pending, None) => {}
            }
        }
        Err(Quiet)
    }

    /// The next, if it is there already.
    pub(super) fn at_hand(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }

    /// Lets nobody send any more; what was sent is still received.
    pub(super) fn close(&mut self) {
        self.0.close();
    }
}
