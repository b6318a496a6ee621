//! Bodies that know how they are doing: a request's body that must not fall silent, and an answer's body that
//! runs within its request and says when it ends.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tracing::Span;

use crate::request_id::{CURRENT, RequestId};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that make up for a second of waiting: slower is no network that a registry is used on, but who wants
/// to hold a place with a byte now and then.
const BYTES_FOR_A_SECOND: u64 = 1024;

/// The client has sent nothing of its body for too long, or so little that it comes to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request body has been idle for {} s", after.as_secs())]
pub struct BodyIdle {
    /// For this long.
    pub after: Duration,
}

impl BodyIdle {
    /// Whether `error` comes from an idle body.
    pub fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A request's body. Only the time that somebody waits for it counts, and bytes make up for time.
pub(crate) struct IdleLimited<B> {
    inner: B,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
    /// Waiting that no bytes have made up for.
    waited: Duration,
}

impl<B> IdleLimited<B> {
    pub(crate) fn new(inner: B, limit: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(limit));
        Self { inner, limit, timer, waiting_since: None, waited: Duration::ZERO }
    }

    fn came(&mut self, bytes: usize) {
        self.waited += self.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let made_up = Duration::from_millis(bytes.saturating_mul(1000) / BYTES_FOR_A_SECOND);
        self.waited = self.waited.saturating_sub(made_up);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for IdleLimited<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            this.came(data.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }

        if this.waiting_since.is_none() {
            let now = Instant::now();
            this.waiting_since = Some(now);
            this.timer.as_mut().reset(now + this.limit.saturating_sub(this.waited));
        }
        ready!(this.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyIdle { after: this.limit }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Follows the body of an answer. It is dropped when the body is, whether that came to its end or not.
pub(crate) trait Follow: Unpin {
    /// Bytes leave.
    fn data(&mut self, _bytes: usize) {}
    /// Trailers leave.
    fn trailers(&mut self, _trailers: &HeaderMap) {}
    /// Nothing more comes.
    fn finished(&mut self) {}
}

/// An answer's body, in the span and with the id of its request.
pub(crate) struct Followed<B, F: Follow> {
    inner: B,
    span: Span,
    id: RequestId,
    follow: F,
}

impl<B: Body, F: Follow> Followed<B, F> {
    pub(crate) fn new(inner: B, span: Span, id: RequestId, mut follow: F) -> Self {
        if inner.is_end_stream() {
            follow.finished();
        }
        Self { inner, span, id, follow }
    }
}

impl<B: Body<Data = Bytes> + Unpin, F: Follow> Body for Followed<B, F> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let inner = Pin::new(&mut this.inner);
        let polled = this.span.in_scope(|| CURRENT.sync_scope(this.id.clone(), || inner.poll_frame(cx)));

        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.follow.data(data.len());
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.follow.trailers(trailers);
                }
                if this.inner.is_end_stream() {
                    this.follow.finished();
                }
            }
            Poll::Ready(None) => this.follow.finished(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
