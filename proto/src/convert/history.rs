//! Histories of tags as messages.

use jiff::Timestamp;

use super::{BadField, Wire, enumeration, parsed, parsed_option, printed, read_all, timestamp, written_all};
use crate::{
    metadata::repositories::{TagChange, TagEvent, TagHistory, WantedHistory},
    wire,
};

enumeration!(TagChange, wire::TagChange, "change", [Created, Deleted]);

impl Wire for WantedHistory {
    type Message = wire::TagHistoryRequest;

    fn to_message(&self) -> wire::TagHistoryRequest {
        wire::TagHistoryRequest {
            repository: self.repository.to_string(),
            tag: self.tag.to_string(),
            before_ms: self.before.map(Timestamp::as_millisecond),
            since_ms: self.since.map(Timestamp::as_millisecond),
            digest: printed(self.digest.as_ref()),
            after: printed(self.after.as_ref()),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::TagHistoryRequest) -> Result<Self, BadField> {
        Ok(Self {
            repository: parsed("repository", &message.repository)?,
            tag: parsed("tag", &message.tag)?,
            before: message.before_ms.map(bound),
            since: message.since_ms.map(bound),
            digest: parsed_option("digest", message.digest.as_deref())?,
            after: parsed_option("after", message.after.as_deref())?,
            limit: usize::try_from(message.limit).map_err(|why| BadField::unreadable("limit", why))?,
        })
    }
}

/// When a history begins or ends. The last millisecond that can be written is none that can be read: beyond all
/// that has happened, one end of time is like another.
pub(super) fn bound(milliseconds: i64) -> Timestamp {
    let end = if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(milliseconds).unwrap_or(end)
}

impl Wire for TagEvent {
    type Message = wire::TagEvent;

    fn to_message(&self) -> wire::TagEvent {
        wire::TagEvent {
            id: self.id.to_string(),
            at_ms: self.at.as_millisecond(),
            change: self.change.to_message(),
            digest: self.digest.to_string(),
            media_type: self.media_type.to_string(),
            size_bytes: self.size_bytes,
        }
    }

    fn from_message(message: wire::TagEvent) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            at: timestamp("at_ms", message.at_ms)?,
            change: TagChange::from_message(message.change)?,
            digest: parsed("digest", &message.digest)?,
            media_type: parsed("media_type", &message.media_type)?,
            size_bytes: message.size_bytes,
        })
    }
}

impl Wire for TagHistory {
    type Message = wire::TagHistoryResponse;

    fn to_message(&self) -> wire::TagHistoryResponse {
        wire::TagHistoryResponse { events: written_all(&self.entries), next: printed(self.next.as_ref()) }
    }

    fn from_message(message: wire::TagHistoryResponse) -> Result<Self, BadField> {
        Ok(Self { entries: read_all(message.events)?, next: parsed_option("next", message.next.as_deref())? })
    }
}
