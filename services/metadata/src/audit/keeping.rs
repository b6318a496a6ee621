//! How much of the audit log is kept. A log is not counted entry by entry: about each 64th is marked, and the marks are
//! few enough to be read. Whoever writes a mark drops what is too old or too much, a bounded part of it at a time.

use bytes::Bytes;
use jiff::Timestamp;
use ulid::Ulid;

use crate::{
    Service,
    keys::{self, Log},
    keyspace::{Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT},
};

/// Of so many entries about one is marked.
pub(super) const MARKED: usize = 64;

/// Entries that one commit drops, at most: more than come between two marks, so that what is too much gets less.
pub(super) const DROPPED_AT_ONCE: usize = 4 * MARKED;

/// How many times as much as of a namespace is kept of the hub.
const HUB_TIMES: usize = 10;

impl Service {
    /// Marks `place` if it is one to be marked, and drops then what is not to be kept.
    pub(super) async fn kept_small(&self, log: &Log, place: Ulid) -> Result<Vec<Mutation>, Error> {
        if !is_marked(place) {
            return Ok(Vec::new());
        }
        let mut mutations = self.dropped_entries(log).await?;
        mutations.push(Mutation::AddMember(keys::audit_marks(log), place.to_string().into()));
        Ok(mutations)
    }

    /// Entries first, then the marks before which there are none any more.
    async fn dropped_entries(&self, log: &Log) -> Result<Vec<Mutation>, Error> {
        let (entries, marks) = (keys::audit(log), keys::audit_marks(log));
        let old = keys::made_before(self.audit_kept_since());
        let mut mutations = self.removed(&entries, old.clone(), DROPPED_AT_ONCE).await?;
        if mutations.len() < DROPPED_AT_ONCE {
            mutations.extend(self.removed(&marks, old, RANGE_LIMIT).await?);
        }

        if let Some(mark) = self.mark_of_too_many(log).await? {
            let before = MemberRange::all().before(mark);
            let many = self.removed(&entries, before.clone(), DROPPED_AT_ONCE).await?;
            let all = many.len() < DROPPED_AT_ONCE;
            mutations.extend(many);
            if all {
                mutations.extend(self.removed(&marks, before, RANGE_LIMIT).await?);
            }
        }
        Ok(mutations)
    }

    /// The mark before which entries are too many; none: they are not.
    async fn mark_of_too_many(&self, log: &Log) -> Result<Option<Bytes>, Error> {
        let (marks, mut members) = (keys::audit_marks(log), MemberRange::all());
        let mut left = self.marks_kept(log);
        loop {
            let limit = left.min(RANGE_LIMIT);
            let page = self.keyspace().range(&marks, members, limit, Direction::Backward).await?;
            let Some(last) = page.last().filter(|_| page.len() == limit).cloned() else {
                return Ok(None);
            };
            left -= limit;
            if left == 0 {
                return Ok(Some(last));
            }
            members = MemberRange::all().before(last);
        }
    }

    async fn removed(&self, key: &Key, members: MemberRange, limit: usize) -> Result<Vec<Mutation>, Error> {
        let found = self.keyspace().range(key, members, limit, Direction::Forward).await?;
        Ok(found.into_iter().map(|member| Mutation::RemoveMember(key.clone(), member)).collect())
    }

    fn marks_kept(&self, log: &Log) -> usize {
        let times = match log {
            Log::Hub => HUB_TIMES,
            Log::Of(..) => 1,
        };
        (self.0.audit.entries.saturating_mul(times) / MARKED).max(1)
    }

    /// From when on entries are kept.
    pub(super) fn audit_kept_since(&self) -> Timestamp {
        self.now().saturating_sub(self.0.audit.kept).unwrap_or(Timestamp::MIN)
    }
}

/// One of 64, however places follow one another: those of one millisecond are counted upwards, and not one by one.
fn is_marked(place: Ulid) -> bool {
    const GOLDEN: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
    place.random().wrapping_mul(GOLDEN) >> 122 == 0
}

#[cfg(test)]
mod tests {
    use super::{MARKED, is_marked};
    use ulid::Ulid;

    #[test]
    fn about_one_of_64_is_marked_whatever_the_stride() {
        for stride in [1_u128, 2, 3, 5, 8, 64, 128, 1_001] {
            let start = 0x00AB_CDEF_0123_4567_89AB_u128;
            let places = (0..6_400).map(|number| Ulid::from_parts(7, start + number * stride));
            let marked = places.filter(|place| is_marked(*place)).count();
            assert!((50..=200).contains(&marked), "{marked} of {} by {stride}", 100 * MARKED);
        }
    }
}
