//! The audit log as messages. An entry that cannot be read is one of a later release: it is left out, and the others
//! are not.

use jiff::Timestamp;
use oci::EventId;

use super::{
    BadField, Wire, history::bound, parsed, parsed_option, printed, read, subject, timestamp, written_all,
};
use crate::{
    metadata::audit::{Entries, Entry, Filter, Target, WantedEntries},
    wire,
};

impl Wire for WantedEntries {
    type Message = wire::AuditEntriesRequest;

    fn to_message(&self) -> wire::AuditEntriesRequest {
        let Self { of, filter: Filter { since, before, action, actor }, after, limit } = self;
        wire::AuditEntriesRequest {
            of: printed(of.as_ref()),
            since_ms: since.map(Timestamp::as_millisecond),
            before_ms: before.map(Timestamp::as_millisecond),
            action: printed(action.as_ref()),
            actor: printed(actor.as_ref()),
            after: printed(after.as_ref()),
            limit: u32::try_from(*limit).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::AuditEntriesRequest) -> Result<Self, BadField> {
        let filter = Filter {
            since: message.since_ms.map(bound),
            before: message.before_ms.map(bound),
            action: parsed_option("action", message.action.as_deref())?,
            actor: message.actor.map(|actor| subject("actor", &actor)).transpose()?,
        };
        Ok(Self {
            of: parsed_option("of", message.of.as_deref())?,
            filter,
            after: parsed_option("after", message.after.as_deref())?,
            limit: usize::try_from(message.limit).map_err(|why| BadField::unreadable("limit", why))?,
        })
    }
}

impl Wire for Target {
    type Message = wire::AuditTarget;

    fn to_message(&self) -> wire::AuditTarget {
        wire::AuditTarget {
            namespace: printed(self.namespace.as_ref()),
            repository: printed(self.repository.as_ref()),
            user: printed(self.user.as_ref()),
            team: printed(self.team.as_ref()),
            robot: printed(self.robot.as_ref()),
            credential: printed(self.credential.as_ref()),
            tag: printed(self.tag.as_ref()),
            digest: printed(self.digest.as_ref()),
            label: self.label.clone(),
            to: self.to.clone(),
        }
    }

    fn from_message(message: wire::AuditTarget) -> Result<Self, BadField> {
        Ok(Self {
            namespace: parsed_option("namespace", message.namespace.as_deref())?,
            repository: parsed_option("repository", message.repository.as_deref())?,
            user: parsed_option("user", message.user.as_deref())?,
            team: parsed_option("team", message.team.as_deref())?,
            robot: parsed_option("robot", message.robot.as_deref())?,
            credential: parsed_option("credential", message.credential.as_deref())?,
            tag: parsed_option("tag", message.tag.as_deref())?,
            digest: parsed_option("digest", message.digest.as_deref())?,
            label: message.label,
            to: message.to,
        })
    }
}

impl Wire for Entry {
    type Message = wire::AuditEntry;

    fn to_message(&self) -> wire::AuditEntry {
        wire::AuditEntry {
            id: self.id.to_string(),
            at_ms: self.at.as_millisecond(),
            actor: Some(self.actor.to_message()),
            action: self.action.to_string(),
            target: Some(self.target.to_message()),
        }
    }

    fn from_message(message: wire::AuditEntry) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            at: timestamp("at_ms", message.at_ms)?,
            actor: read("actor", message.actor)?,
            action: parsed("action", &message.action)?,
            target: read("target", message.target)?,
        })
    }
}

impl Wire for Entries {
    type Message = wire::AuditEntriesResponse;

    fn to_message(&self) -> wire::AuditEntriesResponse {
        wire::AuditEntriesResponse { entries: written_all(&self.entries), next: printed(self.next.as_ref()) }
    }

    fn from_message(message: wire::AuditEntriesResponse) -> Result<Self, BadField> {
        let wire::AuditEntriesResponse { entries, next } = message;
        let entries = entries.into_iter().filter_map(|entry| Entry::from_message(entry).ok()).collect();
        Ok(Self { entries, next: parsed_option::<EventId>("next", next.as_deref())? })
    }
}
