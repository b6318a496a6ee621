//! Asking other servers, over HTTPS: answers are bounded in time and length, and no redirect is followed. It knows no
//! caller and keeps nothing.

use std::{error::Error, fmt, net::IpAddr, str::FromStr, sync::OnceLock, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, Url, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};

/// Longer answers are given up.
pub const LONGEST_ANSWER_BYTES: usize = 1 << 20;

/// How long a connection and a whole answer may take.
const CONNECT: Duration = Duration::from_secs(2);
const WHOLE: Duration = Duration::from_secs(5);

/// An address that may be asked: HTTPS, or plain HTTP on this machine. Neither a password nor a fragment is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address to ask: write it as https://host/path; plain http is for this machine alone")]
pub struct EndpointError(String);

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let bad = || EndpointError(text.chars().take(128).collect());
        let url = Url::parse(text).map_err(|_| bad())?;
        let secure = match url.scheme() {
            "https" => url.has_host(),
            "http" => url.host_str().is_some_and(is_loopback),
            _ => false,
        };
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if secure && plain { Ok(Self(url)) } else { Err(bad()) }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

impl Endpoint {
    /// The address with more parameters behind its own.
    pub fn with_parameters(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }
}

/// What was answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The status, 100 to 599.
    pub status: u16,
    /// The body, at most [`LONGEST_ANSWER_BYTES`].
    pub body: Bytes,
}

impl fmt::Debug for Fetched {
    /// Without the body: it may have tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("status", &self.status).finish_non_exhaustive()
    }
}

/// How to show who asks.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// It is not shown.
    Nothing,
    /// By a name and a password, in this form (RFC 6749 §2.3.1 writes both as in a form).
    Basic(&'a str, &'a SecretString),
    /// By a token.
    Bearer(&'a SecretString),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No request can be made: there are no roots of trust on this machine.
    #[error("no connection can be secured: {0}")]
    Unusable(String),
    /// It did not come, or broke off.
    #[error("there is no answer: {0}")]
    Unanswered(String),
    /// It is longer than any that is waited for.
    #[error("the answer has more than {LONGEST_ANSWER_BYTES} bytes")]
    TooLong,
}

/// Asks other servers.
#[derive(Debug, Default)]
pub struct Fetcher(OnceLock<Client>);

impl Fetcher {
    /// Reads what is at an address.
    ///
    /// # Errors
    /// `Unusable`; `Unanswered`; `TooLong`.
    pub async fn get(&self, endpoint: &Endpoint, shown: Shown<'_>) -> Result<Fetched, FetchError> {
        let request = self.client()?.get(endpoint.0.clone()).header("accept", "application/json");
        answered(showing(request, shown)).await
    }

    /// Sends a form to an address.
    ///
    /// # Errors
    /// As `get`.
    pub async fn post_form(
        &self,
        endpoint: &Endpoint,
        form: &[(&str, &str)],
        shown: Shown<'_>,
    ) -> Result<Fetched, FetchError> {
        let request = self.client()?.post(endpoint.0.clone()).header("accept", "application/json");
        answered(showing(request.form(form), shown)).await
    }

    // Made when it is needed first: whoever asks nobody needs no roots of trust.
    fn client(&self) -> Result<Client, FetchError> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let builder = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT).timeout(WHOLE);
        let made =
            builder.user_agent("bucket").build().map_err(|error| FetchError::Unusable(told(&error)))?;
        Ok(self.0.get_or_init(|| made).clone())
    }
}

fn showing(request: RequestBuilder, shown: Shown<'_>) -> RequestBuilder {
    match shown {
        Shown::Nothing => request,
        Shown::Basic(name, password) => {
            request.basic_auth(form_encoded(name), Some(form_encoded(password.expose_secret())))
        }
        Shown::Bearer(token) => request.bearer_auth(token.expose_secret()),
    }
}

fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn answered(request: RequestBuilder) -> Result<Fetched, FetchError> {
    let mut response = request.send().await.map_err(|error| FetchError::Unanswered(told(&error)))?;
    let status = response.status().as_u16();

    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| FetchError::Unanswered(told(&error)))? {
        if body.len() + chunk.len() > LONGEST_ANSWER_BYTES {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, body: body.freeze() })
}

/// The causes, without the address: its parameters may be secret.
pub(crate) fn told(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { "it cannot be asked".to_owned() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Endpoint;

    #[rstest]
    #[case("https://id.example.com/token", true)]
    #[case("http://127.0.0.1:4000/token", true)]
    #[case("http://[::1]:4000/token", true)]
    #[case("http://localhost/token", true)]
    #[case("http://id.example.com/token", false)]
    #[case("http://169.254.169.254/latest", false)]
    #[case("https://user:password@id.example.com/", false)]
    #[case("https://id.example.com/#x", false)]
    #[case("file:///etc/passwd", false)]
    #[case("id.example.com", false)]
    fn plain_http_is_for_this_machine(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<Endpoint>().is_ok(), good);
    }

    #[test]
    fn parameters_come_behind_those_that_are_there() {
        let endpoint: Endpoint = "https://id.example.com/auth?tenant=a".parse().unwrap();
        let with = endpoint.with_parameters(&[("scope", "openid profile"), ("state", "a&b")]);
        assert_eq!(with, "https://id.example.com/auth?tenant=a&scope=openid+profile&state=a%26b");
    }
}
