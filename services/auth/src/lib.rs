//! Who may do what: checks passwords, decides by one pure policy, signs tokens that every edge verifies by
//! itself. It keeps nothing: accounts and signing keys live in metadata.

use std::sync::Arc;

use async_trait::async_trait;
use proto::{
    auth::{Auth, AuthError, IssuedToken, TokenRequest, VerificationKey},
    metadata::{AccountError, Accounts},
};
use service_kit::{clock::Clock, random::Random};

use crate::{config::Config, password::Passwords, signer::Signer};

pub mod administrator;
pub mod config;
mod issue;
pub mod password;
pub mod policy;
mod signer;
pub mod start;

/// The auth service over the accounts in metadata.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    accounts: Arc<dyn Accounts>,
    passwords: Passwords,
    signer: Signer,
    issuer: issue::Issuer,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("auth::Service").finish_non_exhaustive()
    }
}

impl Service {
    /// The service over `accounts`. Nothing is read or written before `prepare`.
    pub fn new(
        accounts: Arc<dyn Accounts>,
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self(Arc::new(Parts {
            passwords: Passwords::new(config, random.as_ref()),
            signer: Signer::new(&config.key_secret),
            issuer: issue::Issuer::new(config),
            accounts,
            clock,
            random,
        }))
    }

    /// Finds the key that signs tokens, making it if this is the first start. Repeating it is harmless.
    ///
    /// # Errors
    /// `KeySealed` if the kept key was sealed with another secret; `Metadata`.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        let Parts { signer, accounts, clock, random, .. } = self.0.as_ref();
        signer.active(accounts.as_ref(), clock.as_ref(), random.as_ref()).await.map(drop)
    }

    /// The hashing of passwords, for whoever creates accounts.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }
}

#[async_trait]
impl Auth for Service {
    async fn token(&self, request: TokenRequest) -> Result<IssuedToken, AuthError> {
        let Parts { accounts, passwords, signer, issuer, clock, random } = self.0.as_ref();
        issuer.check_service(&request.service)?;

        let facts = issue::facts(accounts.as_ref(), &request).await?;
        let principal = issue::principal(passwords, &request, facts.account.as_ref()).await?;
        let granted = policy::granted(&principal, &request.scopes, &facts.repositories);
        let key = signer.active(accounts.as_ref(), clock.as_ref(), random.as_ref()).await?;

        issuer.sign(&key, &principal, granted, clock.now(), random.as_ref())
    }

    async fn keys(&self) -> Result<Vec<VerificationKey>, AuthError> {
        let kept = self.0.accounts.signing_keys().await.map_err(|error| unavailable(&error))?;
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

fn unavailable(error: &AccountError) -> AuthError {
    tracing::warn!(%error, "metadata did not answer");
    AuthError::Unavailable { attempted: "asking metadata".into() }
}
