//! What people do about their own accounts: second factors, e-mail addresses and forgotten passwords; and invitations,
//! by which others make theirs.

use async_trait::async_trait;
use oci::{AccountName, InvitationId, Namespace};
use secrecy::SecretString;

pub use client::SelfServiceClient;

use super::{IdentityError, identities::Asker};
use crate::metadata::invitations::{Invitation, Joining};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// What people do about their own accounts.
#[async_trait]
pub trait SelfService: Send + Sync + 'static {
    /// What the asker has as a second factor.
    ///
    /// # Errors
    /// As `Identities::authorize`.
    async fn second_factor(&self, asker: &Asker) -> Result<SecondFactorStatus, IdentityError>;

    /// Makes a second factor for the asker, who says the password besides. It counts once it is confirmed; one that was
    /// not confirmed is forgotten.
    ///
    /// # Errors
    /// As `Identities::authorize`; `WrongCredentials`; `SecondFactorExists`.
    async fn start_second_factor(
        &self,
        asker: &Asker,
        password: &SecretString,
    ) -> Result<ProposedFactor, IdentityError>;

    /// Makes the second factor count from now on, and answers recovery codes for when it is lost. All sessions and tokens
    /// of the asker end; access tokens stay.
    ///
    /// # Errors
    /// As `Identities::authorize`; `WrongCode`; `SecondFactorMissing` if none was started; `SecondFactorExists`.
    async fn finish_second_factor(
        &self,
        asker: &Asker,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, IdentityError>;

    /// Removes a second factor: the asker's own, who says password and code, or that of somebody else, by an
    /// administrator.
    ///
    /// # Errors
    /// As `Identities::authorize`; `WrongCredentials`; `WrongCode`; `AccountUnknown`.
    async fn drop_second_factor(&self, asker: &Asker, drop: &FactorDrop) -> Result<(), IdentityError>;

    /// Sends a mail to the asker's e-mail address, unless it is verified already: whoever reads it can verify it, and
    /// choose another password by that. So the asker says the password besides.
    ///
    /// # Errors
    /// As `Identities::authorize`; `WrongCredentials`; `NoMail`; `NoEmail`; `Throttled`; `Overloaded`.
    async fn ask_verification(&self, asker: &Asker, password: &SecretString) -> Result<(), IdentityError>;

    /// The e-mail address is verified that a mail with this secret was sent to. Who asks does not matter.
    ///
    /// # Errors
    /// `TicketUnknown`; `Throttled`; `Unavailable`.
    async fn confirm_email(&self, asker: &Asker, secret: &SecretString) -> Result<(), IdentityError>;

    /// Sends a mail to the active users who have verified the address, or to the one of that name who has verified one:
    /// whoever reads it can choose another password. Whether there are any is not told, neither by the answer nor by how
    /// long it takes.
    ///
    /// # Errors
    /// `NoMail`; `Throttled`; `Overloaded`.
    async fn ask_reset(&self, asker: &Asker, of: &str) -> Result<(), IdentityError>;

    /// Another password for whoever a mail with this secret was sent to. All sessions and tokens end; access tokens
    /// and the second factor stay.
    ///
    /// # Errors
    /// `TicketUnknown`; `PasswordRefused`; `Throttled`; `Overloaded`; `Unavailable`.
    async fn reset(
        &self,
        asker: &Asker,
        secret: &SecretString,
        new: &SecretString,
    ) -> Result<(), IdentityError>;

    /// Invites somebody to make an account: to the hub, by an administrator, or into an organization, by one of its
    /// owners.
    ///
    /// # Errors
    /// As `Identities::authorize`; `SignUpClosed` if only administrators may let people in; `EmailRefused`; `TooMany`;
    /// `Throttled` if the asker has sent too many by mail.
    async fn invite(&self, asker: &Asker, wanted: &WantedInvitation)
    -> Result<MadeInvitation, IdentityError>;

    /// Invitations that wait, into an organization or, without one, to the hub alone; the oldest first.
    ///
    /// # Errors
    /// As `Identities::authorize`.
    async fn invited(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
    ) -> Result<Vec<Invitation>, IdentityError>;

    /// Revokes an invitation. Repeating it is harmless.
    ///
    /// # Errors
    /// As `Identities::authorize`.
    async fn uninvite(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
        id: &InvitationId,
    ) -> Result<(), IdentityError>;
}

/// What somebody has as a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondFactorStatus {
    /// Whether signing in takes a code.
    pub active: bool,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
}

/// A second factor that does not count yet.
#[derive(Debug, Clone)]
pub struct ProposedFactor {
    /// The secret in base 32, for who types it.
    pub secret: SecretString,
    /// The same as `otpauth://…`, for who scans it.
    pub url: SecretString,
}

/// A second factor that is to go.
#[derive(Debug, Clone)]
pub struct FactorDrop {
    /// Whose.
    pub user: AccountName,
    /// Administrators need not know that of others.
    pub password: Option<SecretString>,
    /// The same.
    pub code: Option<SecretString>,
}

/// An invitation that somebody wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedInvitation {
    /// Where to send it, or empty.
    pub email: String,
    /// Into an organization; none: to the hub alone.
    pub joining: Option<Joining>,
}

/// An invitation that was made.
#[derive(Debug, Clone)]
pub struct MadeInvitation {
    /// What is kept of it.
    pub invitation: Invitation,
    /// Its secret, to be told to whoever is invited; none: it is on its way by mail.
    pub secret: Option<SecretString>,
}
