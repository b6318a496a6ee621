//! Users, and the keys that sign tokens. Only auth calls it.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::{AccountName, RepositoryName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use client::AccountsClient;

use super::{Standing, Visibility};
use crate::auth::VerificationKey;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Users, and the keys that sign tokens.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates a user, if its name is free: two that try at once, one succeeds. Durable when it returns.
    ///
    /// # Errors
    /// `NameTaken`; `NameReserved`; `Unavailable`.
    async fn create_account(&self, account: &Account) -> Result<(), AccountError>;

    /// All that a decision about a token needs, in one call.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn access_facts(&self, question: &AccessQuestion) -> Result<AccessFacts, AccountError>;

    /// Keeps `key` if no signing key is kept yet: of two that try at once, one succeeds. Answers all keys that
    /// are kept then, the oldest first. Durable when it returns.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn found_signing_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError>;

    /// All signing keys, the oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>, AccountError>;
}

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name, shared with the namespace of its repositories.
    pub name: AccountName,
    /// PHC string of the password.
    pub password_hash: SecretString,
    /// What it may do besides its own.
    pub role: Role,
    /// Whether it may be used.
    pub standing: Standing,
}

/// What an account may do besides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing.
    User,
    /// Everything.
    Administrator,
}

/// What a decision about a token depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessQuestion {
    /// Who asks; none: anonymous.
    pub account: Option<AccountName>,
    /// For what.
    pub repositories: Vec<RepositoryName>,
}

/// What it is decided by.
#[derive(Debug, Clone)]
pub struct AccessFacts {
    /// None if there is no such account.
    pub account: Option<Account>,
    /// In the order asked; none: there is no such repository.
    pub repositories: Vec<(RepositoryName, Option<Visibility>)>,
}

/// A key that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its public half.
    pub verification: VerificationKey,
    /// Its private half, sealed by a secret that metadata never has.
    pub sealed_private_key: Bytes,
    /// When it was made.
    pub created: Timestamp,
}

/// What a caller of [`Accounts`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum AccountError {
    /// A user or an organization has the name already.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The name asked for.
        name: AccountName,
    },
    /// Nobody may have the name.
    #[error("the name {name} is reserved")]
    NameReserved {
        /// The name asked for.
        name: AccountName,
    },
    /// A record cannot be read; an operator must look.
    #[error("damaged record: {what}")]
    Damaged {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// The engine is full: freeing space heals it, reads go on.
    #[error("the metadata store has no space left while {attempted}")]
    NoSpace {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// The engine cannot answer now; retrying may help.
    #[error("metadata unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
