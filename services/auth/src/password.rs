//! Passwords: argon2id, on blocking threads, a bounded number at once.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHasher as _, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use proto::metadata::accounts::NO_PASSWORD;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{authenticate::LoginError, config::Config};

/// How long a login waits for its turn before it is told to come back.
const TURN: Duration = Duration::from_secs(5);

/// An allocation of so many bytes goes back to the system when it is freed (mallopt(3), `DEFAULT_MMAP_THRESHOLD_MAX`).
const RETURNED: usize = 32 * 1_024 * 1_024;

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    params: Params,
    turns: Arc<Semaphore>,
    /// Checked when there is no such user, so that the answer takes as long as for one that exists.
    decoy: SecretString,
}

/// The right to use a core for one hash.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    passwords: &'a Passwords,
    permit: OwnedSemaphorePermit,
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
        let decoy = hash_with(&params, "no account has this password", salt(random))
            .unwrap_or_else(|_| SecretString::from(String::new()));
        Self { params, turns: Arc::new(Semaphore::new(config.password.concurrent_checks)), decoy }
    }

    /// The PHC string to keep instead of `password`. Takes tens of milliseconds of CPU.
    ///
    /// # Errors
    /// The library refused the salt or the parameters.
    pub fn hash(&self, password: &SecretString, random: &dyn Random) -> Result<SecretString, HashError> {
        hash_with(&self.params, password.expose_secret(), salt(random))
    }

    /// Whether a kept hash has other parameters than one that is made today.
    pub(crate) fn is_outdated(&self, kept: &SecretString) -> bool {
        let Ok(hash) = PasswordHash::new(kept.expose_secret()) else {
            return false;
        };
        let made = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let argon2id = hash.algorithm.as_str() == Algorithm::Argon2id.as_str();
        let same = |params: Params| (params.m_cost(), params.t_cost(), params.p_cost()) == made;
        !argon2id || !Params::try_from(&hash).is_ok_and(same)
    }

    /// Waits until fewer than the configured number are hashed.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, LoginError> {
        match timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn { passwords: self, permit }),
            _ => Err(LoginError::Overloaded { retry_after_seconds: 1 }),
        }
    }
}

impl Turn<'_> {
    /// Compares `given` with the kept hash, or with a decoy that nothing matches.
    pub(crate) async fn check(
        self,
        given: &SecretString,
        kept: Option<&SecretString>,
    ) -> Result<Checked, LoginError> {
        let kept = kept.filter(|kept| kept.expose_secret() != NO_PASSWORD);
        let (given, kept) = (given.clone(), kept.unwrap_or(&self.passwords.decoy).clone());
        self.computed("checking a password", move || verify(&given, &kept)).await
    }

    /// The PHC string to keep instead of `password`.
    pub(crate) async fn hash(
        self,
        password: &SecretString,
        random: &dyn Random,
    ) -> Result<SecretString, LoginError> {
        let (params, password, salt) = (self.passwords.params.clone(), password.clone(), salt(random));
        let hashed =
            self.computed("hashing a password", move || hash_with(&params, password.expose_secret(), salt));
        hashed.await?.map_err(|error| {
            tracing::error!(%error, "a password cannot be kept");
            LoginError::Unavailable { attempted: "hashing a password" }
        })
    }

    async fn computed<T: Send + 'static>(
        self,
        attempted: &'static str,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoginError> {
        let permit = self.permit;
        let task = tokio::task::spawn_blocking(move || {
            let computed = compute();
            drop(permit);
            computed
        });
        task.await.map_err(|_| LoginError::Unavailable { attempted })
    }
}

pub(crate) fn salt(random: &dyn Random) -> [u8; 16] {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    salt
}

pub(crate) fn hash_with(params: &Params, password: &str, salt: [u8; 16]) -> Result<SecretString, HashError> {
    let salt = Salt::new(&salt).map_err(|error| HashError(error.into()))?;

    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash: PasswordHash = hasher.hash_password_with_salt(password.as_bytes(), &salt).map_err(HashError)?;
    Ok(SecretString::from(hash.to_string()))
}

fn verify(given: &SecretString, kept: &SecretString) -> Checked {
    let Ok(kept) = PasswordHash::new(kept.expose_secret()) else {
        tracing::error!("a kept password hash cannot be read");
        return Checked::Wrong;
    };
    let computed = computed_like(&kept, given.expose_secret());
    // Outputs are compared in constant time.
    if computed.is_some() && computed == kept.hash { Checked::Right } else { Checked::Wrong }
}

/// The parameters come from the kept hash, so that old ones stay good when the configuration changes.
fn computed_like(kept: &PasswordHash, given: &str) -> Option<Output> {
    let algorithm = Algorithm::try_from(kept.algorithm.as_str()).ok()?;
    let version = Version::try_from(kept.version?).ok()?;
    let params = Params::try_from(kept).ok()?;
    let (mut memory, mut output) = (memory(&params), [0; Output::MAX_LENGTH]);

    let output = output.get_mut(..params.output_len()?)?;
    let hasher = Argon2::new(algorithm, version, params);
    hasher
        .hash_password_into_with_memory(given.as_bytes(), kept.salt.as_ref()?, output, &mut memory[..])
        .ok()?;
    Output::new(output).ok()
}

/// Memory for one hash. The C library keeps what is smaller than [`RETURNED`] for the next hash of some threads and not
/// of others: then a check would take one of two times, and an idle hub would hold what it does not need.
fn memory(params: &Params) -> Vec<Block> {
    let needed = usize::try_from(params.m_cost()).unwrap_or(usize::MAX);
    let mut blocks = Vec::with_capacity(needed.max(RETURNED / Block::SIZE));
    blocks.resize(needed, Block::new());
    blocks
}

#[cfg(test)]
mod tests {
    use super::{Checked, Passwords};
    use crate::{authenticate::LoginError, config::Config};
    use secrecy::{ExposeSecret as _, SecretString};
    use service_kit::random::SeededRandom;

    fn passwords() -> (Passwords, SeededRandom) {
        let random = SeededRandom::new(7);
        (Passwords::new(&Config::cheap_for_tests(), &random), random)
    }

    async fn check(passwords: &Passwords, given: &str, kept: Option<&SecretString>) -> Checked {
        passwords.turn().await.unwrap().check(&given.into(), kept).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let (passwords, random) = passwords();
        let turn = passwords.turn().await.unwrap();
        let hash = turn.hash(&"right".into(), &random).await.unwrap();

        assert!(hash.expose_secret().starts_with("$argon2id$v=19$"));
        assert_eq!(check(&passwords, "right", Some(&hash)).await, Checked::Right);
        assert_eq!(check(&passwords, "wrong", Some(&hash)).await, Checked::Wrong);
    }

    #[tokio::test]
    async fn nothing_matches_the_decoy_or_a_damaged_hash() {
        let (passwords, _) = passwords();
        assert_eq!(check(&passwords, "", None).await, Checked::Wrong);
        assert_eq!(check(&passwords, "no account has this password!", None).await, Checked::Wrong);
        let none = SecretString::from(proto::metadata::accounts::NO_PASSWORD);
        for given in ["", "!"] {
            assert_eq!(check(&passwords, given, Some(&none)).await, Checked::Wrong, "{given}");
        }
        let damaged = SecretString::from("$argon2id$");
        assert_eq!(check(&passwords, "", Some(&damaged)).await, Checked::Wrong);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_turn_in_time_is_told_to_come_back() {
        let (passwords, _) = passwords();
        let turns = (passwords.turn().await.unwrap(), passwords.turn().await.unwrap());

        let late = passwords.turn().await.map(drop);
        assert_eq!(late, Err(LoginError::Overloaded { retry_after_seconds: 1 }));
        drop(turns);
        assert!(passwords.turn().await.is_ok());
    }

    #[test]
    fn a_hash_of_other_parameters_is_outdated() {
        let (passwords, random) = passwords();
        let hash = passwords.hash(&"same".into(), &random).unwrap();
        assert!(!passwords.is_outdated(&hash));

        let mut config = Config::cheap_for_tests();
        config.password.iterations += 1;
        let dearer = Passwords::new(&config, &random);
        assert!(dearer.is_outdated(&hash));
        assert!(passwords.is_outdated(&dearer.hash(&"same".into(), &random).unwrap()));
        assert!(!passwords.is_outdated(&"no hash".into()), "nothing matches it anyway");
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let (passwords, random) = passwords();
        let one = passwords.hash(&"same".into(), &random).unwrap();
        let two = passwords.hash(&"same".into(), &random).unwrap();
        assert_ne!(one.expose_secret(), two.expose_secret());
    }
}
