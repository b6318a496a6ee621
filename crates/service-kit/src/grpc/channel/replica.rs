//! One replica: its connection, the calls that it is busy with, and whether it can be called.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinSet;
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Error},
};
use tower::ServiceExt as _;

use super::{choice::hashed, health};

/// How long a replica that failed is passed over, if there are others.
pub(super) const REST: Duration = Duration::from_secs(1);

/// Whether a replica is asked how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It is, all the time.
    Followed,
    /// It is not: calls show it.
    Ignored,
}

/// A replica of a service.
#[derive(Debug)]
pub(super) struct Replica {
    address: String,
    place: u64,
    channel: Channel,
    calls: AtomicUsize,
    standing: Arc<Standing>,
    /// Ends with the replica.
    _health: JoinSet<()>,
}

/// Whether a replica can be called, as far as is known.
#[derive(Debug)]
pub(super) struct Standing {
    failed: Mutex<Option<Instant>>,
    serves: AtomicBool,
}

impl Replica {
    pub(super) fn new(address: &str, channel: Channel, health: Health) -> Self {
        let standing = Arc::new(Standing { failed: Mutex::new(None), serves: AtomicBool::new(true) });
        let mut tasks = JoinSet::new();
        if health == Health::Followed {
            tasks.spawn(health::follow(channel.clone(), standing.clone()));
        }
        Self {
            address: address.to_owned(),
            place: hashed(address),
            channel,
            calls: AtomicUsize::new(0),
            standing,
            _health: tasks,
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What its address hashes to.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// Calls whose answer has not come to its end.
    pub(super) fn load(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether nothing speaks against calling it.
    pub(super) fn is_fit(&self) -> bool {
        self.standing.serves.load(Ordering::Relaxed) && !self.standing.rests()
    }
}

impl Standing {
    /// What the replica says of itself, or that it says nothing.
    pub(super) fn serves(&self, serves: Serves) {
        self.serves.store(serves == Serves::Calls, Ordering::Relaxed);
    }

    fn rests(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < REST)
    }

    fn note(&self, answer: &Result<http::Response<Body>, Error>) {
        let failed = answer.as_ref().map_or(true, is_unavailable).then(Instant::now);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// It answers calls.
    Calls,
    /// It is not ready, ends, or cannot be reached.
    Nobody,
}

/// An answer without a body has its status in its headers.
fn is_unavailable(answer: &http::Response<Body>) -> bool {
    let code = answer.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    code == Some(Code::Unavailable)
}

/// A replica that is busy with a call.
#[derive(Debug)]
pub(super) struct Chosen(Arc<Replica>);

impl Chosen {
    /// From now on the call counts.
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        replica.calls.fetch_add(1, Ordering::Relaxed);
        Self(replica)
    }

    /// Makes the call, which counts until its answer has ended or nobody wants it any more.
    pub(super) async fn call(self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let answer = self.0.channel.clone().oneshot(request).await;
        self.0.standing.note(&answer);
        let answer = answer.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(answer.map(|body| Body::new(Counted { body, chosen: Some(self) })))
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
struct Counted {
    body: Body,
    chosen: Option<Chosen>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            drop(self.chosen.take());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
