//! The right to read one blob: made by metadata, refused by blob if it is anything else.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use oci::{Locator, RepositoryName};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// The right to read the bytes at a locator, on behalf of one repository, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where the bytes are.
    pub locator: Locator,
    /// The repository that links them.
    pub repository: RepositoryName,
    /// Length of the blob.
    pub size_bytes: u64,
    /// Not valid from here on.
    pub expires: Timestamp,
    /// HMAC-SHA256 over all of the above.
    pub mac: [u8; 32],
}

/// Why a grant gives no right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantRefused {
    /// It was not made with our key, or was changed.
    #[error("its signature does not match; do metadata and blob have the same grant_secret?")]
    Forged,
    /// It is too old.
    #[error("it has expired")]
    Expired,
}

/// The secret that metadata and blob share.
#[derive(Clone)]
pub struct GrantKey(hmac::Key);

impl std::fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GrantKey(…)")
    }
}

impl GrantKey {
    /// Derives the key from the configured secret.
    pub fn new(secret: &SecretString) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
    }

    /// What tells this key from others and does not say it, in hex.
    pub fn fingerprint(&self) -> String {
        let tag = hmac::sign(&self.0, b"bucket-fingerprint-1");
        let short = tag.as_ref().iter().take(16).fold(0, |hex, byte| (hex << 8) | u128::from(*byte));
        format!("{short:032x}")
    }

    /// Grants reading `locator` for `repository` until `expires`.
    pub fn grant(
        &self,
        locator: Locator,
        repository: RepositoryName,
        size_bytes: u64,
        expires: Timestamp,
    ) -> Grant {
        let mut grant = Grant { locator, repository, size_bytes, expires, mac: [0; 32] };
        let tag = hmac::sign(&self.0, &signed_text(&grant));
        grant.mac.copy_from_slice(tag.as_ref());
        grant
    }

    /// Checks that `grant` was made with this key and has not expired at `now`.
    pub fn verify(&self, grant: &Grant, now: Timestamp) -> Result<(), GrantRefused> {
        hmac::verify(&self.0, &signed_text(grant), &grant.mac).map_err(|_| GrantRefused::Forged)?;
        if now < grant.expires { Ok(()) } else { Err(GrantRefused::Expired) }
    }
}

// NUL cannot occur in a part, so that two different grants never sign the same text.
fn signed_text(grant: &Grant) -> Vec<u8> {
    let Grant { locator, repository, size_bytes, expires, mac: _ } = grant;
    let expires_ms = expires.as_millisecond();
    format!("bucket-grant-1\0{locator}\0{repository}\0{size_bytes}\0{expires_ms}").into_bytes()
}
