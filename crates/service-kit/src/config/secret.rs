//! Secrets in the configuration: written there, or in a file that it names.

use std::{io, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Neither the secret nor its file.
    #[error("missing field `{key}` or `{key}_file`")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Both the secret and its file.
    #[error("`{key}` and `{key}_file` exclude each other")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// The file cannot be read.
    #[error("reading `{key}_file` {}: {error}", file.display())]
    Unreadable {
        /// The key.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is too easy to guess.
    #[error("`{key}` has {length} bytes, fewer than {least}")]
    TooShort {
        /// The key.
        key: &'static str,
        /// What it has.
        length: usize,
        /// What it must have.
        least: usize,
    },
}

/// The secret of `key`, given as itself or as a file whose last line break does not count.
///
/// # Errors
/// All of [`SecretError`] but `TooShort`.
pub fn given_secret(
    key: &'static str,
    secret: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<SecretString, SecretError> {
    match (secret, file) {
        (Some(secret), None) => Ok(secret),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => Ok(SecretString::from(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(SecretError::Unreadable { key, file, error }),
        },
        (None, None) => Err(SecretError::Missing { key }),
        (Some(_), Some(_)) => Err(SecretError::Twice { key }),
    }
}

/// Refuses a secret of fewer than `least` bytes.
///
/// # Errors
/// `TooShort`.
pub fn long_enough(
    key: &'static str,
    secret: SecretString,
    least: usize,
) -> Result<SecretString, SecretError> {
    let length = secret.expose_secret().len();
    if length < least { Err(SecretError::TooShort { key, length, least }) } else { Ok(secret) }
}
