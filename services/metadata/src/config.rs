//! What can be configured. An unknown key is an error that names it; what is left out has its default, and
//! only the secret has none.

use std::{path::PathBuf, time::Duration};

use proto::metadata::{Visibility, quotas::ByteLimit};
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{
    AdminConfig, GrpcServerConfig, SecretError, TelemetryConfig, given_secret, humane, long_enough,
};

use crate::keyspace::{embedded::Options, resp};

pub use audit::{AuditConfig, AuditOutOfBounds};
pub use engine::{EngineConfig, EngineTlsConfig, EngineUrl};
pub use reclaim::{OutOfBounds, ReclaimConfig};

mod audit;
mod engine;
mod reclaim;

const GRANT_SECRET: &str = "grant_secret";

/// A grant secret of fewer bytes is refused.
const GRANT_SECRET_LENGTH: usize = 16;

/// The configuration of the `metadata` process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The service.
    pub metadata: Config,
    /// The port for the other services.
    pub grpc: GrpcServerConfig,
    /// The port for probes and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// The configuration of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Given")]
pub struct Config {
    /// Where the embedded engine keeps its file: `data/metadata` by default.
    pub directory: PathBuf,
    /// The server that keeps metadata instead, given as `url` and what goes with it. None: the embedded engine does.
    pub server: Option<resp::Options>,
    /// Memory for pages of that file (bytes): 32 MiB by default.
    pub cache_bytes: usize,
    /// Shared with blob, which serves nothing without it. Given as `grant_secret` or `grant_secret_file`.
    pub grant_secret: SecretString,
    /// What a repository is when its first push makes it: private by default.
    pub new_repositories: Visibility,
    /// How many bytes each namespace may use that has no quota of its own: any number by default.
    pub quota: ByteLimit,
    /// How long things last.
    pub lifetimes: Lifetimes,
    /// When what is not needed any more goes.
    pub reclaim: ReclaimConfig,
    /// How much of the audit log is kept.
    pub audit: AuditConfig,
}

impl Config {
    /// The defaults, with a file in `directory`.
    pub fn new(directory: PathBuf, grant_secret: SecretString) -> Self {
        Self {
            directory,
            server: None,
            cache_bytes: default_cache_bytes(),
            grant_secret,
            new_repositories: default_visibility(),
            quota: ByteLimit::Unlimited,
            lifetimes: Lifetimes::default(),
            reclaim: ReclaimConfig::default(),
            audit: AuditConfig::default(),
        }
    }

    /// How the embedded engine is opened.
    pub fn engine(&self) -> Options {
        Options { cache_bytes: self.cache_bytes, ..Options::new(self.directory.clone()) }
    }
}

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// A grant: long enough to begin a read. `grant_lifetime`, 1 minute by default.
    pub grant: Duration,
    /// A hold: longer than the last request of an upload takes. `hold_lifetime`, 1 hour by default.
    pub hold: Duration,
    /// An upload session, from its first request to its last. `session_lifetime`, 7 days by default.
    pub session: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { grant: default_grant(), hold: default_hold(), session: default_session() }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The secret is missing or cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Two places to keep metadata.
    #[error("`directory` is for the embedded engine, and `url` names another place: leave one of them out")]
    TwoPlaces,
    /// A time that would make uploads or reads fail, or never end.
    #[error("`{key}` must be from {} to {} seconds", least.as_secs(), most.as_secs())]
    Lifetime {
        /// Which.
        key: &'static str,
        /// The shortest that works.
        least: Duration,
        /// The longest that is bounded sensibly.
        most: Duration,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    directory: Option<PathBuf>,
    url: Option<EngineUrl>,
    #[serde(default)]
    volatile: bool,
    #[serde(default)]
    tls: EngineTlsConfig,
    #[serde(default = "default_cache_bytes")]
    cache_bytes: usize,
    grant_secret: Option<SecretString>,
    grant_secret_file: Option<PathBuf>,
    #[serde(default = "default_visibility")]
    new_repositories: Visibility,
    #[serde(default)]
    quota: ByteLimit,
    #[serde(default = "default_grant", with = "humane")]
    grant_lifetime: Duration,
    #[serde(default = "default_hold", with = "humane")]
    hold_lifetime: Duration,
    #[serde(default = "default_session", with = "humane")]
    session_lifetime: Duration,
    #[serde(default)]
    reclaim: ReclaimConfig,
    #[serde(default)]
    audit: AuditConfig,
}

impl TryFrom<Given> for Config {
    type Error = Refused;

    fn try_from(given: Given) -> Result<Self, Refused> {
        let grant_secret = given_secret(GRANT_SECRET, given.grant_secret, given.grant_secret_file)?;
        let lifetimes = Lifetimes {
            grant: within(
                "grant_lifetime",
                given.grant_lifetime,
                Duration::from_secs(5),
                Duration::from_hours(1),
            )?,
            hold: within(
                "hold_lifetime",
                given.hold_lifetime,
                Duration::from_mins(1),
                Duration::from_hours(168),
            )?,
            session: within(
                "session_lifetime",
                given.session_lifetime,
                Duration::from_mins(10),
                Duration::from_hours(744),
            )?,
        };

        let engine = EngineConfig { url: given.url, volatile: given.volatile, tls: given.tls };
        let directory = match (given.directory, &engine.url) {
            (Some(_), Some(_)) => return Err(Refused::TwoPlaces),
            (directory, _) => directory.or_else(|| engine.directory()).unwrap_or_else(default_directory),
        };

        Ok(Self {
            directory,
            server: engine.server(),
            cache_bytes: given.cache_bytes,
            grant_secret: long_enough(GRANT_SECRET, grant_secret, GRANT_SECRET_LENGTH)?,
            new_repositories: given.new_repositories,
            quota: given.quota,
            lifetimes,
            reclaim: given.reclaim,
            audit: given.audit,
        })
    }
}

fn within(key: &'static str, given: Duration, least: Duration, most: Duration) -> Result<Duration, Refused> {
    if (least..=most).contains(&given) { Ok(given) } else { Err(Refused::Lifetime { key, least, most }) }
}

fn default_directory() -> PathBuf {
    "data/metadata".into()
}

const fn default_cache_bytes() -> usize {
    32 * 1_024 * 1_024
}

// Private, so that nothing is shown to everybody by mistake.
const fn default_visibility() -> Visibility {
    Visibility::Private
}

const fn default_grant() -> Duration {
    Duration::from_mins(1)
}

const fn default_hold() -> Duration {
    Duration::from_hours(1)
}

const fn default_session() -> Duration {
    Duration::from_hours(168)
}

#[cfg(test)]
mod tests {
    use super::{Config, Lifetimes};
    use proto::metadata::Visibility;

    fn parsed(toml: &str) -> Result<Config, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn everything_but_the_secret_has_a_default_that_is_safe() {
        let config = parsed("grant_secret = '0123456789abcdef'").unwrap();
        assert_eq!(config.new_repositories, Visibility::Private);
        assert_eq!(config.lifetimes, Lifetimes::default());
        assert!(parsed("").unwrap_err().contains("grant_secret"));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_name() {
        let with = |line: &str| parsed(&format!("grant_secret = '0123456789abcdef'\n{line}")).unwrap_err();
        assert!(with("hold_lifetim = '1h'").contains("hold_lifetim"));
        assert!(with("grant_lifetime = '0s'").contains("grant_lifetime"));
        assert!(with("quota = '10GB'").contains("10GB"));
        assert!(parsed("grant_secret = 'short'").unwrap_err().contains("grant_secret"));
    }

    #[test]
    fn metadata_is_kept_in_one_place() {
        let with = |lines: &str| parsed(&format!("grant_secret = '0123456789abcdef'\n{lines}"));
        assert!(with("").unwrap().server.is_none());
        assert_eq!(with("url = 'embedded:/there'").unwrap().directory, std::path::Path::new("/there"));
        assert!(with("url = 'redis://cache'").unwrap().server.is_some());
        let error = with("url = 'redis://cache'\ndirectory = '/there'").unwrap_err();
        assert!(error.contains("`directory`") && error.contains("`url`"), "{error}");
    }

    #[test]
    fn the_secret_is_not_in_the_debug_output() {
        let config = parsed("grant_secret = 'a rather secret text'").unwrap();
        assert!(!format!("{config:?}").contains("rather"));
    }
}
