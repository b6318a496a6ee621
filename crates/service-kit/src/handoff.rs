//! The port at which a proxy reads what the edge has handed off to it: `GET /handoff/<address>`, with ranges. What an
//! address means, and who may have what is there, is for the source to say; this file knows HTTP alone.

use std::{fmt, io, ops::RangeInclusive, pin::Pin, sync::Arc};

use async_trait::async_trait;
use axum::{Router, body::Body, extract::State, routing::get};
use bytes::Bytes;
use futures_util::Stream;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use tokio::net::TcpListener;

use crate::{
    http::{Edge, EdgeOptions, HttpLimits},
    shutdown::Shutdown,
};

const ROOT: &str = "/handoff/";

/// What is asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What stands in the address behind `/handoff/`.
    pub path: &'a str,
    /// What stands behind the `?`.
    pub query: &'a str,
    /// The `Range` header.
    pub range: Option<&'a str>,
}

impl fmt::Debug for Asked<'_> {
    /// Without the query, which gives rights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("path", &self.path).field("range", &self.range).finish_non_exhaustive()
    }
}

/// What is there.
pub struct Found {
    /// Length of the whole.
    pub size_bytes: u64,
    /// The first and the last byte of what follows; none: the whole.
    pub part: Option<RangeInclusive<u64>>,
    /// The bytes, exactly so many, or an error.
    pub body: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + 'static>>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

/// Why there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The address gives no right, or not any more.
    NotGranted,
    /// It is gone.
    Missing,
    /// No byte is in the range.
    Unsatisfiable {
        /// Length of the whole.
        size_bytes: u64,
    },
    /// It cannot be read now.
    Unavailable,
}

/// Who has the bytes.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What is at an address.
    async fn find(&self, asked: Asked<'_>) -> Result<Found, Refused>;
}

/// Answers with what `source` has on `listener` until the shutdown begins.
pub async fn serve(listener: TcpListener, source: Arc<dyn Source>, shutdown: &Shutdown) {
    let defaults = HttpLimits::default();
    // Every request comes from the same few proxies.
    let limits = HttpLimits { max_in_flight_per_address: defaults.max_in_flight, ..defaults };
    Edge::new(router(source), EdgeOptions { limits, ..EdgeOptions::default() })
        .serve(listener, shutdown)
        .await;
}

fn router(source: Arc<dyn Source>) -> Router {
    Router::new().route(&format!("{ROOT}{{*address}}"), get(answer)).with_state(source)
}

async fn answer(State(source): State<Arc<dyn Source>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let asked = Asked {
        path: uri.path().strip_prefix(ROOT).unwrap_or_default(),
        query: uri.query().unwrap_or_default(),
        range: headers.get(RANGE).and_then(|value| value.to_str().ok()),
    };
    match source.find(asked).await {
        Ok(found) => answered(found),
        Err(refused) => refusal(refused),
    }
}

/// What else a client wants to know of it, the proxy has from the edge.
fn answered(found: Found) -> Response<Body> {
    let Found { size_bytes, part, body } = found;
    let mut response = Response::new(Body::from_stream(body));
    let length = part.as_ref().map_or(size_bytes, |part| part.end() - part.start() + 1);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if let Some(part) = part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set_range(&mut response, &format!("bytes {}-{}/{size_bytes}", part.start(), part.end()));
    }
    response
}

fn refusal(refused: Refused) -> Response<Body> {
    let (status, text) = match refused {
        Refused::NotGranted => {
            (StatusCode::FORBIDDEN, "this address gives no right to read, or not any more\n")
        }
        Refused::Missing => (StatusCode::NOT_FOUND, "nothing is there any more\n"),
        Refused::Unsatisfiable { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "no byte is in this range\n"),
        Refused::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "it cannot be read now; try again\n"),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Refused::Unsatisfiable { size_bytes } = refused {
        set_range(&mut response, &format!("bytes */{size_bytes}"));
    }
    response
}

fn set_range(response: &mut Response<Body>, range: &str) {
    // Numbers and signs: it is a header value always.
    if let Ok(value) = HeaderValue::from_str(range) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
}
