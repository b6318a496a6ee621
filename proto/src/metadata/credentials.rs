//! Secrets that stand for a user or a robot instead of a password: access tokens, robots and sessions. What is kept of
//! a secret is its SHA-256, from which nobody gets it back, because it has 256 random bits.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, Action, CredentialId, EventId, Namespace, RepositoryName, RobotName};
use serde::{Deserialize, Serialize};

pub use client::CredentialsClient;
pub use trust::{Audience, ClaimPattern, Issuer, MAX_CLAIMS, MAX_TRUSTS, RequiredClaims, Trust, TrustError};

use super::{AccountError, Actor};
use crate::auth::Subject;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;
mod trust;

/// Credentials that one owner has, at most.
pub const MAX_CREDENTIALS: usize = 200;

/// Patterns of one credential, at most.
pub const MAX_PATTERNS: usize = 32;

/// Characters of a label, at most.
pub const LONGEST_LABEL: usize = 100;

/// Clients that one user is logged in with and that come back without the password, at most: beyond that, the one that
/// was away longest is forgotten. They are not among the [`MAX_CREDENTIALS`].
pub const MAX_OFFLINE: usize = 50;

/// A client that is away for so long has to log in again.
pub const LONGEST_ABSENCE: Duration = Duration::from_hours(90 * 24);

/// How long a revocation is told: longer than any token lives, and than two clocks differ.
pub const REVOCATIONS_KEPT: Duration = Duration::from_mins(15);

/// The credentials of users and namespaces, and what was revoked of late.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Keeps a credential. Durable when it returns. A robot's name is free again once it is revoked or has expired.
    ///
    /// # Errors
    /// `OwnerUnknown`; `CredentialExists` if the namespace has a robot of that name; `CredentialUnknown` if it is to end
    /// with another one that is not there; `TooMany`, of robots with a trust more than [`MAX_TRUSTS`];
    /// `AccountChanged` if the user has another revision; `Conflict`; `Unavailable`.
    async fn put_credential(&self, new: &NewCredential, actor: &Actor) -> Result<(), AccountError>;

    /// Those of an owner, the oldest first, expired ones too until they are removed.
    ///
    /// # Errors
    /// `OwnerUnknown`; `Unavailable`.
    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<Credential>, AccountError>;

    /// Removes a credential, with those that end with it, and tells it to whoever asks for revocations: tokens that were
    /// given for them are refused from then on.
    ///
    /// # Errors
    /// `CredentialUnknown`; `Conflict`; `Unavailable`.
    async fn revoke_credential(
        &self,
        owner: &CredentialOwner,
        id: &CredentialId,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Notes when credentials were used last. May be lost with the power; those that are gone are passed over.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn used(&self, uses: &[CredentialUse]) -> Result<(), AccountError>;

    /// What was revoked after the event `after`, or within [`REVOCATIONS_KEPT`], the oldest first, at most 1,000.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, AccountError>;
}

/// The SHA-256 of a secret.
pub type SecretHash = [u8; 32];

/// A credential that is not kept yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// What it will be known by.
    pub id: CredentialId,
    /// Of its secret.
    pub hash: SecretHash,
    /// For whom it stands.
    pub holder: Holder,
    /// What people call it, at most [`LONGEST_LABEL`] characters.
    pub label: String,
    /// What it may be used for, at most.
    pub limits: Limits,
    /// When it ends; none: when it is revoked.
    pub expires: Option<Timestamp>,
    /// Of a robot that nobody has the secret of: whose tokens are as good.
    pub trust: Option<Trust>,
    /// What the revision of the user must still be, for one that is given for a password.
    pub revision: Option<i64>,
}

/// For whom a credential stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A user, who made it for a program: within its limits it may what the user may.
    User(AccountName),
    /// A user who has signed in: it may what the user may.
    Session(AccountName),
    /// A robot: it may what its limits say, in its own namespace, and nothing else.
    Robot(RobotName),
    /// A client that a user has logged in with, and that comes back without the password: within its limits it may what
    /// the user may.
    Offline {
        /// The user.
        user: AccountName,
        /// The access token that it has logged in with, and with which it ends. None: the password; it ends when that
        /// is changed.
        through: Option<CredentialId>,
    },
}

impl Holder {
    /// The `sub` of tokens that are given for it.
    pub fn subject(&self) -> Subject {
        match self {
            Self::User(name) | Self::Session(name) | Self::Offline { user: name, .. } => {
                Subject::User(name.clone())
            }
            Self::Robot(name) => Subject::Robot(name.clone()),
        }
    }

    /// In whose list it is.
    pub fn owner(&self) -> CredentialOwner {
        match self {
            Self::User(name) | Self::Session(name) | Self::Offline { user: name, .. } => {
                CredentialOwner::User(name.clone())
            }
            Self::Robot(name) => CredentialOwner::Robots(name.namespace()),
        }
    }
}

/// Whose list of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialOwner {
    /// A user's access tokens, sessions and clients.
    User(AccountName),
    /// A namespace's robots.
    Robots(Namespace),
}

/// What a credential may be used for, at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Repositories, each a name or the beginning of names that ends with `*`; none: all. At most [`MAX_PATTERNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryPattern>,
    /// What may be done there.
    #[serde(default)]
    pub actions: BTreeSet<Permission>,
}

/// What may be done with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Remove tags and manifests.
    Delete,
    /// Use the management API on behalf of the user.
    Manage,
}

impl Permission {
    /// All of them: what a session may.
    pub const ALL: [Self; 4] = [Self::Pull, Self::Push, Self::Delete, Self::Manage];

    /// What a token must allow.
    pub fn action(self) -> Option<Action> {
        match self {
            Self::Pull => Some(Action::Pull),
            Self::Push => Some(Action::Push),
            Self::Delete => Some(Action::Delete),
            Self::Manage => None,
        }
    }
}

impl Limits {
    /// No limits: what a session has.
    pub fn none() -> Self {
        Self { repositories: Vec::new(), actions: Permission::ALL.into() }
    }

    /// Whether `action` on `repository` is within them.
    pub fn allow(&self, repository: &RepositoryName, action: Action) -> bool {
        let named = self.repositories.is_empty()
            || self.repositories.iter().any(|pattern| pattern.matches(repository));
        named && self.actions.iter().any(|permission| permission.action() == Some(action))
    }
}

/// A repository, or all whose names begin so: `team/app`, `team/*`, `team/app-*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryPattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pattern for repositories: write a name such as team/app, or the beginning of names and one `*` at the end"
)]
pub struct RepositoryPatternError(String);

impl RepositoryPattern {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &RepositoryName) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.as_str().starts_with(beginning),
            None => self.0 == name.as_str(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RepositoryPattern {
    type Error = RepositoryPatternError;

    fn try_from(text: String) -> Result<Self, RepositoryPatternError> {
        let bad = || RepositoryPatternError(text.chars().take(128).collect());
        let whole = match text.strip_suffix('*') {
            // Some name begins so.
            Some(beginning) => format!("{beginning}x"),
            None => text.clone(),
        };
        let name: RepositoryName = whole.parse().map_err(|_| bad())?;
        if !text.contains('/') && text.ends_with('*') {
            return Err(bad());
        }
        Ok(Self(if text.ends_with('*') { text } else { name.to_string() }))
    }
}

impl From<RepositoryPattern> for String {
    fn from(pattern: RepositoryPattern) -> Self {
        pattern.0
    }
}

/// A kept credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is known by.
    pub id: CredentialId,
    /// For whom it stands.
    pub holder: Holder,
    /// What people call it.
    pub label: String,
    /// What it may be used for, at most.
    pub limits: Limits,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, or has ended.
    pub expires: Option<Timestamp>,
    /// When it was used last, to the minute or so.
    pub used: Option<Timestamp>,
    /// Of a robot that nobody has the secret of: whose tokens are as good.
    pub trust: Option<Trust>,
}

impl Credential {
    /// When it ends by itself, unless it is used before: what nobody comes back with is forgotten in the end.
    pub fn ends(&self) -> Option<Timestamp> {
        let last = self.used.map_or(self.created, |used| used.max(self.created));
        let forgotten = matches!(self.holder, Holder::Offline { .. })
            .then(|| last.saturating_add(LONGEST_ABSENCE).unwrap_or(Timestamp::MAX));
        self.expires.into_iter().chain(forgotten).min()
    }

    /// Whether it is good at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.ends().is_none_or(|ends| now < ends)
    }
}

/// A credential was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialUse {
    /// Which.
    pub id: CredentialId,
    /// In whose list it is.
    pub owner: CredentialOwner,
    /// When.
    pub at: Timestamp,
}

/// From when on something is not believed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its place among the others.
    pub id: EventId,
    /// When: what was signed before, or in the same second, counts no more.
    pub at: Timestamp,
    /// What.
    pub what: Revoked,
}

/// What is not believed any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// Tokens given for a credential.
    Credential(CredentialId),
    /// All tokens of a subject: a new password, a disabled account, a role that it has no more.
    Subject(Subject),
    /// All tokens that allow something with what was called so: it is private now, is somebody else's, or is gone.
    Repository(RepositoryName),
}

#[cfg(test)]
mod tests;
