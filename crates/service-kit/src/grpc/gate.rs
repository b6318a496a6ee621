//! What every call passes: who calls and whether they may, the bound, the deadline, the span, the net under a panic.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use hyper::body::Incoming;
use opentelemetry::propagation::Extractor;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::{sync::Semaphore, time::timeout};
use tonic::{Status, body::Body, service::Routes};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    accounts::Accounts,
    caller::{Caller, ServiceAccount},
    calls::{Call, Calls},
    deadline::Unary,
    described::Needed,
    server::ServerOptions,
};
use crate::{
    http::{PeerAddress, body::Followed, connection::Answer},
    random::Ulids,
    request_id::{self, RequestId},
};

/// Probes have no token and must get through when the port is full.
const OPEN: &str = "/grpc.health.v1.Health/";

const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct Gate {
    routes: Routes,
    rules: Arc<Rules>,
    /// Whose certificate the connection has shown.
    certified: Option<Arc<ServiceAccount>>,
}

/// What a port knows of its methods and callers.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) unary: Unary,
    pub(super) needed: Needed,
    pub(super) accounts: Accounts,
}

impl Default for Known {
    fn default() -> Self {
        Self { unary: Unary::default(), needed: Needed::default(), accounts: Accounts::none() }
    }
}

#[derive(Debug)]
struct Rules {
    token: SecretString,
    places: Arc<Semaphore>,
    request_timeout: Duration,
    known: Known,
    ids: Arc<Ulids>,
    calls: Calls,
}

impl Gate {
    pub(super) fn new(routes: Routes, options: ServerOptions, known: Known) -> Self {
        let rules = Rules {
            token: options.service_token,
            places: Arc::new(Semaphore::new(options.max_concurrent)),
            request_timeout: options.request_timeout,
            known,
            ids: options.ids,
            calls: Calls::new(),
        };
        Self { routes: routes.prepare(), rules: Arc::new(rules), certified: None }
    }

    /// For a connection whose certificate has these names.
    pub(super) fn certified(mut self, names: &[String]) -> Self {
        self.certified = self.rules.known.accounts.with_names(names);
        self
    }

    async fn pass(&self, call: &mut Call, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let path = request.uri().path();
        if path.starts_with(OPEN) {
            return self.answered(request).await;
        }
        let caller = self.caller(request.headers())?;
        Span::current().record("caller", caller.name());
        self.rules.known.needed.check(&caller, path)?;

        let permit = self.rules.places.clone().try_acquire_owned().map_err(|_| full())?;
        call.hold(permit);
        caller.scope(self.answered(request)).await
    }

    /// Who calls. Whoever shows a token is who the token says, or nobody.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Status> {
        let account = match headers.get(AUTHORIZATION) {
            Some(shown) if self.rules.is_of_hub(shown) => return Ok(Caller::Hub),
            Some(shown) => self.rules.known.accounts.with_token(shown),
            None => self.certified.clone(),
        };
        account.map(Caller::Account).ok_or_else(|| Status::unauthenticated("a service token is needed"))
    }

    async fn answered(&self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let rules = &self.rules;
        let limit = rules.known.unary.limit(request.uri().path(), request.headers(), rules.request_timeout);
        let answer = AssertUnwindSafe(self.routes.clone().oneshot(request)).catch_unwind();
        let answered = match limit {
            Some(limit) => timeout(limit, answer).await.map_err(|_| late())?,
            None => answer.await,
        };
        match answered {
            Ok(Ok(answered)) => Ok(answered),
            Err(panic) => Err(panicked(panic.as_ref())),
        }
    }
}

impl Answer for Gate {
    type Body = Followed<Body, Call>;

    async fn answer(
        &self,
        peer: Option<PeerAddress>,
        mut request: Request<Incoming>,
    ) -> Response<Self::Body> {
        let received = RequestId::received(request.headers());
        let id = received.unwrap_or_else(|| RequestId::new(&self.rules.ids));
        let span = span_of(&request, &id);
        let mut call = self.rules.calls.begin(request.uri().path(), &id);
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }

        let passing =
            request_id::CURRENT.scope(id.clone(), self.pass(&mut call, request)).instrument(span.clone());
        let answered = passing.await.unwrap_or_else(Status::into_http);
        span.in_scope(|| call.answered(answered.headers()));
        answered.map(|body| Followed::new(body, span, id, call))
    }
}

impl Rules {
    fn is_of_hub(&self, shown: &HeaderValue) -> bool {
        let given = shown.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        given.ct_eq(self.token.expose_secret().as_bytes()).into()
    }
}

fn full() -> Status {
    let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(tonic::Code::ResourceExhausted, "too many calls at one time", details)
}

fn late() -> Status {
    Status::deadline_exceeded("no answer within the deadline")
}

fn panicked(panic: &(dyn Any + Send)) -> Status {
    tracing::error!(panic = crate::http::panic_text(panic), "a call panicked");
    Status::internal("the call failed for a reason that is in the log")
}

fn span_of(request: &Request<Incoming>, id: &RequestId) -> Span {
    let path = request.uri().path();
    let span = tracing::info_span!(
        "rpc",
        otel.name = path,
        otel.kind = "server",
        rpc = path,
        request_id = %id,
        caller = tracing::field::Empty
    );
    let parent =
        opentelemetry::global::get_text_map_propagator(|format| format.extract(&Headers(request.headers())));
    // Without traces there is nothing to be a child of.
    let _ = span.set_parent(parent);
    span
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
