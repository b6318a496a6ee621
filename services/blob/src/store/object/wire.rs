//! How requests go to a vendor: how long an answer is waited for and what is tried again. What a test may change, and no
//! configuration, is here too.

use std::time::Duration;

use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::plan::{Limits, Plan, Scale};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Within what a request must be sent and its answer begin, and what may lie between two pieces of the answer.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);
/// For how long a request is repeated that the store had no time for, or that got lost.
const RETRY_LIMIT: Duration = Duration::from_mins(1);
const RETRIES: usize = 10;

/// How a bucket is spoken to. There is one way; others are for tests.
#[derive(Debug, Clone)]
pub struct Wire {
    answer_limit: Duration,
    /// Through what requests go: an address that they are not for.
    proxy: Option<String>,
    scale: Scale,
}

impl Default for Wire {
    fn default() -> Self {
        Self { answer_limit: ANSWER_LIMIT, proxy: None, scale: Scale::default() }
    }
}

#[cfg(feature = "suite")]
impl Wire {
    /// The same, and an answer must begin within `limit`.
    #[must_use]
    pub fn answered_within(self, limit: Duration) -> Self {
        Self { answer_limit: limit, ..self }
    }

    /// The same through the HTTP proxy at `address`, which gets to see whom a request is for, and nobody else does.
    #[must_use]
    pub fn through(self, address: std::net::SocketAddr) -> Self {
        Self { proxy: Some(format!("http://{address}")), ..self }
    }

    /// The same with limits that are smaller by `scale`.
    #[must_use]
    pub fn scaled(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }
}

impl Wire {
    /// How uploads are cut for a vendor that has `limits`.
    pub(super) fn plan(&self, limits: Limits) -> Plan {
        Plan::new(limits, self.scale)
    }

    pub(super) fn retry() -> RetryConfig {
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
        RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_LIMIT }
    }

    pub(super) fn client(&self, endpoint: &str) -> ClientOptions {
        let options = ClientOptions::default()
            .with_allow_http(endpoint.starts_with("http://"))
            // Of all of an answer: a large blob takes as long as its reader does.
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_LIMIT)
            .with_read_timeout(self.answer_limit);
        match &self.proxy {
            Some(proxy) => options.with_proxy_url(proxy),
            None => options,
        }
    }
}
