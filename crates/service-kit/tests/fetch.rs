//! What other servers answer: nothing follows their redirects, and nothing reads without end.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use service_kit::fetch::{Endpoint, FetchError, Fetcher, LONGEST_ANSWER_BYTES, Shown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// A server that answers one request; what it was asked comes from the task.
async fn answering(answer: Vec<u8>) -> (Endpoint, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/token", listener.local_addr().unwrap()).parse().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut asked, mut read) = (Vec::new(), [0; 4096]);
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut read).await.unwrap();
            asked.extend_from_slice(&read[..length]);
        }
        // Who has read enough closes, whatever is left.
        let _ = stream.write_all(&answer).await;
        String::from_utf8(asked).unwrap()
    });
    (endpoint, task)
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_no_way() {
    let answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (endpoint, asked) = answering(answer.to_vec()).await;
    let fetched = Fetcher::default().get(&endpoint, Shown::Nothing).await.unwrap();
    assert_eq!((fetched.status, fetched.body.len()), (302, 0));
    assert!(asked.await.unwrap().starts_with("GET /token HTTP/1.1\r\n"));
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(LONGEST_ANSWER_BYTES + 1000, b'x');
    let (endpoint, _) = answering(answer).await;
    assert_eq!(Fetcher::default().get(&endpoint, Shown::Nothing).await, Err(FetchError::TooLong));
}

#[tokio::test]
async fn a_name_and_a_password_are_written_as_in_a_form() {
    let (endpoint, asked) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()).await;
    let shown = Shown::Basic("hub:1", &"s cret".into());
    let fetched = Fetcher::default().post_form(&endpoint, &[("code", "a&b")], shown).await.unwrap();

    assert_eq!(&fetched.body[..], b"{}");
    assert!(!format!("{fetched:?}").contains("{}"), "a body is not printed");
    let asked = asked.await.unwrap();
    // printf 'hub%3A1:s+cret' | base64
    assert!(asked.to_lowercase().contains("authorization: basic ahvijtnbmtpzk2nyzxq="), "{asked}");
    assert!(asked.contains("application/x-www-form-urlencoded"), "{asked}");
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint =
        format!("http://{}/?code=secret", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = Fetcher::default().get(&endpoint, Shown::Nothing).await.unwrap_err();
    assert!(matches!(&error, FetchError::Unanswered(why) if !why.contains("secret")), "{error}");
}
