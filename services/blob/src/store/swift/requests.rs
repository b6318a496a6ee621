//! Requests to a container, until they are answered: what the server had no time for, or what got lost, is attempted again,
//! and a token that is refused is renewed. It does not know what the requests are for.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use service_kit::exchange::{Answer, Exchange, Method, Request};
use tokio::time::sleep;

use super::{
    credentials::Session,
    failure::Failure,
    sessions::{PAUSES, Sessions},
};
use crate::store::StoreError;

/// What is asked, but for where and by whom.
#[derive(Clone)]
pub(super) struct Asked {
    method: Method,
    /// What of the container; empty: the container itself.
    key: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<Bytes>,
}

/// Whoever asks, of one container.
#[derive(Debug)]
pub(super) struct Requests {
    exchange: Exchange,
    sessions: Sessions,
    container: String,
}

impl Asked {
    pub(super) fn of(method: Method, key: &str) -> Self {
        Self { method, key: key.to_owned(), query: String::new(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(super) fn asking(mut self, parameters: &[(&str, &str)]) -> Self {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        self.query = query.extend_pairs(parameters).finish();
        self
    }

    pub(super) fn sending(mut self, pieces: Vec<Bytes>) -> Self {
        self.body = pieces;
        self
    }
}

impl Requests {
    pub(super) fn new(exchange: Exchange, sessions: Sessions, container: String) -> Self {
        Self { exchange, sessions, container }
    }

    /// Who asks.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Failure> {
        self.sessions.current(None).await
    }

    /// What is answered to whoever asks for `url` and shows nothing: the status, and the whole body.
    pub(super) async fn plainly(&self, url: &str, most: usize) -> Result<(u16, Bytes), Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match self.once(url, most).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            match pauses.next().and_then(|usually| failure.pause(usually)) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    async fn once(&self, url: &str, most: usize) -> Result<(u16, Bytes), Failure> {
        let (method, headers, body) = (Method::Get, Vec::new(), Vec::new());
        let answer = self.exchange.ask(Request { method, url: url.to_owned(), headers, body }).await?;
        let (status, failure) = (answer.status(), Failure::answered(&answer));
        if failure.pause(PAUSES[0]).is_some() {
            return Err(failure);
        }
        Ok((status, answer.body(most).await?))
    }

    /// The whole body of an answer; none if there is no such object.
    pub(super) async fn got(
        &self,
        attempted: &'static str,
        asked: &Asked,
        most: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        let name = if asked.key.is_empty() { &self.container } else { &asked.key };
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match self.answer(asked).await {
                Ok(answer) => match answer.body(most).await {
                    Ok(body) => return Ok(Some(body)),
                    Err(error) => Failure::from(error),
                },
                Err(failure) if failure.status() == Some(404) => return Ok(None),
                Err(failure) => return Err(failure.of(attempted, name)),
            };
            // It has ended too soon.
            match pauses.next().and_then(|usually| failure.pause(usually)) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure.of(attempted, name)),
            }
        }
    }

    /// The answer, if it is that it was done.
    pub(super) async fn answer(&self, asked: &Asked) -> Result<Answer, Failure> {
        let answer = self.attempted(asked).await?;
        if answer.status() < 300 { Ok(answer) } else { Err(Failure::answered(&answer)) }
    }

    /// The first answer that no further attempt would change.
    pub(super) async fn attempted(&self, asked: &Asked) -> Result<Answer, Failure> {
        let (mut pauses, mut refused) = (PAUSES.into_iter(), None);
        loop {
            let session = self.sessions.current(refused.as_ref()).await?;
            let failure = match self.exchange.ask(self.request(asked, &session)).await {
                Ok(answer) if answer.status() == 401 && refused.is_none() => {
                    refused = Some(session);
                    continue;
                }
                Ok(answer) if answer.status() == 401 => return Err(Failure::answered(&answer)),
                Ok(answer) => {
                    let failure = Failure::answered(&answer);
                    if failure.pause(PAUSES[0]).is_none() {
                        return Ok(answer);
                    }
                    failure
                }
                Err(error) => Failure::from(error),
            };
            match pauses.next().and_then(|usually| failure.pause(usually)) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    fn request(&self, asked: &Asked, session: &Session) -> Request {
        let Asked { method, key, query, headers, body } = asked.clone();
        let account = &session.account;
        let path = if key.is_empty() {
            format!("/{}", self.container)
        } else {
            format!("/{}/{key}", self.container)
        };
        let mut headers = headers;
        headers.push(("x-auth-token", session.token.expose_secret().to_owned()));
        Request { method, url: format!("{}{query}", account.below(&path)), headers, body }
    }
}
