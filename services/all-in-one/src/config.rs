//! The configuration of `bucket serve`, as command line, file and environment give it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use auth::config::{
    AccountsConfig, AdministratorConfig, ConfigError as AuthError, KeysConfig, MailConfig, PasswordConfig,
    ProviderConfig, WorkloadIssuerConfig, called_twice,
};
use proto::metadata::{Visibility, quotas::ByteLimit};
use serde::{Deserialize, Deserializer, de::Error as _};
use service_kit::{
    config::{AdminConfig, ConfigError, Prefix, TelemetryConfig, environment, load},
    http::HttpLimits,
};

/// What `bucket serve` reads. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where everything is kept; `~/.local/share/bucket` by default. `--data` wins.
    pub data: Option<PathBuf>,
    /// Where it listens; `127.0.0.1:9911` by default. `--listen` wins.
    pub listen: SocketAddr,
    /// The engine that keeps metadata; a file under `data` by default. `--metadata` wins.
    pub metadata: metadata::config::EngineConfig,
    /// What a repository is when its first push makes it: `private` (the default) or `public`.
    pub new_repositories: Visibility,
    /// How many bytes each namespace may use that has no quota of its own; `unlimited` by default.
    pub quota: ByteLimit,
    /// Space on the disk that pushes leave free for metadata, in bytes; 64 MiB by default.
    pub reserve_bytes: u64,
    /// When what is not needed any more goes.
    pub reclaim: metadata::config::ReclaimConfig,
    /// The bucket that blobs are kept in; by default they are where everything is.
    pub blob: blob::config::Elsewhere,
    /// How it is deleted, and how what is kept is verified.
    pub sweep: blob::sweep::SweepConfig,
    /// How much of the audit log is kept.
    pub audit: metadata::config::AuditConfig,
    /// How the registry presents itself.
    pub registry: registry_api::config::Config,
    /// The pages.
    pub ui: ui::config::Config,
    /// How long clients may take, and how many there may be.
    pub http: HttpLimits,
    /// What it costs to check a password.
    pub password: PasswordConfig,
    /// Who may make accounts and organizations.
    pub accounts: AccountsConfig,
    /// Providers of identities that people may sign in with; none by default.
    #[serde(deserialize_with = "different_providers")]
    pub providers: Vec<ProviderConfig>,
    /// Issuers whose tokens workloads may show; none by default.
    pub workload_issuers: Vec<WorkloadIssuerConfig>,
    /// What tokens are signed with.
    pub keys: KeysConfig,
    /// How mail is sent; off by default.
    pub mail: MailConfig,
    /// The first administrator.
    pub administrator: AdministratorConfig,
    /// Probes and metrics; on loopback at the next port by default.
    pub admin: AdminConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 9911)),
            metadata: metadata::config::EngineConfig::default(),
            new_repositories: Visibility::Private,
            quota: ByteLimit::Unlimited,
            reserve_bytes: blob::config::default_reserve(),
            reclaim: metadata::config::ReclaimConfig::default(),
            audit: metadata::config::AuditConfig::default(),
            blob: blob::config::Elsewhere::default(),
            sweep: blob::sweep::SweepConfig::default(),
            registry: registry_api::config::Config::default(),
            ui: ui::config::Config::default(),
            http: HttpLimits::default(),
            password: PasswordConfig::default(),
            accounts: AccountsConfig::default(),
            providers: Vec::new(),
            workload_issuers: Vec::new(),
            keys: KeysConfig::default(),
            mail: MailConfig::default(),
            administrator: AdministratorConfig::default(),
            admin: AdminConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Settings {
    /// Reads the settings from `file`, if there is one, and from the environment.
    ///
    /// # Errors
    /// With the origin and the key that is wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        load(Prefix::default(), file, environment())
    }

    /// Where everything is kept.
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(default_data)
    }

    /// Where probes and metrics are: unless configured, beside the hub on loopback, so that two hubs on one
    /// machine do not meet there.
    pub fn admin(&self) -> AdminConfig {
        let beside = || match self.listen.port() {
            0 => SocketAddr::from(([127, 0, 0, 1], 0)),
            port => SocketAddr::from(([127, 0, 0, 1], port.checked_add(1).unwrap_or(port - 1))),
        };
        AdminConfig { listen: Some(self.admin.listen.unwrap_or_else(beside)) }
    }
}

fn different_providers<'de, D: Deserializer<'de>>(given: D) -> Result<Vec<ProviderConfig>, D::Error> {
    let providers = Vec::deserialize(given)?;
    match called_twice(&providers) {
        None => Ok(providers),
        Some(name) => Err(D::Error::custom(AuthError::ProviderTwice { name })),
    }
}

fn default_data() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("."));
    let share = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    share.join("bucket")
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn probes_are_on_loopback_beside_the_hub() {
        let settings = Settings { listen: "0.0.0.0:80".parse().unwrap(), ..Settings::default() };
        assert_eq!(settings.admin().listen, Some("127.0.0.1:81".parse().unwrap()));
        let settings = Settings { listen: "127.0.0.1:65535".parse().unwrap(), ..Settings::default() };
        assert_eq!(settings.admin().listen, Some("127.0.0.1:65534".parse().unwrap()));
    }
}
