//! The keys that sign tokens. They live in metadata, sealed by a configured secret that metadata never has, and are
//! shared by all replicas: whoever is first makes one. When another one takes over is in `rotation`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use proto::{
    auth::{KeyId, VerificationKey},
    metadata::{Accounts, Actor, accounts::SigningKey},
};
use service_kit::{
    clock::Clock,
    jose::{KeyError, PrivateKey},
    random::Random,
};

use crate::{
    PrepareError,
    config::{Config, KeysConfig},
    rotation,
    sealing::Sealer,
};

/// What was read longer ago is read again before anything is signed: a key that was removed meanwhile must not sign.
const STALE: Duration = Duration::from_secs(30);

/// Finds, makes, seals, opens and exchanges signing keys.
pub(crate) struct Signer {
    sealer: Sealer,
    keys: KeysConfig,
    known: Mutex<Option<Arc<Known>>>,
    reading: tokio::sync::Mutex<()>,
}

/// The keys that sign now or will, the oldest first.
struct Known {
    keys: Vec<ActiveKey>,
    read: Timestamp,
}

/// A key that can sign.
#[derive(Clone)]
pub(crate) struct ActiveKey {
    pub(crate) id: KeyId,
    pub(crate) key: PrivateKey,
    from: Timestamp,
}

/// What signers work with.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) accounts: &'a dyn Accounts,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) random: &'a dyn Random,
}

impl Signer {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            sealer: Sealer::new(&config.key_secret, "token signing keys, 1"),
            keys: config.keys,
            known: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The key to sign with now.
    pub(crate) async fn active(&self, ground: Ground<'_>) -> Result<ActiveKey, PrepareError> {
        if let Some(active) = self.fresh(ground.clock.now()) {
            return Ok(active);
        }
        let _turn = self.reading.lock().await;
        // Whoever had the turn before has read them.
        if let Some(active) = self.fresh(ground.clock.now()) {
            return Ok(active);
        }
        self.tend(ground).await?;
        let active = self.fresh(ground.clock.now());
        active.ok_or(PrepareError::Crypto { attempted: "keep a signing key" })
    }

    /// Reads the keys, makes the first or the next one if it is time, and removes those whose time is over.
    pub(crate) async fn tend(&self, ground: Ground<'_>) -> Result<(), PrepareError> {
        let Ground { accounts, clock, random } = ground;
        let now = clock.now();
        let mut kept = accounts.signing_keys().await?;
        if kept.is_empty() {
            kept = accounts.found_signing_key(&self.make(now, now, random)?).await?;
        }

        if let Some(newest) = kept.last()
            && let Some(from) = rotation::next_from(newest, self.keys.rotation, now)
        {
            let (of, created) = (&newest.verification.id, rotation::made_after(newest, now));
            let next = self.make(created, from, random)?;
            kept = accounts.succeed_signing_key(of, &next, &Actor::service()).await?;
        }
        let over = rotation::over(&kept, now);
        if !over.is_empty() {
            kept = accounts.remove_signing_keys(&over, &Actor::service()).await?;
        }

        let keys =
            rotation::signing(&kept, now).iter().map(|key| self.open(key)).collect::<Result<_, _>>()?;
        *self.known() = Some(Arc::new(Known { keys, read: now }));
        Ok(())
    }

    /// The key to sign with, if the keys were read a moment ago.
    fn fresh(&self, now: Timestamp) -> Option<ActiveKey> {
        let known = self.known().clone()?;
        let fresh = now.duration_since(known.read).unsigned_abs() < STALE;
        let active = known.keys.iter().rfind(|key| key.from <= now).or(known.keys.first());
        active.filter(|_| fresh).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(
        &self,
        created: Timestamp,
        from: Timestamp,
        random: &dyn Random,
    ) -> Result<SigningKey, PrepareError> {
        let private = PrivateKey::generate(self.keys.algorithm)?;
        let public_key = *private.public();
        let verification = VerificationKey { id: KeyId(public_key.thumbprint()), public_key };
        let sealed = self.sealer.seal(verification.id.0.as_bytes(), private.pkcs8(), random);
        let sealed_private_key =
            sealed.map_err(|_| PrepareError::Crypto { attempted: "seal a signing key" })?.into();
        Ok(SigningKey { verification, sealed_private_key, created, from, until: None, next: None })
    }

    fn open(&self, key: &SigningKey) -> Result<ActiveKey, PrepareError> {
        let id = &key.verification.id;
        let private = self.sealer.open(id.0.as_bytes(), &key.sealed_private_key);
        let private = private.map_err(|_| PrepareError::KeySealed { id: id.0.clone() })?;
        Ok(ActiveKey { id: id.clone(), key: PrivateKey::of_pkcs8(&private)?, from: key.from })
    }
}

impl From<KeyError> for PrepareError {
    fn from(error: KeyError) -> Self {
        Self::Crypto {
            attempted: match error {
                KeyError::Refused { attempted } => attempted,
                KeyError::NotAKey => "read a signing key",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;
    use crate::{PrepareError, config::Config};
    use jiff::Timestamp;
    use proto::metadata::accounts::SigningKey;
    use service_kit::{jose::Algorithm, random::SystemRandom};

    fn signer(secret: &str, algorithm: Algorithm) -> Signer {
        let mut config = Config::with_secret(secret.into());
        config.keys.algorithm = algorithm;
        Signer::new(&config)
    }

    fn made(signer: &Signer) -> SigningKey {
        signer.make(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, &SystemRandom).unwrap()
    }

    #[test]
    fn a_key_opens_with_the_secret_it_was_made_with_and_no_other() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let key = made(&signer("one secret of many", algorithm));
            assert_eq!(key.verification.public_key.algorithm(), algorithm);

            // The kind of key is its own, and not that of whoever opens it.
            let same = signer("one secret of many", Algorithm::EdDsa);
            let opened = same.open(&key).unwrap();
            assert_eq!(opened.id, key.verification.id);
            assert_eq!(*opened.key.public(), key.verification.public_key);
            let other = signer("another secret", algorithm);
            assert!(matches!(other.open(&key), Err(PrepareError::KeySealed { .. })));
        }
    }

    #[test]
    fn a_key_kept_under_the_name_of_another_does_not_open() {
        let signer = signer("one secret of many", Algorithm::EdDsa);
        let mut key = made(&signer);
        key.verification.id.0.push('x');
        assert!(matches!(signer.open(&key), Err(PrepareError::KeySealed { .. })));
    }
}
