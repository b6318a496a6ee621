//! Names that we make ourselves: ULIDs of repositories and generations, UUIDs of upload sessions.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::text::{checked_text, serde_as_text};

/// Why a text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct IdentityError {
    text: String,
    expected: &'static str,
}

fn not(expected: &'static str, text: &str) -> IdentityError {
    IdentityError {
        text: text.chars().take(64).collect(),
        expected,
    }
}

checked_text! {
    /// What stays when a repository is renamed: a ULID.
    RepositoryId
}

checked_text! {
    /// One upload of some bytes: a fresh ULID that never comes back.
    Generation
}

impl FromStr for RepositoryId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if is_ulid(text) {
            Ok(Self(text.into()))
        } else {
            Err(not("a ULID", text))
        }
    }
}

impl FromStr for Generation {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if is_ulid(text) {
            Ok(Self(text.into()))
        } else {
            Err(not("a ULID", text))
        }
    }
}

// 26 digits of Crockford's base 32 are 130 bits; the first digit keeps it to 128.
fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && matches!(text.as_bytes()[0], b'0'..=b'7')
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z'))
}

/// An upload session, as it stands in a Location (distribution-spec, end-4a: a UUID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The session of that name.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for SessionId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        // One form only: what a session is called must not depend on who writes it.
        let uuid = Uuid::try_parse(text)
            .ok()
            .filter(|uuid| uuid.as_hyphenated().to_string() == text);
        uuid.map(Self).ok_or_else(|| not("a UUID", text))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

serde_as_text!(SessionId);
