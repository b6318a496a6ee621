//! Who may do what: checks passwords and secrets, decides by one pure policy, signs tokens that every edge verifies by
//! itself. It keeps nothing but who guesses: accounts, credentials and signing keys live in metadata.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use proto::{
    auth::{Auth, AuthError, IssuedToken, Offline, TokenRequest, VerificationKey},
    metadata::{AccountError, Accounts, Credentials, FederatedIdentities, Invitations, Proofs, Users},
};
use service_kit::{
    clock::Clock,
    random::{Random, Ulids},
    shutdown::Shutdown,
};

use crate::{
    authenticate::{About, Shown, silent},
    config::{AccountsConfig, Config},
    errands::Errands,
    federation::Federated,
    mail::Mail,
    password::Passwords,
    second_factor::SecondFactors,
    signer::{Ground, Signer},
    throttle::Throttle,
    uses::Uses,
};

pub mod administrator;
mod authenticate;
mod chosen;
pub mod config;
mod errands;
mod federation;
mod identities;
mod issue;
pub mod mail;
mod offline;
pub mod operator;
pub mod password;
pub mod policy;
mod rotation;
mod sealing;
mod second_factor;
mod secret;
mod self_service;
mod signer;
pub mod start;
mod throttle;
mod uses;

/// Between two looks at the signing keys: how long a replica may go on signing with one that was removed.
const TENDED_EVERY: Duration = Duration::from_secs(10);

/// The auth service over what metadata keeps.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

/// What auth needs of metadata.
#[derive(Clone)]
pub struct Contracts {
    /// What decisions depend on, and signing keys.
    pub accounts: Arc<dyn Accounts>,
    /// Whose password or e-mail address changes.
    pub users: Arc<dyn Users>,
    /// Access tokens, robots and sessions.
    pub credentials: Arc<dyn Credentials>,
    /// Who users are elsewhere.
    pub federation: Arc<dyn FederatedIdentities>,
    /// Second factors, and what mails say.
    pub proofs: Arc<dyn Proofs>,
    /// Invitations to make an account.
    pub invitations: Arc<dyn Invitations>,
}

struct Parts {
    contracts: Contracts,
    passwords: Passwords,
    throttle: Throttle,
    uses: Uses,
    second_factors: SecondFactors,
    errands: Errands,
    mail: Option<Arc<dyn Mail>>,
    signer: Signer,
    issuer: issue::Issuer,
    rules: AccountsConfig,
    federated: Federated,
    ulids: Ulids,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("auth::Service").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Contracts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("auth::Contracts").finish_non_exhaustive()
    }
}

impl Service {
    /// The service over `contracts`, which sends letters if there is `mail`. Nothing is read or written before `prepare`.
    pub fn new(
        contracts: Contracts,
        mail: Option<Arc<dyn Mail>>,
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self(Arc::new(Parts {
            contracts,
            passwords: Passwords::new(config, random.as_ref()),
            throttle: Throttle::new(),
            uses: Uses::default(),
            second_factors: SecondFactors::new(&config.key_secret, &config.issuer),
            errands: Errands::default(),
            mail,
            signer: Signer::new(config),
            issuer: issue::Issuer::new(config),
            rules: config.accounts.clone(),
            federated: Federated::new(config),
            ulids: Ulids::new(Arc::clone(&clock), Arc::clone(&random)),
            clock,
            random,
        }))
    }

    /// Writes now and then, and a last time at the shutdown, which credentials were used: a task of the process.
    pub fn note_uses(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + use<> {
        self.0.uses.clone().written_to(Arc::clone(&self.0.contracts.credentials), shutdown)
    }

    /// Does what nobody waits for, letters among it, until the shutdown and what is left then: a task of the process.
    pub fn do_errands(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + use<> {
        let service = self.clone();
        async move { service.0.do_errands(shutdown).await }
    }

    /// Finds the keys that sign tokens, making one if this is the first start or the next one is due. Repeating it is
    /// harmless.
    ///
    /// # Errors
    /// `KeySealed` if a kept key was sealed with another secret; `Metadata`.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        self.0.signer.tend(self.0.ground()).await
    }

    /// Looks after the keys now and then, until the shutdown: a task of the process.
    pub fn tend_keys(&self, shutdown: Shutdown) -> impl Future<Output = ()> + Send + use<> {
        let service = self.clone();
        async move {
            loop {
                tokio::select! {
                    () = shutdown.stopping() => return,
                    () = tokio::time::sleep(TENDED_EVERY) => {}
                }
                if let Err(error) = service.prepare().await {
                    tracing::warn!(%error, "the signing keys cannot be looked after");
                }
            }
        }
    }

    /// The hashing of passwords, for whoever creates accounts.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }
}

impl Parts {
    fn ground(&self) -> Ground<'_> {
        let (clock, random) = (self.clock.as_ref(), self.random.as_ref());
        Ground { accounts: self.contracts.accounts.as_ref(), clock, random }
    }
}

#[async_trait]
impl Auth for Service {
    async fn token(&self, request: TokenRequest) -> Result<IssuedToken, AuthError> {
        let parts = self.0.as_ref();
        parts.issuer.check_service(&request.service)?;

        // A session is as good as the password that it was given for: the pages ask for tokens with theirs.
        let shown = Shown { credentials: request.credentials.as_ref(), address: request.address };
        let about = About { repositories: issue::repositories(&request.scopes), namespaces: Vec::new() };
        let asker = parts.authenticate(shown, about).await?;
        let granted = policy::granted(&asker.principal, &request.scopes, asker.known());

        let key = parts.signer.active(parts.ground()).await?;
        let now = parts.clock.now();
        let mut issued = parts.issuer.sign(&key, &asker.principal, granted, now, parts.random.as_ref())?;
        if request.offline == Offline::Wanted {
            issued.refresh_token = parts.refresh_token(&asker, request.address).await;
        }
        Ok(issued)
    }

    async fn keys(&self) -> Result<Vec<VerificationKey>, AuthError> {
        let kept = self.0.contracts.accounts.signing_keys().await;
        let kept = kept.map_err(|error| AuthError::from(silent(&error)))?;
        Ok(kept.into_iter().map(|key| key.verification).collect())
    }
}

/// Why the service cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The kept signing key cannot be opened.
    #[error(
        "the signing key {id} in metadata was sealed with another key_secret; configure the one it was made with"
    )]
    KeySealed {
        /// The key's name.
        id: String,
    },
    /// The key cannot be made or used.
    #[error("the cryptographic library refused to {attempted}")]
    Crypto {
        /// What was attempted.
        attempted: &'static str,
    },
    /// Metadata did not answer.
    #[error("looking for the signing key: {0}")]
    Metadata(#[from] AccountError),
}

impl From<PrepareError> for AuthError {
    fn from(error: PrepareError) -> Self {
        tracing::error!(%error, "cannot sign tokens");
        Self::Unavailable { attempted: "finding the signing key".into() }
    }
}
