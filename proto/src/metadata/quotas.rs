//! How many bytes a namespace may use, and how many it does. Whoever links a blob keeps to it in metadata itself.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use oci::Namespace;
use serde::{Deserialize, Deserializer, de};

pub use client::QuotasClient;
pub use size::Size;

use super::{Actor, RepositoryError};

pub mod client;
pub mod server;
mod size;
#[cfg(feature = "suite")]
pub mod suite;

/// Quotas of namespaces. Used are the bytes of the blobs that each repository links: what two repositories of a namespace
/// link counts twice, and what waits to be reclaimed or can be restored counts until it is gone. Who may change a quota
/// is not decided here.
#[async_trait]
pub trait Quotas: Send + Sync + 'static {
    /// What a namespace uses, and may use.
    ///
    /// # Errors
    /// `NamespaceUnknown`; `Unavailable`.
    async fn quota(&self, namespace: &Namespace) -> Result<Quota, RepositoryError>;

    /// Gives a namespace a limit of its own, or none: then the default of the hub holds. One that is less than what is
    /// used keeps it from using more.
    ///
    /// # Errors
    /// As `quota`; `Conflict`.
    async fn put_quota(
        &self,
        namespace: &Namespace,
        own: Option<ByteLimit>,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;
}

/// What a namespace uses, and may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of the blobs that its repositories link.
    pub used_bytes: u64,
    /// What an administrator has said of this namespace, if anything.
    pub own: Option<ByteLimit>,
    /// What holds: its own, or the default of the hub.
    pub limit: ByteLimit,
}

/// How many bytes there may be: as text `unlimited`, or as `10GiB`, `512 MiB` or a number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ByteLimit {
    /// As many as the hub has room for.
    #[default]
    Unlimited,
    /// So many.
    Bytes(u64),
}

impl ByteLimit {
    /// So many, if there is a limit.
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no limit: say `unlimited`, or a whole number with B, KiB, MiB, GiB, TiB or PiB, as `10GiB`"
)]
pub struct ByteLimitError {
    text: String,
}

/// Longer texts are told back in part.
const LONGEST_ECHO: usize = 40;

const UNLIMITED: &str = "unlimited";

const UNITS: [(&str, u32); 6] = [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl FromStr for ByteLimit {
    type Err = ByteLimitError;

    fn from_str(text: &str) -> Result<Self, ByteLimitError> {
        if text == UNLIMITED {
            return Ok(Self::Unlimited);
        }
        let found = UNITS.iter().find_map(|(unit, power)| Some((text.strip_suffix(unit)?, *power)));
        let (digits, power) = found.unwrap_or((text, 0));
        let digits = digits.trim_end();

        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = digits.parse().ok().filter(|_| whole);
        number
            .and_then(|number| number.checked_mul(1 << power))
            .map(Self::Bytes)
            .ok_or_else(|| ByteLimitError { text: text.chars().take(LONGEST_ECHO).collect() })
    }
}

impl fmt::Display for ByteLimit {
    /// As it is read, exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Bytes(bytes) = self else { return f.write_str(UNLIMITED) };
        let fits = |power: u32| *bytes > 0 && bytes.is_multiple_of(1 << power);
        let (unit, power) = UNITS.iter().find(|(_, power)| fits(*power)).unwrap_or(&("B", 0));

        write!(f, "{}{unit}", bytes >> power)
    }
}

impl<'de> Deserialize<'de> for ByteLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteLimit;

    fn read(text: &str) -> Option<ByteLimit> {
        text.parse().ok()
    }

    #[test]
    fn a_limit_is_read_as_people_write_it() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("10GiB", 10 << 30),
            ("512 MiB", 512 << 20),
            ("3PiB", 3 << 50),
        ] {
            assert_eq!(read(text), Some(ByteLimit::Bytes(bytes)), "{text}");
        }
        assert_eq!(read("unlimited"), Some(ByteLimit::Unlimited));
    }

    #[test]
    fn a_limit_is_written_as_it_is_read() {
        for (bytes, text) in [
            (0, "0B"),
            (1_023, "1023B"),
            (1_536, "1536B"),
            (5 << 20, "5MiB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(ByteLimit::Bytes(bytes).to_string(), text);
            assert_eq!(read(text), Some(ByteLimit::Bytes(bytes)));
        }
        assert_eq!(read(&ByteLimit::Unlimited.to_string()), Some(ByteLimit::Unlimited));
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for text in ["", "GiB", "-1", "+1", "1.5GiB", "10GB", "10G", "10gib", " 1", "none", "16384PiB"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
