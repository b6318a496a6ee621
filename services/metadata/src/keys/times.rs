//! Ordered sets by time, in milliseconds or as the ULID of what happened: the part of `keys.rs` that is about when.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, EventId, Locator, SessionId};
use ulid::Ulid;

use super::{happened_from, pair};
use crate::keyspace::MemberRange;

pub(crate) fn started(at: Timestamp, session: &SessionId) -> Bytes {
    pair(format_args!("{:020}", at.as_millisecond()), session)
}

pub(crate) fn trashed_at(time_ms: i64, digest: &Digest) -> Bytes {
    pair(format_args!("{time_ms:020}"), digest)
}

pub(crate) fn idle(at: Ulid, digest: &Digest) -> Bytes {
    pair(at, digest)
}

pub(crate) fn garbage(at: Timestamp, locator: &Locator) -> Bytes {
    pair(format_args!("{:020}", at.as_millisecond()), locator)
}

/// The members of an ordered set by time whose time is before `time`.
pub(crate) fn before(time: Timestamp) -> MemberRange {
    MemberRange::all().before(format!("{:020}", time.as_millisecond()))
}

/// The members of an ordered set by ULID that were made before `time`.
pub(crate) fn made_before(time: Timestamp) -> MemberRange {
    MemberRange::all().before(first_of(time.as_millisecond()))
}

/// The members of an ordered set by ULID that were made after `since` and before `before`, and sort before `event`.
pub(crate) fn happened(
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    event: Option<&EventId>,
) -> MemberRange {
    let next = |since: Timestamp| {
        since.as_millisecond().checked_add(1).and_then(|at| Timestamp::from_millisecond(at).ok())
    };
    happened_from(since.map(|since| next(since).unwrap_or(Timestamp::MAX)), before, event)
}

/// The members of an ordered set by ULID behind `event`.
pub(crate) fn told_after(event: &EventId) -> MemberRange {
    MemberRange::after(format!("{event}\u{1}"))
}

/// What ULIDs that were made at `time` or later are not below.
pub(crate) fn first_at(time: Timestamp) -> String {
    first_of(time.as_millisecond())
}

/// The least ULID of a millisecond.
pub(super) fn first_of(milliseconds: i64) -> String {
    Ulid::from_parts(u64::try_from(milliseconds).unwrap_or_default(), 0).to_string()
}
