//! The handoff port on the wire: what a source says becomes statuses, lengths and ranges.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use rstest::rstest;
use service_kit::{
    handoff::{self, Asked, Found, Refused, Source},
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Answers by the last part of the path, and remembers what was asked.
#[derive(Default)]
struct Scripted(Mutex<Vec<String>>);

#[async_trait]
impl Source for Scripted {
    async fn find(&self, asked: Asked<'_>) -> Result<Found, Refused> {
        let Asked { path, query, range } = asked;
        self.0.lock().unwrap().push(format!("{path} {query} {range:?}"));
        let found = |part, text: &'static str| Found {
            size_bytes: 10,
            part,
            body: Box::pin(stream::iter([Ok(Bytes::from_static(text.as_bytes()))])),
        };
        match path {
            "a/whole" => Ok(found(None, "0123456789")),
            "a/part" => Ok(found(Some(2..=4), "234")),
            "a/forged" => Err(Refused::NotGranted),
            "a/range" => Err(Refused::Unsatisfiable { size_bytes: 10 }),
            "a/broken" => Err(Refused::Unavailable),
            _ => Err(Refused::Missing),
        }
    }
}

async fn port(source: &Arc<Scripted>) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let (source, until) = (Arc::clone(source), shutdown.clone());
    shutdown.spawn(async move { handoff::serve(listener, source, &until).await });
    (address, shutdown)
}

/// Everything that is answered to one request.
async fn asked(address: SocketAddr, target: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: x\r\nrange: bytes=2-4\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer.to_ascii_lowercase()
}

#[rstest]
#[case("/handoff/a/whole?b=c", "200", &["content-length: 10\r\n", "\r\n\r\n0123456789"])]
#[case("/handoff/a/part", "206", &["content-length: 3\r\n", "content-range: bytes 2-4/10\r\n", "\r\n\r\n234"])]
#[case("/handoff/a/forged", "403", &["no right"])]
#[case("/handoff/a/gone", "404", &["nothing is there"])]
#[case("/handoff/a/range", "416", &["content-range: bytes */10\r\n"])]
#[case("/handoff/a/broken", "503", &["try again"])]
#[case("/elsewhere", "404", &[])]
#[tokio::test]
async fn what_the_source_says_is_what_http_says(
    #[case] target: &str,
    #[case] status: &str,
    #[case] parts: &[&str],
) {
    let source = Arc::<Scripted>::default();
    let (address, shutdown) = port(&source).await;

    let answer = asked(address, target).await;

    assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
    for part in parts {
        assert!(answer.contains(part), "no {part:?} in {answer}");
    }
    assert_eq!(answer.contains("content-range"), ["206", "416"].contains(&status), "{answer}");
    shutdown.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_source_sees_path_query_and_range() {
    let source = Arc::<Scripted>::default();
    let (address, shutdown) = port(&source).await;

    let _ = asked(address, "/handoff/a/b:c+/d?e=f/g&h=1").await;

    assert_eq!(source.0.lock().unwrap()[..], ["a/b:c+/d e=f/g&h=1 Some(\"bytes=2-4\")"]);
    shutdown.drain(Duration::from_secs(5)).await;
}
