//! Who somebody is by the word of others: people by a provider of identities (OpenID Connect), workloads by the issuer of
//! their tokens. It knows no browser: what one keeps and where one goes are texts here.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, RobotName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use client::FederationClient;

use super::identities::{Asker, IdentityError, IssuedCredential};
use crate::metadata::credentials::{Credential, Limits, Trust};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Characters of the name of a provider, at most.
pub const LONGEST_PROVIDER: usize = 32;

/// Characters of a path that a browser comes back to, at most.
pub const LONGEST_PATH: usize = 1_024;

/// Signing in and linking by providers, and secrets for workloads.
#[async_trait]
pub trait Federation: Send + Sync + 'static {
    /// Those that one can sign in with, as they are configured.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn providers(&self) -> Result<Vec<Provider>, IdentityError>;

    /// Where a browser goes to sign in or to link an identity to the user who asks, and what it keeps until it comes back.
    /// Any replica finishes what another has begun.
    ///
    /// # Errors
    /// `ProviderUnknown`; to link, as [`Identities::authorize`](super::Identities::authorize); `Unavailable`, also if
    /// the provider does not answer.
    async fn begin(&self, asker: &Asker, wanted: &WantedFlow) -> Result<BegunFlow, IdentityError>;

    /// Signs the user in who has the identity, or makes the user, or links the identity. An identity is known by its issuer
    /// and what that calls it for good, and by nothing else.
    ///
    /// # Errors
    /// `ProviderUnknown`; `FlowInvalid`; `ProviderRefused`; `LinkNeeded`; `IdentityTaken`; `Forbidden` if the account is
    /// disabled; `TooMany`; `Throttled`; `Unavailable`.
    async fn finish(&self, returned: &ReturnedFlow) -> Result<FinishedFlow, IdentityError>;

    /// Makes a robot of a namespace that the asker manages, whose secrets are given for tokens of workloads.
    ///
    /// # Errors
    /// As [`Identities::issue_credential`](super::Identities::issue_credential).
    async fn trust(&self, asker: &Asker, wanted: &WantedTrust) -> Result<Credential, IdentityError>;

    /// A secret of a robot, for an hour at most, for the token of a workload that the robot's trust is about. The same
    /// token may be shown again while it lives.
    ///
    /// # Errors
    /// `WorkloadRefused`; `Throttled`; `Unavailable`.
    async fn exchange(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError>;
}

/// A provider of identities, as people choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// What it is called in addresses.
    pub name: ProviderName,
    /// What people know it as.
    pub label: String,
}

/// Why a text is no part of a flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// It is not what a provider may be called.
    #[error(
        "the name of a provider has 1 to {LONGEST_PROVIDER} characters, of a-z and 0-9 and, between them, single `-`"
    )]
    ProviderName,
    /// A browser must not be sent away by it.
    #[error(
        "a path to return to begins with one `/` and has at most {LONGEST_PATH} characters, without spaces and `\\`"
    )]
    ReturnPath,
}

/// What a provider is called in addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);

impl FromStr for ProviderName {
    type Err = FlowError;

    fn from_str(text: &str) -> Result<Self, FlowError> {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let part = |part: &str| !part.is_empty() && part.bytes().all(alphanumeric);
        let good = text.len() <= LONGEST_PROVIDER && text.split('-').all(part);
        if good { Ok(Self(text.to_owned())) } else { Err(FlowError::ProviderName) }
    }
}

impl TryFrom<String> for ProviderName {
    type Error = FlowError;

    fn try_from(text: String) -> Result<Self, FlowError> {
        text.parse()
    }
}

impl From<ProviderName> for String {
    fn from(name: ProviderName) -> Self {
        name.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A path of this hub: no browser leaves it by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReturnPath(String);

impl FromStr for ReturnPath {
    type Err = FlowError;

    // Browsers take `\` for `/`, leave out what is no graphic character, and take `//host` for another host.
    fn from_str(text: &str) -> Result<Self, FlowError> {
        let graphic = text.len() <= LONGEST_PATH && text.bytes().all(|byte| byte.is_ascii_graphic());
        let local = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
        if graphic && local { Ok(Self(text.to_owned())) } else { Err(FlowError::ReturnPath) }
    }
}

impl TryFrom<String> for ReturnPath {
    type Error = FlowError;

    fn try_from(text: String) -> Result<Self, FlowError> {
        text.parse()
    }
}

impl From<ReturnPath> for String {
    fn from(path: ReturnPath) -> Self {
        path.0
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Default for ReturnPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

/// What an identity is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowPurpose {
    /// To sign in as the user who has it.
    SignIn,
    /// To be given to the user who asks.
    Link,
}

/// A way over a provider that is wanted.
#[derive(Debug, Clone)]
pub struct WantedFlow {
    /// Over which.
    pub provider: ProviderName,
    /// What for.
    pub purpose: FlowPurpose,
    /// Where the provider sends the browser back to: with scheme and host, as it is registered there.
    pub redirect_uri: String,
    /// Where the browser goes when all is done.
    pub return_to: ReturnPath,
    /// For a link: the user's, who has one. Whoever finds a session gets no way in that stays with it.
    pub password: Option<SecretString>,
}

/// A way over a provider that has begun.
#[derive(Debug, Clone)]
pub struct BegunFlow {
    /// Where the browser goes now.
    pub url: String,
    /// What the browser keeps until it comes back; it can neither be read nor made by others.
    pub sealed: SecretString,
    /// For how long.
    pub lifetime: Duration,
}

/// A browser that came back.
#[derive(Debug, Clone)]
pub struct ReturnedFlow {
    /// From which provider.
    pub provider: ProviderName,
    /// What it kept; empty: nothing.
    pub sealed: SecretString,
    /// What it was sent away with, as the provider says it.
    pub state: String,
    /// What the provider answers: a code, or an error's name.
    pub answer: Result<SecretString, String>,
    /// As the provider calls itself in its answer (RFC 9207).
    pub issuer: Option<String>,
    /// Where the browser is.
    pub address: Option<IpAddr>,
}

/// What came of a way over a provider.
#[derive(Debug, Clone)]
pub struct FinishedFlow {
    /// Where the browser goes now.
    pub return_to: ReturnPath,
    /// What has been done.
    pub outcome: FlowOutcome,
}

/// What has been done.
#[derive(Debug, Clone)]
pub enum FlowOutcome {
    /// A user has signed in.
    SignedIn(AccountName, Box<IssuedCredential>),
    /// A user has the identity from now on.
    Linked(AccountName),
}

/// A trust that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTrust {
    /// As which robot workloads log in.
    pub robot: RobotName,
    /// What people call it.
    pub label: String,
    /// Whose tokens are good.
    pub trust: Trust,
    /// What for, at most.
    pub limits: Limits,
}

/// A workload that wants a secret.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Of which robot.
    pub robot: RobotName,
    /// Its own token.
    pub token: SecretString,
    /// Where it is.
    pub address: Option<IpAddr>,
}

/// A secret for a workload.
#[derive(Debug, Clone)]
pub struct ExchangedSecret {
    /// The secret, `bucket_workload_…`: the password of `docker login`, with the name of the robot.
    pub secret: SecretString,
    /// When it ends.
    pub expires: Timestamp,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{ProviderName, ReturnPath};

    #[rstest]
    #[case("/", true)]
    #[case("/repositories?x=1&y=%2F#top", true)]
    #[case("", false)]
    #[case("//example.com", false)]
    #[case("/\\example.com", false)]
    #[case("https://example.com", false)]
    #[case("\t//example.com", false)]
    #[case("/\t/example.com", false)]
    #[case("/ä", false)]
    fn no_browser_leaves_by_a_path_to_return_to(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<ReturnPath>().is_ok(), good);
    }

    #[rstest]
    #[case("acme", true)]
    #[case("acme-sso-2", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a--b", false)]
    #[case("Acme", false)]
    #[case("a/b", false)]
    fn a_provider_is_called_what_an_address_can_have(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<ProviderName>().is_ok(), good);
    }
}
