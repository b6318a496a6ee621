//! Private keys: making them, signing with them, and their form in files (PKCS#8, as openssl writes and reads it).

use std::fmt::{self, Write as _};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{EncodingKey, Header};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Algorithm, PublicKey};

/// Characters in a line of a PEM file (RFC 7468 §2).
const LINE: usize = 64;

/// Why a key cannot be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library does not do it.
    #[error("the cryptographic library refused to {attempted}")]
    Refused {
        /// What was attempted.
        attempted: &'static str,
    },
    /// It is something else, or damaged.
    #[error("it is no private key of Ed25519 or P-256 in PKCS#8")]
    NotAKey,
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct PrivateKey {
    public: PublicKey,
    encoding: EncodingKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// A new key.
    ///
    /// # Errors
    /// `Refused`.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let refused = |_| KeyError::Refused { attempted: "make a signing key" };
        let document = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|pair| pair.to_pkcs8v1())
            }
        };
        Self::of_pkcs8(document.map_err(refused)?.as_ref())
    }

    /// Reads a key; what kind it is it says itself.
    ///
    /// # Errors
    /// `NotAKey`.
    pub fn of_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::NotAKey)?;
            return Ok(Self { public: PublicKey::Ed25519(public), encoding: EncodingKey::from_ed_der(der) });
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let pair = pair.map_err(|_| KeyError::NotAKey)?;
        let public = PublicKey::of_point(pair.public_key().as_ref()).ok_or(KeyError::NotAKey)?;
        Ok(Self { public, encoding: EncodingKey::from_ec_der(der) })
    }

    /// Reads the key in a PEM file.
    ///
    /// # Errors
    /// `NotAKey`.
    pub fn of_pem(text: &SecretString) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose_secret().as_bytes());
        Self::of_pkcs8(der.map_err(|_| KeyError::NotAKey)?.secret_pkcs8_der())
    }

    /// As PKCS#8.
    pub fn pkcs8(&self) -> &[u8] {
        self.encoding.as_bytes()
    }

    /// As a PEM file has it.
    pub fn pem(&self) -> SecretString {
        let encoded = STANDARD.encode(self.pkcs8());
        let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            let _ = writeln!(text, "{line}");
            rest = after;
        }
        text.push_str("-----END PRIVATE KEY-----\n");
        SecretString::from(text)
    }

    /// The half that everybody may know.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A token that says `claims`, signed under the name `id`.
    ///
    /// # Errors
    /// `Refused`.
    pub fn signed(&self, id: &str, claims: &impl Serialize) -> Result<String, KeyError> {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(self.public.algorithm().into()) };
        let signed = jsonwebtoken::encode(&header, claims, &self.encoding);
        signed.map_err(|_| KeyError::Refused { attempted: "sign a token" })
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, PrivateKey};
    use crate::jose::Algorithm;

    #[test]
    fn a_key_comes_back_from_its_file() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let read = PrivateKey::of_pem(&key.pem()).unwrap();
            assert_eq!((read.public(), read.pkcs8()), (key.public(), key.pkcs8()));
            assert_eq!(read.public().algorithm(), algorithm);
            assert_eq!(PrivateKey::of_pkcs8(&key.pkcs8()[1..]).unwrap_err(), KeyError::NotAKey);
        }
    }

    #[test]
    fn keys_that_openssl_has_made_are_read() {
        // openssl genpkey -algorithm ed25519; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256
        let ed = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEILFITygNeHiH5yoHhv+S33e65VhiwqTEOMMuoDS2fHRs\n-----END PRIVATE KEY-----\n";
        let ec = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0nhMd2UtL9F4ZOwB\nPYiWM5RCzreH/eyXcCpIJM/2dHShRANCAATtXtQsVnnRb5E61LNoTEKOys3so+Il\nEDIDP6+d+XeZ26ssdm0MrjFc5JkL4jk/hSsWb+PrCXI0sHbx9XpjOCEO\n-----END PRIVATE KEY-----\n";
        for (text, algorithm) in [(ed, Algorithm::EdDsa), (ec, Algorithm::Es256)] {
            assert_eq!(PrivateKey::of_pem(&text.into()).unwrap().public().algorithm(), algorithm);
        }
        assert_eq!(PrivateKey::of_pem(&"not a key".into()).unwrap_err(), KeyError::NotAKey);
    }

    #[test]
    fn the_key_is_not_in_the_debug_output() {
        let key = PrivateKey::generate(Algorithm::EdDsa).unwrap();
        let private = format!("{:?}", key.pkcs8());
        let private = private.trim_matches(['[', ']']);
        assert!(!format!("{key:?}").contains(private));
    }
}
