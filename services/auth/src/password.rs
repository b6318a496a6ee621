//! Passwords: argon2id, on blocking threads, a bounded number at once.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2, Params, PasswordHasher as _, PasswordVerifier as _,
    password_hash::phc::{PasswordHash, Salt},
};
use proto::auth::AuthError;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;
use tokio::{sync::Semaphore, time::timeout};

use crate::config::Config;

/// How long a login waits for its turn before it is told to come back.
const TURN: Duration = Duration::from_secs(5);

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    params: Params,
    turns: Arc<Semaphore>,
    /// Checked when there is no such user, so that the answer takes as long as for one that exists.
    decoy: SecretString,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Right,
    Wrong,
}

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("hashing the password: {0}")]
pub struct HashError(argon2::password_hash::Error);

impl Passwords {
    pub(crate) fn new(config: &Config, random: &dyn Random) -> Self {
        let params = config.password.params();
        let decoy = hash_with(&params, "no account has this password", random)
            .unwrap_or_else(|_| SecretString::from(String::new()));
        Self { params, turns: Arc::new(Semaphore::new(config.password.concurrent_checks)), decoy }
    }

    /// The PHC string to keep instead of `password`. Takes tens of milliseconds of CPU.
    ///
    /// # Errors
    /// The library refused the salt or the parameters.
    pub fn hash(&self, password: &SecretString, random: &dyn Random) -> Result<SecretString, HashError> {
        hash_with(&self.params, password.expose_secret(), random)
    }

    /// Compares `given` with the kept hash, or with a decoy that nothing matches.
    pub(crate) async fn check(
        &self,
        given: &SecretString,
        kept: Option<&SecretString>,
    ) -> Result<Checked, AuthError> {
        let turn = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(AuthError::Overloaded { retry_after_seconds: 1 });
        };

        let (given, kept) = (given.clone(), kept.unwrap_or(&self.decoy).clone());
        let task = tokio::task::spawn_blocking(move || {
            let checked = verify(&given, &kept);
            drop(turn);
            checked
        });
        task.await.map_err(|_| AuthError::Unavailable { attempted: "checking a password".into() })
    }
}

fn hash_with(params: &Params, password: &str, random: &dyn Random) -> Result<SecretString, HashError> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    let salt = Salt::new(&salt).map_err(|error| HashError(error.into()))?;

    let hasher = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params.clone());
    let hash: PasswordHash = hasher.hash_password_with_salt(password.as_bytes(), &salt).map_err(HashError)?;
    Ok(SecretString::from(hash.to_string()))
}

fn verify(given: &SecretString, kept: &SecretString) -> Checked {
    let Ok(hash) = PasswordHash::new(kept.expose_secret()) else {
        tracing::error!("a kept password hash cannot be read");
        return Checked::Wrong;
    };
    // The parameters come from the hash itself, so that old hashes stay good when the configuration changes.
    match Argon2::default().verify_password(given.expose_secret().as_bytes(), &hash) {
        Ok(()) => Checked::Right,
        Err(_) => Checked::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::{Checked, Passwords};
    use crate::config::Config;
    use secrecy::{ExposeSecret as _, SecretString};
    use service_kit::random::SeededRandom;

    fn passwords() -> (Passwords, SeededRandom) {
        let random = SeededRandom::new(7);
        (Passwords::new(&Config::cheap_for_tests(), &random), random)
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let (passwords, random) = passwords();
        let hash = passwords.hash(&"right".into(), &random).unwrap();

        assert!(hash.expose_secret().starts_with("$argon2id$v=19$"));
        assert_eq!(passwords.check(&"right".into(), Some(&hash)).await, Ok(Checked::Right));
        assert_eq!(passwords.check(&"wrong".into(), Some(&hash)).await, Ok(Checked::Wrong));
    }

    #[tokio::test]
    async fn nothing_matches_the_decoy_or_a_damaged_hash() {
        let (passwords, _) = passwords();
        assert_eq!(passwords.check(&"".into(), None).await, Ok(Checked::Wrong));
        assert_eq!(passwords.check(&"no account has this password!".into(), None).await, Ok(Checked::Wrong));
        let damaged = SecretString::from("$argon2id$");
        assert_eq!(passwords.check(&"".into(), Some(&damaged)).await, Ok(Checked::Wrong));
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let (passwords, random) = passwords();
        let one = passwords.hash(&"same".into(), &random).unwrap();
        let two = passwords.hash(&"same".into(), &random).unwrap();
        assert_ne!(one.expose_secret(), two.expose_secret());
    }
}
