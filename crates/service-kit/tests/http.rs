//! An HTTP port: what it does with requests, before a router sees them and after.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use service_kit::{
    http::{BodyIdle, ClientAddress, Edge, EdgeOptions, HttpLimits, PeerAddress, Refusal, TrustedProxies},
    request_id::{self, RequestId},
    shutdown::{Drained, Shutdown},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const CLIENT: PeerAddress = PeerAddress(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
const OTHER: PeerAddress = PeerAddress(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));
const PROXY: PeerAddress = PeerAddress(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

fn options(limits: HttpLimits) -> EdgeOptions {
    EdgeOptions {
        limits,
        trusted_proxies: TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]),
        refusal: Arc::new(|refusal| Response::new(Body::from(format!("{refusal:?}")))),
        ..EdgeOptions::default()
    }
}

fn edge(router: Router) -> Edge {
    Edge::new(router, options(HttpLimits::default()))
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

/// An answer whose body goes on until it is dropped.
async fn endless() -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"begun"))]);
    Body::from_stream(first.chain(stream::pending()))
}

#[tokio::test]
async fn every_answer_has_the_id_that_the_handler_worked_under() {
    let router = Router::new().route(
        "/",
        get(|Extension(id): Extension<RequestId>| async move {
            assert_eq!(request_id::current(), Some(id.clone()));
            id.to_string()
        }),
    );
    let edge = edge(router);

    let first = edge.answer_to(CLIENT, request("/")).await;
    let id = header(&first, "x-request-id").to_owned();
    assert_eq!(text(first).await, id);

    let second = edge.answer_to(CLIENT, request("/")).await;
    assert_ne!(header(&second, "x-request-id"), id);
}

#[tokio::test]
async fn a_body_is_made_under_the_id_of_its_request() {
    let id =
        || stream::iter([()]).map(|()| Ok::<_, std::io::Error>(request_id::current().unwrap().to_string()));
    let edge = edge(Router::new().route("/", get(move || async move { Body::from_stream(id()) })));

    let answer = edge.answer_to(CLIENT, request("/")).await;

    let id = header(&answer, "x-request-id").to_owned();
    assert_eq!(text(answer).await, id);
}

#[tokio::test]
async fn only_a_trusted_proxy_gives_the_id() {
    let edge = edge(Router::new().route("/", get(|| async {})));
    let with_id = |id: &str| Request::get("/").header("x-request-id", id).body(Body::empty()).unwrap();

    let trusted = edge.answer_to(PROXY, with_id("from-nginx")).await;
    assert_eq!(header(&trusted, "x-request-id"), "from-nginx");

    let malformed = edge.answer_to(PROXY, with_id("a b")).await;
    assert_ne!(header(&malformed, "x-request-id"), "a b");

    let stranger = edge.answer_to(CLIENT, with_id("from-nginx")).await;
    assert_ne!(header(&stranger, "x-request-id"), "from-nginx");
}

#[tokio::test]
async fn the_handler_learns_the_client_behind_the_proxy() {
    let router = Router::new()
        .route("/", get(|Extension(client): Extension<ClientAddress>| async move { client.0.to_string() }));
    let edge = edge(router);
    let forwarded =
        || Request::get("/").header("x-forwarded-for", "198.51.100.7").body(Body::empty()).unwrap();

    assert_eq!(text(edge.answer_to(PROXY, forwarded()).await).await, "198.51.100.7");
    assert_eq!(text(edge.answer_to(CLIENT, forwarded()).await).await, "192.0.2.1");
}

#[tokio::test]
async fn a_place_is_taken_until_the_body_of_the_answer_ends() {
    let limits = HttpLimits { max_in_flight: 1, ..HttpLimits::default() };
    let edge = Edge::new(Router::new().route("/", get(endless)), options(limits));

    let first = edge.answer_to(CLIENT, request("/")).await;
    assert_eq!(first.status(), StatusCode::OK);

    let second = edge.answer_to(OTHER, request("/")).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&second, "retry-after"), "1");
    assert_eq!(text(second).await, "Overloaded");

    drop(first);
    assert_eq!(edge.answer_to(OTHER, request("/")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn one_client_cannot_take_all_places() {
    let limits = HttpLimits { max_in_flight: 8, max_in_flight_per_address: 1, ..HttpLimits::default() };
    let edge = Edge::new(Router::new().route("/", get(endless)), options(limits));
    let _first = edge.answer_to(CLIENT, request("/")).await;

    let second = edge.answer_to(CLIENT, request("/")).await;

    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&second, "retry-after"), "1");
    assert_eq!(text(second).await, format!("{:?}", Refusal::TooManyFromAddress));
    assert_eq!(edge.answer_to(OTHER, request("/")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_panic_is_an_answer_and_frees_its_place() {
    async fn broken() {
        panic!("on purpose");
    }
    let limits = HttpLimits { max_in_flight: 1, ..HttpLimits::default() };
    let router = Router::new().route("/", get(broken)).route("/fine", get(|| async {}));
    let edge = Edge::new(router, options(limits));

    let answer = edge.answer_to(CLIENT, request("/")).await;

    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.headers().contains_key("x-request-id"));
    assert_eq!(text(answer).await, "Panicked");
    assert_eq!(edge.answer_to(CLIENT, request("/fine")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_falls_silent_is_an_error() {
    let router = Router::new().route(
        "/",
        post(|body: Body| async move {
            let error = to_bytes(body, 1 << 20).await.unwrap_err();
            assert!(BodyIdle::caused(&error), "{error:?}");
            StatusCode::REQUEST_TIMEOUT
        }),
    );
    let silent = Request::post("/").body(endless().await).unwrap();

    let answer = edge(router).answer_to(CLIENT, silent).await;

    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

/// A body of `count` pieces, with a pause before each.
fn paced(piece: Vec<u8>, pause: Duration, count: usize) -> Body {
    let ticks = tokio::time::interval_at(tokio::time::Instant::now() + pause, pause);
    let pieces = stream::unfold((ticks, Bytes::from(piece)), |(mut ticks, piece)| async move {
        ticks.tick().await;
        Some((Ok::<_, std::io::Error>(piece.clone()), (ticks, piece)))
    });
    Body::from_stream(pieces.take(count))
}

#[tokio::test(start_paused = true)]
async fn a_body_may_pause_but_not_drip() {
    let read = |body: Body| async move {
        match to_bytes(body, 1 << 20).await {
            Ok(bytes) => bytes.len().to_string(),
            Err(error) => BodyIdle::caused(&error).to_string(),
        }
    };
    let edge = edge(Router::new().route("/", post(read)));
    let put = |body: Body| edge.answer_to(CLIENT, Request::post("/").body(body).unwrap());

    let pausing = paced(vec![0; 64 << 10], Duration::from_secs(50), 10);
    assert_eq!(text(put(pausing).await).await, (640 << 10).to_string());

    let began = tokio::time::Instant::now();
    let dripping = paced(vec![0], Duration::from_secs(50), 1_000);
    assert_eq!(text(put(dripping).await).await, "true");
    assert_eq!(began.elapsed().as_secs(), 60);
}

async fn listening(edge: Edge) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let stop = shutdown.clone();
    shutdown.spawn(async move { edge.serve(listener, &stop).await });
    (address, shutdown)
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn http1_clients_are_answered_with_their_address_known() {
    let router = Router::new()
        .route("/", get(|Extension(peer): Extension<PeerAddress>| async move { peer.0.to_string() }));
    let (address, _shutdown) = listening(edge(router)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();

    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();

    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn http2_clients_are_answered_without_tls() {
    let router = Router::new().route("/", get(|version: Version| async move { format!("{version:?}") }));
    let (address, shutdown) = listening(edge(router)).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    shutdown.spawn(async move { connection.await.unwrap() });

    let request = Request::get("http://hub/").body(Body::empty()).unwrap();
    let answer = send.send_request(request).await.unwrap();

    assert_eq!(text(answer.map(Body::new)).await, "HTTP/2.0");
    drop(send);
    assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Drained::Finished);
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
}

#[tokio::test]
async fn who_is_refused_may_send_the_rest_and_ask_again() {
    let limits = HttpLimits { max_in_flight: 1, ..HttpLimits::default() };
    let router = Router::new().route("/", get(endless)).route("/fine", get(|| async { "here" }));
    let edge = Edge::new(router, options(limits));
    let (address, _shutdown) = listening(edge.clone()).await;
    let first = edge.answer_to(CLIENT, request("/")).await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /fine HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
    read_until(&mut stream, "Overloaded").await;
    drop(first);
    stream.write_all(&vec![0; 1_000_000]).await.unwrap();
    stream.write_all(b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "here").await;
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let limits = HttpLimits { header_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let (address, _shutdown) = listening(Edge::new(Router::new(), options(limits))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();

    stream.write_all(b"GET / HTTP/1.1\r\nhos").await.unwrap();

    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_ends() {
    let limits = HttpLimits { keep_alive_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let router = Router::new().route("/", get(|| async { "here" }));
    let (address, _shutdown) = listening(Edge::new(router, options(limits))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();

    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();

    assert!(read_all(&mut stream).await.ends_with("here"));
}

#[tokio::test]
async fn an_answer_in_flight_is_finished_at_shutdown() {
    let (entered, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enters, finishes) = (entered.clone(), finish.clone());
    let slow = move || async move {
        enters.notify_one();
        finishes.notified().await;
        "whole"
    };
    let (address, shutdown) = listening(edge(Router::new().route("/", get(slow)))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    entered.notified().await;

    shutdown.begin();
    finish.notify_one();
    let answer = read_all(&mut stream).await;

    assert!(answer.ends_with("whole"), "{answer}");
    assert_eq!(shutdown.drain(Duration::from_secs(10)).await, Drained::Finished);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_takes_too_long_at_shutdown_is_cut_off() {
    let (address, shutdown) = listening(edge(Router::new().route("/", get(endless)))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    stream.read_u8().await.unwrap();

    let drained = shutdown.drain(Duration::from_millis(50)).await;

    assert_eq!(drained, Drained::CutOff { tasks: 1 });
    assert!(!read_all(&mut stream).await.ends_with("0\r\n\r\n"));
}
