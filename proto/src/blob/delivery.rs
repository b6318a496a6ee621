//! How a blob reaches its reader: what the edge can do besides passing on bytes, and what the blob service makes of it.

use std::{fmt, str::FromStr};

use oci::Span;

use crate::ByteStream;

/// What the edge can do with a blob besides passing on its bytes, which it always can: nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Whether a proxy in front of the edge reads blobs by itself.
    pub handoff: Handoff,
    /// Whether the client may be sent to the store.
    pub redirect: Redirect,
}

/// Where a proxy in front of the edge reads blobs from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Handoff {
    /// It does not.
    #[default]
    Never,
    /// From the directory of the store.
    File,
    /// From the handoff port of a replica of the blob service.
    Replica,
}

/// Whether a client may be sent to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Redirect {
    /// No.
    #[default]
    Never,
    /// If the store has addresses for that.
    Allowed,
}

/// A blob on its way to the reader.
pub enum Opened {
    /// By way of the caller.
    Stream {
        /// The bytes that follow.
        span: Span,
        /// Exactly `span.length` bytes, or an error.
        body: ByteStream,
    },
    /// By way of the proxy, all of it: the proxy takes the span from the request.
    Handoff {
        /// Where the proxy finds it.
        path: HandoffPath,
    },
    /// From the store itself, all of it: the client asks there for the span again.
    Redirect {
        /// Where the client finds it.
        url: RedirectUrl,
    },
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { span, .. } => f.debug_struct("Stream").field("span", span).finish_non_exhaustive(),
            Self::Handoff { path } => f.debug_struct("Handoff").field("path", path).finish(),
            Self::Redirect { url } => f.debug_struct("Redirect").field("url", url).finish(),
        }
    }
}

/// Why a text says not where a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not {expected}")]
pub struct PlaceError {
    expected: &'static str,
}

/// Where a proxy finds a blob: a relative path, which may have a query. In a replica's, that is a right to read, so
/// `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct HandoffPath(String);

impl HandoffPath {
    const MOST_BYTES: usize = 2048;

    /// The path with its query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HandoffPath {
    type Err = PlaceError;

    /// Nothing that a proxy would decode, normalize or read as another place.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+:=/?&".contains(&byte);
        let mut segments = text.split('?').next().unwrap_or_default().split('/');
        let leads_down = segments.all(|part| !matches!(part, "" | "." | ".."));
        if leads_down && text.len() <= Self::MOST_BYTES && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PlaceError { expected: "a relative path of plain characters" })
        }
    }
}

impl fmt::Debug for HandoffPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandoffPath({}…)", self.0.split('?').next().unwrap_or_default())
    }
}

/// Where a client finds a blob at the store, for a while. Whoever has it may read, so `Debug` does not show the query.
#[derive(Clone, PartialEq, Eq)]
pub struct RedirectUrl(String);

impl RedirectUrl {
    const MOST_BYTES: usize = 8192;

    /// The address with its signature.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RedirectUrl {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        if has_host && text.len() <= Self::MOST_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PlaceError { expected: "the address of an object, https://host/…" })
        }
    }
}

impl fmt::Debug for RedirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedirectUrl({}…)", self.0.split('?').next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{HandoffPath, RedirectUrl};

    #[test]
    fn a_handoff_leads_down_and_nowhere_else() {
        for good in ["blobs/sha256/ab/abcd-01ARZ", "disk/sha256:ab+/01ARZ?size=1&of=a/b"] {
            assert_eq!(good.parse::<HandoffPath>().unwrap().as_str(), good);
        }
        for bad in ["", "/etc/passwd", "a/../b", "a/./b", "a//b", "a%2e", "a b", "a\r\nX: y", "ä"] {
            assert!(bad.parse::<HandoffPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_host_and_does_not_show_its_signature() {
        let url: RedirectUrl = "https://s3.example/b/o?X-Amz-Signature=secret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "RedirectUrl(https://s3.example/b/o…)");
        for bad in
            ["", "s3.example/o", "ftp://s3/o", "https://", "https:///o", "https://a/b c", "https://a/\r\nb"]
        {
            assert!(bad.parse::<RedirectUrl>().is_err(), "{bad:?}");
        }
        let path: HandoffPath = "disk/a?mac=secret".parse().unwrap();
        assert_eq!(format!("{path:?}"), "HandoffPath(disk/a…)");
    }
}
