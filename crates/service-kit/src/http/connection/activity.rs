//! What a connection is doing: waiting for a request, reading its headers, or at work. From that follows how
//! long it may go on so.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Patience;

#[derive(Debug)]
pub(super) struct Activity(watch::Sender<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// HTTP/2 has frames between requests, so bytes do not mean that a request has begun.
    multiplexed: Multiplexed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Multiplexed {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Headers { since: Instant },
    Idle { since: Instant },
    Busy { requests: usize },
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let phase = Phase::Headers { since: Instant::now() };
        Arc::new(Self(watch::Sender::new(State { phase, multiplexed: Multiplexed::No })))
    }

    /// Bytes have come.
    pub(super) fn received(&self) {
        self.0.send_if_modified(|state| {
            let begins = matches!(state.phase, Phase::Idle { .. }) && state.multiplexed == Multiplexed::No;
            if begins {
                state.phase = Phase::Headers { since: Instant::now() };
            }
            begins
        });
    }

    /// A request has come, and is at work until the end of what is returned.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Busy {
        self.0.send_modify(|state| {
            if version == Version::HTTP_2 {
                state.multiplexed = Multiplexed::Yes;
            }
            state.phase = match state.phase {
                Phase::Busy { requests } => Phase::Busy { requests: requests + 1 },
                Phase::Headers { .. } | Phase::Idle { .. } => Phase::Busy { requests: 1 },
            };
        });
        Busy(self.clone())
    }

    /// Waits until the connection has taken longer than `patience` allows.
    pub(super) async fn exhausted(&self, patience: Patience) {
        let mut changes = self.0.subscribe();
        loop {
            let end = match changes.borrow_and_update().phase {
                Phase::Headers { since } => patience.headers.map(|limit| since + limit),
                Phase::Idle { since } => patience.idle.map(|limit| since + limit),
                Phase::Busy { .. } => None,
            };
            let passed = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passed => return,
                // The sender is `self`: it cannot be gone.
                _ = changes.changed() => {}
            }
        }
    }
}

/// A request at work.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| {
            state.phase = match state.phase {
                Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
                Phase::Busy { .. } | Phase::Headers { .. } | Phase::Idle { .. } => {
                    Phase::Idle { since: Instant::now() }
                }
            };
        });
    }
}

/// An answer's body, at work until it ends.
pub(super) struct Held<B> {
    body: B,
    _busy: Busy,
}

impl<B> Held<B> {
    pub(super) fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Held<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Patience =
        Patience { headers: Some(Duration::from_secs(15)), idle: Some(Duration::from_secs(75)), write: None };

    async fn seconds_until_exhausted(activity: &Activity) -> u64 {
        let start = Instant::now();
        activity.exhausted(PATIENCE).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_has_the_time_of_headers() {
        assert_eq!(seconds_until_exhausted(&Activity::new()).await, 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_used_connection_may_be_idle_for_longer_than_headers_take() {
        let activity = Activity::new();
        drop(activity.begin(Version::HTTP_11));
        assert_eq!(seconds_until_exhausted(&activity).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_of_the_next_request_starts_the_time_of_headers_once() {
        let activity = Activity::new();
        drop(activity.begin(Version::HTTP_11));
        activity.received();
        tokio::time::advance(Duration::from_secs(10)).await;
        activity.received();
        assert_eq!(seconds_until_exhausted(&activity).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_requests_are_no_headers() {
        let activity = Activity::new();
        drop(activity.begin(Version::HTTP_2));
        activity.received();
        assert_eq!(seconds_until_exhausted(&activity).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_at_work_may_take_its_time() {
        let activity = Activity::new();
        let (first, second) = (activity.begin(Version::HTTP_2), activity.begin(Version::HTTP_2));
        drop(first);
        let hours = Duration::from_hours(2);
        assert!(tokio::time::timeout(hours, activity.exhausted(PATIENCE)).await.is_err());
        drop(second);
        assert_eq!(seconds_until_exhausted(&activity).await, 75);
    }
}
