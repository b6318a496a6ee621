//! The configuration of the UI, as file and environment give it.

use std::{net::SocketAddr, time::Duration};

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use service_kit::config::{AdminConfig, GrpcClientConfig, TelemetryConfig, default_drain_delay, drain_delay};

/// What the `ui` binary reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long browsers are still answered after the process was told to end, so that proxies hear of it first. 3 s by
    /// default, a minute at most.
    #[serde(default = "default_drain_delay", deserialize_with = "drain_delay")]
    pub drain_delay: Duration,
    /// The auth service.
    pub auth: GrpcClientConfig,
    /// The metadata service.
    pub metadata: GrpcClientConfig,
    /// The pages.
    #[serde(default)]
    pub ui: Config,
    /// Probes and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// The pages.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The registry as users write it in front of an image's name. None: the host that the browser asked for.
    pub registry: Option<String>,
}

impl Config {
    /// What to write in front of an image's name.
    pub(crate) fn registry(&self, headers: &HeaderMap) -> String {
        let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
        self.registry.as_deref().or_else(host).unwrap_or("this-hub").to_owned()
    }
}
