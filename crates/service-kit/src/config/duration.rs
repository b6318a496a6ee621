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

/// How long a process may still be there after it was told to end, at most: whoever ends it waits no longer for it.
const LONGEST_DRAIN_DELAY: Duration = Duration::from_mins(1);

/// For `#[serde(deserialize_with = "drain_delay")]` on how long a process is still there for those who have not heard
/// that it ends: reads what [`humane`] does, up to a minute.
///
/// # Errors
/// It is no duration, or too long.
pub fn drain_delay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let delay = humane::deserialize(deserializer)?;
    if delay <= LONGEST_DRAIN_DELAY {
        Ok(delay)
    } else {
        let longest = print(LONGEST_DRAIN_DELAY);
        Err(de::Error::custom(format!("{} is too long: at most {longest}", print(delay))))
    }
}

/// The same, unless the configuration says otherwise.
pub const fn default_drain_delay() -> Duration {
    Duration::from_secs(3)
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

#[cfg(test)]
mod tests {
    use serde::de::{
        IntoDeserializer as _,
        value::{Error, StrDeserializer},
    };

    use super::{Duration, drain_delay};

    fn read(text: &str) -> Result<Duration, String> {
        let given: StrDeserializer<'_, Error> = text.into_deserializer();
        drain_delay(given).map_err(|error| error.to_string())
    }

    #[test]
    fn an_end_is_delayed_by_a_minute_at_most() {
        assert_eq!(read("0s"), Ok(Duration::ZERO));
        assert_eq!(read("1m"), Ok(Duration::from_mins(1)));
        assert!(read("61s").unwrap_err().contains("too long"));
        assert!(read("soon").unwrap_err().contains("soon"));
    }
}
