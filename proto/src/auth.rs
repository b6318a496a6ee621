//! What the auth service offers: tokens, and the public keys by which everyone verifies them alone.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, NameError, RobotName, Scope};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use service_kit::grpc::CallerError;

pub use claims::{AccessEntry, Claims};
pub use client::AuthClient;
pub use federation::Federation;
pub use identities::{Identities, IdentityError};
pub use self_service::SelfService;
pub use service_kit::{grpc::ServiceName, jose::PublicKey};

mod claims;
pub mod client;
pub mod federation;
pub mod identities;
pub mod self_service;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Who may do what.
#[async_trait]
pub trait Auth: Send + Sync + 'static {
    /// Issues a token for the part of the asked scopes that the subject has, possibly none. Whoever has shown a password
    /// or an access token gets a refresh token too, if they want one; it may no more than what they have shown.
    ///
    /// # Errors
    /// `WrongCredentials`; `AccessTokenNeeded`; `UnknownService`; `Throttled`; `Overloaded`; `Unavailable`.
    async fn token(&self, request: TokenRequest) -> Result<IssuedToken, AuthError>;

    /// The public keys that verify tokens, among them one that is about to be used.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn keys(&self) -> Result<Vec<VerificationKey>, AuthError>;
}

/// For whom something is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Nobody in particular.
    Anonymous,
    /// A user.
    User(AccountName),
    /// A robot of a namespace.
    Robot(RobotName),
    /// A program of another team that calls gRPC itself: no token of the registry is for one.
    Service(ServiceName),
}

/// What the name of a service account follows, as text: no user and no robot has a `:`.
const SERVICE: &str = "service:";

impl fmt::Display for Subject {
    /// The `sub` of a token: empty for anonymous.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => Ok(()),
            Self::User(name) => name.fmt(f),
            Self::Robot(name) => name.fmt(f),
            Self::Service(name) => write!(f, "{SERVICE}{name}"),
        }
    }
}

/// Why a text is no [`Subject`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// No user and no robot.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No service account.
    #[error(transparent)]
    Service(#[from] CallerError),
}

impl FromStr for Subject {
    type Err = SubjectError;

    /// Reads the `sub` of a token.
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if let Some(service) = text.strip_prefix(SERVICE) {
            return Ok(Self::Service(service.parse()?));
        }
        Ok(match text {
            "" => Self::Anonymous,
            robot if robot.contains(RobotName::SEPARATOR) => Self::Robot(robot.parse()?),
            user => Self::User(user.parse()?),
        })
    }
}

/// A name and a password, as given.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// What was given as the name: not parsed, so that a bad name fails like a wrong password.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// What a client asks of the token endpoint.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// None: anonymous.
    pub credentials: Option<Credentials>,
    /// The registry that the token is for.
    pub service: String,
    /// What the client wants to do.
    pub scopes: Vec<Scope>,
    /// Where the client is.
    pub address: Option<IpAddr>,
    /// Whether it wants to come back without the password.
    pub offline: Offline,
}

/// Whether a client wants a refresh token, to ask for tokens without a password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offline {
    /// It does.
    Wanted,
    /// It does not.
    #[default]
    Not,
}

/// A signed token and what it says.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The token itself.
    pub token: SecretString,
    /// For whom it is.
    pub subject: Subject,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// How long it lives from then on, in whole seconds: 60 to 300.
    pub expires_in: Duration,
    /// What stands for the password from now on, if that was wanted and can be had.
    pub refresh_token: Option<SecretString>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    /// RFC 7638 thumbprint: the `kid` of tokens.
    pub id: KeyId,
    /// What kind of key it is says how its tokens are signed.
    pub public_key: PublicKey,
}

/// The name of a signing key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

/// What a caller of [`Auth`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum AuthError {
    /// No such user, a wrong password or a disabled account: which of them is not said.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// The password is right, and not enough.
    #[error("this account has a second factor, so that its password alone is not enough")]
    AccessTokenNeeded,
    /// The token would be for another registry.
    #[error("this token service issues tokens for {known}, not for {asked}")]
    UnknownService {
        /// What the client asked for.
        asked: String,
        /// What it may ask for.
        known: String,
    },
    /// Too many wrong passwords were tried lately, for this account or from this address.
    #[error("too many failed logins")]
    Throttled {
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// Too many passwords are being checked; try again later.
    #[error("too many logins at once")]
    Overloaded {
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// The service or its metadata cannot answer now; retrying may help.
    #[error("auth unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
