//! The configuration of the blob service: the only place that reads it.

use std::path::PathBuf;

use oci::StoreName;
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{
    AdminConfig, GrpcClientConfig, GrpcServerConfig, ListenAddress, SecretError, TelemetryConfig,
    given_secret, long_enough,
};

use crate::{
    claim::Claim,
    store::{
        object::{self, GivenAzure, GivenGcs, GivenS3, ObjectsConfig, Sections},
        swift::{self, GivenSwift, SwiftConfig},
    },
    sweep::SweepConfig,
};

const GRANT_SECRET: &str = "grant_secret";
const DIRECTORY: &str = "directory";
const SWIFT: &str = "swift";

/// A grant secret of fewer bytes is refused.
const GRANT_SECRET_BYTES: usize = 16;

/// What the service needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Given")]
pub struct Config {
    /// Where the bytes are. All replicas share it.
    pub storage: Storage,
    /// What locators call the store; it never changes. `disk` by default, `objects` of a bucket, `swift` of a container.
    pub store: StoreName,
    /// Whether the storage becomes the store although it does not say that it is, for one start; `false` by default.
    pub claim: Claim,
    /// What metadata signs grants with. Given as `grant_secret` or `grant_secret_file`, at least 16 bytes.
    pub grant_secret: SecretString,
    /// Where a proxy reads what the edge has handed off to it. None: nowhere.
    pub handoff_listen: Option<ListenAddress>,
    /// Space that writing blobs leaves free, for what else is on that disk. 64 MiB by default.
    pub reserve_bytes: u64,
    /// Copies of contents on a disk of this replica. None: every read asks the store.
    pub cache: Option<CacheConfig>,
    /// How what nobody needs is deleted.
    pub sweep: SweepConfig,
}

/// Where blobs are kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// In a directory, which needs hard links. Given as `directory`.
    Directory(PathBuf),
    /// In a bucket. Given as a section with the name of its vendor.
    Bucket(Box<ObjectsConfig>),
    /// In a container of Swift. Given as `swift`.
    Container(Box<SwiftConfig>),
}

impl Storage {
    /// What locators call it unless the configuration says otherwise.
    pub fn default_name(&self) -> StoreName {
        match self {
            Self::Directory(_) => default_store(),
            Self::Bucket(_) => named("objects"),
            Self::Container(_) => named("swift"),
        }
    }
}

/// Where one process keeps its blobs, if not in its data directory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Sections")]
pub struct Elsewhere {
    /// The bucket, if one is given.
    pub bucket: Option<ObjectsConfig>,
    /// The container of Swift, if one is given instead.
    pub container: Option<SwiftConfig>,
    /// Whether the place becomes the store although it does not say that it is, for one start; `false` by default.
    pub claim: Claim,
}

impl Elsewhere {
    /// The place that is given, if one is.
    pub fn storage(&self) -> Option<Storage> {
        let container = self.container.clone().map(|container| Storage::Container(Box::new(container)));
        container.or_else(|| self.bucket.clone().map(|bucket| Storage::Bucket(Box::new(bucket))))
    }
}

impl TryFrom<Sections> for Elsewhere {
    type Error = ConfigError;

    fn try_from(mut sections: Sections) -> Result<Self, ConfigError> {
        let container = sections.swift.take().map(GivenSwift::config).transpose()?;
        let claim = sections.claim;
        let bucket = sections.bucket()?;
        if let (Some(bucket), Some(_)) = (&bucket, &container) {
            return Err(several(bucket.vendor.section(), SWIFT));
        }
        Ok(Self { bucket, container, claim })
    }
}

/// Blobs lie in one place only.
fn several(one: &'static str, other: &'static str) -> ConfigError {
    object::ConfigError::Several { one, other }.into()
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The secret of grants is missing, short or cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The bucket cannot be used as it is given.
    #[error(transparent)]
    Bucket(#[from] object::ConfigError),
    /// The container cannot be used as it is given.
    #[error(transparent)]
    Container(#[from] swift::ConfigError),
    /// Blobs must lie somewhere.
    #[error(
        "missing field `directory`, or a section `s3`, `oss`, `cos`, `kodo`, `bos`, `azure`, `gcs` or `swift`"
    )]
    Nowhere,
}

/// Copies of contents on a disk of this replica.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// The directory, which no other replica may use.
    pub directory: PathBuf,
    /// What copies take there, at most. One is no larger than an eighth of it.
    pub max_bytes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    directory: Option<PathBuf>,
    s3: Option<GivenS3>,
    oss: Option<GivenS3>,
    cos: Option<GivenS3>,
    kodo: Option<GivenS3>,
    bos: Option<GivenS3>,
    azure: Option<GivenAzure>,
    gcs: Option<GivenGcs>,
    swift: Option<GivenSwift>,
    #[serde(default)]
    store: Option<StoreName>,
    #[serde(default)]
    claim: Claim,
    grant_secret: Option<SecretString>,
    grant_secret_file: Option<PathBuf>,
    handoff_listen: Option<ListenAddress>,
    #[serde(default = "default_reserve")]
    reserve_bytes: u64,
    cache: Option<CacheConfig>,
    #[serde(default)]
    sweep: SweepConfig,
}

impl TryFrom<Given> for Config {
    type Error = ConfigError;

    fn try_from(given: Given) -> Result<Self, ConfigError> {
        let Given { s3, oss, cos, kodo, bos, azure, gcs, swift, claim, .. } = given;
        let elsewhere = Elsewhere::try_from(Sections { s3, oss, cos, kodo, bos, azure, gcs, swift, claim })?;
        let storage = match (given.directory, elsewhere.storage()) {
            (Some(directory), None) => Storage::Directory(directory),
            (None, Some(storage)) => storage,
            (None, None) => return Err(ConfigError::Nowhere),
            (Some(_), Some(_)) => {
                let bucket = elsewhere.bucket.map(|bucket| bucket.vendor.section());
                return Err(several(DIRECTORY, bucket.unwrap_or(SWIFT)));
            }
        };

        let secret = given_secret(GRANT_SECRET, given.grant_secret, given.grant_secret_file)?;
        Ok(Self {
            store: given.store.unwrap_or_else(|| storage.default_name()),
            storage,
            claim: given.claim,
            grant_secret: long_enough(GRANT_SECRET, secret, GRANT_SECRET_BYTES)?,
            handoff_listen: given.handoff_listen,
            reserve_bytes: given.reserve_bytes,
            cache: given.cache,
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

/// What locators call a store on a disk unless the configuration says otherwise.
pub fn default_store() -> StoreName {
    named("disk")
}

fn named(name: &'static str) -> StoreName {
    match name.parse() {
        Ok(name) => name,
        Err(_) => unreachable!("it is the name of a store"),
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

    use super::{Settings, Storage};

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

        assert!(
            matches!(&settings.blob.storage, Storage::Directory(at) if at.to_str() == Some("/var/lib/bucket"))
        );
        assert_eq!(settings.blob.grant_secret.expose_secret(), secret.1);
        assert_eq!((settings.blob.store.as_str(), settings.blob.reserve_bytes), ("disk", 64 * 1024 * 1024));
        assert!(!format!("{settings:?}").contains(secret.1));
    }

    #[test]
    fn a_cache_needs_a_directory_and_a_size() {
        let secret = ("BUCKET_BLOB__GRANT_SECRET", "a secret of sixteen bytes or more");
        let directory = ("BUCKET_BLOB__DIRECTORY", "/var/lib/bucket");
        let cache = ("BUCKET_BLOB__CACHE__DIRECTORY", "/var/cache/bucket");
        let most = ("BUCKET_BLOB__CACHE__MAX_BYTES", "10737418240");

        let whole = settings(&[directory, secret, cache, most]).unwrap().blob.cache.unwrap();
        assert_eq!((whole.directory.to_str(), whole.max_bytes), (Some("/var/cache/bucket"), 10_737_418_240));
        assert!(settings(&[directory, secret]).unwrap().blob.cache.is_none());
        let half = settings(&[directory, secret, cache]).unwrap_err();
        assert!(half.contains("max_bytes"), "{half}");
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
