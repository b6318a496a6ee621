//! The limits of an HTTP port, as they stand in the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::humane;

/// How long clients may take, and how many there may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// From the first byte of a request, or from the connection, to the end of its headers. 15 s by default.
    #[serde(with = "humane")]
    pub header_timeout: Duration,
    /// Between two requests on one connection. 75 s by default: longer than a proxy keeps its connections.
    #[serde(with = "humane")]
    pub keep_alive_timeout: Duration,
    /// Without a byte of a body, in either direction. A request's body must also bring 1 KiB for each second that
    /// it is waited for beyond this. 60 s by default.
    #[serde(with = "humane")]
    pub body_idle_timeout: Duration,
    /// Connections at one time; more wait in the kernel. 8192 by default.
    pub max_connections: usize,
    /// Requests at one time, until the end of their answers; more are told to come back. 1024 by default.
    pub max_in_flight: usize,
    /// The same for one client: an IPv4 address or an IPv6 network of 64 bits. 128 by default.
    pub max_in_flight_per_address: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(15),
            keep_alive_timeout: Duration::from_secs(75),
            body_idle_timeout: Duration::from_mins(1),
            max_connections: 8192,
            max_in_flight: 1024,
            max_in_flight_per_address: 128,
        }
    }
}
