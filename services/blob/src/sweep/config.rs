//! How often and how fast is swept.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;
use service_kit::config::humane;

/// How often and how fast is swept. Every key has a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Given")]
pub struct SweepConfig {
    /// From one round to the next. 10 minutes by default.
    pub interval: Duration,
    /// How long one step of a round may take before the next one has its turn. 10 minutes by default.
    pub step_limit: Duration,
    /// Files removed in a second, at most. 200 by default.
    pub deletions_per_second: NonZeroU32,
    /// In what time every blob is read again and compared with its digest. 30 days by default.
    pub scrub_period: Duration,
    /// Bytes read again in a second, at most; 0 for no scrub. 20 MiB by default.
    pub scrub_bytes_per_second: u64,
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(10),
            step_limit: Duration::from_mins(10),
            deletions_per_second: NonZeroU32::new(200).unwrap_or(NonZeroU32::MIN),
            scrub_period: Duration::from_hours(30 * 24),
            scrub_bytes_per_second: 20 * 1024 * 1024,
        }
    }
}

impl SweepConfig {
    /// As fast as it goes: for tests.
    #[must_use]
    pub fn without_pauses(self) -> Self {
        Self { deletions_per_second: NonZeroU32::MAX, scrub_bytes_per_second: u64::MAX, ..self }
    }

    pub(super) fn deletion_pause(&self) -> Duration {
        Duration::from_secs(1) / self.deletions_per_second.get()
    }

    /// How long reading so many bytes should take.
    pub(super) fn reading_time(&self, bytes: usize) -> Duration {
        let nanoseconds = (bytes as u64).saturating_mul(1_000_000_000) / self.scrub_bytes_per_second.max(1);
        Duration::from_nanos(nanoseconds)
    }
}

/// A time that would keep the machine busy, or never come.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` must be from 1 second to 366 days")]
pub struct OutOfBounds {
    key: &'static str,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    #[serde(with = "humane")]
    interval: Duration,
    #[serde(with = "humane")]
    step_limit: Duration,
    deletions_per_second: NonZeroU32,
    #[serde(with = "humane")]
    scrub_period: Duration,
    scrub_bytes_per_second: u64,
}

impl Default for Given {
    fn default() -> Self {
        let SweepConfig { interval, step_limit, deletions_per_second, scrub_period, scrub_bytes_per_second } =
            SweepConfig::default();
        Self { interval, step_limit, deletions_per_second, scrub_period, scrub_bytes_per_second }
    }
}

impl TryFrom<Given> for SweepConfig {
    type Error = OutOfBounds;

    fn try_from(given: Given) -> Result<Self, OutOfBounds> {
        let times = [
            ("interval", given.interval),
            ("step_limit", given.step_limit),
            ("scrub_period", given.scrub_period),
        ];
        let bounds = Duration::from_secs(1)..=Duration::from_hours(366 * 24);
        if let Some((key, _)) = times.into_iter().find(|(_, time)| !bounds.contains(time)) {
            return Err(OutOfBounds { key });
        }

        let Given { interval, step_limit, deletions_per_second, scrub_period, scrub_bytes_per_second } =
            given;
        Ok(Self { interval, step_limit, deletions_per_second, scrub_period, scrub_bytes_per_second })
    }
}
