//! The configuration of the edge, as file and environment give it.

use std::time::Duration;

use serde::Deserialize;
use service_kit::{
    config::{
        AdminConfig, GrpcClientConfig, ListenAddress, TelemetryConfig, default_drain_delay, drain_delay,
    },
    http::{ExternalBase, HttpLimits, TrustedProxies},
};

/// What the `registry-api` binary reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where it listens for clients; `127.0.0.1:9911` by default.
    #[serde(default = "default_listen")]
    pub listen: ListenAddress,
    /// How long clients are still accepted after the process was told to end, so that proxies hear of it first. 3 s by
    /// default, a minute at most.
    #[serde(default = "default_drain_delay", deserialize_with = "drain_delay")]
    pub drain_delay: Duration,
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
    /// The proxies whose `X-Forwarded-*`, `Forwarded` and `X-Bucket-Handoff` are believed: addresses and networks.
    /// Loopback by default.
    pub trusted_proxies: TrustedProxies,
    /// Which clients are sent to the store for blobs, if it has addresses for that: `off` (the default), `on`, or
    /// `{ networks = [...] }`.
    pub redirect: RedirectConfig,
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
            redirect: RedirectConfig::Off,
            issuer: "bucket".to_owned(),
            service: "bucket".to_owned(),
        }
    }
}

/// Which clients are sent to the store for blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedirectConfig {
    /// None.
    #[default]
    Off,
    /// All.
    On,
    /// Those in these networks, behind trusted proxies.
    Networks(TrustedProxies),
}

fn default_listen() -> ListenAddress {
    ListenAddress(([127, 0, 0, 1], 9911).into())
}

#[cfg(test)]
mod tests {
    use super::{Config, RedirectConfig};

    fn redirect(text: &str) -> Result<RedirectConfig, String> {
        toml::from_str::<Config>(text).map(|config| config.redirect).map_err(|error| error.to_string())
    }

    #[test]
    fn clients_are_redirected_never_always_or_by_network() {
        assert_eq!(redirect(""), Ok(RedirectConfig::Off));
        assert_eq!(redirect("redirect = \"off\""), Ok(RedirectConfig::Off));
        assert_eq!(redirect("redirect = \"on\""), Ok(RedirectConfig::On));
        match redirect("redirect = { networks = [\"10.0.0.0/8\", \"192.0.2.7\"] }").unwrap() {
            RedirectConfig::Networks(networks) => {
                assert!(networks.contains("10.1.2.3".parse().unwrap()));
                assert!(!networks.contains("192.0.2.8".parse().unwrap()));
            }
            other => panic!("{other:?}"),
        }
        assert!(redirect("redirect = \"maybe\"").unwrap_err().contains("maybe"));
        assert!(redirect("redirect = { networks = [\"lan\"] }").unwrap_err().contains("lan"));
    }
}
