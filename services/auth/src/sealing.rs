//! Sealing: what metadata keeps but must not be able to read, under a key that is derived from the configured secret
//! for one purpose. What is sealed for one name does not open for another.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

const NONCE_BYTES: usize = 12;

/// Seals and opens for one purpose.
pub(crate) struct Sealer {
    secret: SecretString,
    purpose: &'static str,
}

/// It was sealed with another secret, for another name, or is damaged; or the library refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

impl Sealer {
    /// With a key of its own for `purpose`, so that the configured secret may have any length and other uses.
    pub(crate) fn new(secret: &SecretString, purpose: &'static str) -> Self {
        Self { secret: secret.clone(), purpose }
    }

    /// Seals `plain` for `name`.
    pub(crate) fn seal(&self, name: &[u8], plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Refused> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        self.key()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed)
            .map_err(|_| Refused)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for `name`.
    pub(crate) fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Refused> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Refused)?;

        let mut sealed = sealed.to_vec();
        let key = self.key()?;
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut sealed);
        plain.map(|plain| plain.to_vec()).map_err(|_| Refused)
    }

    fn key(&self) -> Result<LessSafeKey, Refused> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bucket");
        let derived = salt.extract(self.secret.expose_secret().as_bytes());
        let info = [self.purpose.as_bytes()];
        let key = derived.expand(&info, &AES_256_GCM).map_err(|_| Refused)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Refused, Sealer};
    use service_kit::random::SeededRandom;

    #[test]
    fn what_is_sealed_opens_with_its_secret_for_its_purpose_and_its_name_alone() {
        let (random, secret) = (SeededRandom::new(5), "a secret for tests".into());
        let ours = Sealer::new(&secret, "tests, 1");
        let sealed = ours.seal(b"ann", b"plain", &random).unwrap();

        assert_eq!(ours.open(b"ann", &sealed).unwrap(), b"plain");
        assert_eq!(ours.open(b"bob", &sealed), Err(Refused));
        assert_eq!(Sealer::new(&secret, "tests, 2").open(b"ann", &sealed), Err(Refused));
        assert_eq!(Sealer::new(&"another one".into(), "tests, 1").open(b"ann", &sealed), Err(Refused));
        assert_eq!(ours.open(b"ann", &sealed[..11]), Err(Refused));
        assert_ne!(ours.seal(b"ann", b"plain", &random).unwrap(), sealed);
    }
}
