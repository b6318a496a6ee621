//! The configuration of mail: off unless a server is named.

use std::{path::PathBuf, str::FromStr};

use lettre::message::Mailbox;
use secrecy::SecretString;
use serde::Deserialize;
use service_kit::config::{SecretError, given_secret};

const PASSWORD: &str = "mail.password";

/// How mail is sent; off by default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Given")]
pub struct MailConfig(pub Option<MailServer>);

/// A server that takes mail, and what it is sent with.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// The server.
    pub host: String,
    /// Its port; 25, 465 or 587 by default.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// A name and a password for the server.
    pub login: Option<(String, SecretString)>,
    /// The sender.
    pub from: Sender,
    /// Where people find the hub: what links begin with.
    pub external_url: Base,
}

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all: for a server on this machine or network.
    None,
    /// By STARTTLS, and not without it.
    StartTls,
    /// By TLS from the beginning.
    Tls,
}

/// Whom letters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(pub(crate) Mailbox);

/// Scheme and host, perhaps a path, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Base(String);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    url: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    from: Option<String>,
    external_url: Option<Base>,
}

/// Why this is no configuration of mail.
#[derive(Debug, thiserror::Error)]
pub enum MailConfigError {
    /// The server cannot be told from it.
    #[error(
        "`mail.url` must be of the form smtp://host:port (without TLS), smtp+starttls://host:port or smtps://host:port; \
         the port may be left out, and the name and password are `username` and `password_file`"
    )]
    Url,
    /// Something is there that is good for nothing.
    #[error("`mail.url` is missing: without it no mail is sent")]
    NoUrl,
    /// Nobody is the sender.
    #[error("`mail.from` must be an address, as bucket@example.com or Bucket <bucket@example.com>")]
    From,
    /// Links would lead nowhere.
    #[error("`mail.external_url` must be where people find the hub, as https://hub.example.com")]
    ExternalUrl,
    /// One without the other.
    #[error("`mail.username` and `mail.password_file` belong together")]
    Login,
    /// The password cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Base {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone.
    pub(crate) fn host(&self) -> &str {
        let behind = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        let authority = behind.split('/').next().unwrap_or(behind);
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }
}

impl TryFrom<String> for Base {
    type Error = MailConfigError;

    fn try_from(text: String) -> Result<Self, MailConfigError> {
        let text = text.trim_end_matches('/');
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |rest: &str| {
            !rest.is_empty()
                && !rest.starts_with([':', '/'])
                && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c))
        };
        match rest {
            Some(rest) if plain(rest) => Ok(Self(text.to_owned())),
            _ => Err(MailConfigError::ExternalUrl),
        }
    }
}

impl TryFrom<Given> for MailConfig {
    type Error = MailConfigError;

    fn try_from(given: Given) -> Result<Self, MailConfigError> {
        let Given { url, username, password, password_file, from, external_url } = given;
        let Some(url) = url else {
            let alone = username.is_none() && from.is_none() && external_url.is_none();
            let secretless = password.is_none() && password_file.is_none();
            return if alone && secretless { Ok(Self(None)) } else { Err(MailConfigError::NoUrl) };
        };

        let (security, host, port) = server(&url).ok_or(MailConfigError::Url)?;
        let login = match (username, password.is_some() || password_file.is_some()) {
            (None, false) => None,
            (Some(username), true) => Some((username, given_secret(PASSWORD, password, password_file)?)),
            _ => return Err(MailConfigError::Login),
        };
        let from = from.and_then(|from| Mailbox::from_str(&from).ok()).ok_or(MailConfigError::From)?;
        let external_url = external_url.ok_or(MailConfigError::ExternalUrl)?;
        Ok(Self(Some(MailServer { host, port, security, login, from: Sender(from), external_url })))
    }
}

fn server(url: &str) -> Option<(Security, String, u16)> {
    let (scheme, authority) = url.trim_end_matches('/').split_once("://")?;
    let (security, usual) = match scheme {
        "smtp" => (Security::None, 25),
        "smtp+starttls" => (Security::StartTls, 587),
        "smtps" => (Security::Tls, 465),
        _ => return None,
    };
    // An IPv6 address has its colons in brackets.
    let port_begins = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (host, port) = match port_begins {
        Some(at) => (&authority[..at], authority[at + 1..].parse().ok()?),
        None => (authority, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    (!host.is_empty() && host.chars().all(good)).then(|| (security, host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::{MailConfig, MailServer, Security, server};

    const FULL: &str = "url = 'smtps://mail.example.com'\nfrom = 'Bucket <bucket@example.com>'\n\
                        external_url = 'https://hub.example.com/'\n";

    fn read(text: &str) -> Result<Option<MailServer>, String> {
        toml::from_str::<MailConfig>(text).map(|config| config.0).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_no_mail_unless_a_server_is_named() {
        assert!(read("").unwrap().is_none());
        let read = read(FULL).unwrap().unwrap();
        assert_eq!((read.host.as_str(), read.port, read.security), ("mail.example.com", 465, Security::Tls));
        assert_eq!(read.external_url.as_str(), "https://hub.example.com");
        assert_eq!(read.external_url.host(), "hub.example.com");
        assert!(read.login.is_none());
    }

    #[test]
    fn the_url_says_how_the_way_is_protected() {
        assert_eq!(server("smtp://localhost"), Some((Security::None, "localhost".into(), 25)));
        assert_eq!(server("smtp+starttls://mail:2525/"), Some((Security::StartTls, "mail".into(), 2525)));
        assert_eq!(server("smtps://[2001:db8::1]:465"), Some((Security::Tls, "2001:db8::1".into(), 465)));
        for bad in
            ["mail:25", "imap://mail", "smtp://", "smtp://mail:port", "smtp://me:pass@mail", "smtp://a/b"]
        {
            assert_eq!(server(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_missing_or_cannot_be_used_is_named() {
        let refused = |text: &str| read(text).unwrap_err();
        assert!(refused("from = 'a@b'").contains("mail.url"));
        assert!(refused("url = 'smtp://localhost'").contains("mail.from"));
        assert!(refused("url = 'smtp://localhost'\nfrom = 'a@example.com'").contains("mail.external_url"));
        assert!(refused(&format!("{FULL}username = 'me'")).contains("belong together"));
        assert!(
            refused(&format!("{FULL}password_file = '/nowhere/at/all'\nusername = 'me'"))
                .contains("/nowhere")
        );
        assert!(
            refused(&FULL.replace("https://hub.example.com/", "hub.example.com")).contains("external_url")
        );
        assert!(refused(&format!("{FULL}port = 25")).contains("port"));
    }

    #[test]
    fn the_password_is_not_printed() {
        let read = read(&format!("{FULL}username = 'me'\npassword = 'pass-w0rd'")).unwrap();
        assert!(!format!("{read:?}").contains("pass-w0rd"));
    }
}
