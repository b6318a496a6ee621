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

/// The client has sent nothing of its body for too long.
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

/// A request's body. Only the time that somebody waits for it counts.
pub(crate) struct IdleLimited<B> {
    inner: B,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<B> IdleLimited<B> {
    pub(crate) fn new(inner: B, limit: Duration) -> Self {
        Self { inner, limit, timer: Box::pin(tokio::time::sleep(limit)), waiting: false }
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
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }

        if !this.waiting {
            this.waiting = true;
            this.timer.as_mut().reset(Instant::now() + this.limit);
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
