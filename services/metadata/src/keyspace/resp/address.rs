//! The URL of a server, of sentinels that know one, or of a cluster. What it says is checked when it is parsed; the password in it is
//! never shown again.

use std::{fmt, str::FromStr};

use secrecy::SecretString;

use super::script::Dialect;

/// Where Redis and its kin listen, and sentinels.
const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;
/// Where LedisDB listens.
const LEDIS_PORT: u16 = 6_380;

/// Redis has 16 databases unless told otherwise, and LedisDB at most 10,240.
const MOST_DATABASES: u16 = 10_240;

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// There.
    Server(Address),
    /// Where these sentinels say that the master of a service is.
    Sentinels { sentinels: Vec<Address>, service: String },
    /// Spread over the masters that any of these knows.
    Cluster(Vec<Address>),
    /// One of those.
    Node(Address),
}

/// Whether others can read along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    Plain,
    Tls,
}

/// The URL of a server that keeps metadata. Shown without its password.
#[derive(Clone)]
pub struct ServerUrl {
    pub(super) place: Place,
    pub(super) encryption: Encryption,
    pub(super) dialect: Option<Dialect>,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) database: u16,
}

/// Why this is no URL of a server. No text of it holds the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not begin as a URL does.
    #[error("not a URL of a metadata engine: write {SCHEMES}")]
    NoScheme,
    /// It begins as no engine's URL does.
    #[error("`{scheme}` is no metadata engine: write {SCHEMES}")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// A cluster has one database.
    #[error("a Redis Cluster has no databases but 0: write redis+cluster://host1:6379,host2:6379")]
    ClusterDatabase,
    /// No host, or something that is none.
    #[error(
        "the URL of the metadata engine has no host, or one that cannot be read: write redis://host:6379/0"
    )]
    Host,
    /// A port that is none.
    #[error("the port in the URL of the metadata engine is not a number from 1 to 65535")]
    Port,
    /// Several hosts of which nothing says what they are.
    #[error(
        "several hosts are for sentinels (redis+sentinel://host1:26379,host2:26379/service) and clusters \
         (redis+cluster://host1:6379,host2:6379)"
    )]
    SeveralHosts,
    /// Sentinels, but not the name of what they watch.
    #[error("sentinels are asked for a service: redis+sentinel://host1:26379,host2:26379/service")]
    NoService,
    /// A database that is none.
    #[error("the database in the URL of the metadata engine is not a number below {MOST_DATABASES}")]
    Database,
    /// An option that no engine has.
    #[error("the URL of the metadata engine has the parameter `{name}`, which is unknown: it takes none")]
    Parameter {
        /// What it is called.
        name: String,
    },
    /// A `%` without two hexadecimal digits after it, or a text that is not UTF-8.
    #[error("the user name or password in the URL of the metadata engine has a `%` that begins no escape")]
    Escape,
}

const SCHEMES: &str =
    "redis://, rediss://, redis+sentinel://, redis+cluster://, rediss+…://, ledis:// or embedded:DIRECTORY";

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let (encryption, dialect, port) = match scheme {
            "redis" | "valkey" | "redis+cluster" => (Encryption::Plain, None, PORT),
            "rediss" | "valkeys" | "rediss+cluster" => (Encryption::Tls, None, PORT),
            "redis+sentinel" => (Encryption::Plain, None, SENTINEL_PORT),
            "rediss+sentinel" => (Encryption::Tls, None, SENTINEL_PORT),
            "ledis" => (Encryption::Plain, Some(Dialect::Ledis), LEDIS_PORT),
            other => return Err(UrlError::Scheme { scheme: other.to_owned() }),
        };
        // Hosts and paths have no such sign: what stands before the last is the user's.
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (username, password) = user.map(credentials).transpose()?.unwrap_or_default();
        if let Some((_, parameter)) = rest.split_once(['?', '#']) {
            let name = parameter.split(['=', '&']).next().unwrap_or_default();
            return Err(UrlError::Parameter { name: name.to_owned() });
        }

        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let addresses = hosts.split(',').map(|host| address(host, port));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        let (place, database) = if scheme.ends_with("sentinel") {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            let service = Some(service).filter(|service| !service.is_empty()).ok_or(UrlError::NoService)?;
            (Place::Sentinels { sentinels: addresses, service: service.to_owned() }, database)
        } else if scheme.ends_with("cluster") {
            (Place::Cluster(addresses), path)
        } else {
            let [server] = <[Address; 1]>::try_from(addresses).map_err(|_| UrlError::SeveralHosts)?;
            (Place::Server(server), path)
        };
        let database = database_number(database)?;
        if database != 0 && matches!(place, Place::Cluster(_)) {
            return Err(UrlError::ClusterDatabase);
        }
        Ok(Self { place, encryption, dialect, username, password, database })
    }
}

impl ServerUrl {
    /// Whether keys are spread over several servers.
    pub fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// The same user at another place.
    pub(super) fn at(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.encryption == Encryption::Tls { "s" } else { "" };
        match &self.place {
            Place::Server(server) if self.dialect == Some(Dialect::Ledis) => write!(f, "ledis://{server}")?,
            Place::Server(server) | Place::Node(server) => write!(f, "redis{tls}://{server}")?,
            Place::Sentinels { sentinels, service } => {
                write!(f, "redis{tls}+sentinel://{}/{service}", joined(sentinels))?;
            }
            Place::Cluster(nodes) => write!(f, "redis{tls}+cluster://{}", joined(nodes))?,
        }
        write!(f, "/{}", self.database)
    }
}

fn joined(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host and perhaps a port.
pub(super) fn address(text: &str, default: u16) -> Result<Address, UrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(UrlError::Host)?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::Host);
    }
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| UrlError::Port))?;

    if port == 0 { Err(UrlError::Port) } else { Ok(Address { host: host.to_owned(), port }) }
}

fn database_number(text: &str) -> Result<u16, UrlError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().ok().filter(|database| *database < MOST_DATABASES).ok_or(UrlError::Database)
}

/// `user:password`, `:password` or, as redis-cli reads it, `user` alone.
fn credentials(text: &str) -> Result<(Option<String>, Option<SecretString>), UrlError> {
    let (username, password) = text.split_once(':').map_or((text, None), |(user, rest)| (user, Some(rest)));
    let username = Some(unescaped(username)?).filter(|username| !username.is_empty());
    let password = password.map(unescaped).transpose()?.filter(|password| !password.is_empty());

    Ok((username, password.map(SecretString::from)))
}

fn unescaped(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2).ok_or(UrlError::Escape)?;
        rest = after;
        let digits = std::str::from_utf8(digits).map_err(|_| UrlError::Escape)?;
        // A number may begin with a sign, an escape may not.
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        bytes.push(byte.ok_or(UrlError::Escape)?);
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Escape)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<ServerUrl>().unwrap().to_string()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(shown("redis://cache"), "redis://cache:6379/0");
        assert_eq!(shown("rediss://[::1]:7000/15"), "rediss://[::1]:7000/15");
        assert_eq!(shown("ledis://127.0.0.1"), "ledis://127.0.0.1:6380/0");
        assert_eq!(shown("valkey://cache:1/2"), "redis://cache:1/2");
        assert_eq!(shown("redis+sentinel://a,b:1/hub/3"), "redis+sentinel://a:26379,b:1/hub/3");
        assert_eq!(shown("rediss+cluster://a,[::1]:1"), "rediss+cluster://a:6379,[::1]:1/0");
    }

    #[test]
    fn names_and_passwords_are_read_and_never_shown() {
        let url: ServerUrl = "redis://bucket:p%40ss:w%2Frd@cache/1".parse().unwrap();
        assert_eq!(url.username.as_deref(), Some("bucket"));
        assert_eq!(url.password.as_ref().unwrap().expose_secret(), "p@ss:w/rd");
        assert_eq!(format!("{url} {url:?}"), "redis://cache:6379/1 redis://cache:6379/1");

        let url: ServerUrl = "redis://:alone@cache".parse().unwrap();
        assert_eq!((url.username, url.password.unwrap().expose_secret()), (None, "alone"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_the_password_not_repeated() {
        let cases = [
            ("cache:6379", UrlError::NoScheme),
            ("http://:secret@cache", UrlError::Scheme { scheme: "http".to_owned() }),
            ("redis+cluster://:secret@a,b/1", UrlError::ClusterDatabase),
            ("redis://:secret@", UrlError::Host),
            ("redis://:secret@cache:0", UrlError::Port),
            ("redis://:secret@cache:port", UrlError::Port),
            ("redis://:secret@a,b", UrlError::SeveralHosts),
            ("redis+sentinel://:secret@a,b", UrlError::NoService),
            ("redis://:secret@cache/two", UrlError::Database),
            ("redis://:secret@cache/10240", UrlError::Database),
            ("redis://:secret@cache/0?timeout=3", UrlError::Parameter { name: "timeout".to_owned() }),
            ("redis://:secret%4@cache", UrlError::Escape),
        ];
        for (text, refused) in cases {
            let error = text.parse::<ServerUrl>().unwrap_err();
            assert_eq!(error, refused, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
