//! What an operator sees of a cache in the metrics.

use opentelemetry::{KeyValue, metrics::Counter};

/// What a read of content found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    /// A copy.
    Hit,
    /// A copy that is being made.
    Joined,
    /// Nothing; a copy is made.
    Fetched,
    /// Nothing, and none is made.
    Passed,
    /// A copy that is not what it should be.
    Damaged,
}

/// The instruments.
pub(super) struct Counted {
    reads: Counter<u64>,
    evicted: Counter<u64>,
}

impl Counted {
    pub(super) fn new() -> Self {
        let meter = opentelemetry::global::meter("blob");
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            reads: counter("blob_cache_reads", "Reads of content, by what the cache had of it"),
            evicted: counter("blob_cache_evicted", "Copies that made room for others"),
        }
    }

    pub(super) fn read(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Hit => "hit",
            Outcome::Joined => "joined",
            Outcome::Fetched => "fetched",
            Outcome::Passed => "passed",
            Outcome::Damaged => "damaged",
        };
        self.reads.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(super) fn evicted(&self, copies: usize) {
        self.evicted.add(copies as u64, &[]);
    }
}
