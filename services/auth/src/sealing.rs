//! Sealing: what metadata keeps but must not be able to read, and texts that leave this hub and come back, under a key
//! that is derived from the configured secret for one purpose. What is sealed for one name does not open for another.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::random::Random;

const NONCE_BYTES: usize = 12;

/// What texts are sealed for: whoever brings them back.
const NOBODY: &[u8] = b"";

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

    /// Seals `plain` as a text that leaves this hub and comes back as it was.
    pub(crate) fn text(&self, plain: &[u8], random: &dyn Random) -> Result<String, Refused> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal(NOBODY, plain, random)?))
    }

    /// Opens such a text.
    pub(crate) fn open_text(&self, text: &str) -> Result<Vec<u8>, Refused> {
        self.open(NOBODY, &URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused)?)
    }

    /// What only this purpose can make of `text`, always the same.
    pub(crate) fn derived(&self, text: &str) -> Result<[u8; 32], Refused> {
        let mut bytes = [0; 32];
        let (root, info) = (self.root(), [self.purpose.as_bytes(), b"\0", text.as_bytes()]);
        let derived = root.expand(&info, hkdf::HKDF_SHA256).map_err(|_| Refused)?;
        derived.fill(&mut bytes).map_err(|_| Refused)?;
        Ok(bytes)
    }

    fn key(&self) -> Result<LessSafeKey, Refused> {
        let (root, info) = (self.root(), [self.purpose.as_bytes()]);
        let key = root.expand(&info, &AES_256_GCM).map_err(|_| Refused)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }

    fn root(&self) -> hkdf::Prk {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bucket");
        salt.extract(self.secret.expose_secret().as_bytes())
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

    #[test]
    fn a_text_comes_back_and_what_is_derived_is_the_same_for_its_purpose_alone() {
        let (random, secret) = (SeededRandom::new(5), "a secret for tests".into());
        let (ours, others) = (Sealer::new(&secret, "tests, 1"), Sealer::new(&secret, "tests, 2"));
        let text = ours.text(b"plain", &random).unwrap();
        assert_eq!(ours.open_text(&text).unwrap(), b"plain");
        assert_eq!(others.open_text(&text), Err(Refused));
        for bad in ["", "AAAA", "not base64", &format!("{text}A")] {
            assert_eq!(ours.open_text(bad), Err(Refused), "{bad}");
        }
        for at in 0..text.len() - 1 {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open_text(std::str::from_utf8(&changed).unwrap()), Err(Refused), "{at}");
        }

        assert_eq!(ours.derived("a"), ours.derived("a"));
        assert_ne!(ours.derived("a"), ours.derived("b"));
        assert_ne!(ours.derived("a"), others.derived("a"));
        assert!(ours.derived("a").is_ok());
    }
}
