//! What a process tells about itself: probes, metrics, traces.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    routing::post,
};
use http::{Request, Response, StatusCode};
use service_kit::{
    admin::{self, Readiness},
    config::{LogFormat, TelemetryConfig},
    http::{Edge, EdgeOptions, PeerAddress},
    shutdown::Shutdown,
    telemetry,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::ServiceExt as _;

const CLIENT: PeerAddress = PeerAddress(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

async fn page(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn telemetry_may_start_more_than_once() {
    let text = TelemetryConfig { log_format: LogFormat::Text, ..TelemetryConfig::default() };
    for config in [TelemetryConfig::default(), text] {
        telemetry::init(&config).unwrap().shutdown().await;
    }
}

#[test]
fn telemetry_without_traces_needs_no_runtime() {
    telemetry::init(&TelemetryConfig::default()).unwrap();
}

#[test]
fn a_log_level_that_is_none_is_named() {
    let config = TelemetryConfig { log_level: "info,x=loud".to_owned(), ..TelemetryConfig::default() };
    let error = telemetry::init(&config).unwrap_err();
    assert!(error.to_string().contains("x=loud"), "{error}");
}

#[tokio::test]
async fn probes_say_what_is_not_ready() {
    let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
    let telemetry = telemetry::init(&TelemetryConfig::default()).unwrap();
    let router = admin::router(readiness.clone(), telemetry, &shutdown);
    assert_eq!(page(&router, "/readyz").await.0, StatusCode::OK);

    readiness.down("keys");
    let (status, body) = page(&router, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, serde_json::json!({ "ready": false, "not_ready": ["keys"] }));

    readiness.up("keys");
    shutdown.begin();
    assert!(page(&router, "/readyz").await.1.contains("shutdown"));
    assert_eq!(page(&router, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_reads_them() {
    let telemetry = telemetry::init(&TelemetryConfig::default()).unwrap();
    opentelemetry::global::meter("test").u64_counter("things").build().add(3, &[]);
    let router = admin::router(Readiness::new(), telemetry, &Shutdown::new());

    let (status, text) = page(&router, "/metrics").await;

    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("things_total 3\n"), "{text}");
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn probes_are_answered_until_everything_else_has_ended() {
    let shutdown = Shutdown::new();
    let telemetry = telemetry::init(&TelemetryConfig::default()).unwrap();
    let router = admin::router(Readiness::new(), telemetry, &shutdown);
    let (listener, address) = bound().await;
    let stop = shutdown.clone();
    shutdown.last().spawn(async move { admin::serve(listener, router, &stop).await });

    shutdown.begin();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    shutdown.drain(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

/// A receiver of traces that keeps what it gets. Its answer is an error to the exporter, which does not matter.
async fn receiver(shutdown: &Shutdown) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let (received, exports) = mpsc::channel(16);
    let export = move |body: Body| async move {
        received.send(to_bytes(body, 1 << 20).await.unwrap().to_vec()).await.unwrap();
        Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "3")
            .body(Body::empty())
            .unwrap()
    };
    let router =
        Router::new().route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(export));
    let (listener, address) = bound().await;
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        Edge::new(router, EdgeOptions::default()).serve(listener, &stop).await;
    });
    (address, exports)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_joins_the_trace_of_its_caller_and_is_exported() {
    let shutdown = Shutdown::new();
    let (address, mut exports) = receiver(&shutdown).await;
    let otlp_endpoint = Some(format!("http://{address}"));
    let telemetry =
        telemetry::init(&TelemetryConfig { otlp_endpoint, ..TelemetryConfig::default() }).unwrap();
    let edge = Edge::new(Router::new(), EdgeOptions::default());
    let request = Request::get("/traced")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Body::empty())
        .unwrap();

    drop(edge.answer_to(CLIENT, request).await);
    telemetry.shutdown().await;

    let export = exports.recv().await.unwrap();
    let trace =
        [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c];
    assert!(export.windows(16).any(|bytes| bytes == trace), "{}", String::from_utf8_lossy(&export));
    assert!(String::from_utf8_lossy(&export).contains("/traced"));
}
