//! How long what is not needed any more is kept. Too short a time would break pushes that are under way.

use std::time::Duration;

use proto::metadata::credentials::REVOCATIONS_KEPT;
use serde::Deserialize;
use service_kit::config::humane;

/// When what is not needed any more goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Given")]
pub struct ReclaimConfig {
    /// How long a blob stays that no manifest uses: longer than the push of an image takes. 1 day by default.
    pub unused_grace: Duration,
    /// How long a deleted manifest can be restored, and keeps its blobs. 7 days by default; `0s` for not at all.
    pub undo_window: Duration,
    /// How long bytes that nothing points to wait for their deletion: longer than a failover of the metadata
    /// engine, which may take its last commits back. 1 hour by default.
    pub garbage_delay: Duration,
    /// How long a repository that is called otherwise now can be pulled by its old name. 90 days by default; 15 minutes
    /// at least: tokens for it end before it is forgotten.
    pub redirects_kept: Duration,
}

impl Default for ReclaimConfig {
    fn default() -> Self {
        Self {
            unused_grace: Duration::from_hours(24),
            undo_window: Duration::from_hours(7 * 24),
            garbage_delay: Duration::from_hours(1),
            redirects_kept: Duration::from_hours(90 * 24),
        }
    }
}

/// A time that would break pushes, or never end.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` must be from {} seconds to {} days", least.as_secs(), most.as_secs() / (24 * 60 * 60))]
pub struct OutOfBounds {
    key: &'static str,
    least: Duration,
    most: Duration,
}

const LEAST_GRACE: Duration = Duration::from_secs(1);
const LEAST_DELAY: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_hours(366 * 24);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    #[serde(with = "humane")]
    unused_grace: Duration,
    #[serde(with = "humane")]
    undo_window: Duration,
    #[serde(with = "humane")]
    garbage_delay: Duration,
    #[serde(with = "humane")]
    redirects_kept: Duration,
}

impl Default for Given {
    fn default() -> Self {
        let ReclaimConfig { unused_grace, undo_window, garbage_delay, redirects_kept } =
            ReclaimConfig::default();
        Self { unused_grace, undo_window, garbage_delay, redirects_kept }
    }
}

impl TryFrom<Given> for ReclaimConfig {
    type Error = OutOfBounds;

    fn try_from(given: Given) -> Result<Self, OutOfBounds> {
        let Given { unused_grace, undo_window, garbage_delay, redirects_kept } = given;
        let within = |key, least, given: Duration| {
            if (least..=MOST).contains(&given) {
                Ok(given)
            } else {
                Err(OutOfBounds { key, least, most: MOST })
            }
        };

        Ok(Self {
            unused_grace: within("unused_grace", LEAST_GRACE, unused_grace)?,
            undo_window: within("undo_window", Duration::ZERO, undo_window)?,
            garbage_delay: within("garbage_delay", LEAST_DELAY, garbage_delay)?,
            redirects_kept: within("redirects_kept", REVOCATIONS_KEPT, redirects_kept)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ReclaimConfig;

    fn parsed(toml: &str) -> Result<ReclaimConfig, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = parsed("undo_window = '0s'").unwrap();
        assert_eq!(
            config,
            ReclaimConfig { undo_window: std::time::Duration::ZERO, ..ReclaimConfig::default() }
        );
    }

    #[test]
    fn a_grace_that_would_break_pushes_is_refused_by_its_name() {
        assert!(parsed("unused_grace = '0s'").unwrap_err().contains("unused_grace"));
        assert!(parsed("garbage_delay = '9999999h'").unwrap_err().contains("garbage_delay"));
        assert!(parsed("redirects_kept = '9999999h'").unwrap_err().contains("redirects_kept"));
        assert!(parsed("grace = '1h'").unwrap_err().contains("grace"));
    }
}
