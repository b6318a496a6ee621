//! The keys of the outbox: who reads it, and how far they have come. Their drawing is in `keys.rs`.

use bytes::Bytes;
use oci::EventId;
use proto::metadata::outbox::ReaderName;
use ulid::Ulid;

use super::{RepositoryId, key, pair};
use crate::keyspace::{Key, MemberRange};

/// Since when each reader reads.
pub(crate) const READERS: Key = Key::from_static("^readers");
/// Deleted repositories whose last events are there still.
pub(crate) const LAST: Key = Key::from_static("^last");

/// The repositories of which a reader may not have read all.
pub(crate) fn dirty(reader: &ReaderName) -> Key {
    key(format!("^dirty:{reader}"))
}

/// How far each reader has come in a repository.
pub(crate) fn read(id: RepositoryId) -> Key {
    key(format!("${id}:read"))
}

/// What was dropped of the events of a repository.
pub(crate) fn outbox(id: RepositoryId) -> Key {
    key(format!("${id}:outbox"))
}

/// That a reader has all up to an event.
pub(crate) fn read_through(event: &EventId, reader: &ReaderName) -> Bytes {
    pair(event, reader)
}

/// What an event is in the outbox of its repository.
pub(crate) fn told_at(event: &EventId) -> MemberRange {
    MemberRange::beginning_with(format!("{event}\0"))
}

/// What says that somebody has all up to this, or to what comes later.
pub(crate) fn read_from(event: Ulid) -> MemberRange {
    MemberRange::starting_at(event.to_string())
}

/// The events behind one, up to another.
pub(crate) fn told_between(after: &EventId, through: &EventId) -> MemberRange {
    MemberRange::after(format!("{after}\u{1}")).before(format!("{through}\u{1}"))
}
