//! Digests of content (image-spec `descriptor.md`, Digests).

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};

use crate::text::serde_as_text;

/// How a digest was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Hexadecimal digits in a digest.
    pub const fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    /// # Errors
    /// `UnsupportedAlgorithm`.
    fn from_str(name: &str) -> Result<Self, DigestError> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            other => Err(DigestError::UnsupportedAlgorithm(other.chars().take(32).collect())),
        }
    }
}

/// The digest of some content: its name, `sha256:…` or `sha512:…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: std::sync::Arc<str>,
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no `algorithm:` in front.
    #[error("a digest is written algorithm:hex, as in sha256:e3b0c4…")]
    Malformed,
    /// The algorithm is none of ours.
    #[error("digest algorithm {0:?} is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm(String),
    /// The number of digits is not the algorithm's.
    #[error("a {algorithm} digest has {expected} hexadecimal digits, not {found}")]
    BadLength {
        /// The algorithm named.
        algorithm: Algorithm,
        /// Digits it should have.
        expected: usize,
        /// Digits it has.
        found: usize,
    },
    /// A digit is none of 0-9 and a-f.
    #[error("a digest has only the digits 0-9 and a-f in lower case")]
    BadHex,
}

impl Digest {
    /// What stands between the name of a repository and a digest, as people write them.
    pub const MARK: char = '@';

    /// The digest whose raw bytes these are.
    ///
    /// # Errors
    /// `BadLength`.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, DigestError> {
        let (expected, found) = (algorithm.hex_length(), bytes.len() * 2);
        if found != expected {
            return Err(DigestError::BadLength { algorithm, expected, found });
        }
        Ok(Self { algorithm, hex: to_hex(bytes).into() })
    }

    /// The digest of `bytes`.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let hex = match algorithm {
            Algorithm::Sha256 => to_hex(&Sha256::digest(bytes)),
            Algorithm::Sha512 => to_hex(&Sha512::digest(bytes)),
        };
        Self { algorithm, hex: hex.into() }
    }

    /// The SHA-256 digest of `bytes`.
    pub fn of_sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// How it was made.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Malformed)?;
        let algorithm: Algorithm = match algorithm {
            "" => return Err(DigestError::Malformed),
            name => name.parse()?,
        };

        let (expected, found) = (algorithm.hex_length(), hex.len());
        if found != expected {
            return Err(DigestError::BadLength { algorithm, expected, found });
        }
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::BadHex);
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Digest);
