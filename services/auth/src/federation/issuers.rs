//! What is known of an issuer: where it is asked (OpenID Connect Discovery) and its public keys. Read when it is needed,
//! kept for a time, and read again for a key that is not known, but not more often than strangers may make us ask.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use proto::metadata::credentials::Issuer;
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::{
    clock::Clock,
    fetch::{Endpoint, EndpointError, FetchError, Fetcher, Shown},
};
use tokio::{sync::Semaphore, time::timeout};

use super::token::{self, Believed, Disbelief, Head, Keys};

/// How long what was read is not asked for again.
const FRESH: Duration = Duration::from_hours(1);

/// How long what was read is used while the issuer does not answer.
const USABLE: Duration = Duration::from_hours(24);

/// Between two tries to read.
const AGAIN: Duration = Duration::from_secs(10);

/// How long one waits for another who reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// An issuer, and what is known of it.
pub(crate) struct KnownIssuer {
    pub(crate) issuer: Issuer,
    /// One reads, the others wait for it.
    reading: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read: Option<(Arc<Discovered>, Timestamp)>,
    tried: Option<Timestamp>,
}

/// What an issuer says of itself.
pub(crate) struct Discovered {
    pub(crate) document: Document,
    pub(crate) keys: Keys,
}

/// The part of the discovery document that is used.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    issuer: String,
    jwks_uri: String,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
}

/// Why nothing is known of an issuer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("its answer has the status {0}")]
    Status(u16),
    #[error("its discovery document or key set cannot be read")]
    Unreadable,
    #[error("it calls itself {0:?}")]
    Misnamed(String),
    #[error("it was asked a moment ago")]
    Lately,
}

/// Why a token of an issuer is of no use.
#[derive(Debug)]
pub(crate) enum TokenError {
    Disbelieved(Disbelief),
    /// Nothing is known of the issuer, and the log says why.
    Unknown,
}

/// What is asked by, and when.
pub(crate) struct Means<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) clock: &'a dyn Clock,
}

impl KnownIssuer {
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self { issuer, reading: Semaphore::new(1), state: Mutex::default() }
    }

    /// Reads a token that it has signed.
    pub(crate) async fn believed(
        &self,
        token: &SecretString,
        means: &Means<'_>,
    ) -> Result<Believed, TokenError> {
        let head = Head::read(token).map_err(TokenError::Disbelieved)?;
        let known = self.known(Some(&head), means).await.map_err(|_| TokenError::Unknown)?;
        let believed = token::believed(token, &head, &known.keys, (&self.issuer, means.clock.now()));
        believed.map_err(TokenError::Disbelieved)
    }

    /// What is known of it, read again if it is old or has not the key that `head` names.
    pub(crate) async fn known(
        &self,
        head: Option<&Head>,
        means: &Means<'_>,
    ) -> Result<Arc<Discovered>, IssuerError> {
        if let Some(known) = self.fresh(head, means.clock.now()) {
            return Ok(known);
        }
        // Whoever does not get a turn goes on with what there is.
        let _turn = timeout(PATIENCE, self.reading.acquire()).await;
        let now = means.clock.now();
        if let Some(known) = self.fresh(head, now) {
            return Ok(known);
        }
        let outcome =
            if self.may_try(now) { self.read(means.fetcher).await } else { Err(IssuerError::Lately) };
        match outcome {
            Ok(read) => {
                let read = Arc::new(read);
                self.state().read = Some((Arc::clone(&read), now));
                Ok(read)
            }
            Err(error) => self.usable(now).ok_or_else(|| {
                tracing::warn!(issuer = %self.issuer, %error, "an issuer cannot be asked");
                error
            }),
        }
    }

    fn fresh(&self, head: Option<&Head>, now: Timestamp) -> Option<Arc<Discovered>> {
        let known = self.younger(FRESH, now)?;
        head.is_none_or(|head| known.keys.have(head)).then_some(known)
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<Discovered>> {
        self.younger(USABLE, now)
    }

    fn younger(&self, than: Duration, now: Timestamp) -> Option<Arc<Discovered>> {
        let state = self.state();
        let (known, read) = state.read.as_ref()?;
        (now.duration_since(*read).unsigned_abs() < than).then(|| Arc::clone(known))
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let lately = state.tried.is_some_and(|tried| now.duration_since(tried).unsigned_abs() < AGAIN);
        if !lately {
            state.tried = Some(now);
        }
        !lately
    }

    async fn read(&self, fetcher: &Fetcher) -> Result<Discovered, IssuerError> {
        let base = self.issuer.as_str().trim_end_matches('/');
        let document = fetched(fetcher, &format!("{base}/.well-known/openid-configuration")).await?;
        let document: Document = serde_json::from_slice(&document).map_err(|_| IssuerError::Unreadable)?;
        if document.issuer != self.issuer.as_str() {
            return Err(IssuerError::Misnamed(document.issuer.chars().take(255).collect()));
        }

        let keys = fetched(fetcher, &document.jwks_uri).await?;
        let keys = Keys::read(&keys).ok_or(IssuerError::Unreadable)?;
        Ok(Discovered { document, keys })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetched(fetcher: &Fetcher, address: &str) -> Result<Vec<u8>, IssuerError> {
    let endpoint: Endpoint = address.parse()?;
    let answer = fetcher.get(&endpoint, Shown::Nothing).await?;
    if answer.status == 200 { Ok(answer.body.to_vec()) } else { Err(IssuerError::Status(answer.status)) }
}
