//! The port for probes and metrics: `/livez`, `/readyz` and `/metrics`. It goes on while the rest drains.

use std::time::Duration;

use axum::{Router, body::Body, extract::State, routing::get};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use tokio::net::TcpListener;

pub use crate::readiness::Readiness;
use crate::{
    http::connection::{Patience, Port},
    shutdown::Shutdown,
    telemetry::Telemetry,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Probes and a few scrapers.
const MAX_CONNECTIONS: usize = 64;

#[derive(Debug, Clone)]
struct Admin {
    readiness: Readiness,
    telemetry: Telemetry,
    shutdown: Shutdown,
}

/// The three pages. Not ready is also who is shutting down.
pub fn router(readiness: Readiness, telemetry: Telemetry, shutdown: &Shutdown) -> Router {
    let admin = Admin { readiness, telemetry, shutdown: shutdown.clone() };
    let live = || async { answer(StatusCode::OK, "text/plain; charset=utf-8", "live\n".to_owned()) };
    let router = Router::new().route("/livez", get(live)).route("/readyz", get(ready));
    router.route("/metrics", get(metrics)).with_state(admin)
}

/// Answers with `router` on `listener` until everything else has ended.
pub async fn serve(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let last = shutdown.last();
    let patience = Patience { headers: Some(PATIENCE), idle: Some(PATIENCE), write: Some(PATIENCE) };
    let port = Port { protocol: crate::http::protocol(), patience, answer: router };
    port.accept(listener, MAX_CONNECTIONS, &last).await;
}

async fn ready(State(admin): State<Admin>) -> Response<Body> {
    let mut missing = admin.readiness.missing();
    if admin.shutdown.is_leaving() {
        missing.push("shutdown");
    }
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ready": missing.is_empty(), "not_ready": missing });
    answer(status, "application/json", body.to_string())
}

async fn metrics(State(admin): State<Admin>) -> Response<Body> {
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", admin.telemetry.metrics_text())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
