//! Tags, and what a manifest is asked for by (distribution-spec, Pulling manifests).

use std::{fmt, str::FromStr};

use crate::{
    Algorithm, Digest, DigestError,
    text::{checked_text, serde_as_text},
};

const LONGEST_TAG: usize = 128;

checked_text! {
    /// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    Tag
}

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag has 1 to 128 letters, digits, '_', '.' or '-', and begins with a letter, a digit or '_': {0:?} is none"
)]
pub struct TagError(String);

impl Tag {
    /// The tag under which clients list what refers to `subject` if a registry cannot (distribution-spec,
    /// Referrers Tag Schema): the algorithm and the first 64 digits.
    pub fn of_referrers(subject: &Digest) -> Self {
        Self(format!("{}-{:.64}", subject.algorithm(), subject.hex()).into())
    }

    /// Whether it is such a tag, of whatever subject.
    pub fn is_of_referrers(&self) -> bool {
        let Some((algorithm, hex)) = self.0.split_once('-') else {
            return false;
        };
        algorithm.parse::<Algorithm>().is_ok() && hex.len() == 64 && hex.bytes().all(is_hex)
    }

    /// Whether it is such a tag, or one that signers derive from it (`sha256-….sig`): it belongs to a manifest, and
    /// clients write it anew whenever something refers to that.
    pub fn is_of_a_manifest(&self) -> bool {
        let Some((algorithm, rest)) = self.0.split_once('-') else {
            return false;
        };
        algorithm.parse::<Algorithm>().is_ok() && rest.len() >= 64 && rest.bytes().take(64).all(is_hex)
    }
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let rest =
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));

        if first && rest && text.len() <= LONGEST_TAG {
            Ok(Self(text.into()))
        } else {
            Err(TagError(text.chars().take(64).collect()))
        }
    }
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// By a name that may move.
    Tag(Tag),
    /// By its content.
    Digest(Digest),
}

/// Why a text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Without a colon it is taken as a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// With a colon it is taken as a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

serde_as_text!(Reference);
