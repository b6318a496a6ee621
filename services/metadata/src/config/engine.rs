//! Which engine keeps metadata: what the URL and what goes with it say.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::keyspace::resp::{Keeping, Limits, Options, ServerUrl, TlsFiles, UrlError};

/// Where metadata is kept, as a URL: `embedded:DIRECTORY`, or that of a server. Shown without its password.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretString")]
pub enum EngineUrl {
    /// A file in this directory.
    Embedded(PathBuf),
    /// A server.
    Server(ServerUrl),
}

impl FromStr for EngineUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        match text.strip_prefix("embedded:") {
            Some("") => Err(UrlError::NoScheme),
            Some(directory) => Ok(Self::Embedded(directory.into())),
            None => text.parse().map(Self::Server),
        }
    }
}

/// The directory itself, or the URL of the server without its password.
impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(directory) => write!(f, "{}", directory.display()),
            Self::Server(url) => write!(f, "{url}"),
        }
    }
}

impl TryFrom<SecretString> for EngineUrl {
    type Error = UrlError;

    fn try_from(text: SecretString) -> Result<Self, UrlError> {
        text.expose_secret().parse()
    }
}

/// Which engine, and how it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Where metadata is kept; in a directory of the process's own by default.
    pub url: Option<EngineUrl>,
    /// Whether a server that keeps nothing on disk will do; no by default.
    pub volatile: bool,
    /// How a server is made sure of.
    pub tls: EngineTlsConfig,
}

impl EngineConfig {
    /// The directory that the URL names, if it names one.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.url {
            Some(EngineUrl::Embedded(directory)) => Some(directory.clone()),
            _ => None,
        }
    }

    /// How the server that the URL names is used, if it names one.
    pub fn server(&self) -> Option<Options> {
        let Some(EngineUrl::Server(url)) = &self.url else { return None };
        let EngineTlsConfig { ca_file, certificate_file, key_file } = self.tls.clone();
        Some(Options {
            url: url.clone(),
            keeping: if self.volatile { Keeping::Volatile } else { Keeping::Required },
            tls: TlsFiles { ca: ca_file, certificate: certificate_file, key: key_file },
            limits: Limits::default(),
        })
    }
}

/// TLS to a server with a `rediss://` URL. The files are read at the start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineTlsConfig {
    /// Who vouches for the server's certificate (PEM); the authorities that the system trusts by default.
    pub ca_file: Option<PathBuf>,
    /// This process's own certificate (PEM), if it is asked for one.
    pub certificate_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub key_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::{EngineConfig, EngineUrl};

    fn parsed(toml: &str) -> Result<EngineConfig, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_directory_has_a_url_too() {
        let config = parsed("url = 'embedded:/var/lib/metadata'").unwrap();
        assert_eq!(config.directory(), Some("/var/lib/metadata".into()));
        assert!(config.server().is_none());
        assert!("embedded:".parse::<EngineUrl>().is_err());
    }

    #[test]
    fn what_goes_with_a_server_is_read() {
        let text = "url = 'rediss://cache/1'\nvolatile = true\n[tls]\nca_file = '/ca.pem'";
        let server = parsed(text).unwrap().server().unwrap();
        assert_eq!(server.tls.ca, Some("/ca.pem".into()));
        assert_eq!(server.url.to_string(), "rediss://cache:6379/1");
    }

    #[test]
    fn passwords_are_in_no_output_and_no_error() {
        let config = parsed("url = 'redis://:secret@cache'").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
        let error = parsed("url = 'redis://:secret@cache?x=1'").unwrap_err();
        assert!(error.contains('x') && !error.contains("secret"), "{error}");
    }
}
