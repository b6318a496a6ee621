//! What is not believed any more, told to whoever asks. The entries stand in the order of the commits that wrote
//! them, so that who has read up to one misses none of those that come later.

use bytes::Bytes;
use jiff::Timestamp;
use oci::EventId;
use proto::metadata::{
    AccountError,
    credentials::{REVOCATIONS_KEPT, Revocation, Revoked},
};
use ulid::Ulid;

use crate::{
    Service,
    failure::{damaged_member, parsed_member},
    keys,
    keyspace::{Commit, Condition, Direction, Error, MemberRange, Mutation},
    tags::LONGEST_PAGE,
};

/// Old entries that one commit drops, at most.
const DROPPED_AT_ONCE: usize = 100;

/// What a commit that takes rights away begins with, so that no crash leaves the taking untold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Telling {
    pub(crate) conditions: Vec<Condition>,
    /// To be written before all others.
    pub(crate) mutations: Vec<Mutation>,
}

impl Commit {
    /// This, and the telling before all that follows.
    #[must_use]
    pub(crate) fn telling(self, telling: Telling) -> Self {
        self.when_all(telling.conditions).then_all(telling.mutations)
    }
}

impl Service {
    /// Tells that `what` is not believed any more. A commit with it conflicts if another one has told something
    /// meanwhile.
    pub(crate) async fn telling(&self, what: &[Revoked]) -> Result<Telling, Error> {
        if what.is_empty() {
            return Ok(Telling::default());
        }
        let first = self.next_telling().await?;
        let behind = MemberRange::starting_at(first.to_string());

        let (mut mutations, mut place) = (Vec::new(), first);
        for revoked in what {
            mutations.push(Mutation::AddMember(keys::REVOKED, keys::event(place, &written(revoked)?)));
            place = following(place);
        }
        mutations.extend(self.old_revocations().await?);
        let conditions = vec![Condition::Members { key: keys::REVOKED, members: behind, count: 0 }];
        Ok(Telling { conditions, mutations })
    }

    /// What was told after an event, or as long as it is kept.
    pub(crate) async fn told_revocations(
        &self,
        after: Option<&EventId>,
    ) -> Result<Vec<Revocation>, AccountError> {
        let members = match after {
            Some(after) => keys::told_after(after),
            None => keys::happened(Some(self.kept_since()), None, None),
        };
        let found = self.keyspace().range(&keys::REVOKED, members, LONGEST_PAGE, Direction::Forward).await?;

        Ok(found.iter().map(read).collect::<Result<_, Error>>()?)
    }

    /// A place behind all that was told, also by a process whose clock is ahead.
    async fn next_telling(&self) -> Result<Ulid, Error> {
        let last = self.keyspace().range(&keys::REVOKED, MemberRange::all(), 1, Direction::Backward).await?;
        let ours = self.ulid();
        let Some(last) = last.first() else { return Ok(ours) };

        let last: Ulid = parsed_member(&keys::REVOKED, keys::first_part(last))?;
        Ok(ours.max(following(last)))
    }

    async fn old_revocations(&self) -> Result<Vec<Mutation>, Error> {
        let old = keys::made_before(self.kept_since());
        let old = self.keyspace().range(&keys::REVOKED, old, DROPPED_AT_ONCE, Direction::Forward).await?;

        Ok(old.into_iter().map(|member| Mutation::RemoveMember(keys::REVOKED, member)).collect())
    }

    fn kept_since(&self) -> Timestamp {
        self.now().saturating_sub(REVOCATIONS_KEPT).unwrap_or(Timestamp::MIN)
    }
}

/// The least ULID behind another.
pub(crate) fn following(place: Ulid) -> Ulid {
    place.increment().unwrap_or_else(|| Ulid::from_parts(place.timestamp_ms() + 1, 0))
}

fn written(revoked: &Revoked) -> Result<String, Error> {
    serde_json::to_string(revoked).map_err(|error| Error::Damaged { what: format!("a revocation: {error}") })
}

fn read(member: &Bytes) -> Result<Revocation, Error> {
    let bad = || damaged_member(&keys::REVOKED, member);
    let place: Ulid = parsed_member(&keys::REVOKED, keys::first_part(member))?;
    let milliseconds = i64::try_from(place.timestamp_ms()).map_err(|_| bad())?;

    Ok(Revocation {
        id: parsed_member(&keys::REVOKED, keys::first_part(member))?,
        at: Timestamp::from_millisecond(milliseconds).map_err(|_| bad())?,
        what: serde_json::from_slice(keys::last_part(member)).map_err(|_| bad())?,
    })
}
