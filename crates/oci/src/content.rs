//! What content is called, and where its bytes are (docs/KEYS.md §1; ARCHITECTURE.md §3).

use std::{fmt, str::FromStr};

use crate::{
    Digest,
    identity::ulid_text,
    text::{checked_text, serde_as_text},
};

/// Why a text does not name content or a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ContentError {
    text: String,
    expected: &'static str,
}

fn not(expected: &'static str, text: &str) -> ContentError {
    ContentError { text: text.chars().take(64).collect(), expected }
}

checked_text! {
    /// The name of the key that content is sealed with: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    Sign
}

impl FromStr for Sign {
    type Err = ContentError;

    fn from_str(text: &str) -> Result<Self, ContentError> {
        let good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if good && (1..=64).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(not("the name of a key", text))
        }
    }
}

checked_text! {
    /// The name of a store: 1 to 32 of `a-z 0-9 -`.
    StoreName
}

impl FromStr for StoreName {
    type Err = ContentError;

    fn from_str(text: &str) -> Result<Self, ContentError> {
        let good =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if good && (1..=32).contains(&text.len()) {
            Ok(Self(text.into()))
        } else {
            Err(not("the name of a store", text))
        }
    }
}

ulid_text! {
    /// One upload of some bytes: a fresh ULID that never comes back.
    Generation
}

/// Content as it is kept: its digest, and the key it is sealed with, if it is. Written `<digest>+` or `<digest>-?<sign>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    /// Digest of the plain content.
    pub digest: Digest,
    /// None: not sealed.
    pub sign: Option<Sign>,
}

impl ContentId {
    /// Content that is not sealed.
    pub const fn plain(digest: Digest) -> Self {
        Self { digest, sign: None }
    }
}

impl FromStr for ContentId {
    type Err = ContentError;

    fn from_str(text: &str) -> Result<Self, ContentError> {
        let bad = || not("the name of content", text);
        let (digest, sign) = match text.split_once("-?") {
            Some((digest, sign)) => (digest, Some(sign.parse()?)),
            None => (text.strip_suffix('+').ok_or_else(bad)?, None),
        };
        Ok(Self { digest: digest.parse().map_err(|_| bad())?, sign })
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sign {
            None => write!(f, "{}+", self.digest),
            Some(sign) => write!(f, "{}-?{sign}", self.digest),
        }
    }
}

serde_as_text!(ContentId);

/// Where bytes are: immutable, because a generation never comes back. Written `<store>/<content>/<generation>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locator {
    /// Which store.
    pub store: StoreName,
    /// What they are.
    pub content: ContentId,
    /// Which upload of it.
    pub generation: Generation,
}

impl FromStr for Locator {
    type Err = ContentError;

    fn from_str(text: &str) -> Result<Self, ContentError> {
        let bad = || not("a locator", text);
        let (store, rest) = text.split_once('/').ok_or_else(bad)?;
        let (content, generation) = rest.rsplit_once('/').ok_or_else(bad)?;
        Ok(Self {
            store: store.parse()?,
            content: content.parse()?,
            generation: generation.parse().map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.store, self.content, self.generation)
    }
}

serde_as_text!(Locator);
