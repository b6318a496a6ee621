//! The configuration of the auth service, as file and environment give it.

use std::{path::PathBuf, time::Duration};

use argon2::Params;
use oci::AccountName;
use proto::auth::federation::ProviderName;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use service_kit::{
    config::{
        AdminConfig, GrpcClientConfig, GrpcServerConfig, SecretError, TelemetryConfig, given_secret, humane,
        long_enough,
    },
    jose::Algorithm,
};

use crate::policy::Founders;

pub use federation::{ProviderConfig, ProviderError, ProviderSignUp, WorkloadIssuerConfig};

mod federation;

pub use mail::{Base, MailConfig, MailConfigError, MailServer, Security, Sender};

mod mail;

const KEY_SECRET: &str = "key_secret";
const SECRET_LENGTH: usize = 16;

/// What the `auth` binary reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port that the edge and the UI call.
    pub grpc: GrpcServerConfig,
    /// The metadata service.
    pub metadata: GrpcClientConfig,
    /// Tokens and passwords.
    pub auth: Config,
    /// The first administrator.
    #[serde(default)]
    pub administrator: AdministratorConfig,
    /// Probes and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// Tokens and passwords.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Given")]
pub struct Config {
    /// The `iss` of tokens; `bucket` by default.
    pub issuer: String,
    /// The `aud` of tokens and the `service` of challenges, the same as the edge's; `bucket` by default.
    pub service: String,
    /// How long a token lives, 60 to 300 seconds; 300 by default.
    pub token_lifetime: Duration,
    /// What the signing key in metadata is sealed with. Given as `key_secret` or `key_secret_file`.
    pub key_secret: SecretString,
    /// What it costs to check a password.
    pub password: PasswordConfig,
    /// Who may make accounts and organizations.
    pub accounts: AccountsConfig,
    /// Providers of identities that people may sign in with; none by default.
    pub providers: Vec<ProviderConfig>,
    /// Issuers whose tokens workloads may show; none by default.
    pub workload_issuers: Vec<WorkloadIssuerConfig>,
    /// What tokens are signed with.
    pub keys: KeysConfig,
    /// How mail is sent; off by default.
    pub mail: MailConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default = "bucket")]
    issuer: String,
    #[serde(default = "bucket")]
    service: String,
    #[serde(default = "longest", with = "humane")]
    token_lifetime: Duration,
    key_secret: Option<SecretString>,
    key_secret_file: Option<PathBuf>,
    #[serde(default)]
    password: PasswordConfig,
    #[serde(default)]
    accounts: AccountsConfig,
    #[serde(default)]
    providers: Vec<ProviderConfig>,
    #[serde(default)]
    workload_issuers: Vec<WorkloadIssuerConfig>,
    #[serde(default)]
    keys: KeysConfig,
    #[serde(default)]
    mail: MailConfig,
}

/// Why this is no configuration of auth.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Clients ask for a new token when less than a minute is left; what lives longer cannot be revoked soon.
    #[error("`token_lifetime` must be from 60s to 300s")]
    Lifetime,
    /// argon2 cannot work with these.
    #[error("`password`: memory_kib must be at least 8 and iterations at least 1, concurrent_checks too")]
    Password,
    /// Two of one name could not be told apart.
    #[error("`providers`: there are two that are called {name}")]
    ProviderTwice {
        /// The name.
        name: ProviderName,
    },
}

impl TryFrom<Given> for Config {
    type Error = ConfigError;

    fn try_from(given: Given) -> Result<Self, ConfigError> {
        let secret = given_secret(KEY_SECRET, given.key_secret, given.key_secret_file)?;
        let config = Self {
            issuer: given.issuer,
            service: given.service,
            token_lifetime: given.token_lifetime,
            key_secret: long_enough(KEY_SECRET, secret, SECRET_LENGTH)?,
            password: given.password,
            accounts: given.accounts,
            providers: given.providers,
            workload_issuers: given.workload_issuers,
            keys: given.keys,
            mail: given.mail,
        };
        config.checked()
    }
}

impl Config {
    /// The configuration with nothing but a secret given.
    pub fn with_secret(key_secret: SecretString) -> Self {
        Self {
            issuer: bucket(),
            service: bucket(),
            token_lifetime: longest(),
            key_secret,
            password: PasswordConfig::default(),
            accounts: AccountsConfig::default(),
            providers: Vec::new(),
            workload_issuers: Vec::new(),
            keys: KeysConfig::default(),
            mail: MailConfig::default(),
        }
    }

    fn checked(self) -> Result<Self, ConfigError> {
        if !(60..=300).contains(&self.token_lifetime.as_secs()) {
            return Err(ConfigError::Lifetime);
        }
        if self.password.concurrent_checks == 0 || self.password.given_params().is_none() {
            return Err(ConfigError::Password);
        }
        if let Some(name) = called_twice(&self.providers) {
            return Err(ConfigError::ProviderTwice { name });
        }
        Ok(self)
    }
}

/// The name that two providers have.
pub fn called_twice(providers: &[ProviderConfig]) -> Option<ProviderName> {
    let mut names = std::collections::BTreeSet::new();
    providers.iter().find(|provider| !names.insert(&provider.name)).map(|provider| provider.name.clone())
}

/// What it costs to check a password, and so what it costs to guess one.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordConfig {
    /// Memory for one check, in KiB; 19456 by default (OWASP's recommendation for argon2id).
    pub memory_kib: u32,
    /// Passes over it; 2 by default.
    pub iterations: u32,
    /// Checks at one time; further logins wait for a few seconds. 4 by default.
    pub concurrent_checks: usize,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self { memory_kib: Params::DEFAULT_M_COST, iterations: Params::DEFAULT_T_COST, concurrent_checks: 4 }
    }
}

impl PasswordConfig {
    pub(crate) fn params(&self) -> Params {
        self.given_params().unwrap_or_default()
    }

    fn given_params(&self) -> Option<Params> {
        Params::new(self.memory_kib, self.iterations, Params::DEFAULT_P_COST, None).ok()
    }
}

/// Who may make accounts and organizations, and how long one stays signed in.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// Who may make an account: `closed` (administrators, for others, and whom they invite; the default), `invitation`
    /// (also whom owners of organizations invite) or `open`.
    pub sign_up: SignUp,
    /// Who may make an organization: `users` (the default) or `administrators`.
    pub organizations: Founders,
    /// How long a session lasts, 5 minutes to 30 days; 12 hours by default.
    #[serde(deserialize_with = "session_lifetime")]
    pub session_lifetime: Duration,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    /// Everybody, their own.
    Open,
    /// Whoever is invited, also by owners of organizations.
    Invitation,
    /// Administrators, for others, and whoever is invited by them.
    #[default]
    Closed,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        let (sign_up, organizations) = (SignUp::default(), Founders::default());
        Self { sign_up, organizations, session_lifetime: Duration::from_hours(12) }
    }
}

fn session_lifetime<'de, D: Deserializer<'de>>(given: D) -> Result<Duration, D::Error> {
    let lifetime = humane::deserialize(given)?;
    if (Duration::from_mins(5)..=Duration::from_hours(30 * 24)).contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err(D::Error::custom("`session_lifetime` must be from 5m to 30d"))
    }
}

/// What tokens are signed with, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// What kind of key the next one is: `eddsa` (the default) or `es256`, for verifiers that know no Ed25519.
    pub algorithm: Algorithm,
    /// How long a key signs until another one takes over, 1 day to 10 years; 90 days by default.
    #[serde(deserialize_with = "rotation")]
    pub rotation: Duration,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), rotation: Duration::from_hours(90 * 24) }
    }
}

fn rotation<'de, D: Deserializer<'de>>(given: D) -> Result<Duration, D::Error> {
    let rotation = humane::deserialize(given)?;
    if (Duration::from_hours(24)..=Duration::from_hours(3650 * 24)).contains(&rotation) {
        Ok(rotation)
    } else {
        Err(D::Error::custom("`rotation` must be from 1d to 3650d"))
    }
}

/// The first administrator. Its password comes from `BUCKET_ADMIN_PASSWORD`, or is generated and printed once.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdministratorConfig {
    /// The name to log in with; `admin` by default.
    pub name: AccountName,
}

impl Default for AdministratorConfig {
    fn default() -> Self {
        Self { name: AccountName::administrator() }
    }
}

/// The administrator's password, if the environment gives one.
pub fn administrator_password() -> Option<SecretString> {
    std::env::var("BUCKET_ADMIN_PASSWORD").ok().filter(|given| !given.is_empty()).map(SecretString::from)
}

fn bucket() -> String {
    "bucket".to_owned()
}

const fn longest() -> Duration {
    Duration::from_mins(5)
}

#[cfg(test)]
impl Config {
    pub(crate) fn cheap_for_tests() -> Self {
        let password = PasswordConfig { memory_kib: 64, iterations: 1, concurrent_checks: 2 };
        Self { password, ..Self::with_secret("a secret for tests".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Config, SignUp};
    use crate::policy::Founders;

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn only_the_secret_must_be_given() {
        let config = read("key_secret = 'sixteen bytes ok'").unwrap();
        assert_eq!(config.service, "bucket");
        assert_eq!(config.token_lifetime.as_secs(), 300);
        assert!(read("").unwrap_err().contains("key_secret"));
    }

    #[test]
    fn accounts_are_made_by_administrators_unless_it_is_said_otherwise() {
        let default = read("key_secret = 'sixteen bytes ok'").unwrap().accounts;
        assert_eq!((default.sign_up, default.organizations), (SignUp::Closed, Founders::Users));
        assert_eq!(default.session_lifetime.as_secs(), 12 * 3600);

        let invited = read("key_secret = 'sixteen bytes ok'\naccounts = { sign_up = 'invitation' }").unwrap();
        assert_eq!(invited.accounts.sign_up, SignUp::Invitation);
        let given = "sign_up = 'open', organizations = 'administrators', session_lifetime = '7d'";
        let given =
            read(&format!("key_secret = 'sixteen bytes ok'\naccounts = {{ {given} }}")).unwrap().accounts;
        assert_eq!((given.sign_up, given.organizations), (SignUp::Open, Founders::Administrators));
        assert_eq!(given.session_lifetime.as_secs(), 7 * 24 * 3600);
    }

    #[test]
    fn keys_are_of_ed25519_and_change_each_season_unless_it_is_said_otherwise() {
        let default = read("key_secret = 'sixteen bytes ok'").unwrap().keys;
        assert_eq!((default.algorithm, default.rotation.as_secs()), (Algorithm::EdDsa, 90 * 24 * 3600));
        let given = "key_secret = 'sixteen bytes ok'\nkeys = { algorithm = 'es256', rotation = '30d' }";
        let given = read(given).unwrap().keys;
        assert_eq!((given.algorithm, given.rotation.as_secs()), (Algorithm::Es256, 30 * 24 * 3600));
    }

    #[test]
    fn what_would_be_unsafe_or_unusable_is_refused() {
        let with = |line: &str| read(&format!("key_secret = 'sixteen bytes ok'\n{line}")).unwrap_err();
        assert!(with("token_lifetime = '10m'").contains("60s to 300s"));
        assert!(with("token_lifetime = '5s'").contains("60s to 300s"));
        assert!(with("password = { memory_kib = 1 }").contains("memory_kib"));
        assert!(with("password = { concurrent_checks = 0 }").contains("concurrent_checks"));
        assert!(with("accounts = { session_lifetime = '4m' }").contains("5m to 30d"));
        assert!(with("accounts = { session_lifetime = '31d' }").contains("5m to 30d"));
        assert!(with("accounts = { sign_up = 'maybe' }").contains("maybe"));
        assert!(with("lifetime = '60s'").contains("lifetime"));
        assert!(with("keys = { rotation = '23h' }").contains("1d to 3650d"));
        assert!(with("keys = { algorithm = 'none' }").contains("none"));
        assert!(read("key_secret = 'short'").unwrap_err().contains("fewer than 16"));
    }
}
