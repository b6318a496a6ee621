//! A gRPC port: the routes of a service behind the gate, with health and reflection, in plain or over TLS.

use std::{fmt, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use secrecy::SecretString;
use tokio::{
    net::{TcpListener, UnixListener},
    select,
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    CONNECTION_WINDOW_BYTES, FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, STREAM_WINDOW_BYTES,
    accounts::Accounts,
    deadline::Unary,
    described::{Described, Needed},
    gate::{Gate, Known},
    reflected,
    tls::Tls,
};
use crate::{
    config::GrpcServerConfig,
    http::{
        PeerAddress,
        connection::{Listener, Patience, Port},
    },
    random::Ulids,
    readiness::Readiness,
    shutdown::Shutdown,
};

/// Callers are services: each has one connection, or a few.
const MAX_CONNECTIONS: usize = 1024;

/// What a port asks of its callers, and what it gives them.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// What the hub's own services know.
    pub service_token: SecretString,
    /// Calls at work at one time.
    pub max_concurrent: usize,
    /// How long a unary call may take, whatever its caller allows.
    pub request_timeout: Duration,
    /// Where the ids of requests that come without one are from.
    pub ids: Arc<Ulids>,
}

impl From<&GrpcServerConfig> for ServerOptions {
    fn from(config: &GrpcServerConfig) -> Self {
        Self {
            service_token: config.service_token.clone(),
            max_concurrent: config.max_concurrent_requests,
            request_timeout: config.request_timeout,
            ids: Arc::new(Ulids::system()),
        }
    }
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The descriptor set is none.
    #[error("the descriptor set cannot be read: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// Reflection cannot be made from it.
    #[error("the descriptor set cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A gRPC port in the making.
pub struct Server {
    routes: Routes,
    options: ServerOptions,
    described: Vec<Described>,
    readiness: Readiness,
    accounts: Accounts,
    tls: Option<Tls>,
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Server {
    /// A port for `routes`.
    pub fn new(routes: Routes, options: ServerOptions) -> Self {
        let (described, readiness) = (Vec::new(), Readiness::new());
        Self { routes, options, described, readiness, accounts: Accounts::none(), tls: None }
    }

    /// Shows these services by reflection, limits the time of their unary calls, and asks for the roles that they need.
    #[must_use]
    pub fn described_by(mut self, described: Described) -> Self {
        self.described.push(described);
        self
    }

    /// Lets service accounts in too, each for what its roles say.
    #[must_use]
    pub fn known_to(mut self, accounts: Accounts) -> Self {
        self.accounts = accounts;
        self
    }

    /// Speaks TLS.
    #[must_use]
    pub fn over(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Says that it serves only while all parts of `readiness` are up.
    #[must_use]
    pub fn ready_with(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// Answers on `listener` until the shutdown begins. Connections are tasks of the shutdown.
    ///
    /// # Errors
    /// The descriptor set cannot be read.
    pub async fn serve(self, listener: TcpListener, shutdown: &Shutdown) -> Result<(), ServerError> {
        self.serve_on(listener, shutdown).await
    }

    /// The same at a Unix socket.
    ///
    /// # Errors
    /// The descriptor set cannot be read.
    pub async fn serve_socket(self, listener: UnixListener, shutdown: &Shutdown) -> Result<(), ServerError> {
        self.serve_on(listener, shutdown).await
    }

    async fn serve_on(self, listener: impl Listener, shutdown: &Shutdown) -> Result<(), ServerError> {
        let descriptors: Vec<_> = self.described.iter().map(|described| described.descriptors).collect();
        let unary = Unary::described(&descriptors)?;
        let (reporter, health) = tonic_health::server::health_reporter();
        let routes = reflected::add_to(self.routes.add_service(health), &descriptors)?;
        shutdown.spawn(report(reporter, self.readiness, shutdown.clone()));
        self.accounts.keep_fresh(shutdown);

        let known = Known { unary, needed: Needed::by(&self.described), accounts: self.accounts };
        let port = port(routes, self.options, known);
        match self.tls {
            None => port.accept(listener, MAX_CONNECTIONS, shutdown).await,
            Some(tls) => accept_privately(port, &tls, listener, shutdown).await,
        }
        Ok(())
    }
}

/// Accepts until the shutdown begins, and agrees on TLS before anything else is said.
async fn accept_privately(port: Port<Gate>, tls: &Tls, listener: impl Listener, shutdown: &Shutdown) {
    tls.keep_fresh(shutdown);
    let converse = |port: Port<Gate>, stream, peer: Option<PeerAddress>, shutdown: Shutdown| {
        let tls = tls.clone();
        async move {
            let greeted = select! {
                greeted = tls.greet(stream) => greeted,
                () = shutdown.stopping() => return,
            };
            match greeted {
                Ok((stream, names)) => {
                    let port = Port { answer: port.answer.certified(&names), ..port };
                    port.converse(stream, peer, shutdown).await;
                }
                Err(error) => tracing::info!(%error, ?peer, "a caller did not agree on TLS"),
            }
        }
    };
    port.accept_with(listener, MAX_CONNECTIONS, shutdown, converse).await;
}

/// The port without a listener, health and reflection.
pub(super) fn port(routes: Routes, options: ServerOptions, known: Known) -> Port<Gate> {
    let protocol = protocol(options.max_concurrent);
    let answer = Gate::new(routes, options, known);
    // Idle connections are kept, and dead ones found by HTTP/2's own pings.
    Port { protocol, patience: Patience::default(), answer }
}

fn protocol(max_concurrent: usize) -> Builder<TokioExecutor> {
    let mut protocol = Builder::new(TokioExecutor::new()).http2_only();
    // One caller may use all places, and must hear when there are no more instead of waiting for a stream.
    let streams = u32::try_from(max_concurrent).unwrap_or(u32::MAX).saturating_add(64);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(streams)
        // As in the client: bodies that are refused while they arrive must not add up to the end of a connection.
        .max_local_error_reset_streams(None)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    protocol
}

/// Tells health what readiness says, and that nothing is served from when the process is to end: callers go elsewhere
/// while it still answers. When it stops, those who follow its health are hung up on: they would keep it from ending.
async fn report(mut reporter: HealthReporter, readiness: Readiness, shutdown: Shutdown) {
    let mut changes = readiness.watch();
    loop {
        let serving = changes.borrow_and_update().is_empty();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        select! {
            () = shutdown.leaving() => break,
            next = changes.changed() => if next.is_err() { break },
        }
    }
    reporter.set_service_status("", ServingStatus::NotServing).await;
    shutdown.stopping().await;
    reporter.clear_service_status("").await;
}
