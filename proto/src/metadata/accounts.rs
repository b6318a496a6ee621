//! Users, and the keys that sign tokens. Only auth calls it.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::{AccountName, CredentialId, Namespace, RepositoryName, RobotName, TeamName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use client::AccountsClient;

use super::{
    Actor, Standing, Visibility,
    credentials::{Credential, SecretHash},
    federation::IdentityId,
    organizations::{Level, MemberRole},
    proofs::SecondFactor,
};
use crate::auth::{KeyId, VerificationKey};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// What an account has instead of a hash that nobody gets into by a password.
pub const NO_PASSWORD: &str = "!";

/// Users, and the keys that sign tokens.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Creates a user, if its name is free: two that try at once, one succeeds. Durable when it returns.
    ///
    /// # Errors
    /// `NameTaken`; `NameReserved`; `Unavailable`.
    async fn create_account(&self, account: &Account, actor: &Actor) -> Result<(), AccountError>;

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

    /// Keeps `key` after `of`, which signs until the new one does. If `of` is not the newest key any more, nothing
    /// changes: of two that try at once, one succeeds. Answers all keys that are kept then. Durable when it returns.
    ///
    /// # Errors
    /// `Conflict`; `Unavailable`.
    async fn succeed_signing_key(
        &self,
        of: &KeyId,
        key: &SigningKey,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError>;

    /// Says that `of` is to sign until `at` and no longer, so that auth makes the next one. If it is not the newest key
    /// any more, nothing changes. Answers all keys that are kept then. Durable when it returns.
    ///
    /// # Errors
    /// `SigningKeyUnknown`; `Conflict`; `Unavailable`.
    async fn retire_signing_key(
        &self,
        of: &KeyId,
        at: Timestamp,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError>;

    /// Removes those of the keys that are kept, but never the newest one: what they have signed is not believed any
    /// more. Answers all keys that are kept then. Durable when it returns.
    ///
    /// # Errors
    /// `Conflict`; `Unavailable`.
    async fn remove_signing_keys(
        &self,
        ids: &[KeyId],
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError>;
}

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name, shared with the namespace of its repositories.
    pub name: AccountName,
    /// PHC string of the password, or [`NO_PASSWORD`].
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

/// What a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessQuestion {
    /// Who asks.
    pub asker: FactsOf,
    /// For what.
    pub repositories: Vec<RepositoryName>,
    /// And for what namespaces, besides those of the repositories.
    pub namespaces: Vec<Namespace>,
}

/// Whom facts are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactsOf {
    /// Nobody in particular.
    Anonymous,
    /// A user, by name.
    User(AccountName),
    /// Whoever has a credential, by the hash of its secret.
    Credential(SecretHash),
}

/// What it is decided by.
#[derive(Debug, Clone, Default)]
pub struct AccessFacts {
    /// The user who asks, or for whom the credential stands, or in whose namespace the robot is; none if there is no such
    /// account.
    pub account: Option<Account>,
    /// The credential, if it was asked for one and that is kept. It may have expired.
    pub credential: Option<Credential>,
    /// In the order asked.
    pub repositories: Vec<RepositoryFacts>,
    /// In the order asked.
    pub namespaces: Vec<NamespaceFacts>,
    /// What the account must prove besides its password, if anything.
    pub second_factor: Option<SecondFactor>,
    /// Of the account: another one after each change that ends what was begun before.
    pub revision: i64,
}

/// What is known of a repository and the user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Which.
    pub name: RepositoryName,
    /// None: there is no such repository.
    pub visibility: Option<Visibility>,
    /// What its namespace is, and what the user is there.
    pub namespace: NamespaceFacts,
    /// The highest right that the user was given on it, alone or through teams.
    pub level: Option<Level>,
    /// What was called so, under its name of now; only if there is no such repository.
    pub moved: Option<Box<RepositoryFacts>>,
}

/// What is known of a namespace and the user who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Which.
    pub name: Namespace,
    /// None: nobody has it.
    pub kind: Option<NamespaceKind>,
    /// What the user is in it, if it is an organization.
    pub role: Option<MemberRole>,
}

/// What a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceKind {
    /// A user's own.
    User,
    /// An organization.
    Organization,
}

/// A key that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its public half.
    pub verification: VerificationKey,
    /// Its private half, sealed by a secret that metadata never has.
    pub sealed_private_key: Bytes,
    /// When it was made: the newest key is the one that was made last.
    pub created: Timestamp,
    /// Tokens are signed with it from then on. Before, it is only told, so that whoever verifies knows it in time.
    pub from: Timestamp,
    /// And until then; none: until another one follows.
    pub until: Option<Timestamp>,
    /// The key that follows it.
    pub next: Option<KeyId>,
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
        name: Namespace,
    },
    /// Nobody may have the name.
    #[error("the name {name} is reserved")]
    NameReserved {
        /// The name asked for.
        name: Namespace,
    },
    /// There is no such user.
    #[error("there is no user {name}")]
    AccountUnknown {
        /// The name.
        name: AccountName,
    },
    /// There is no such organization.
    #[error("there is no organization {name}")]
    OrganizationUnknown {
        /// The name.
        name: Namespace,
    },
    /// Neither a user nor an organization has that name.
    #[error("there is no user and no organization {name}")]
    OwnerUnknown {
        /// The name.
        name: Namespace,
    },
    /// The user is not in that organization.
    #[error("{user} is not a member of {organization}")]
    MemberUnknown {
        /// The organization.
        organization: Namespace,
        /// The user.
        user: AccountName,
    },
    /// The organization has no such team.
    #[error("{organization} has no team {team}")]
    TeamUnknown {
        /// The organization.
        organization: Namespace,
        /// The team.
        team: TeamName,
    },
    /// There is no such repository.
    #[error("there is no repository {repository}")]
    RepositoryUnknown {
        /// The name.
        repository: RepositoryName,
    },
    /// An organization without an owner could not be managed by anybody.
    #[error("{user} is the last owner of {organization}; make somebody else an owner first")]
    LastOwner {
        /// The organization.
        organization: Namespace,
        /// Its owner.
        user: AccountName,
    },
    /// A hub without an administrator could not be managed by anybody.
    #[error("{user} is the last administrator; make somebody else one first")]
    LastAdministrator {
        /// The administrator.
        user: AccountName,
    },
    /// The namespace has a robot of that name.
    #[error("there is a robot {name} already")]
    CredentialExists {
        /// The name.
        name: RobotName,
    },
    /// The owner has no such credential.
    #[error("there is no access token, robot or session {id}")]
    CredentialUnknown {
        /// What it is known by.
        id: CredentialId,
    },
    /// Another user has the identity.
    #[error("another user has this identity; unlink it there first")]
    IdentityTaken,
    /// The user has no such identity.
    #[error("there is no identity {id}")]
    IdentityUnknown {
        /// What it is known by.
        id: IdentityId,
    },
    /// An account without a password and without an identity could not be used by anybody.
    #[error("{user} has no password and no other identity; link another one first")]
    LastWayIn {
        /// Who.
        user: AccountName,
    },
    /// There is no such signing key.
    #[error("there is no signing key {}", id.0)]
    SigningKeyUnknown {
        /// Its name.
        id: KeyId,
    },
    /// A second factor counts already.
    #[error("{user} has a second factor already")]
    SecondFactorExists {
        /// Who.
        user: AccountName,
    },
    /// No second factor like that counts or was proposed.
    #[error("{user} has no such second factor")]
    SecondFactorUnknown {
        /// Who.
        user: AccountName,
    },
    /// A code is good once.
    #[error("this code of {user} was used before")]
    CodeSpent {
        /// Whose.
        user: AccountName,
    },
    /// What a mail said is not good (any more).
    #[error("this link was used, has ended, or never was one")]
    TicketUnknown,
    /// There is no such invitation.
    #[error("this invitation was used or revoked, has ended, or never was one")]
    InvitationUnknown,
    /// The account is not what it was when this was begun.
    #[error("the account {user} has changed meanwhile")]
    AccountChanged {
        /// Whose.
        user: AccountName,
    },
    /// There are as many as there may be.
    #[error("there are {limit} {what} already, as many as there may be")]
    TooMany {
        /// Of what.
        what: String,
        /// How many.
        limit: usize,
    },
    /// Others wrote the same again and again; trying once more may help.
    #[error("too many writers at once while {attempted}")]
    Conflict {
        /// What was attempted.
        attempted: Cow<'static, str>,
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
