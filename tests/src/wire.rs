//! HTTP/1.1 byte by byte, for what no client library would send. Reads answers as strictly as it can.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use reqwest::StatusCode;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use crate::raw::Answer;

/// No answer takes so long, and no connection that must be closed stays open for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
#[derive(Debug)]
pub struct Wire {
    /// For requests.
    pub write: OwnedWriteHalf,
    /// For answers.
    pub read: Answers,
}

/// The answers on a connection, in order.
#[derive(Debug)]
pub struct Answers(BufReader<OwnedReadHalf>);

/// What the method of a request says about its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// HEAD: there is no body.
    Head,
    /// Any other.
    Whole,
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let (read, write) = TcpStream::connect(address).await.unwrap().into_split();
        Self { write, read: Answers(BufReader::new(read)) }
    }

    /// Sends bytes. That the other side has closed is no failure: it may have answered before.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.write.write_all(bytes)).await.expect("nobody reads");
    }

    /// Sends bytes and reads one answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn exchange(&mut self, bytes: &[u8]) -> Answer {
        self.send(bytes).await;
        self.read.next(Asked::Whole).await.expect("the connection was closed without an answer")
    }

    /// Sends bytes and nothing more, and reads until the other side closes.
    ///
    /// # Panics
    /// If it does not.
    pub async fn exchange_last(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.send(bytes).await;
        let _ = self.write.shutdown().await;
        self.read.to_end().await
    }
}

impl Answers {
    /// The next answer; none if the connection was closed instead.
    ///
    /// # Panics
    /// If it does not come in time, or is no answer.
    pub async fn next(&mut self, asked: Asked) -> Option<Answer> {
        timeout(PATIENCE, self.read(asked)).await.expect("there is no answer")
    }

    /// All that comes until the other side closes.
    ///
    /// # Panics
    /// If it does not.
    pub async fn to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("the connection stays open");
        bytes
    }

    async fn read(&mut self, asked: Asked) -> Option<Answer> {
        let first = self.line().await?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.unwrap_or_else(|| panic!("{first:?} is no status line")).parse().unwrap();

        let mut headers = BTreeMap::new();
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line:?} is no header"));
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut answer = Answer { status, headers, body: Bytes::new() };
        if asked == Asked::Whole && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            answer.body = self.body(&answer).await;
        }
        Some(answer)
    }

    async fn body(&mut self, answer: &Answer) -> Bytes {
        let length = answer.header("content-length").parse();
        let mut body = vec![0; length.unwrap_or_else(|_| panic!("no length in {answer:?}"))];
        self.0.read_exact(&mut body).await.unwrap_or_else(|error| panic!("{error} in {answer:?}"));
        body.into()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.ok().filter(|read| *read > 0)?;
        Some(String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned())
    }
}
