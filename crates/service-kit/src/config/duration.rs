//! Durations as people write them: `30s`, `1h 30m`, `7d`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de};

/// For `#[serde(with = "service_kit::config::humane")]` on a `Duration`.
pub mod humane {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, print};

    /// Reads `30s`, `1h 30m`, `7d`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    /// Writes what [`deserialize`] reads.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&print(*duration))
    }
}

/// For `#[serde(default, with = "service_kit::config::humane_option")]` on an `Option<Duration>`.
pub mod humane_option {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, print};

    /// Reads `30s`, `1h 30m`, `7d`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(deserializer)?.map(|text| parse(&text)).transpose()
    }

    /// Writes what [`deserialize`] reads.
    #[allow(clippy::ref_option, reason = "serde passes the field")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_str(&print(*duration)),
            None => serializer.serialize_none(),
        }
    }
}

/// A text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as \"30s\", \"1h 30m\" or \"7d\"")]
pub struct DurationError(String);

/// Reads `30s`, `1h 30m`, `7d`.
///
/// # Errors
/// It is none.
pub fn duration(text: &str) -> Result<Duration, DurationError> {
    // A day is 24 hours here: nobody means the changes of the clock.
    let signed = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = signed.ok().and_then(|signed| Duration::try_from(signed).ok());
    duration.ok_or_else(|| DurationError(text.to_owned()))
}

fn parse<E: de::Error>(text: &str) -> Result<Duration, E> {
    duration(text).map_err(E::custom)
}

fn print(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}s", duration.as_secs()), |signed| format!("{signed:#}"))
}
