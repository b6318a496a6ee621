//! Who somebody is, and whether they may do what they ask for: the one policy, for the management API and the UI as the
//! tokens are it for the registry. And what takes a secret to do: signing up and in, passwords, access tokens.

use std::{borrow::Cow, net::IpAddr};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, CredentialId, EventId, Namespace, RepositoryName, RobotName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use client::IdentitiesClient;

use super::{Credentials, Subject, federation::ProviderName};
use crate::metadata::{
    Actor, Via,
    accounts::Role,
    credentials::{Credential, Limits, RepositoryPattern, Revocation},
};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Who somebody is, and what they may do.
#[async_trait]
pub trait Identities: Send + Sync + 'static {
    /// Finds out who asks and whether they may do `deed`.
    ///
    /// # Errors
    /// `WrongCredentials`; `AccessTokenNeeded`; `Throttled`; `SignInNeeded`; `Hidden`; `Forbidden`; `Overloaded`;
    /// `Unavailable`.
    async fn authorize(&self, asker: &Asker, deed: &Deed) -> Result<Permit, IdentityError>;

    /// Makes an account, if the hub is open for it, an administrator asks, or there is an invitation.
    ///
    /// # Errors
    /// As `authorize`; `SignUpClosed`; `InvitationUnknown`; `NameTaken`; `NameReserved`; `PasswordRefused`; `EmailRefused`.
    async fn sign_up(&self, asker: &Asker, new: &NewAccount) -> Result<(), IdentityError>;

    /// Another password: the user's own, who says the old one besides, or by an administrator. All tokens and sessions
    /// of the user end; access tokens stay.
    ///
    /// # Errors
    /// As `authorize`; `PasswordRefused`; `AccountUnknown`.
    async fn change_password(&self, asker: &Asker, change: &PasswordChange) -> Result<(), IdentityError>;

    /// Signs a user in by name and password, and by a code if the user has a second factor: a secret for the management
    /// API, for some hours.
    ///
    /// # Errors
    /// `WrongCredentials`; `SecondFactorNeeded`; `WrongCode`; `Throttled`; `Overloaded`; `Unavailable`.
    async fn sign_in(
        &self,
        asker: &Asker,
        code: Option<&SecretString>,
    ) -> Result<IssuedCredential, IdentityError>;

    /// Makes an access token of the asker's, or a robot of a namespace that the asker manages. Its secret is in the
    /// answer and never again anywhere. What the asker's own credential is limited to, it cannot give away.
    ///
    /// # Errors
    /// As `authorize`; `CredentialExists`; `TooMany`; `CredentialRefused`.
    async fn issue_credential(
        &self,
        asker: &Asker,
        wanted: &WantedCredential,
    ) -> Result<IssuedCredential, IdentityError>;

    /// What was revoked after `after`, or of late, the oldest first, at most 1,000.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, IdentityError>;
}

/// Somebody who asks, as they present themselves.
#[derive(Debug, Clone)]
pub struct Asker {
    /// A name and a password or secret; the name is empty if a secret came alone. None: anonymous.
    pub credentials: Option<Credentials>,
    /// From where.
    pub address: Option<IpAddr>,
    /// Through which door.
    pub via: Via,
}

/// What somebody wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Whatever anybody may who has signed in: to see themselves, and whose members they are.
    SignedIn,
    /// To see and change all users, and the hub, and to see what was done in it.
    ManageHub,
    /// To see and change what is a user's own: profile, access tokens, sessions.
    ManageAccount(AccountName),
    /// To make an organization.
    CreateOrganization,
    /// To see who belongs to a namespace.
    SeeNamespace(Namespace),
    /// To make repositories in a namespace, to change it, its members, teams and robots, to see what was done in it.
    ManageNamespace(Namespace),
    /// To take a user out of an organization: whoever manages it may, and the user.
    RemoveMember(Namespace, AccountName),
    /// To see and pull a repository.
    ReadRepository(RepositoryName),
    /// To push to a repository, or to change its description.
    WriteRepository(RepositoryName),
    /// To delete tags and manifests of a repository.
    DeleteFromRepository(RepositoryName),
    /// To change a repository and who may use it.
    ManageRepository(RepositoryName),
}

/// That somebody may do what they asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// On whose behalf.
    pub subject: Subject,
    /// What the subject may do besides its own.
    pub role: Role,
    /// The credential that was presented; none: a password, or nothing.
    pub credential: Option<CredentialId>,
    /// The actor of writes that follow.
    pub actor: Actor,
    /// Of the private repositories that the subject may read: which may be read with this credential.
    pub reads: Reads,
}

/// Which private repositories something is good for, of those that its holder may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reads {
    /// For none.
    #[default]
    Public,
    /// For all.
    All,
    /// For those that one of these matches.
    Within(Vec<RepositoryPattern>),
}

/// An account that somebody wants.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name.
    pub name: AccountName,
    /// The password, 10 to 256 characters.
    pub password: SecretString,
    /// Where to write to, or empty.
    pub email: String,
    /// Administrators may make administrators.
    pub role: Role,
    /// The secret of an invitation.
    pub invitation: Option<SecretString>,
}

/// Another password for somebody.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// Whose.
    pub name: AccountName,
    /// The old one; administrators need not know that of others.
    pub old: Option<SecretString>,
    /// The new one, 10 to 256 characters.
    pub new: SecretString,
}

/// A credential that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCredential {
    /// A robot's name; none: an access token of the asker's.
    pub robot: Option<RobotName>,
    /// What people call it.
    pub label: String,
    /// What it may be used for, at most.
    pub limits: Limits,
    /// When it ends; none: when it is revoked.
    pub expires: Option<Timestamp>,
}

/// A credential with its secret.
#[derive(Debug, Clone)]
pub struct IssuedCredential {
    /// The secret: the kind, and 64 hexadecimal digits, as `bucket_pat_…`, `bucket_robot_…` or `bucket_session_…`.
    pub secret: SecretString,
    /// What is kept of it.
    pub credential: Credential,
}

/// What a caller of [`Identities`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum IdentityError {
    /// No such user, a wrong password or secret, a disabled account: which of them is not said.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// The password is right, and a code of the second factor must be sent with it.
    #[error("this account has a second factor: send its code, or a recovery code, as `code` besides")]
    SecondFactorNeeded,
    /// The password is right, and not enough.
    #[error(
        "this account has a second factor, so that its password alone is not enough: use an access token, or sign in with \
         a code"
    )]
    AccessTokenNeeded,
    /// The code is not good, or not any more.
    #[error("this code is wrong, too old, or was used before")]
    WrongCode,
    /// A second factor counts already.
    #[error("there is a second factor already; remove it first")]
    SecondFactorExists,
    /// There is none.
    #[error("there is no second factor to confirm or remove; start one first")]
    SecondFactorMissing,
    /// What a mail said is not good (any more).
    #[error("this link was used, has ended, or never was one; ask for another mail")]
    TicketUnknown,
    /// There is no such invitation.
    #[error("this invitation was used or revoked, has ended, or never was one; ask for another")]
    InvitationUnknown,
    /// There is nowhere to write to.
    #[error("there is no e-mail address; set one first")]
    NoEmail,
    /// Nothing can be sent.
    #[error("this hub sends no mail; ask an administrator")]
    NoMail,
    /// Too many wrong passwords were tried lately, for this account or from this address.
    #[error("too many failed logins")]
    Throttled {
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// Nobody in particular may not do this.
    #[error("sign in to {missing}")]
    SignInNeeded {
        /// What may not be done.
        missing: String,
    },
    /// There is no such thing, or the asker may not know of it.
    #[error("there is no {what}")]
    Hidden {
        /// What was asked for.
        what: String,
    },
    /// The asker may see it, but not do this with it.
    #[error("{subject} may not {missing}")]
    Forbidden {
        /// Who asks.
        subject: String,
        /// What may not be done.
        missing: String,
    },
    /// Accounts are made by administrators only.
    #[error("this hub takes no sign-ups; an administrator can make an account")]
    SignUpClosed,
    /// Another user or organization has the name.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Nobody may have the name.
    #[error("the name {name} is reserved")]
    NameReserved {
        /// The name.
        name: String,
    },
    /// The password is too short, too long, or much like the name.
    #[error("this password cannot be used: {why}")]
    PasswordRefused {
        /// Why.
        why: String,
    },
    /// The e-mail address cannot be one.
    #[error("this e-mail address cannot be used: {why}")]
    EmailRefused {
        /// Why.
        why: String,
    },
    /// There is no such account.
    #[error("there is no user {name}")]
    AccountUnknown {
        /// The name.
        name: AccountName,
    },
    /// The namespace has a robot of that name.
    #[error("there is a robot {name} already; revoke it first")]
    CredentialExists {
        /// The name.
        name: RobotName,
    },
    /// A label, limit or time cannot be used.
    #[error("this access token or robot cannot be made: {why}")]
    CredentialRefused {
        /// Why.
        why: String,
    },
    /// There is no such provider of identities.
    #[error("there is no provider {provider}; /api/v1/providers lists those that there are")]
    ProviderUnknown {
        /// What was asked for.
        provider: ProviderName,
    },
    /// The browser came back without what it was sent away with, or too late.
    #[error("this sign-in cannot be finished: {why}; begin it again")]
    FlowInvalid {
        /// Why.
        why: Cow<'static, str>,
    },
    /// The provider says that it is not so, or what it says is not believed.
    #[error("{provider} has not signed you in: {why}")]
    ProviderRefused {
        /// Which.
        provider: ProviderName,
        /// Why.
        why: String,
    },
    /// Nobody here has the identity, and no account is made for it.
    #[error(
        "no user has this identity of {provider} yet, and {why}; sign in to your account here and link the identity to it"
    )]
    LinkNeeded {
        /// Of which provider.
        provider: ProviderName,
        /// Why no account is made.
        why: String,
    },
    /// Another user has the identity.
    #[error("another user has this identity; unlink it there first")]
    IdentityTaken,
    /// The token of a workload is not as good as a secret.
    #[error("this token is not accepted: {why}")]
    WorkloadRefused {
        /// Why.
        why: Cow<'static, str>,
    },
    /// The owner has as many as one may have.
    #[error("there are {limit} already, as many as there may be")]
    TooMany {
        /// How many.
        limit: usize,
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
