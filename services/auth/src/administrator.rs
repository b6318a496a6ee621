//! The first administrator: made on the first start, by a conditional create, so that replicas that start
//! together make one.

use oci::AccountName;
use proto::metadata::{
    AccountError, Accounts, Actor, Standing,
    accounts::{AccessQuestion, Account, FactsOf, Role},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

use crate::{
    operator,
    password::{HashError, Passwords},
    secret,
};

/// An administrator who does not exist yet.
#[derive(Debug)]
pub struct NewAdministrator {
    account: Account,
    password: SecretString,
    origin: Origin,
}

/// Where the password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operator has set it.
    Given,
    /// It was generated, and nobody has seen it yet.
    Generated,
}

/// Who was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// This process.
    Here,
    /// Another replica, with a password of its own.
    Elsewhere,
}

/// Why the administrator cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// Metadata did not answer.
    #[error("creating the administrator: {0}")]
    Metadata(#[from] AccountError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The given password is too short to keep anybody out.
    #[error("the administrator's password must have at least 8 characters")]
    TooShort,
    /// It would be taken for an access token.
    #[error("the administrator's password must not begin with bucket_pat_, bucket_robot_ or bucket_session_")]
    LikeASecret,
}

/// The administrator to create, or none if the account exists: its password is left as it is then.
///
/// # Errors
/// `TooShort`; `LikeASecret`; `Metadata`; `Hash`.
pub async fn missing(
    accounts: &dyn Accounts,
    name: &AccountName,
    given: Option<&SecretString>,
    passwords: &Passwords,
    random: &dyn Random,
) -> Result<Option<NewAdministrator>, AdministratorError> {
    let asker = FactsOf::User(name.clone());
    let question = AccessQuestion { asker, repositories: Vec::new(), namespaces: Vec::new() };
    if accounts.access_facts(&question).await?.account.is_some() {
        return Ok(None);
    }

    let (password, origin) = match given {
        Some(given) if given.expose_secret().chars().count() < 8 => return Err(AdministratorError::TooShort),
        Some(given) if secret::hash_of_secret(given).is_some() => {
            return Err(AdministratorError::LikeASecret);
        }
        Some(given) => (given.clone(), Origin::Given),
        None => (operator::password(random), Origin::Generated),
    };
    let password_hash = passwords.hash(&password, random)?;
    let (role, standing) = (Role::Administrator, Standing::Active);
    let account = Account { name: name.clone(), password_hash, role, standing };
    Ok(Some(NewAdministrator { account, password, origin }))
}

impl NewAdministrator {
    /// The name to log in with.
    pub fn name(&self) -> &AccountName {
        &self.account.name
    }

    /// The generated password, if it was: shown before `create`, because a process that dies in between
    /// shows another one at the next start, while the other way round nobody would ever know it.
    pub fn generated_password(&self) -> Option<&SecretString> {
        match self.origin {
            Origin::Generated => Some(&self.password),
            Origin::Given => None,
        }
    }

    /// Creates the account, unless another replica was first.
    ///
    /// # Errors
    /// `Metadata`.
    pub async fn create(self, accounts: &dyn Accounts) -> Result<Created, AdministratorError> {
        match accounts.create_account(&self.account, &Actor::service()).await {
            Ok(()) => Ok(Created::Here),
            Err(AccountError::NameTaken { .. }) => Ok(Created::Elsewhere),
            Err(error) => Err(error.into()),
        }
    }
}
