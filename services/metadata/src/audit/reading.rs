//! The contract `AuditLog`: the log from its newest entry on, by ranges of time, and looked into as far as it must be.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::{EventId, Namespace, RepositoryName};
use proto::metadata::{
    AccountError, Actor, AuditLog,
    audit::{Entries, Entry, Filter, WantedEntries},
};
use ulid::Ulid;

use super::Written;
use crate::{
    Service,
    failure::parsed_member,
    keys::{self, Log},
    keyspace::{Direction, Error, Key, RANGE_LIMIT},
    tags::LONGEST_PAGE,
};

/// Ranges that one page looks into, at most: as many as the log of a namespace has by default.
const RANGES: usize = 10;

#[async_trait]
impl AuditLog for Service {
    async fn audit_entries(&self, wanted: &WantedEntries) -> Result<Entries, AccountError> {
        let log = self.log_of(wanted.of.as_ref()).await?;
        Ok(self.entries_of(&keys::audit(&log), wanted).await?)
    }
}

impl Service {
    async fn log_of(&self, of: Option<&Namespace>) -> Result<Log, AccountError> {
        let Some(namespace) = of else { return Ok(Log::Hub) };
        let owner = self.claimed(namespace).await?;
        let unknown = || AccountError::OwnerUnknown { name: namespace.clone() };
        Ok(Log::Of(owner.ok_or_else(unknown)?, namespace.clone()))
    }

    async fn entries_of(&self, key: &Key, wanted: &WantedEntries) -> Result<Entries, Error> {
        let WantedEntries { filter, limit, .. } = wanted;
        let limit = (*limit).clamp(1, LONGEST_PAGE);
        let at_once = if filter.looks_into() { RANGE_LIMIT } else { limit + 1 };
        let since = filter.since.max(Some(self.audit_kept_since()));

        let (mut entries, mut after) = (Vec::new(), wanted.after.clone());
        for _ in 0..RANGES {
            let members = keys::happened_from(since, filter.before, after.as_ref());
            let found = self.keyspace().range(key, members, at_once, Direction::Backward).await?;
            entries.extend(found.iter().filter_map(|member| entry(member, filter)));
            if entries.len() > limit {
                entries.truncate(limit);
                let next = entries.last().map(|last| last.id.clone());
                return Ok(Entries { entries, next });
            }
            match found.last() {
                Some(last) if found.len() == at_once => {
                    after = Some(parsed_member(key, keys::first_part(last))?);
                }
                _ => return Ok(Entries { entries, next: None }),
            }
        }
        Ok(Entries { entries, next: after })
    }
}

/// The entry in a member, if it is meant and can be read.
fn entry(member: &Bytes, filter: &Filter) -> Option<Entry> {
    let written: Written = serde_json::from_slice(keys::last_part(member)).ok()?;
    let Written { action, subject, via, address, credential, mut target } = written;
    let actor = Actor { subject: subject.parse().ok()?, via, address, credential };
    if !filter.matches(&action, &actor.subject) {
        return None;
    }

    let (id, at) = placed(keys::first_part(member))?;
    target.namespace = target.namespace.or_else(|| target.repository.as_ref().map(RepositoryName::namespace));
    Some(Entry { id, at, actor, action, target })
}

fn placed(part: &[u8]) -> Option<(EventId, Timestamp)> {
    let text = std::str::from_utf8(part).ok()?;
    let place: Ulid = text.parse().ok()?;
    let at = Timestamp::from_millisecond(place.timestamp_ms().try_into().ok()?).ok()?;
    Some((text.parse().ok()?, at))
}
