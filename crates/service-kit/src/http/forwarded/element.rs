//! The header `Forwarded` (RFC 7239, section 4), and the addresses in it.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header::FORWARDED};

/// What one proxy has noted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) from: Option<String>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

impl Element {
    /// All of them, nearest last.
    pub(super) fn all(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| split(value, ',')).map(|element| Self::parse(&element)).collect()
    }

    /// Whom the proxy spoke to, if it says so and it is an address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        address(self.from.as_deref()?)
    }

    fn parse(text: &str) -> Self {
        let mut element = Self::default();
        for pair in split(text, ';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let value = Some(unquoted(value.trim()));
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => element.from = value,
                "proto" => element.proto = value,
                "host" => element.host = value,
                _ => {}
            }
        }
        element
    }
}

/// An address, maybe with a port, IPv6 maybe in brackets.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let address = text.parse::<SocketAddr>().map(|address| address.ip()).ok().or_else(bare);
    address.map(|address| address.to_canonical())
}

/// Splits outside of quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        if character == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && quoted && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.map_or_else(|| value.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"))
}
