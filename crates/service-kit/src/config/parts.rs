//! The sections that several services share.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    callers::{GrpcCallerConfig, GrpcClientTlsConfig, GrpcTlsConfig},
    default_drain_delay, drain_delay, humane,
    secret::{SecretError, given_secret, long_enough},
};

const SERVICE_TOKEN: &str = "service_token";

/// A service token of fewer bytes is refused.
const SERVICE_TOKEN_LENGTH: usize = 16;

/// Where a server listens: an IP address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text where standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line, for machines.
    Json,
    /// Plain text, for people.
    Text,
}

/// What a process tells about itself, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines are written.
    pub log_format: LogFormat,
    /// The least level that is logged, or directives as `info,h2=warn`.
    pub log_level: String,
    /// The OTLP/gRPC receiver of traces, as `http://127.0.0.1:4317`. None: no traces leave the process.
    pub otlp_endpoint: Option<String>,
    /// The name of the process in traces and metrics.
    pub service_name: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::default(),
            log_level: "info".to_owned(),
            otlp_endpoint: None,
            service_name: "bucket".to_owned(),
        }
    }
}

/// The port for probes and metrics.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where it listens. None: there is no such port.
    pub listen: Option<SocketAddr>,
}

/// A gRPC port.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "GivenServer")]
pub struct GrpcServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a caller must know. Given as `service_token` or `service_token_file`.
    pub service_token: SecretString,
    /// Calls at work at one time; above it callers are told to come back. 1024 by default.
    pub max_concurrent_requests: usize,
    /// How long a unary call may take, whatever its caller allows. 30 s by default.
    pub request_timeout: Duration,
    /// How long calls are still taken after the process was told to end, so that callers hear of it first. 3 s by
    /// default, a minute at most.
    pub drain_delay: Duration,
    /// The keys that verify tokens of service accounts (a JSON Web Key Set), read again when it changes. None: there
    /// are no such tokens.
    pub service_keys_file: Option<PathBuf>,
    /// TLS. None: plain, for networks that nobody else is in.
    pub tls: Option<GrpcTlsConfig>,
    /// Service accounts by their certificates.
    pub callers: Vec<GrpcCallerConfig>,
}

/// Why this is no port.
#[derive(Debug, thiserror::Error)]
pub enum ServerConfigError {
    /// Nobody would be asked for a certificate.
    #[error("`callers` are known by their certificates: they need `tls` with a `client_ca_file`")]
    NoCertificates,
    /// The service token cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenServer {
    listen: SocketAddr,
    service_token: Option<SecretString>,
    service_token_file: Option<PathBuf>,
    #[serde(default = "default_concurrency")]
    max_concurrent_requests: usize,
    #[serde(default = "default_timeout", with = "humane")]
    request_timeout: Duration,
    #[serde(default = "default_drain_delay", deserialize_with = "drain_delay")]
    drain_delay: Duration,
    service_keys_file: Option<PathBuf>,
    tls: Option<GrpcTlsConfig>,
    #[serde(default)]
    callers: Vec<GrpcCallerConfig>,
}

impl TryFrom<GivenServer> for GrpcServerConfig {
    type Error = ServerConfigError;

    fn try_from(given: GivenServer) -> Result<Self, Self::Error> {
        let asked = given.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        if !given.callers.is_empty() && !asked {
            return Err(ServerConfigError::NoCertificates);
        }
        Ok(Self {
            listen: given.listen,
            service_token: service_token(given.service_token, given.service_token_file)?,
            max_concurrent_requests: given.max_concurrent_requests,
            request_timeout: given.request_timeout,
            drain_delay: given.drain_delay,
            service_keys_file: given.service_keys_file,
            tls: given.tls,
            callers: given.callers,
        })
    }
}

/// Another service.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "GivenClient")]
pub struct GrpcClientConfig {
    /// Its replicas, or names that stand for all of them.
    pub urls: Vec<GrpcUrl>,
    /// What this process must know. Given as `service_token` or `service_token_file`.
    pub service_token: SecretString,
    /// How long a unary call may take. 10 s by default.
    pub deadline: Duration,
    /// TLS, if the urls say `https`.
    pub tls: Option<GrpcClientTlsConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenClient {
    urls: Vec<GrpcUrl>,
    service_token: Option<SecretString>,
    service_token_file: Option<PathBuf>,
    #[serde(default = "default_deadline", with = "humane")]
    deadline: Duration,
    tls: Option<GrpcClientTlsConfig>,
}

/// Why this is no way to reach a service.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// Nowhere to go.
    #[error("`urls` is empty")]
    NoUrls,
    /// It is not clear whether the connection is to be private.
    #[error("`urls` begin with https:// if there is `tls`, and only then")]
    Mixed,
    /// One half of an identity.
    #[error("`tls` needs both `certificate_file` and `key_file`, or neither")]
    HalfIdentity,
    /// The service token cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl TryFrom<GivenClient> for GrpcClientConfig {
    type Error = ClientConfigError;

    fn try_from(given: GivenClient) -> Result<Self, Self::Error> {
        if given.urls.is_empty() {
            return Err(ClientConfigError::NoUrls);
        }
        if given.urls.iter().any(|url| url.is_private() != given.tls.is_some()) {
            return Err(ClientConfigError::Mixed);
        }
        if given.tls.as_ref().is_some_and(|tls| tls.certificate_file.is_some() != tls.key_file.is_some()) {
            return Err(ClientConfigError::HalfIdentity);
        }
        let service_token = service_token(given.service_token, given.service_token_file)?;
        Ok(Self { urls: given.urls, service_token, deadline: given.deadline, tls: given.tls })
    }
}

/// Where a replica listens, `http://host:port`, `https://host:port` or `unix:/path`; or with `dns+` in front of the first
/// two, where all replicas do whose addresses the name of the host stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct GrpcUrl(String);

/// Why a text is no [`GrpcUrl`].
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is neither http://host:port nor https://host:port nor unix:/path, nor dns+http:// or dns+https:// for all addresses of a host"
)]
pub struct GrpcUrlError(String);

/// A name that stands for replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrpcName {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// In front of a url whose host stands for several addresses.
const ALL_ADDRESSES: &str = "dns+";

impl GrpcUrl {
    /// The url as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is spoken to with TLS.
    pub fn is_private(&self) -> bool {
        self.0.strip_prefix(ALL_ADDRESSES).unwrap_or(&self.0).starts_with("https://")
    }

    /// The name to look up, if it is one.
    pub(crate) fn name(&self) -> Option<GrpcName> {
        let uri = host_and_port(self.0.strip_prefix(ALL_ADDRESSES)?)?;
        let host = uri.host()?.to_owned();
        Some(GrpcName { scheme: uri.scheme_str()?.to_owned(), host, port: uri.port_u16()? })
    }
}

fn host_and_port(text: &str) -> Option<http::Uri> {
    let uri = text.parse::<http::Uri>().ok()?;
    let whole =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.port().is_some() && uri.path() == "/";
    whole.then_some(uri)
}

impl TryFrom<String> for GrpcUrl {
    type Error = GrpcUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let socket =
            text.strip_prefix("unix:").is_some_and(|path| path.trim_start_matches("//").starts_with('/'));
        let host = host_and_port(text.strip_prefix(ALL_ADDRESSES).unwrap_or(&text)).is_some();
        if socket || host { Ok(Self(text)) } else { Err(GrpcUrlError(text)) }
    }
}

impl FromStr for GrpcUrl {
    type Err = GrpcUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

fn service_token(token: Option<SecretString>, file: Option<PathBuf>) -> Result<SecretString, SecretError> {
    let token = given_secret(SERVICE_TOKEN, token, file)?;
    long_enough(SERVICE_TOKEN, token, SERVICE_TOKEN_LENGTH)
}

const fn default_concurrency() -> usize {
    1024
}

const fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

const fn default_deadline() -> Duration {
    Duration::from_secs(10)
}
