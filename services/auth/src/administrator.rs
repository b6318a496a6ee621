//! The first administrator: made on the first start, by a conditional create, so that replicas that start
//! together make one.

use oci::AccountName;
use proto::metadata::{
    AccountError, Accounts, Standing,
    accounts::{AccessQuestion, Account, Role},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

use crate::password::{HashError, Passwords};

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
}

/// The administrator to create, or none if the account exists: its password is left as it is then.
///
/// # Errors
/// `TooShort`; `Metadata`; `Hash`.
pub async fn missing(
    accounts: &dyn Accounts,
    name: &AccountName,
    given: Option<&SecretString>,
    passwords: &Passwords,
    random: &dyn Random,
) -> Result<Option<NewAdministrator>, AdministratorError> {
    let question = AccessQuestion { account: Some(name.clone()), repositories: Vec::new() };
    if accounts.access_facts(&question).await?.account.is_some() {
        return Ok(None);
    }

    let (password, origin) = match given {
        Some(given) if given.expose_secret().chars().count() < 8 => return Err(AdministratorError::TooShort),
        Some(given) => (given.clone(), Origin::Given),
        None => (generated(random), Origin::Generated),
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
        match accounts.create_account(&self.account).await {
            Ok(()) => Ok(Created::Here),
            Err(AccountError::NameTaken { .. }) => Ok(Created::Elsewhere),
            Err(error) => Err(error.into()),
        }
    }
}

/// 20 characters of 32: a hundred bits, in groups, without those that look alike.
fn generated(random: &dyn Random) -> SecretString {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 20];
    random.fill(&mut bytes);

    let characters: Vec<char> =
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = characters.chunks(5).map(|group| group.iter().collect()).collect();
    SecretString::from(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::generated;
    use secrecy::ExposeSecret as _;
    use service_kit::random::SeededRandom;

    #[test]
    fn a_generated_password_has_four_groups_of_five_and_is_never_the_same() {
        let random = SeededRandom::new(1);
        let (one, two) = (generated(&random), generated(&random));
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert_eq!(one.expose_secret().split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5]);
    }
}
