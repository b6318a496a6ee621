//! What a tag has named over time.

use jiff::Timestamp;
use oci::{Digest, EventId, MediaType, RepositoryName, Tag};

/// Which part of the history of a tag is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedHistory {
    /// Where.
    pub repository: RepositoryName,
    /// Of which tag, which need not exist (any more).
    pub tag: Tag,
    /// Only what happened before this, to the millisecond.
    pub before: Option<Timestamp>,
    /// Only what happened after this, to the millisecond.
    pub since: Option<Timestamp>,
    /// Only what concerns this manifest.
    pub digest: Option<Digest>,
    /// Only what is behind this event, that is older; it need not exist.
    pub after: Option<EventId>,
    /// At most so many, 0 to 1,000.
    pub limit: usize,
}

/// A page of the history of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagHistory {
    /// Newest first.
    pub entries: Vec<TagEvent>,
    /// Where to go on, `after` this; none: that was all. A page may be short, and even empty, and not be the last:
    /// a call looks at so many events, whatever tags they are of.
    pub next: Option<EventId>,
}

/// Something that has happened to a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEvent {
    /// Names it, and its place in the history.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: TagChange,
    /// What the tag named from then on, or until then. It need not be there any more.
    pub digest: Digest,
    /// The manifest's media type at that time.
    pub media_type: MediaType,
    /// The manifest's length.
    pub size_bytes: u64,
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagChange {
    /// It was assigned to a manifest, perhaps away from another.
    Created,
    /// It was deleted.
    Deleted,
}
