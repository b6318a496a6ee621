//! Who users are elsewhere: an issuer's word for somebody, and the user who has it here. A user may have several, and
//! each is one user's.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use oci::AccountName;
use serde::{Deserialize, Serialize};

pub use client::FederatedIdentitiesClient;

use super::{
    AccountError, Actor,
    accounts::Account,
    credentials::{Issuer, LONGEST_LABEL},
};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Identities of one user, at most.
pub const MAX_IDENTITIES: usize = 20;

/// Characters of what an issuer calls somebody by (OpenID Connect Core §2).
pub const LONGEST_SUBJECT: usize = 255;

/// Who users are elsewhere.
#[async_trait]
pub trait FederatedIdentities: Send + Sync + 'static {
    /// The user who has an identity; none: it is nobody's.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn identity_user(&self, id: &IdentityId) -> Result<Option<AccountName>, AccountError>;

    /// Creates a user who has an identity, both or neither: what a crash has left of it is completed by doing it again
    /// with the same identity, and by nobody else. Durable when it returns.
    ///
    /// # Errors
    /// `NameTaken`; `NameReserved`; `IdentityTaken`; `Unavailable`.
    async fn create_federated_account(
        &self,
        account: &Account,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Gives a user an identity. Doing it again is harmless. Durable when it returns.
    ///
    /// # Errors
    /// `AccountUnknown`; `IdentityTaken` if another user has it; `TooMany`; `Conflict`; `Unavailable`.
    async fn link_identity(
        &self,
        user: &AccountName,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Those of a user, the oldest first.
    ///
    /// # Errors
    /// `AccountUnknown`; `Unavailable`.
    async fn identities(&self, user: &AccountName) -> Result<Vec<LinkedIdentity>, AccountError>;

    /// Takes an identity from a user. Durable when it returns.
    ///
    /// # Errors
    /// `AccountUnknown`; `IdentityUnknown`; `LastWayIn` if the user has no password and no other; `Conflict`;
    /// `Unavailable`.
    async fn unlink_identity(
        &self,
        user: &AccountName,
        id: &IdentityId,
        actor: &Actor,
    ) -> Result<(), AccountError>;
}

/// An issuer's word for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignIdentity {
    /// Who says it.
    pub issuer: Issuer,
    /// For whom.
    pub subject: ForeignSubject,
}

impl ForeignIdentity {
    /// What it is known by.
    pub fn id(&self) -> IdentityId {
        let text = format!("{}\0{}", self.issuer, self.subject);
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        IdentityId(id)
    }
}

/// What an issuer calls somebody by, for good: 1 to [`LONGEST_SUBJECT`] characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForeignSubject(String);

/// Why a text is no identity or part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignIdentityError {
    /// No issuer calls anybody so.
    #[error("a subject has 1 to {LONGEST_SUBJECT} characters without control characters")]
    Subject,
    /// It is no SHA-256.
    #[error("an identity is known by 64 hexadecimal digits, of lower case")]
    Id,
}

impl FromStr for ForeignSubject {
    type Err = ForeignIdentityError;

    fn from_str(text: &str) -> Result<Self, ForeignIdentityError> {
        let length = text.chars().count();
        let good = (1..=LONGEST_SUBJECT).contains(&length) && !text.contains(char::is_control);
        if good { Ok(Self(text.to_owned())) } else { Err(ForeignIdentityError::Subject) }
    }
}

impl TryFrom<String> for ForeignSubject {
    type Error = ForeignIdentityError;

    fn try_from(text: String) -> Result<Self, ForeignIdentityError> {
        text.parse()
    }
}

impl From<ForeignSubject> for String {
    fn from(subject: ForeignSubject) -> Self {
        subject.0
    }
}

impl fmt::Display for ForeignSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What an identity is known by: the SHA-256 of the issuer, NUL and the subject, written in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityId([u8; 32]);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for IdentityId {
    type Err = ForeignIdentityError;

    fn from_str(text: &str) -> Result<Self, ForeignIdentityError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let pairs = text.as_bytes().chunks_exact(2);
        let read: Option<Vec<u8>> = pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
        let read = read.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
        read.map(Self).ok_or(ForeignIdentityError::Id)
    }
}

impl TryFrom<String> for IdentityId {
    type Error = ForeignIdentityError;

    fn try_from(text: String) -> Result<Self, ForeignIdentityError> {
        text.parse()
    }
}

impl From<IdentityId> for String {
    fn from(id: IdentityId) -> Self {
        id.to_string()
    }
}

/// An identity that is not kept yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Which.
    pub identity: ForeignIdentity,
    /// What its issuer calls the user among people, at most [`LONGEST_LABEL`] characters; perhaps empty.
    pub label: String,
}

impl NewIdentity {
    /// An identity with as much of the label as may be kept.
    pub fn new(identity: ForeignIdentity, label: &str) -> Self {
        let label = label.chars().filter(|character| !character.is_control()).take(LONGEST_LABEL).collect();
        Self { identity, label }
    }
}

/// A kept identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedIdentity {
    /// Which.
    pub identity: ForeignIdentity,
    /// What its issuer called the user when it was linked.
    pub label: String,
    /// When that was.
    pub linked: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::{ForeignIdentity, IdentityId};

    #[test]
    fn an_identity_is_known_by_its_hash() {
        let identity = |subject: &str| ForeignIdentity {
            issuer: "https://id.example.com".parse().unwrap(),
            subject: subject.parse().unwrap(),
        };
        // printf 'https://id.example.com\0ann' | sha256sum
        let known = "e7fa150bf2820e93d7aee58ff5d5184e2dd977c91562ac94e72ccfc156c84d43";
        assert_eq!(identity("ann").id().to_string(), known);
        assert_eq!(known.parse::<IdentityId>(), Ok(identity("ann").id()));
        assert_ne!(identity("bob").id(), identity("ann").id());
        for bad in ["", "00", &known.to_uppercase(), &known[1..], &format!("{known}00")] {
            assert!(bad.parse::<IdentityId>().is_err(), "{bad}");
        }
    }
}
