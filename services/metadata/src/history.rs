//! The history of one tag, found in that of its repository: newest first, and as far back as that goes.

use bytes::Bytes;
use proto::metadata::{
    RepositoryError,
    repositories::{TagChange, TagEvent, TagHistory, WantedHistory},
};
use ulid::Ulid;

use crate::{
    ATTEMPTS, Service,
    events::{self, Kind},
    failure::{damaged_member, parsed_member},
    keys::{self, RepositoryId},
    keyspace::{Direction, Error, Key, RANGE_LIMIT},
    tags::LONGEST_PAGE,
};

impl Service {
    /// A page of what has happened to a tag.
    pub(crate) async fn history_of_tag(&self, wanted: &WantedHistory) -> Result<TagHistory, RepositoryError> {
        let repository = &wanted.repository;
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else {
                break;
            };
            let found = self.history_behind(placement.id, wanted).await?;
            // Read behind the list: an id that is the repository's now was so before.
            if self.is_at(repository, &placement).await? {
                return Ok(found);
            }
            self.forget(repository);
        }

        Err(self.absent(repository).await)
    }

    /// Looks at one range of events, whatever tags they are of: a busy repository is walked call by call.
    async fn history_behind(&self, id: RepositoryId, wanted: &WantedHistory) -> Result<TagHistory, Error> {
        let key = keys::history(id);
        let members = keys::happened(wanted.since, wanted.before, wanted.after.as_ref());
        let members = self.keyspace().range(&key, members, RANGE_LIMIT, Direction::Backward).await?;
        let mut entries = Vec::new();
        for member in &members {
            entries.extend(event(&key, member, wanted)?);
        }

        let limit = wanted.limit.min(LONGEST_PAGE);
        let next = match members.last() {
            _ if entries.len() > limit => {
                limit.checked_sub(1).and_then(|last| entries.get(last)).map(|last| last.id.clone())
            }
            Some(last) if members.len() == RANGE_LIMIT => Some(parsed_member(&key, keys::first_part(last))?),
            _ => None,
        };
        entries.truncate(limit);
        Ok(TagHistory { entries, next })
    }
}

/// The event in a member of the history, if it is wanted. One of a manifest that was not there is left out: what the
/// tag named cannot be described.
fn event(key: &Key, member: &Bytes, wanted: &WantedHistory) -> Result<Option<TagEvent>, Error> {
    let Some(happened) = events::happened(member).filter(|happened| {
        happened.tag == wanted.tag && wanted.digest.as_ref().is_none_or(|digest| *digest == happened.digest)
    }) else {
        return Ok(None);
    };
    let Some(content) = happened.content else { return Ok(None) };

    let id = keys::first_part(member);
    let ulid: Ulid = parsed_member(key, id)?;
    let at =
        i64::try_from(ulid.timestamp_ms()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    Ok(Some(TagEvent {
        id: parsed_member(key, id)?,
        at: at.ok_or_else(|| damaged_member(key, id))?,
        change: if happened.kind == Kind::TagDeleted { TagChange::Deleted } else { TagChange::Created },
        digest: happened.digest,
        media_type: content.media_type,
        size_bytes: content.size_bytes,
    }))
}

#[cfg(test)]
mod tests;
