//! The way to another service: its replicas in turn, passing over one that could not be reached a moment ago.
//! Each call carries the service token, the request's id and the trace it belongs to.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use opentelemetry::propagation::Injector;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{
    Request,
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity},
};
use tower::{Service, ServiceExt as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    CONNECTION_WINDOW_BYTES, FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, STREAM_WINDOW_BYTES,
};
use crate::{
    config::{GrpcClientConfig, GrpcClientTlsConfig, GrpcUrl},
    request_id,
};

/// An error travels in headers, and one that names a hundred digests does not fit into the 16 KiB by default.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a replica that could not be reached is passed over, if there are others.
const REST: Duration = Duration::from_secs(1);

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No replica is configured.
    #[error("a channel needs at least one url")]
    NoUrls,
    /// The url leads nowhere.
    #[error("{url:?} cannot be used as a gRPC url: {error}")]
    Url {
        /// The url.
        url: String,
        /// What is wrong with it.
        error: Error,
    },
    /// The token cannot be sent.
    #[error("the service token has characters that a header cannot carry")]
    Token,
    /// A file for TLS cannot be read.
    #[error("reading {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A request that its server may give up after `deadline`.
pub fn unary<M>(message: M, deadline: Duration) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// A request without a deadline: how long it takes depends on how long its body is.
pub fn streaming<M>(message: M) -> Request<M> {
    Request::new(message)
}

/// Makes a channel. Nothing is connected before the first call; it must run within tokio.
///
/// # Errors
/// A url, the token or a file for TLS cannot be used.
pub fn connect(config: &GrpcClientConfig) -> Result<GrpcChannel, ConnectError> {
    if config.urls.is_empty() {
        return Err(ConnectError::NoUrls);
    }
    let authorization = bearer(&config.service_token).ok_or(ConnectError::Token)?;
    let tls = config.tls.as_ref().map(client_tls).transpose()?;
    let channels = config.urls.iter().map(|url| Ok(endpoint(url, tls.as_ref())?.connect_lazy()));
    Ok(GrpcChannel::new(channels.collect::<Result<_, _>>()?, authorization))
}

/// What a caller shows, unless it cannot be sent.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The replicas of one service. Clones share their connections.
#[derive(Debug, Clone)]
pub struct GrpcChannel {
    replicas: Arc<[Replica]>,
    next: Arc<AtomicUsize>,
    authorization: HeaderValue,
}

#[derive(Debug)]
struct Replica {
    channel: Channel,
    failed: Mutex<Option<Instant>>,
}

impl GrpcChannel {
    pub(super) fn new(channels: Vec<Channel>, authorization: HeaderValue) -> Self {
        let replicas = channels.into_iter().map(|channel| Replica { channel, failed: Mutex::new(None) });
        Self { replicas: replicas.collect(), next: Arc::default(), authorization }
    }

    /// The index of the next replica that did not just fail, or of the next one if all did.
    fn choose(&self) -> usize {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.replicas.len()).map(|step| first.wrapping_add(step) % self.replicas.len());
        let mut rested = in_turn.filter(|index| !self.replicas[*index].rests());
        rested.next().unwrap_or(first % self.replicas.len())
    }
}

impl Replica {
    fn rests(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < REST)
    }

    fn note<T>(&self, answer: &Result<T, Error>) {
        let failed = answer.is_err().then(Instant::now);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

impl Service<http::Request<Body>> for GrpcChannel {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(id) = request_id::current() {
            id.send(headers);
        }
        let context = Span::current().context();
        opentelemetry::global::get_text_map_propagator(|format| {
            format.inject_context(&context, &mut Headers(headers));
        });

        let (replicas, index) = (self.replicas.clone(), self.choose());
        async move {
            let replica = &replicas[index];
            let answer = replica.channel.clone().oneshot(request).await;
            replica.note(&answer);
            answer
        }
        .boxed()
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

fn endpoint(url: &GrpcUrl, tls: Option<&ClientTlsConfig>) -> Result<Endpoint, ConnectError> {
    let unusable = |error| ConnectError::Url { url: url.as_str().to_owned(), error };
    let endpoint = Endpoint::from_shared(url.as_str().to_owned()).map_err(unusable)?;
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls.clone()).map_err(unusable)?,
        None => endpoint,
    };
    Ok(tuned(endpoint))
}

fn client_tls(config: &GrpcClientTlsConfig) -> Result<ClientTlsConfig, ConnectError> {
    let read = |file: &PathBuf| {
        std::fs::read(file).map_err(|error| ConnectError::File { file: file.clone(), error })
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&config.ca_file)?));
    if let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    if let Some(domain) = &config.domain {
        tls = tls.domain_name(domain.clone());
    }
    Ok(tls)
}

/// Sized as the server is: the receiver's settings govern.
pub(super) fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        // Whoever aborts a pull resets its call while data is under way. Counted over the life of a connection, that
        // would in the end break the calls of everybody else; and the peer is no stranger.
        .http2_max_local_error_reset_streams(None)
}
