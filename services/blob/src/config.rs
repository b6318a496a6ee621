//! The configuration of the blob service: the only place that reads it.

use std::path::PathBuf;

use oci::StoreName;
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{
    AdminConfig, GrpcClientConfig, GrpcServerConfig, SecretError, TelemetryConfig, given_secret, long_enough,
};

use crate::sweep::SweepConfig;

const GRANT_SECRET: &str = "grant_secret";

/// A grant secret of fewer bytes is refused.
const GRANT_SECRET_BYTES: usize = 16;

/// What the service needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Given")]
pub struct Config {
    /// The directory of the store. All replicas share it; it needs hard links.
    pub directory: PathBuf,
    /// What locators call the store; it never changes. `disk` by default.
    pub store: StoreName,
    /// What metadata signs grants with. Given as `grant_secret` or `grant_secret_file`, at least 16 bytes.
    pub grant_secret: SecretString,
    /// Space that writing blobs leaves free, for what else is on that disk. 64 MiB by default.
    pub reserve_bytes: u64,
    /// How what nobody needs is deleted.
    pub sweep: SweepConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    directory: PathBuf,
    #[serde(default)]
    store: Option<StoreName>,
    grant_secret: Option<SecretString>,
    grant_secret_file: Option<PathBuf>,
    #[serde(default = "default_reserve")]
    reserve_bytes: u64,
    #[serde(default)]
    sweep: SweepConfig,
}

impl TryFrom<Given> for Config {
    type Error = SecretError;

    fn try_from(given: Given) -> Result<Self, SecretError> {
        let secret = given_secret(GRANT_SECRET, given.grant_secret, given.grant_secret_file)?;
        Ok(Self {
            directory: given.directory,
            store: given.store.unwrap_or_else(default_store),
            grant_secret: long_enough(GRANT_SECRET, secret, GRANT_SECRET_BYTES)?,
            reserve_bytes: given.reserve_bytes,
            sweep: given.sweep,
        })
    }
}

/// What the process `blob` needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The service.
    pub blob: Config,
    /// The port on which it is offered.
    pub grpc: GrpcServerConfig,
    /// The metadata service, which says what nobody needs.
    pub metadata: GrpcClientConfig,
    /// The port for probes and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// What locators call the store unless the configuration says otherwise.
///
/// # Panics
/// Never: the name is one.
pub fn default_store() -> StoreName {
    match "disk".parse() {
        Ok(name) => name,
        Err(_) => unreachable!("`disk` is the name of a store"),
    }
}

/// The reserve, unless the configuration says otherwise.
pub const fn default_reserve() -> u64 {
    64 * 1024 * 1024
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use service_kit::config::{Prefix, load};

    use super::Settings;

    const GRPC: [(&str, &str); 4] = [
        ("BUCKET_GRPC__LISTEN", "127.0.0.1:7003"),
        ("BUCKET_GRPC__SERVICE_TOKEN", "a token between services"),
        ("BUCKET_METADATA__URLS", "[\"http://127.0.0.1:7001\"]"),
        ("BUCKET_METADATA__SERVICE_TOKEN", "a token between services"),
    ];

    fn settings(blob: &[(&str, &str)]) -> Result<Settings, String> {
        let all = GRPC.iter().chain(blob).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Prefix::default(), None, all).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_and_a_secret_are_enough() {
        let secret = ("BUCKET_BLOB__GRANT_SECRET", "a secret of sixteen bytes or more");

        let settings = settings(&[("BUCKET_BLOB__DIRECTORY", "/var/lib/bucket"), secret]).unwrap();

        assert_eq!(settings.blob.directory.to_str(), Some("/var/lib/bucket"));
        assert_eq!(settings.blob.grant_secret.expose_secret(), secret.1);
        assert_eq!((settings.blob.store.as_str(), settings.blob.reserve_bytes), ("disk", 64 * 1024 * 1024));
        assert!(!format!("{settings:?}").contains(secret.1));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = settings(&[("BUCKET_BLOB__DIRECTROY", "/var/lib/bucket")]).unwrap_err();

        assert!(error.contains("BUCKET_BLOB__DIRECTROY"), "{error}");
    }

    #[test]
    fn a_short_secret_is_refused_and_not_shown() {
        let error = settings(&[("BUCKET_BLOB__DIRECTORY", "/b"), ("BUCKET_BLOB__GRANT_SECRET", "hunter2")])
            .unwrap_err();

        assert!(error.contains("grant_secret") && !error.contains("hunter2"), "{error}");
    }
}
