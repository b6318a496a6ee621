//! The port to whatever delivers mail: letters are taken at once or not at all, and delivered later. What they say is in
//! `letters`; who gets one is decided elsewhere.

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use service_kit::shutdown::Shutdown;

use crate::config::MailConfig;

pub use smtp::{MailError, Postman, Smtp};

pub(crate) mod letters;
mod smtp;

/// Delivers letters, later.
pub trait Mail: Send + Sync + 'static {
    /// Takes a letter. It does not wait, so that nobody can tell by the time it takes whether there was one.
    ///
    /// # Errors
    /// Too many letters are on their way.
    fn send(&self, letter: Letter) -> Result<(), Busy>;

    /// Where people find the hub, as `https://hub.example.com`: what links begin with.
    fn base(&self) -> &str;
}

/// A letter to one person.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// What it is about.
    pub subject: &'static str,
    /// What it says; there are secrets in it.
    pub text: SecretString,
}

/// Too many letters are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many letters are on their way")]
pub struct Busy;

/// Mail as it is configured, if it is, with the postman among the tasks of the process.
///
/// # Errors
/// What TLS cannot be set up with.
pub fn begun(config: &MailConfig, shutdown: &Shutdown) -> Result<Option<Arc<dyn Mail>>, MailError> {
    let Some(server) = &config.0 else {
        return Ok(None);
    };
    let (smtp, postman) = Smtp::new(server)?;
    shutdown.spawn(postman.deliver(shutdown.clone()));
    Ok(Some(Arc::new(smtp)))
}

/// An address as logs have it: enough to find a mistake in a host's name, and nobody by it.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((mailbox, host)) => {
                let first: String = mailbox.chars().take(1).collect();
                write!(f, "{first}…@{host}")
            }
            None => f.write_str("…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shortened;

    #[test]
    fn an_address_is_not_logged_in_full() {
        assert_eq!(Shortened("ann.smith@example.com").to_string(), "a…@example.com");
        assert_eq!(Shortened("nothing").to_string(), "…");
    }
}
