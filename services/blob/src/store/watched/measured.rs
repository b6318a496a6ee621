//! What an operator sees of a store in the metrics.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::store::{StoreError, operation::Operation};

/// What an operation came to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Done,
    NoSpace,
    Missing,
    Unpublished,
    Unavailable,
    /// It took too long.
    Late,
    /// There were too many.
    Refused,
}

impl Outcome {
    pub(super) fn of<T>(done: &Result<T, StoreError>) -> Self {
        match done {
            Ok(_) => Self::Done,
            Err(StoreError::NoSpace) => Self::NoSpace,
            Err(StoreError::Missing { .. }) => Self::Missing,
            Err(StoreError::Unpublished { .. }) => Self::Unpublished,
            Err(StoreError::Unavailable { .. }) => Self::Unavailable,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoSpace => "no_space",
            Self::Missing => "missing",
            Self::Unpublished => "unpublished",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Refused => "refused",
        }
    }
}

/// The instruments.
pub(super) struct Measured {
    count: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Measured {
    pub(super) fn new() -> Self {
        let meter = opentelemetry::global::meter("blob");
        let count = meter
            .u64_counter("blob_store_operations")
            .with_description("Operations of the store, by what they came to");
        let seconds = meter
            .f64_histogram("blob_store_operation_seconds")
            .with_description("Time that an operation of the store took")
            .with_boundaries(vec![0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 30.0, 600.0]);
        Self { count: count.build(), seconds: seconds.build() }
    }

    pub(super) fn operation(&self, operation: Operation, outcome: Outcome, seconds: Option<f64>) {
        let labels = [KeyValue::new("operation", operation.name()), KeyValue::new("outcome", outcome.name())];
        self.count.add(1, &labels);
        if let Some(seconds) = seconds {
            self.seconds.record(seconds, &labels[..1]);
        }
    }
}
