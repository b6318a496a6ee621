//! Configuration: one TOML file and the environment, merged into one typed struct. `BUCKET_<KEY>` sets a key at
//! the top, `BUCKET_<SECTION>__<KEY>` one in a section, and the environment wins. A value is read as TOML where
//! it is TOML (`8`, `true`, `["a", "b"]`) and as a text otherwise. An unknown key is an error that names it.

mod callers;
mod duration;
mod overlay;
mod parts;
mod secret;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

pub use callers::{GrpcCallerConfig, GrpcClientTlsConfig, GrpcTlsConfig};
pub use duration::{DurationError, default_drain_delay, drain_delay, duration, humane, humane_option};
pub(crate) use parts::GrpcName;
pub use parts::{
    AdminConfig, ClientConfigError, GrpcClientConfig, GrpcServerConfig, GrpcUrl, GrpcUrlError, ListenAddress,
    LogFormat, ServerConfigError, TelemetryConfig,
};
pub use secret::{SecretError, given_secret, long_enough};

/// The variables of the environment that are no keys of a file: each is read by the one who needs it.
pub const SINGLE_PURPOSE: [&str; 4] =
    ["BUCKET_ADMIN_PASSWORD", "BUCKET_CONFIG", "BUCKET_FAILPOINT", "BUCKET_LOG"];

/// Which variables of the environment belong to the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    variables: &'a str,
    reserved: &'a [&'a str],
}

impl Default for Prefix<'_> {
    /// `BUCKET_`, without the single-purpose variables.
    fn default() -> Self {
        Self::new("BUCKET_", &SINGLE_PURPOSE)
    }
}

impl<'a> Prefix<'a> {
    /// The variables that begin with `variables`, without the `reserved` ones (full names).
    pub const fn new(variables: &'a str, reserved: &'a [&'a str]) -> Self {
        Self { variables, reserved }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the configuration file {file}: {error}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {file} is not TOML, line {line}: {message}")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong there, without the line itself: it may hold a secret.
        message: String,
    },
    /// A variable sets a key in something that is no section.
    #[error("the variable {variable} names a key in {section}, which is a value and not a section")]
    NotASection {
        /// The variable.
        variable: String,
        /// The supposed section.
        section: String,
    },
    /// A key is unknown or missing, or its value is wrong.
    #[error("{origin}: {key}: {message}")]
    Invalid {
        /// The file, the variable, or "the configuration" where neither set it.
        origin: String,
        /// The key with its sections, as `grpc.listen`.
        key: String,
        /// What is wrong with it, and for an unknown key those that are known.
        message: String,
    },
}

/// Reads the configuration from `file`, if there is one, and from `environment`.
pub fn load<T: DeserializeOwned>(
    prefix: Prefix<'_>,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut table = file.map(read).transpose()?.unwrap_or_default();
    let mut overlay = overlay::Overlay::new(prefix, environment);
    overlay.apply(&mut table)?;

    loop {
        let error = match serde_path_to_error::deserialize(table.clone()) {
            Ok(config) => return Ok(config),
            Err(error) => error,
        };
        let key = error.path().to_string();
        // A text may look like a number or a date: a password of digits, for example.
        if !overlay.as_text(&key, &mut table) {
            return Err(invalid(&overlay, file, key, error.inner()));
        }
    }
}

/// The environment of the process.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text)
}

/// Arms the failpoint that `BUCKET_FAILPOINT` names. Without the feature `failpoints` nothing happens.
pub fn arm_failpoint() {
    if let Ok(setting) = std::env::var("BUCKET_FAILPOINT") {
        crate::failpoint::arm(&setting);
    }
}

fn read(file: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::Unreadable { file: file.to_owned(), error })?;
    toml::from_str(&text).map_err(|error: toml::de::Error| ConfigError::Syntax {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| text[..span.start].lines().count().max(1)),
        message: error.message().to_owned(),
    })
}

fn invalid(
    overlay: &overlay::Overlay,
    file: Option<&Path>,
    key: String,
    error: &toml::de::Error,
) -> ConfigError {
    let variable = overlay.variable(&key).map(|variable| format!("the variable {variable}"));
    let in_file = || file.map(|file| format!("the configuration file {}", file.display()));
    let origin = variable.or_else(in_file).unwrap_or_else(|| "the configuration".to_owned());
    ConfigError::Invalid { origin, key, message: without_value(error.message()) }
}

/// A value of the wrong type may be a secret that looks like a number.
fn without_value(message: &str) -> String {
    let parts = message.split_once(": ").zip(message.rsplit_once(", expected "));
    match parts {
        Some(((kind @ ("invalid type" | "invalid value"), _), (_, expected))) => {
            format!("{kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
