//! Speaking with a server whose bodies are too large to be held: they stream both ways, pauses are bounded instead of
//! lengths, and no redirect is followed. It knows no caller, does nothing twice and prints no header.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::{
    Body, Client, Response,
    header::{CONTENT_LENGTH, HeaderValue},
    redirect::Policy,
};

use crate::fetch::told;

const CONNECT: Duration = Duration::from_secs(5);
/// Within what a request must be sent and its answer begin, and what may lie between two pieces of the answer.
const ANSWER: Duration = Duration::from_mins(2);
/// Servers close what is idle for longer, often after a minute.
const IDLE: Duration = Duration::from_secs(30);

/// What is done to what is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reading it.
    Get,
    /// Asking about it.
    Head,
    /// Writing it.
    Put,
    /// Telling it something.
    Post,
    /// Removing it.
    Delete,
}

/// What is asked of a server. Headers may be secret, and what is behind the `?` of the address too.
#[derive(Clone)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// The address.
    pub url: String,
    /// Beside those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// The body, in pieces.
    pub body: Vec<Bytes>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, _) = self.url.split_once('?').unwrap_or((&self.url, ""));
        write!(f, "{:?} {address}", self.method)
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// No request can be made: there are no roots of trust on this machine.
    #[error("no connection can be secured: {0}")]
    Unusable(String),
    /// No request can be made of this.
    #[error("the request cannot be written: {0}")]
    Unwritable(&'static str),
    /// It did not come, or broke off.
    #[error("there is no answer: {0}")]
    Unanswered(String),
    /// It is longer than any that is waited for.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

/// What a server has answered, of which the body is still to come.
pub struct Answer(Response);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The status, 100 to 599.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// The body, if it has at most `most` bytes.
    ///
    /// # Errors
    /// `Unanswered`; `TooLong`.
    pub async fn body(mut self, most: usize) -> Result<Bytes, ExchangeError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.0.chunk().await.map_err(|error| unanswered(&error))? {
            if body.len().saturating_add(piece.len()) > most {
                return Err(ExchangeError::TooLong(most));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The body as it comes: all of it, or an error at the end.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, ExchangeError>> {
        self.0.bytes_stream().map_err(|error| unanswered(&error)).boxed()
    }
}

/// Speaks with servers, over connections that are kept for a while. Clones share them.
#[derive(Debug, Clone)]
pub struct Exchange(Client);

impl Exchange {
    /// One without connections.
    ///
    /// # Errors
    /// `Unusable`.
    pub fn new() -> Result<Self, ExchangeError> {
        let builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(ANSWER)
            .pool_idle_timeout(IDLE)
            .user_agent("bucket");
        builder.build().map(Self).map_err(|error| ExchangeError::Unusable(told(&error)))
    }

    /// Sends `request`; answers as soon as the head of the answer is there.
    ///
    /// # Errors
    /// `Unwritable`; `Unanswered`.
    pub async fn ask(&self, request: Request) -> Result<Answer, ExchangeError> {
        let Request { method, url, headers, body } = request;
        let mut builder = self.0.request(method.into(), url);
        for (name, value) in headers {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| ExchangeError::Unwritable("a header has a character that none may have"))?;
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        if matches!(method, Method::Put | Method::Post) {
            // Said by us, because pieces alone would be sent as of unknown length.
            let size_bytes: usize = body.iter().map(Bytes::len).sum();
            builder = builder.header(CONTENT_LENGTH, size_bytes);
        }
        if !body.is_empty() {
            builder =
                builder.body(Body::wrap_stream(stream::iter(body.into_iter().map(Ok::<_, ExchangeError>))));
        }
        builder.send().await.map(Answer).map_err(|error| unanswered(&error))
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Put => Self::PUT,
            Method::Post => Self::POST,
            Method::Delete => Self::DELETE,
        }
    }
}

fn unanswered(error: &reqwest::Error) -> ExchangeError {
    ExchangeError::Unanswered(told(error))
}
