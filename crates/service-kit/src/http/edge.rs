//! What every request passes before and after the router: an id, a place, a span, patience with its body, a
//! net under panics, and one log line when its answer has ended.

mod line;

use std::{any::Any, convert::Infallible, fmt, net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use axum::{Router, body::Body};
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use opentelemetry::propagation::Extractor;
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::line::Line;
use super::{
    HttpLimits, Refusal, TrustedProxies,
    admission::Admission,
    body::{Followed, IdleLimited},
    client_address,
    connection::{Answer, Patience, PeerAddress, Port},
    head, leftover,
};
use crate::{
    random::Ulids,
    request_id::{self, RequestId},
    shutdown::Shutdown,
};

/// Makes the body, and the headers about it, of an answer that the router did not give. Status and `Retry-After`
/// are set afterwards.
pub type RefusalBody = Arc<dyn Fn(Refusal) -> Response<Body> + Send + Sync>;

/// How an [`Edge`] treats requests.
#[derive(Clone)]
pub struct EdgeOptions {
    /// Limits on time and number.
    pub limits: HttpLimits,
    /// The proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// Where the ids of requests that come without a trusted one are from.
    pub ids: Arc<Ulids>,
    /// How to say no.
    pub refusal: RefusalBody,
}

impl Default for EdgeOptions {
    /// The default limits, no trusted proxy, and plain answers without a body.
    fn default() -> Self {
        Self {
            limits: HttpLimits::default(),
            trusted_proxies: TrustedProxies::default(),
            ids: Arc::new(Ulids::system()),
            refusal: Arc::new(|_| Response::new(Body::empty())),
        }
    }
}

impl fmt::Debug for EdgeOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = formatter.debug_struct("EdgeOptions");
        options
            .field("limits", &self.limits)
            .field("trusted_proxies", &self.trusted_proxies)
            .finish_non_exhaustive()
    }
}

/// The client of a request, as an extension of it: behind trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// Who brings the bytes that were asked for to the client, as an extension of an answer: for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered(pub &'static str);

/// A router behind all that this file is for.
#[derive(Debug, Clone)]
pub struct Edge {
    router: Router,
    options: Arc<EdgeOptions>,
    admission: Arc<Admission>,
    /// Has the tasks that read what is left of refused bodies.
    tasks: Shutdown,
}

impl Edge {
    /// Puts `router` behind it. Requests carry [`PeerAddress`], [`ClientAddress`] and [`RequestId`] as extensions.
    pub fn new(router: Router, options: EdgeOptions) -> Self {
        let admission =
            Admission::new(options.limits.max_in_flight, options.limits.max_in_flight_per_address);
        Self { router: router.with_state(()), options: Arc::new(options), admission, tasks: Shutdown::new() }
    }

    /// Answers on `listener` until the shutdown begins. Connections are tasks of the shutdown.
    pub async fn serve(mut self, listener: TcpListener, shutdown: &Shutdown) {
        self.tasks = shutdown.clone();
        let limits = &self.options.limits;
        let most = limits.max_connections;
        let patience = Patience {
            headers: Some(limits.header_timeout),
            idle: Some(limits.keep_alive_timeout),
            write: Some(limits.body_idle_timeout),
        };
        Port { protocol: protocol(), patience, answer: self }.accept(listener, most, shutdown).await;
    }

    /// Answers one request of `peer`.
    pub async fn answer_to(&self, peer: PeerAddress, request: Request<Body>) -> Response<Body> {
        self.answer_unless(None, peer, request).await
    }

    async fn answer_unless(
        &self,
        refusal: Option<Refusal>,
        peer: PeerAddress,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let trusted = &self.options.trusted_proxies;
        let client = ClientAddress(client_address(peer.0, request.headers(), trusted));
        let id = self.id_of(peer, &request);
        let span = span_of(&request, &id);
        let mut line = Line::new(&request, client, &id);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(id.clone());

        let passing = request_id::CURRENT.scope(id.clone(), self.pass(refusal, client, &mut line, request));
        let mut answered = passing.instrument(span.clone()).await;
        id.send(answered.headers_mut());
        line.answered(&answered);
        answered.map(|body| Body::new(Followed::new(body, span, id, line)))
    }

    async fn pass(
        &self,
        refusal: Option<Refusal>,
        client: ClientAddress,
        line: &mut Line,
        request: Request<Body>,
    ) -> Response<Body> {
        let limit = self.options.limits.body_idle_timeout;
        let (parts, body) = request.into_parts();
        // A body that has fallen silent is not waited for again.
        let (body, leftover) = leftover::lend(Body::new(IdleLimited::new(body, limit)));
        let request = Request::from_parts(parts, body);

        let answered = match refusal.map_or_else(|| self.admission.admit(client.0), Err) {
            Ok(place) => {
                line.hold(place);
                self.routed(request).await
            }
            Err(refusal) => {
                drop(request);
                self.refused(refusal)
            }
        };
        if let (Some(leftover), 400..) = (leftover, answered.status().as_u16()) {
            self.tasks.spawn(leftover.drain());
        }
        answered
    }

    async fn routed(&self, request: Request<Body>) -> Response<Body> {
        let answer = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        match answer.await {
            Ok(answered) => answered.unwrap_or_else(|never: Infallible| match never {}),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "a request panicked");
                self.refused(Refusal::Panicked)
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Response<Body> {
        let mut answer = (self.options.refusal)(refusal);
        let (status, retry) = match refusal {
            Refusal::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Some(HeaderValue::from_static("1"))),
            Refusal::TooManyFromAddress => {
                (StatusCode::TOO_MANY_REQUESTS, Some(HeaderValue::from_static("1")))
            }
            Refusal::HeadersTooLong => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None),
            Refusal::NoOneHost => (StatusCode::BAD_REQUEST, None),
            Refusal::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        *answer.status_mut() = status;
        if let Some(seconds) = retry {
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
        answer
    }

    fn id_of(&self, peer: PeerAddress, request: &Request<Body>) -> RequestId {
        // A stranger must not choose what the log says about others.
        let believed = self.options.trusted_proxies.contains(peer.0);
        let received = believed.then(|| RequestId::received(request.headers())).flatten();
        received.unwrap_or_else(|| RequestId::new(&self.options.ids))
    }
}

impl Answer for Edge {
    type Body = Body;

    async fn answer(&self, peer: Option<PeerAddress>, request: Request<Incoming>) -> Response<Body> {
        let peer = peer.unwrap_or(PeerAddress(IpAddr::from([0, 0, 0, 0])));
        self.answer_unless(head::refusal(&request), peer, request.map(Body::new)).await
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

pub(crate) fn protocol() -> Builder<TokioExecutor> {
    let mut protocol = Builder::new(TokioExecutor::new());
    // The connection has its own patience, which can tell slow headers from an idle connection.
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(None).max_headers(head::MAX_READ);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head::MAX_BYTES)
        .keep_alive_interval(std::time::Duration::from_secs(30))
        .keep_alive_timeout(std::time::Duration::from_secs(20));
    protocol
}

fn span_of(request: &Request<Body>, id: &RequestId) -> Span {
    let (method, path) = (request.method(), line::path(request));
    let span = tracing::info_span!("http", otel.name = %method, otel.kind = "server", %method, path, request_id = %id);
    let headers = Headers(request.headers());
    let parent = opentelemetry::global::get_text_map_propagator(|format| format.extract(&headers));
    // Without traces there is nothing to be a child of.
    let _ = span.set_parent(parent);
    span
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
