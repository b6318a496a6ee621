//! What names that we make ourselves have in common: the error, and how a ULID is read. What they name is not
//! known here.

/// Why a text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct IdentityError {
    text: String,
    expected: &'static str,
}

impl IdentityError {
    pub(crate) fn not(expected: &'static str, text: &str) -> Self {
        Self { text: text.chars().take(64).collect(), expected }
    }
}

/// A newtype over the text of a ULID.
macro_rules! ulid_text {
    ($(#[$doc:meta])* $name:ident) => {
        $crate::text::checked_text! { $(#[$doc])* $name }

        impl std::str::FromStr for $name {
            type Err = $crate::IdentityError;

            fn from_str(text: &str) -> Result<Self, $crate::IdentityError> {
                if $crate::identity::is_ulid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err($crate::IdentityError::not("a ULID", text))
                }
            }
        }
    };
}

pub(crate) use ulid_text;

// 26 digits of Crockford's base 32 are 130 bits; the first digit keeps it to 128.
pub(crate) fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && matches!(text.as_bytes()[0], b'0'..=b'7')
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z'))
}
