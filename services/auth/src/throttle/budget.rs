//! How many wrong tries are allowed at once, and how they come back with time: of each key, only when it will owe
//! nothing any more is remembered (the generic cell rate algorithm).

use std::{hash::Hash, time::Duration};

use jiff::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};

/// What is allowed of one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) at_once: u32,
    pub(super) one_more_after: Duration,
}

/// Whether a try has taken a place, which it can give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It has.
    Whole,
    /// There was none left to take.
    Over,
}

/// What is left to each key. Those that are not remembered owe nothing.
pub(super) struct Budget<K> {
    /// Milliseconds that one try costs, and that may be owed.
    one: i64,
    all: i64,
    /// Milliseconds since the epoch at which a key owes nothing.
    even: Cache<K, i64>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Budget<K> {
    pub(super) fn new(allowance: Allowance, remembered: u64) -> Self {
        let one = i64::try_from(allowance.one_more_after.as_millis()).unwrap_or(i64::MAX);
        let all = one.saturating_mul(allowance.at_once.into());
        let even = Cache::builder().max_capacity(remembered).eviction_policy(EvictionPolicy::lru()).build();
        Self { one, all, even }
    }

    /// How long until `key` has another try; none: it has one now.
    pub(super) fn wait(&self, key: &K, now: Timestamp) -> Option<Duration> {
        let owed = self.even.get(key).map_or(0, |even| self.owed(even, now));
        let over = owed + self.one - self.all;
        (over > 0).then(|| Duration::from_millis(over.unsigned_abs()))
    }

    /// Takes a try. What is owed has a limit, so that nobody waits longer than for one try.
    pub(super) fn count(&self, key: &K, now: Timestamp) -> Counted {
        let (entry, mut counted) = (self.even.entry_by_ref(key), Counted::Whole);
        let _ = entry.and_upsert_with(|even| {
            let owed = even.map_or(0, |even| self.owed(even.into_value(), now)) + self.one;
            if owed > self.all {
                counted = Counted::Over;
            }
            now.as_millisecond() + owed.min(self.all)
        });
        counted
    }

    /// Gives a try back.
    pub(super) fn take_back(&self, key: &K) {
        if self.even.contains_key(key) {
            let entry = self.even.entry_by_ref(key);
            let _ = entry.and_upsert_with(|even| even.map_or(0, |even| even.into_value() - self.one));
        }
    }

    // A clock that goes back makes nobody owe more than all.
    fn owed(&self, even: i64, now: Timestamp) -> i64 {
        (even - now.as_millisecond()).clamp(0, self.all)
    }
}
