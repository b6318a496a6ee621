//! What is left of a request's body when the answer is already an error. A connection that is closed while the
//! client still sends is reset, and the client, or a proxy in between, never sees the answer. So a bounded
//! rest is read and thrown away.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::oneshot::{self, Receiver, Sender},
    time::timeout,
};

/// Longer and more than a client needs that reacts to the answer; shorter and less than one that does not.
const LIMIT: Duration = Duration::from_secs(5);
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// A body that comes back when the handler has dropped it before its end.
struct Returning {
    inner: Option<Body>,
    back: Option<Sender<Body>>,
}

/// The rest of a body, once the handler is done with it.
pub(crate) struct Leftover(Receiver<Body>);

/// Lends `body` to a handler.
pub(crate) fn lend(body: Body) -> (Body, Option<Leftover>) {
    if body.is_end_stream() {
        return (body, None);
    }
    let (back, returned) = oneshot::channel();
    let lent = Returning { inner: Some(body), back: Some(back) };
    (Body::new(lent), Some(Leftover(returned)))
}

impl Leftover {
    /// Reads and forgets what is left, within limits.
    pub(crate) async fn drain(self) {
        let Ok(mut body) = self.0.await else { return };

        let reading = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > LIMIT_BYTES {
                    break;
                }
            }
        };
        // At the limit the connection is closed, as it would have been without this.
        let _ = timeout(LIMIT, reading).await;
    }
}

impl HttpBody for Returning {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        // Ended or broken: nothing is left.
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.inner = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        let left = self.inner.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Some(back)) = (left, self.back.take()) {
            let _ = back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    fn counted(chunks: usize, size: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = read.clone();
        let stream = stream::iter((0..chunks).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(vec![0; size]))
        }));
        (Body::from_stream(stream), read)
    }

    #[tokio::test]
    async fn what_a_handler_leaves_is_read_to_its_end() {
        let (body, read) = counted(10, 1_000);
        let (lent, leftover) = lend(body);
        drop(lent);
        leftover.unwrap().drain().await;
        assert_eq!(read.load(Ordering::SeqCst), 10);
    }

    #[tokio::test]
    async fn more_than_the_limit_is_not_read() {
        let (body, read) = counted(1_000, 1024 * 1024);
        let (lent, leftover) = lend(body);
        drop(lent);
        leftover.unwrap().drain().await;
        assert_eq!(read.load(Ordering::SeqCst), 65);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_body_that_was_read() {
        let (body, _) = counted(3, 10);
        let (lent, leftover) = lend(body);
        assert_eq!(lent.collect().await.unwrap().to_bytes().len(), 30);
        leftover.unwrap().drain().await;
    }
}
