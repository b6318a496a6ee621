//! Who asks, and under which name we are known there, when proxies stand in between. Only what a trusted proxy
//! says counts. `X-Forwarded-*` goes before `Forwarded` (RFC 7239): a proxy that writes the one may pass on
//! what its client wrote into the other.

mod element;

use std::{fmt, net::IpAddr, str::FromStr};

use http::{HeaderMap, Uri, header::HOST, uri::Authority};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de};

use self::element::Element;

const X_FOR: &str = "x-forwarded-for";
const X_PROTO: &str = "x-forwarded-proto";
const X_HOST: &str = "x-forwarded-host";
const X_PORT: &str = "x-forwarded-port";

/// The proxies that are believed, as networks (`10.0.0.0/8`) or addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let network = |text: &String| {
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.ok_or_else(|| de::Error::custom(format!("{text:?} is neither a network nor an address")))
        };
        Vec::<String>::deserialize(deserializer)?.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// The address of the client: the last one in the chain that is not a trusted proxy.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let mut nearest = peer;
    for address in chain(headers).into_iter().rev() {
        // What stands before something unreadable has been written by nobody we know.
        let Some(address) = address else { break };
        nearest = address;
        if !trusted.contains(address) {
            break;
        }
    }
    nearest
}

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    fn default_port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Where clients find this server: a scheme, a host and maybe a port, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalBase {
    /// The scheme.
    pub scheme: Scheme,
    /// The host, with the port if it is not the scheme's own.
    pub host: Authority,
}

/// Why a text is no [`ExternalBase`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not https://host, http://host or the same with a port")]
pub struct ExternalBaseError(String);

impl fmt::Display for ExternalBase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)
    }
}

impl FromStr for ExternalBase {
    type Err = ExternalBaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let uri: Uri = text.parse().ok()?;
            let bare = uri.path() == "/" && uri.query().is_none();
            let scheme = uri.scheme_str().and_then(Scheme::parse)?;
            let host = uri.authority().and_then(|host| plain(host.as_str())).filter(|_| bare)?;
            Some(Self { scheme, host })
        };
        parts().ok_or_else(|| ExternalBaseError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ExternalBase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where the client of a request found this server. What is configured wins; then what a trusted proxy says;
/// then the `Host` header. None: the request has none of them.
pub fn external_base(
    peer: IpAddr,
    uri: &Uri,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
    configured: Option<&ExternalBase>,
) -> Option<ExternalBase> {
    if let Some(configured) = configured {
        return Some(configured.clone());
    }
    // HTTP/2 has the host in the request's target.
    let asked = uri.authority().map(Authority::as_str).or_else(|| headers.get(HOST)?.to_str().ok());
    let said = if trusted.contains(peer) { Said::by_proxy(headers, trusted) } else { Said::default() };

    let scheme = said.scheme.unwrap_or(Scheme::Http);
    let host = said.host.and_then(|host| plain(&host)).or_else(|| plain(asked?))?;
    Some(ExternalBase { scheme, host: with_port(scheme, host, said.port) })
}

#[derive(Debug, Default)]
struct Said {
    scheme: Option<Scheme>,
    host: Option<String>,
    port: Option<u16>,
}

impl Said {
    fn by_proxy(headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        if has_x_forwarded(headers) {
            return Self {
                scheme: last(headers, X_PROTO).and_then(|text| Scheme::parse(&text)),
                host: last(headers, X_HOST),
                port: last(headers, X_PORT).and_then(|text| text.parse().ok()),
            };
        }
        // The outermost proxy that is trusted is the one that the client spoke to.
        let elements = Element::all(headers);
        let inner = elements
            .iter()
            .rev()
            .take_while(|element| element.address().is_some_and(|a| trusted.contains(a)));
        let outermost = elements.len().checked_sub(inner.count() + 1).and_then(|index| elements.get(index));
        let Some(element) = outermost.or(elements.first()) else {
            return Self::default();
        };
        Self {
            scheme: element.proto.as_deref().and_then(Scheme::parse),
            host: element.host.clone(),
            port: None,
        }
    }
}

fn has_x_forwarded(headers: &HeaderMap) -> bool {
    [X_FOR, X_PROTO, X_HOST, X_PORT].iter().any(|name| headers.contains_key(*name))
}

/// The addresses that proxies have noted, nearest last; none where one cannot be read.
fn chain(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    if has_x_forwarded(headers) {
        return list(headers, X_FOR).iter().map(|text| element::address(text)).collect();
    }
    Element::all(headers).iter().map(Element::address).collect()
}

fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|item| item.trim().to_owned()).collect()
}

/// The item that the nearest proxy has written.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    list(headers, name).pop().filter(|item| !item.is_empty())
}

/// A host and maybe a port, without a user.
fn plain(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let usable = !authority.host().is_empty() && !text.contains('@');
    usable.then_some(authority)
}

fn with_port(scheme: Scheme, host: Authority, port: Option<u16>) -> Authority {
    let Some(port) = port.map(|port| port.to_string()) else {
        return host;
    };
    if host.port().is_some() || port == scheme.default_port() {
        return host;
    }
    format!("{host}:{port}").parse().unwrap_or(host)
}

#[cfg(test)]
mod tests;
