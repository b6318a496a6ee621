//! Bodies that stream both ways: their lengths are said, and what breaks off is no end.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use service_kit::exchange::{Exchange, ExchangeError, Method, Request};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// A server that reads one request up to `ends`, and answers it; what it was asked comes from the task.
async fn answering(answer: &'static str, ends: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/account/key?secret=1", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut asked, mut read) = (Vec::new(), [0; 4096]);
        while !asked.ends_with(ends.as_bytes()) {
            let length = stream.read(&mut read).await.unwrap();
            asked.extend_from_slice(&read[..length]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, task)
}

fn request(method: Method, url: String, body: Vec<Bytes>) -> Request {
    Request { method, url, headers: vec![("x-auth-token", "of the hub".to_owned())], body }
}

#[tokio::test]
async fn pieces_are_one_body_of_a_length_that_is_said() {
    let (url, asked) =
        answering("HTTP/1.1 201 Created\r\netag: abc\r\ncontent-length: 0\r\n\r\n", "two").await;
    let request = request(Method::Put, url, vec![Bytes::from_static(b"one, "), Bytes::from_static(b"two")]);
    let printed = format!("{request:?}");

    let answer = Exchange::new().unwrap().ask(request).await.unwrap();

    assert_eq!((answer.status(), answer.header("etag"), answer.header("x")), (201, Some("abc"), None));
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.starts_with("put /account/key?secret=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-length: 8\r\n") && !asked.contains("transfer-encoding"), "{asked}");
    assert!(asked.contains("x-auth-token: of the hub\r\n") && asked.ends_with("\r\n\r\none, two"), "{asked}");
    assert!(!printed.contains("hub") && !printed.contains("secret"), "{printed}");
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_with_an_error() {
    let (url, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "\r\n\r\n").await;

    let answer = Exchange::new().unwrap().ask(request(Method::Get, url, Vec::new())).await.unwrap();
    let read = answer.stream().try_collect::<Vec<Bytes>>().await;

    assert!(matches!(read, Err(ExchangeError::Unanswered(_))), "{read:?}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    for (most, expected) in [(4, Err(ExchangeError::TooLong(4))), (5, Ok(Bytes::from_static(b"whole")))] {
        let (url, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole", "\r\n\r\n").await;
        let answer = Exchange::new().unwrap().ask(request(Method::Get, url, Vec::new())).await.unwrap();
        assert_eq!(answer.body(most).await, expected);
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_written_is_refused_and_not_shown() {
    let headers = vec![("x-auth-token", "of the\nhub".to_owned())];
    let request =
        Request { method: Method::Get, url: "http://127.0.0.1:1/".to_owned(), headers, body: Vec::new() };

    let refused = Exchange::new().unwrap().ask(request).await.unwrap_err();

    assert!(
        matches!(refused, ExchangeError::Unwritable(_)) && !refused.to_string().contains("hub"),
        "{refused}"
    );
}
