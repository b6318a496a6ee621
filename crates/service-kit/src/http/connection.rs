//! Connections: accepting them within a bound, speaking HTTP on them, ending those that are too slow or idle,
//! and letting them finish at shutdown. It knows nothing of what is asked.

mod activity;
mod timed;

use std::{convert::Infallible, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    select,
    sync::Semaphore,
};

use self::{activity::Activity, timed::Timed};
use crate::shutdown::Shutdown;

/// How long to wait after the system refused a connection, out of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address at the other end of the connection: the client's or a proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddress(pub IpAddr);

/// What a connection may take. None: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// From the first byte to the end of the headers.
    pub(crate) headers: Option<Duration>,
    /// Between two requests.
    pub(crate) idle: Option<Duration>,
    /// Until the peer reads on.
    pub(crate) write: Option<Duration>,
}

/// Answers requests.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    fn answer(
        &self,
        peer: Option<PeerAddress>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

impl Answer for axum::Router {
    type Body = Body;

    async fn answer(&self, _: Option<PeerAddress>, request: Request<Incoming>) -> Response<Body> {
        use tower::ServiceExt as _;
        let answered = self.clone().oneshot(request.map(Body::new)).await;
        answered.unwrap_or_else(|never: Infallible| match never {})
    }
}

/// A protocol with its settings, and who answers.
#[derive(Clone)]
pub(crate) struct Port<A> {
    pub(crate) protocol: Builder<TokioExecutor>,
    pub(crate) patience: Patience,
    pub(crate) answer: A,
}

/// Where connections come from.
pub(crate) trait Listener: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who is at its other end, if that can be known.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<PeerAddress>)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<PeerAddress>)> {
        let (stream, peer) = self.accept().await?;
        // Small answers must not wait for the acknowledgement of the last.
        let _ = stream.set_nodelay(true);
        Ok((stream, Some(PeerAddress(peer.ip().to_canonical()))))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Option<PeerAddress>)> {
        Ok((self.accept().await?.0, None))
    }
}

impl<A: Answer> Port<A> {
    /// Accepts until the shutdown begins. The connections are tasks of the shutdown.
    pub(crate) async fn accept(&self, listener: impl Listener, max_connections: usize, shutdown: &Shutdown) {
        let converse = |port: Self, stream, peer, shutdown| async move {
            port.converse(stream, peer, shutdown).await;
        };
        self.accept_with(listener, max_connections, shutdown, converse).await;
    }

    /// The same, where something comes before the conversation.
    pub(crate) async fn accept_with<L, F>(
        &self,
        listener: L,
        max_connections: usize,
        shutdown: &Shutdown,
        converse: impl Fn(Self, L::Stream, Option<PeerAddress>, Shutdown) -> F,
    ) where
        L: Listener,
        F: Future<Output = ()> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(max_connections));
        loop {
            let next = async {
                let slot = slots.clone().acquire_owned().await;
                (slot, listener.next().await)
            };
            let (slot, accepted) = select! {
                () = shutdown.stopping() => break,
                next = next => next,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let conversation = converse(self.clone(), stream, peer, shutdown.clone());
            shutdown.spawn(async move {
                conversation.await;
                drop(slot);
            });
        }
    }

    /// Speaks on one connection until its end.
    pub(crate) async fn converse<S>(&self, stream: S, peer: Option<PeerAddress>, shutdown: Shutdown)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Activity::new();
        let service = service_fn(|request: Request<Incoming>| {
            let (activity, answer) = (activity.clone(), self.answer.clone());
            async move {
                let busy = activity.begin(request.version());
                let answered = answer.answer(peer, request).await;
                Ok::<_, Infallible>(answered.map(|body| activity::Held::new(body, busy)))
            }
        });
        let io = TokioIo::new(Timed::new(stream, self.patience.write, activity.clone()));
        let mut connection = pin!(self.protocol.serve_connection(io, service));
        let mut stopping = false;

        loop {
            select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, ?peer, "a connection ended early");
                    }
                    break;
                }
                () = shutdown.aborted() => break,
                () = shutdown.stopping(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = activity.exhausted(self.patience) => break,
            }
        }
    }
}
