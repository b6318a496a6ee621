//! What an operator sees of the sweeper in the metrics.

use opentelemetry::metrics::Counter;

/// The instruments.
pub(super) struct Counted {
    pub(super) blobs: Counter<u64>,
    pub(super) uploads: Counter<u64>,
    pub(super) scrubbed_bytes: Counter<u64>,
    pub(super) damaged: Counter<u64>,
}

impl Counted {
    pub(super) fn new() -> Self {
        let meter = opentelemetry::global::meter("blob");
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            blobs: counter("reclaim_deleted_blobs", "Blobs whose bytes were deleted"),
            uploads: counter("reclaim_deleted_uploads", "Uploads whose parts were deleted"),
            scrubbed_bytes: counter("scrub_read_bytes", "Bytes read again and compared with their digest"),
            damaged: counter("scrub_damaged_blobs", "Blobs whose bytes are not what they should be"),
        }
    }
}
