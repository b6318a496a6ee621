//! Users as people and administrators see them: without their passwords.

use async_trait::async_trait;
use jiff::Timestamp;
use oci::AccountName;
use secrecy::SecretString;

pub use client::UsersClient;

use super::{AccountError, Actor, Page, PageRequest, Standing, accounts::Role};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Characters of a display name, at most.
pub const LONGEST_DISPLAY_NAME: usize = 100;

/// Characters of an e-mail address, at most (RFC 5321 §4.5.3.1.3).
pub const LONGEST_EMAIL: usize = 254;

/// Users. Who may change them is not decided here.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// A user, if there is one.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn user(&self, name: &AccountName) -> Result<Option<User>, AccountError>;

    /// All users, by name.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn users(&self, page: &PageRequest<AccountName>) -> Result<Page<User>, AccountError>;

    /// Changes a user, all or nothing. A new password, and a role or standing that allows less, is told as a revocation
    /// of the user's tokens; a new password ends the user's sessions too. Another e-mail address is not verified. The last
    /// active administrator stays one.
    ///
    /// # Errors
    /// `AccountUnknown`; `LastAdministrator`; `Conflict`; `Unavailable`.
    async fn change_user(
        &self,
        name: &AccountName,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<(), AccountError>;
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: AccountName,
    /// What the user may do besides its own.
    pub role: Role,
    /// Whether the account may be used.
    pub standing: Standing,
    /// What is said of the user.
    pub profile: Profile,
    /// When the account was made.
    pub created: Timestamp,
    /// Whether a mail to the address has reached the user.
    pub email_verified: bool,
    /// Whether signing in takes a code.
    pub second_factor: bool,
}

/// What is said of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// What the user is called among people, at most [`LONGEST_DISPLAY_NAME`] characters.
    pub display_name: String,
    /// Where to write to, at most [`LONGEST_EMAIL`] characters. For the user and administrators only.
    pub email: String,
}

/// What is to be changed; none: it stays.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// Another profile.
    pub profile: Option<Profile>,
    /// Another role.
    pub role: Option<Role>,
    /// Whether the account may be used.
    pub standing: Option<Standing>,
    /// PHC string of another password.
    pub password_hash: Option<SecretString>,
}
