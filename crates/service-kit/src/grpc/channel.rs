//! The way to another service: one channel over all its replicas, each call to one of them. Each call carries the
//! service token, the request's id and the trace it belongs to.

mod choice;
mod discovery;
mod endpoint;
mod health;
mod replica;
mod replicas;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use opentelemetry::propagation::Injector;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;
use tonic::{
    Request, Status,
    body::Body,
    transport::{Channel, Error},
};
use tower::Service;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(super) use self::endpoint::tuned;
use self::{
    choice::Placement,
    discovery::{Discovery, Dns, Resolve},
    endpoint::Trust,
    replica::{Health, Replica},
    replicas::Replicas,
};
use crate::{
    config::{GrpcClientConfig, GrpcUrl},
    request_id,
};

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
    /// No name can be looked up.
    #[error(
        "a `dns+http` url needs the system's DNS configuration (/etc/resolv.conf), which cannot be used: {0}"
    )]
    Dns(io::Error),
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

/// The same request for the replica that is the place of `key`, unless that is much busier than another.
pub fn placed<M>(mut request: Request<M>, key: &str) -> Request<M> {
    request.extensions_mut().insert(Placement::of(key));
    request
}

/// Makes a channel. Nothing is connected before the first call, unless replicas are to be told apart: then their
/// names are looked up and their health is followed. It must run within tokio.
///
/// # Errors
/// A url, the token or a file for TLS cannot be used; the system has no DNS configuration and a url needs one.
pub fn connect(config: &GrpcClientConfig) -> Result<GrpcChannel, ConnectError> {
    let named = config.urls.iter().any(|url| url.name().is_some());
    if named { discovering(config, Dns::of_system().map_err(ConnectError::Dns)?) } else { fixed(config) }
}

/// A channel to replicas that stay the same.
fn fixed(config: &GrpcClientConfig) -> Result<GrpcChannel, ConnectError> {
    if config.urls.is_empty() {
        return Err(ConnectError::NoUrls);
    }
    let authorization = bearer(&config.service_token).ok_or(ConnectError::Token)?;
    let trust = config.tls.as_ref().map(Trust::read).transpose()?;

    // Whoever is alone is called whatever it says of its health.
    let health = if config.urls.len() > 1 { Health::Followed } else { Health::Ignored };
    let replica = |url: &GrpcUrl| {
        let endpoint = endpoint::endpoint(url.as_str(), trust.as_ref().map(Trust::of_urls))?;
        Ok(Arc::new(Replica::new(url.as_str(), endpoint.connect_lazy(), health)))
    };
    let replicas = config.urls.iter().map(replica).collect::<Result<Vec<_>, ConnectError>>()?;
    Ok(GrpcChannel::over(Arc::new(Replicas::new(replicas)), authorization))
}

/// A channel to replicas that come and go, as `resolver` says, besides those whose urls are no names.
fn discovering(config: &GrpcClientConfig, resolver: impl Resolve) -> Result<GrpcChannel, ConnectError> {
    let authorization = bearer(&config.service_token).ok_or(ConnectError::Token)?;
    let trust = config.tls.as_ref().map(Trust::read).transpose()?;
    let (names, urls): (Vec<&GrpcUrl>, Vec<&GrpcUrl>) =
        config.urls.iter().partition(|url| url.name().is_some());

    let of_urls = trust.as_ref().map(Trust::of_urls);
    for url in &urls {
        endpoint::endpoint(url.as_str(), of_urls.clone())?;
    }
    let fixed: BTreeSet<String> = urls.iter().map(|url| url.as_str().to_owned()).collect();
    let names = names.into_iter().filter_map(GrpcUrl::name).collect();
    let replicas = Arc::new(Replicas::new(Vec::new()));
    let discovery = Discovery::new(names, fixed, trust, replicas.clone());

    let mut tasks = JoinSet::new();
    tasks.spawn(discovery.run(resolver));
    Ok(GrpcChannel { replicas, authorization, _discovery: Arc::new(tasks) })
}

/// What a caller shows, unless it cannot be sent.
pub(super) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The replicas of one service. Clones share their connections, and what is known of them.
#[derive(Debug, Clone)]
pub struct GrpcChannel {
    replicas: Arc<Replicas>,
    authorization: HeaderValue,
    /// Ends with the last clone.
    _discovery: Arc<JoinSet<()>>,
}

impl GrpcChannel {
    /// A channel to one replica.
    pub(super) fn to(channel: Channel, authorization: HeaderValue) -> Self {
        let replica = Replica::new("", channel, Health::Ignored);
        Self::over(Arc::new(Replicas::new(vec![Arc::new(replica)])), authorization)
    }

    fn over(replicas: Arc<Replicas>, authorization: HeaderValue) -> Self {
        Self { replicas, authorization, _discovery: Arc::new(JoinSet::new()) }
    }
}

impl Service<http::Request<Body>> for GrpcChannel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
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

        let placement = request.extensions_mut().remove::<Placement>();
        let replicas = self.replicas.clone();
        async move {
            let chosen = replicas.choose_soon(placement).await;
            let chosen =
                chosen.ok_or_else(|| Status::unavailable("no replica of the service is known yet"))?;
            chosen.call(request).await
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
