//! What users prove besides their passwords: second factors, and that mail to an e-mail address reaches them. Secrets are
//! sealed or hashed before they come here. Only auth calls it, and operators.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::AccountName;
use secrecy::SecretString;

pub use client::ProofsClient;

use super::{AccountError, Actor, credentials::SecretHash};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Recovery codes of one second factor, at most.
pub const MAX_RECOVERY_CODES: usize = 10;

/// Users that are found by one e-mail address, at most.
pub const MAX_USERS_OF_EMAIL: usize = 5;

/// What users prove besides their passwords.
#[async_trait]
pub trait Proofs: Send + Sync + 'static {
    /// The second factors of a user.
    ///
    /// # Errors
    /// `AccountUnknown`; `Unavailable`.
    async fn second_factors(&self, user: &AccountName) -> Result<SecondFactors, AccountError>;

    /// Keeps a second factor that counts once it is confirmed, in place of one that was not.
    ///
    /// # Errors
    /// `AccountUnknown`; `SecondFactorExists`; `Conflict`; `Unavailable`.
    async fn propose_second_factor(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Makes the proposed second factor count from now on. Ends what the password alone began: all sessions and tokens
    /// of the user. The code that confirms it is spent.
    ///
    /// # Errors
    /// `AccountUnknown`; `SecondFactorUnknown` if another one, or none, is proposed; `SecondFactorExists`; `Conflict`;
    /// `Unavailable`.
    async fn confirm_second_factor(
        &self,
        user: &AccountName,
        confirmed: &Confirmed,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Uses a code up: of two that use one at once, one succeeds. Durable when it returns.
    ///
    /// # Errors
    /// `CodeSpent` if it was used before, or a later one was; `SecondFactorUnknown` if the user has another one, or none,
    /// by now; `AccountUnknown`; `Conflict`; `Unavailable`.
    async fn spend_code(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<(), AccountError>;

    /// Removes the second factor of a user, the proposed one too, with its recovery codes. Repeating it is harmless.
    ///
    /// # Errors
    /// `AccountUnknown`; `Conflict`; `Unavailable`.
    async fn remove_second_factor(&self, user: &AccountName, actor: &Actor) -> Result<(), AccountError>;

    /// Keeps what a mail says, in place of what an earlier one for the same purpose said.
    ///
    /// # Errors
    /// `AccountUnknown`; `AccountChanged` if the user has another address by now, or has not verified the one that a mail about
    /// another password goes to; `Conflict`; `Unavailable`.
    async fn put_ticket(&self, user: &AccountName, ticket: &Ticket) -> Result<(), AccountError>;

    /// Takes the ticket of a mail, once: its address is verified.
    ///
    /// # Errors
    /// `TicketUnknown` if there is none with that hash, it has ended, or the user has another address by now; `Conflict`;
    /// `Unavailable`.
    async fn verify_email(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Takes the ticket of a mail, once: the user has another password. All sessions and tokens end, as with any new
    /// password; access tokens stay.
    ///
    /// # Errors
    /// `TicketUnknown` if there is none with that hash, it has ended, its address is not the user's verified one any
    /// more, or the account is disabled; `Conflict`; `Unavailable`.
    async fn reset_password(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        password_hash: &SecretString,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// The active users who have verified that address, whatever the case of its letters, at most
    /// [`MAX_USERS_OF_EMAIL`].
    ///
    /// # Errors
    /// `Unavailable`.
    async fn users_of_email(&self, email: &str) -> Result<Vec<AccountName>, AccountError>;

    /// Keeps another hash of the same password, if `from` is what is kept; it ends nothing. May be lost with the power.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn rehash_password(
        &self,
        user: &AccountName,
        from: &SecretString,
        to: &SecretString,
    ) -> Result<(), AccountError>;
}

/// A second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Its secret, sealed by a key that metadata never has.
    pub sealed_secret: Bytes,
}

/// What a user has of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecondFactors {
    /// The one that counts.
    pub active: Option<SecondFactor>,
    /// One that is not confirmed yet.
    pub proposed: Option<SecondFactor>,
    /// Recovery codes of the active one that are left.
    pub recovery_codes: usize,
}

/// A second factor that counts from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// As it was proposed.
    pub factor: SecondFactor,
    /// The time step of the code that confirms it.
    pub step: u64,
    /// Hashes of its recovery codes, at most [`MAX_RECOVERY_CODES`].
    pub recovery_codes: Vec<SecretHash>,
}

/// A code that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Of the time step (RFC 6238 §4.2); later, none of it or of an earlier one is good.
    Step(u64),
    /// A recovery code, by its hash.
    Recovery(SecretHash),
}

/// What is sent by mail, and comes back from whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What for.
    pub purpose: Purpose,
    /// Of its secret.
    pub hash: SecretHash,
    /// When it ends.
    pub expires: Timestamp,
}

/// What a ticket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To verify this address.
    VerifyEmail(String),
    /// To choose another password, by whoever reads mails to this verified address.
    ResetPassword(String),
}
