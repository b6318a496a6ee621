//! How much of the audit log is kept.

use std::time::Duration;

use serde::Deserialize;
use service_kit::config::humane;

/// How much of the audit log is kept: what is older goes, and what is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Given")]
pub struct AuditConfig {
    /// For how long. 400 days by default.
    pub kept: Duration,
    /// How many entries of a user or an organization, about; of the hub ten times as many. 10,000 by default.
    pub entries: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { kept: Duration::from_hours(400 * 24), entries: 10_000 }
    }
}

/// Why so much, or so little, is not kept.
#[derive(Debug, thiserror::Error)]
pub enum AuditOutOfBounds {
    /// A time in which nobody looks, or that never ends.
    #[error("`kept` must be from {} hours to {} days", LEAST_KEPT.as_secs() / 3600, MOST_KEPT.as_secs() / 86_400)]
    Kept,
    /// So few that they say nothing, or so many that they weigh.
    #[error("`entries` must be from {LEAST_ENTRIES} to {MOST_ENTRIES}")]
    Entries,
}

const LEAST_KEPT: Duration = Duration::from_hours(24);
const MOST_KEPT: Duration = Duration::from_hours(3_660 * 24);
const LEAST_ENTRIES: usize = 100;
const MOST_ENTRIES: usize = 100_000;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    #[serde(with = "humane")]
    kept: Duration,
    entries: usize,
}

impl Default for Given {
    fn default() -> Self {
        let AuditConfig { kept, entries } = AuditConfig::default();
        Self { kept, entries }
    }
}

impl TryFrom<Given> for AuditConfig {
    type Error = AuditOutOfBounds;

    fn try_from(given: Given) -> Result<Self, AuditOutOfBounds> {
        let Given { kept, entries } = given;
        if !(LEAST_KEPT..=MOST_KEPT).contains(&kept) {
            return Err(AuditOutOfBounds::Kept);
        }
        if !(LEAST_ENTRIES..=MOST_ENTRIES).contains(&entries) {
            return Err(AuditOutOfBounds::Entries);
        }
        Ok(Self { kept, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::AuditConfig;

    fn parsed(toml: &str) -> Result<AuditConfig, String> {
        toml::from_str(toml).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = parsed("entries = 500").unwrap();
        assert_eq!(config, AuditConfig { entries: 500, ..AuditConfig::default() });
    }

    #[test]
    fn a_log_that_says_nothing_or_never_ends_is_refused_by_its_name() {
        for (given, named) in [
            ("kept = '1h'", "kept"),
            ("kept = '99999d'", "kept"),
            ("entries = 0", "entries"),
            ("entries = 10000000", "entries"),
            ("size = 3", "size"),
        ] {
            assert!(parsed(given).unwrap_err().contains(named), "{given}");
        }
    }
}
