//! What can go wrong between this process and the server, and what it means to the caller of the port.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerError, Value};

use super::{
    address::{Address, address},
    info::Refusal,
};
use crate::keyspace::Error;

/// Why there is no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing was asked, because no connection could be made.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable { address: String, reason: RedisError },
    /// The server does not let this client in.
    #[error("{address} refuses the user name or the password")]
    Credentials { address: String },
    /// The server there takes no writes.
    #[error(
        "{address} is a replica, which takes no writes: name its master, or its sentinels (redis+sentinel://)"
    )]
    Replica { address: String },
    /// Metadata is not trusted to the server there.
    #[error("{address} is refused: {refusal}")]
    Untrusted { address: String, refusal: Refusal },
    /// No sentinel knows where the master is, or what they say is not so yet.
    #[error("no sentinel knows a master of {service}: {reason}")]
    NoMaster { service: String, reason: String },
    /// Keys of a cluster that no master has.
    #[error("no server of the cluster has slot {slot}: see `redis-cli --cluster check`")]
    NobodyHas { slot: u16 },
    /// Somebody else has just tried to connect.
    #[error("the server could not be reached a moment ago")]
    Away,
    /// The connection broke before the answer.
    #[error("the connection broke: {0}")]
    Broken(RedisError),
    /// There was no answer in time.
    #[error("no answer within {limit:?}")]
    Late { limit: Duration },
    /// The server has answered, and refuses.
    #[error("refused: {0}")]
    Refused(ServerError),
}

impl Fault {
    /// Of a connection that could not be made.
    pub(super) fn connecting(address: String, reason: RedisError) -> Self {
        let code = reason.code().unwrap_or_default();
        if reason.kind() == ErrorKind::AuthenticationFailed || ["NOAUTH", "WRONGPASS"].contains(&code) {
            return Self::Credentials { address };
        }
        Self::Unreachable { address, reason }
    }

    /// Of a command that went out on a connection.
    pub(super) fn asking(error: RedisError, limit: Duration) -> Self {
        if error.is_timeout() { Self::Late { limit } } else { Self::Broken(error) }
    }

    /// Whether waiting can help at the start of the process.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Credentials { .. } | Self::Replica { .. } | Self::Untrusted { .. } => false,
            Self::Refused(error) => is_elsewhere(error),
            _ => true,
        }
    }
}

/// An answer of the server that is none of its errors.
pub(super) fn answered(answer: Value) -> Result<Value, Fault> {
    match answer {
        Value::ServerError(error) => Err(Fault::Refused(error)),
        answer => Ok(answer),
    }
}

/// What a fault means to the caller of the port; the details go to the log.
pub(super) fn port_error(fault: &Fault, attempted: &'static str) -> Error {
    match fault {
        Fault::Refused(error) => refusal(error, attempted),
        fault => {
            tracing::warn!(%fault, "metadata engine did not answer while {attempted}");
            Error::Unavailable { attempted }
        }
    }
}

/// What a refusal of the server means to the caller of the port.
pub(super) fn refusal(error: &ServerError, attempted: &'static str) -> Error {
    tracing::warn!(%error, "metadata engine refused while {attempted}");

    // Before Redis 7, errors within scripts come with a code of the script's own, and theirs in the text.
    let says = |word: &str| error.code() == word || error.details().is_some_and(|text| text.contains(word));
    let disk_full = error.details().is_some_and(|text| text.to_lowercase().contains("no space left"));
    if says("OOM") || disk_full {
        return Error::NoSpace { attempted };
    }
    if says("WRONGTYPE") {
        return Error::Damaged { what: format!("a key has another type than it should, found {attempted}") };
    }
    Error::Unavailable { attempted }
}

/// Whether the server does not know the script, so that nothing was done. LedisDB says so in the text alone.
pub(super) fn is_unknown_script(error: &ServerError) -> bool {
    says_unknown_script(error.code(), error.details().unwrap_or_default())
}

fn says_unknown_script(code: &str, details: &str) -> bool {
    code == "NOSCRIPT" || details.starts_with("NOSCRIPT") || details.contains("no matching script")
}

/// Where a server of a cluster sends whom it cannot answer. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// From now on there.
    Moved(Address),
    /// There, this once.
    Ask(Address),
    /// Nowhere yet: the slot is being moved, or its master is gone.
    Later,
}

impl Redirect {
    pub(super) fn of(error: &ServerError) -> Option<Self> {
        Self::read(error.code(), error.details().unwrap_or_default())
    }

    fn read(code: &str, details: &str) -> Option<Self> {
        // The slot, and where it is; a server that does not know its own name leaves the host out.
        let elsewhere = || {
            let (host, port) = details.split(' ').nth(1)?.rsplit_once(':')?;
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            address(&format!("{host}:{port}"), 0).ok()
        };
        match code {
            "MOVED" => Some(elsewhere().map_or(Self::Later, Self::Moved)),
            "ASK" => Some(elsewhere().map_or(Self::Later, Self::Ask)),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

/// Whether the server cannot be used as long as it is what it is now: another connection may lead to a better one.
pub(super) fn is_elsewhere(error: &ServerError) -> bool {
    let codes = ["READONLY", "LOADING", "MASTERDOWN"];
    // An error within a script may have its code in the text.
    codes.contains(&error.code()) || error.details().is_some_and(|text| text.contains("READONLY"))
}

#[cfg(test)]
mod tests {
    use super::{Redirect, says_unknown_script};

    #[test]
    fn a_missing_script_is_known_with_the_prefix_and_without() {
        assert!(says_unknown_script("NOSCRIPT", "No matching script. Please use EVAL."));
        assert!(says_unknown_script("ERR", "NOSCRIPT no matching script, please use EVAL"));
        assert!(says_unknown_script("ERR", "no matching script, please use EVAL"));
        assert!(!says_unknown_script("ERR", "unknown command"));
    }

    #[test]
    fn a_server_that_has_not_what_is_asked_says_who_has() {
        let read = |code, details| Redirect::read(code, details);
        let Some(Redirect::Moved(there)) = read("MOVED", "3999 127.0.0.1:6381") else {
            panic!("it has moved")
        };
        assert_eq!(there.to_string(), "127.0.0.1:6381");
        let Some(Redirect::Ask(there)) = read("ASK", "3999 ::1:6381") else { panic!("it is moving") };
        assert_eq!(there.to_string(), "[::1]:6381");
        assert_eq!(read("MOVED", "3999 :6381"), Some(Redirect::Later));
        assert_eq!(read("CLUSTERDOWN", "Hash slot not served"), Some(Redirect::Later));
        assert_eq!(read("ERR", "3999 127.0.0.1:6381"), None);
    }
}
