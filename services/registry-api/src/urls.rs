//! Where clients find things: the realm of challenges, and what `Location` and `Link` say.

use std::net::{IpAddr, Ipv4Addr};

use http::request::Parts;
use oci::Target;
use service_kit::http::external_base;

use crate::config::Config;

/// Where the token endpoint is.
pub(crate) const TOKEN_PATH: &str = "/token";

/// For requests that do not even say whom they ask.
const NOWHERE: &str = "http://localhost";

/// The registry as the client of one request sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Urls {
    /// Scheme and host, without a slash at the end.
    base: String,
    form: Form,
}

/// How `Location` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A path: right whatever is in front of us.
    Relative,
    /// With scheme and host: the configuration says what they are.
    Absolute,
}

impl Urls {
    /// As the request of `peer` sees it.
    pub(crate) fn of(parts: &Parts, peer: Option<IpAddr>, config: &Config) -> Self {
        let configured = config.external_url.as_ref();
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let base = external_base(peer, &parts.uri, &parts.headers, &config.trusted_proxies, configured);
        Self {
            base: base.map_or_else(|| NOWHERE.to_owned(), |base| base.to_string()),
            form: if configured.is_some() { Form::Absolute } else { Form::Relative },
        }
    }

    /// Where clients get tokens. A challenge has no base of its own, so this is always absolute.
    pub(crate) fn realm(&self) -> String {
        format!("{}{TOKEN_PATH}", self.base)
    }

    /// A path of this hub with scheme and host, as whoever sends clients back needs it.
    pub(crate) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Whether clients come over HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.base.starts_with("https://")
    }

    /// Where `target` is.
    pub(crate) fn location(&self, target: &Target) -> String {
        match self.form {
            Form::Relative => target.to_string(),
            Form::Absolute => format!("{}{target}", self.base),
        }
    }
}
