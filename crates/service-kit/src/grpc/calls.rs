//! What is recorded of each call to a server: its number by method and code, and how long it took.

use std::time::Instant;

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status};

use crate::{http::body::Follow, request_id::RequestId};

/// The instruments of a server.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    count: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Calls {
    pub(super) fn new() -> Self {
        let meter = opentelemetry::global::meter("service-kit");
        let seconds = meter
            .f64_histogram("rpc_server_duration_seconds")
            .with_description("Time to the end of the answer");
        let seconds = seconds.with_boundaries(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0]);
        let count = meter.u64_counter("rpc_server_calls").with_description("Calls that ended");
        Self { count: count.build(), seconds: seconds.build() }
    }

    /// A call to `path` begins, for the request `id`.
    pub(super) fn begin(&self, path: &str, id: &RequestId) -> Call {
        Call {
            calls: self.clone(),
            path: path.to_owned(),
            id: id.clone(),
            start: Instant::now(),
            recorded: None,
            permit: None,
        }
    }
}

/// A call at work. Dropped before it has a code, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    calls: Calls,
    path: String,
    id: RequestId,
    start: Instant,
    recorded: Option<Code>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Call {
    /// Keeps a place among the calls at work until the end of the answer.
    pub(super) fn hold(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
    }

    /// An answer without a body has its code in its headers.
    pub(super) fn answered(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.record(status.code());
        }
    }

    fn record(&mut self, code: Code) {
        if self.recorded.replace(code).is_some() {
            return;
        }
        // A path that does not exist or came from a stranger must not make a new time series.
        let known = !matches!(code, Code::Unauthenticated | Code::Unimplemented);
        let path = if known { self.path.trim_start_matches('/') } else { "unknown/unknown" };
        let (service, method) = path.split_once('/').unwrap_or((path, ""));
        let labels = [
            KeyValue::new("rpc_service", service.to_owned()),
            KeyValue::new("rpc_method", method.to_owned()),
            KeyValue::new("code", format!("{code:?}")),
        ];
        self.calls.count.add(1, &labels);
        self.calls.seconds.record(self.start.elapsed().as_secs_f64(), &labels[..2]);
        tracing::debug!(request_id = %self.id, rpc = path, ?code, milliseconds = self.start.elapsed().as_millis(), "call");
    }
}

impl Follow for Call {
    fn trailers(&mut self, trailers: &HeaderMap) {
        self.answered(trailers);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record(Code::Cancelled);
        drop(self.permit.take());
    }
}
