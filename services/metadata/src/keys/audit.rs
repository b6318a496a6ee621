//! The keys of the audit log: one of each user and organization, and one of the hub. Their drawing is in `keys.rs`.

use jiff::Timestamp;
use oci::{EventId, Namespace};

use super::{key, times::first_of};
use crate::{
    keyspace::{Key, MemberRange},
    namespaces::Owner,
};

/// Whose log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Log {
    /// The hub's, with everything.
    Hub,
    /// That of a user or an organization.
    Of(Owner, Namespace),
}

/// What a member has before its payload: a ULID and a NUL.
pub(crate) const PLACE_LENGTH: usize = 27;

pub(crate) fn audit(log: &Log) -> Key {
    match log {
        Log::Hub => Key::from_static("^audit"),
        Log::Of(owner, name) => key(format!("{}{name}:audit", owner.sigil())),
    }
}

/// The places of about each 64th entry.
pub(crate) fn audit_marks(log: &Log) -> Key {
    match log {
        Log::Hub => Key::from_static("^audit:marks"),
        Log::Of(owner, name) => key(format!("{}{name}:audit:marks", owner.sigil())),
    }
}

/// The members of an ordered set by ULID that were made from `since` on and before `before`, and sort before `event`.
pub(crate) fn happened_from(
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    event: Option<&EventId>,
) -> MemberRange {
    let from = since.map(|since| first_of(since.as_millisecond()));
    let from = from.map_or(MemberRange::all(), MemberRange::starting_at);
    let to = [before.map(|before| first_of(before.as_millisecond())), event.map(EventId::to_string)];
    match to.into_iter().flatten().min() {
        Some(to) => from.before(to),
        None => from,
    }
}
