//! A way to an object store on which things go wrong by a plan that follows from a seed: connections break, the store
//! asks for fewer requests, answers end too soon or never come, and what was done is answered with an error. It lets
//! through only what all vendors take.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use crate::address;

/// What some vendor refuses, or takes and ignores, in a request that writes: the adapter must do without.
const NOT_EVERYWHERE: [&str; 7] = [
    "content-encoding",
    "if-match",
    "if-none-match",
    "x-amz-checksum-algorithm",
    "x-amz-copy-source",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
];

/// One request in so many meets each kind of fault.
const ONE_IN: u64 = 24;

/// What goes wrong on a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// What is over at once: connections break, and answers are errors or end too soon.
    Quick,
    /// No answer comes, and the connection stays: whoever waits must have a limit.
    Stalls,
}

/// A running proxy in front of a store.
#[derive(Debug)]
pub struct Flaky {
    listens_at: SocketAddr,
    plan: Arc<Plan>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Plan {
    store: SocketAddr,
    client: reqwest::Client,
    kind: Faults,
    state: Mutex<u64>,
    faults: AtomicU64,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection breaks, and nothing was done.
    Reset,
    /// 503, and nothing was done.
    SlowDown,
    /// It was done, and 500 is the answer.
    DoneAndDenied,
    /// The connection breaks in the midst of the answer.
    Truncated,
    /// Nothing was done, and no answer comes.
    Stall,
}

/// The connection is to break.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Broken>>>;

impl Flaky {
    /// Starts a proxy in front of `store` on which such things go wrong as `kind` says, when follows from `seed`.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(store: SocketAddr, kind: Faults, seed: u64) -> Self {
        let listener = TcpListener::bind(address::with_port(0)).await.unwrap();
        let listens_at = listener.local_addr().unwrap();
        let (client, state) = (reqwest::Client::new(), Mutex::new(seed));
        let plan = Arc::new(Plan { store, client, kind, state, faults: AtomicU64::new(0) });
        let serving = tokio::spawn(serve(listener, plan.clone()));
        Self { listens_at, plan, serving }
    }

    /// Where it listens.
    pub fn listens_at(&self) -> SocketAddr {
        self.listens_at
    }

    /// How often something has gone wrong.
    pub fn faults(&self) -> u64 {
        self.plan.faults.load(Ordering::Relaxed)
    }
}

impl Drop for Flaky {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, plan: Arc<Plan>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let plan = plan.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let plan = plan.clone();
                async move { plan.answer(request).await }
            });
            // That it breaks is the purpose.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

impl Plan {
    /// What goes wrong next, if anything.
    fn next(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let fault = match (self.kind, (*state >> 33) % ONE_IN) {
            (Faults::Quick, 0) => Fault::Reset,
            (Faults::Quick, 1) => Fault::SlowDown,
            (Faults::Quick, 2) => Fault::DoneAndDenied,
            (Faults::Quick, 3) => Fault::Truncated,
            (Faults::Stalls, 0) => Fault::Stall,
            _ => return None,
        };
        self.faults.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let fault = self.next();
        let (head, body) = request.into_parts();
        let writes = [Method::PUT, Method::POST].contains(&head.method);
        // Swift is one system, and what it takes is known.
        let of_swift = head.headers.contains_key("x-auth-token");
        if writes && !of_swift && NOT_EVERYWHERE.iter().any(|name| head.headers.contains_key(*name)) {
            return Ok(refusal(StatusCode::BAD_REQUEST, "InvalidArgument"));
        }
        let bytes = body.collect().await.map_err(|_| Broken)?.to_bytes();
        match fault {
            Some(Fault::Reset) => return Err(Broken),
            Some(Fault::SlowDown) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
            // Ends when the other side has gone.
            Some(Fault::Stall) => std::future::pending().await,
            _ => {}
        }

        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self.client.request(head.method.clone(), format!("http://{}{path}", self.store));
        // Signed, and so left as they are: also the host.
        let answer = request.headers(head.headers).body(bytes).send().await.map_err(|_| Broken)?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let bytes = answer.bytes().await.map_err(|_| Broken)?;
        if fault == Some(Fault::DoneAndDenied) {
            return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"));
        }

        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
        if head.method != Method::HEAD {
            headers.insert(header::CONTENT_LENGTH, bytes.len().into());
        }
        let half = bytes.slice(..bytes.len() / 2);
        let body = match fault {
            Some(Fault::Truncated) if !half.is_empty() => vec![Ok(Frame::data(half)), Err(Broken)],
            _ => vec![Ok(Frame::data(bytes))],
        };
        let mut response = Response::new(StreamBody::new(stream::iter(body).boxed()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let document = Bytes::from(format!("<Error><Code>{code}</Code><Message>on purpose</Message></Error>"));
    let mut response = Response::new(StreamBody::new(stream::iter([Ok(Frame::data(document))]).boxed()));
    *response.status_mut() = status;
    response
}
