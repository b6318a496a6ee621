//! The configuration of the edge, as file and environment give it.

use serde::Deserialize;
use service_kit::{
    config::{AdminConfig, GrpcClientConfig, ListenAddress, TelemetryConfig},
    http::{ExternalBase, HttpLimits, TrustedProxies},
};

/// What the `registry-api` binary reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens for clients; `127.0.0.1:9911` by default.
    #[serde(default = "default_listen")]
    pub listen: ListenAddress,
    /// How the registry presents itself.
    #[serde(default)]
    pub registry: Config,
    /// How long clients may take, and how many there may be.
    #[serde(default)]
    pub http: HttpLimits,
    /// The auth service.
    pub auth: GrpcClientConfig,
    /// The metadata service.
    pub metadata: GrpcClientConfig,
    /// The blob service.
    pub blob: GrpcClientConfig,
    /// Probes and metrics.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// How the registry presents itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients find it, as `https://hub.example.com`. None: as each request says. Set, it makes `Location`
    /// absolute.
    pub external_url: Option<ExternalBase>,
    /// The proxies whose `X-Forwarded-*` and `Forwarded` are believed: addresses and networks. Loopback by default.
    pub trusted_proxies: TrustedProxies,
    /// The `iss` of tokens, the same as auth's; `bucket` by default.
    pub issuer: String,
    /// The `aud` of tokens and the `service` of challenges, the same as auth's; `bucket` by default.
    pub service: String,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = [
            ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            ipnet::Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128).into(),
        ];
        Self {
            external_url: None,
            trusted_proxies: TrustedProxies(loopback.into()),
            issuer: "bucket".to_owned(),
            service: "bucket".to_owned(),
        }
    }
}

fn default_listen() -> ListenAddress {
    ListenAddress(([127, 0, 0, 1], 9911).into())
}
