//! The key that signs tokens. It lives in metadata, sealed by a configured secret that metadata never has, and
//! is shared by all replicas: whoever starts first makes it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use proto::{
    auth::{KeyId, VerificationKey},
    metadata::{Accounts, accounts::SigningKey},
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::{clock::Clock, random::Random};
use tokio::sync::OnceCell;

use crate::PrepareError;

const NONCE_BYTES: usize = 12;

/// Finds, makes, seals and opens signing keys.
pub(crate) struct Signer {
    secret: SecretString,
    active: OnceCell<ActiveKey>,
}

/// A key that can sign.
#[derive(Clone)]
pub(crate) struct ActiveKey {
    pub(crate) id: KeyId,
    pub(crate) encoding: EncodingKey,
}

impl Signer {
    pub(crate) fn new(secret: &SecretString) -> Self {
        Self { secret: secret.clone(), active: OnceCell::new() }
    }

    /// The key to sign with: the newest that metadata keeps, or the first one, made now.
    pub(crate) async fn active(
        &self,
        accounts: &dyn Accounts,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<ActiveKey, PrepareError> {
        let find = || async {
            let mut kept = accounts.signing_keys().await?;
            if kept.is_empty() {
                kept = accounts.found_signing_key(&self.make(clock, random)?).await?;
            }
            let newest = kept.last().ok_or(PrepareError::Crypto { attempted: "keep a signing key" })?;
            self.open(newest)
        };
        self.active.get_or_try_init(find).await.cloned()
    }

    fn make(&self, clock: &dyn Clock, random: &dyn Random) -> Result<SigningKey, PrepareError> {
        let refused = |_| PrepareError::Crypto { attempted: "make a signing key" };
        let pair = Ed25519KeyPair::generate().map_err(refused)?;
        let private = pair.to_pkcs8v1().map_err(refused)?;

        let mut public_key = [0; 32];
        public_key.copy_from_slice(pair.public_key().as_ref());
        let verification = VerificationKey { id: thumbprint(&public_key), public_key };
        let sealed_private_key = self.seal(&verification.id, private.as_ref(), random)?.into();
        Ok(SigningKey { verification, sealed_private_key, created: clock.now() })
    }

    fn seal(&self, id: &KeyId, private: &[u8], random: &dyn Random) -> Result<Vec<u8>, PrepareError> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let mut sealed = private.to_vec();
        self.sealing_key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(id.0.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| PrepareError::Crypto { attempted: "seal a signing key" })?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, key: &SigningKey) -> Result<ActiveKey, PrepareError> {
        let id = &key.verification.id;
        let foreign = || PrepareError::KeySealed { id: id.0.clone() };
        let (nonce, sealed) =
            key.sealed_private_key.split_first_chunk::<NONCE_BYTES>().ok_or_else(foreign)?;

        let mut sealed = sealed.to_vec();
        let private = self
            .sealing_key()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(id.0.as_bytes()), &mut sealed)
            .map_err(|_| foreign())?;
        Ok(ActiveKey { id: id.clone(), encoding: EncodingKey::from_ed_der(private) })
    }

    // A key of its own for this purpose, so that the configured secret may have any length and other uses.
    fn sealing_key(&self) -> Result<LessSafeKey, PrepareError> {
        let refused = |_| PrepareError::Crypto { attempted: "derive the key that seals signing keys" };
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bucket");
        let derived = salt.extract(self.secret.expose_secret().as_bytes());
        let key = derived.expand(&[b"token signing keys, 1"], &AES_256_GCM).map_err(refused)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

/// RFC 7638 over the public key as RFC 8037 writes it.
fn thumbprint(public_key: &[u8; 32]) -> KeyId {
    let x = URL_SAFE_NO_PAD.encode(public_key);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, jwk.as_bytes());
    KeyId(URL_SAFE_NO_PAD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::{Signer, thumbprint};
    use crate::PrepareError;
    use service_kit::{clock::SystemClock, random::SystemRandom};

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a() {
        let public = [
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
            0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
        ];
        assert_eq!(thumbprint(&public).0, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_opens_with_the_secret_it_was_made_with_and_no_other() {
        let signer = Signer::new(&"one secret of many".into());
        let key = signer.make(&SystemClock, &SystemRandom).unwrap();

        assert_eq!(signer.open(&key).unwrap().id, key.verification.id);
        let other = Signer::new(&"another secret".into());
        assert!(matches!(other.open(&key), Err(PrepareError::KeySealed { .. })));
    }

    #[test]
    fn a_key_kept_under_the_name_of_another_does_not_open() {
        let signer = Signer::new(&"one secret of many".into());
        let mut key = signer.make(&SystemClock, &SystemRandom).unwrap();
        key.verification.id.0.push('x');
        assert!(matches!(signer.open(&key), Err(PrepareError::KeySealed { .. })));
    }
}
