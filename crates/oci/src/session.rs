//! Upload sessions, as they stand in a `Location` (distribution-spec, end-4a: a UUID).

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::{IdentityError, text::serde_as_text};

/// The name of an upload session.
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
        let uuid = Uuid::try_parse(text).ok().filter(|uuid| uuid.as_hyphenated().to_string() == text);
        uuid.map(Self).ok_or_else(|| IdentityError::not("a UUID", text))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

serde_as_text!(SessionId);
