//! Events and their readers as messages.

use super::{
    BadField, Wire, address, enumeration, parsed, parsed_option, printed, read, read_all, subject, timestamp,
    written_all,
};
use crate::{
    metadata::{
        More, Via,
        outbox::{Batch, Batches, EventKind, Gap, OutboxEvent, Receipt, WantedEvents},
    },
    wire,
};

enumeration!(
    EventKind,
    wire::EventKind,
    "kind",
    [ManifestPushed, ManifestDeleted, ManifestRestored, TagMoved, TagDeleted, BlobDeleted, RepositoryDeleted]
);

impl Wire for WantedEvents {
    type Message = wire::EventsRequest;

    fn to_message(&self) -> wire::EventsRequest {
        wire::EventsRequest {
            reader: self.reader.to_string(),
            after: printed(self.after.as_ref()),
            limit: u32::try_from(self.limit).unwrap_or(u32::MAX),
        }
    }

    fn from_message(message: wire::EventsRequest) -> Result<Self, BadField> {
        let wire::EventsRequest { reader, after, limit } = message;
        Ok(Self {
            reader: parsed("reader", &reader)?,
            after: parsed_option("after", after.as_deref())?,
            limit: usize::try_from(limit).map_err(|why| BadField::unreadable("limit", why))?,
        })
    }
}

impl Wire for Receipt {
    type Message = wire::Receipt;

    fn to_message(&self) -> wire::Receipt {
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        wire::Receipt { through: self.through.to_string(), entries }
    }

    fn from_message(message: wire::Receipt) -> Result<Self, BadField> {
        let wire::Receipt { through, entries } = message;
        let entries = usize::try_from(entries).map_err(|why| BadField::unreadable("entries", why))?;
        Ok(Self { through: parsed("through", &through)?, entries })
    }
}

impl Wire for OutboxEvent {
    type Message = wire::OutboxEvent;

    fn to_message(&self) -> wire::OutboxEvent {
        wire::OutboxEvent {
            id: self.id.to_string(),
            at_ms: self.at.as_millisecond(),
            kind: self.kind.to_message(),
            tag: printed(self.tag.as_ref()),
            digest: printed(self.digest.as_ref()),
            previous: printed(self.previous.as_ref()),
            repository: printed(self.repository.as_ref()),
            subject: self.subject.to_string(),
            via: self.via.to_message(),
            address: printed(self.address.as_ref()),
        }
    }

    fn from_message(message: wire::OutboxEvent) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            at: timestamp("at_ms", message.at_ms)?,
            kind: EventKind::from_message(message.kind)?,
            tag: parsed_option("tag", message.tag.as_deref())?,
            digest: parsed_option("digest", message.digest.as_deref())?,
            previous: parsed_option("previous", message.previous.as_deref())?,
            repository: parsed_option("repository", message.repository.as_deref())?,
            subject: subject("subject", &message.subject)?,
            via: Via::from_message(message.via)?,
            address: address(message.address.as_deref())?,
        })
    }
}

impl Wire for Batch {
    type Message = wire::EventBatch;

    fn to_message(&self) -> wire::EventBatch {
        wire::EventBatch {
            repository: self.repository.to_string(),
            name: printed(self.name.as_ref()),
            gap: self.gap == Gap::Lost,
            events: written_all(&self.events),
            more: self.more.to_message(),
            receipt: Some(self.receipt.to_message()),
        }
    }

    fn from_message(message: wire::EventBatch) -> Result<Self, BadField> {
        let wire::EventBatch { repository, name, gap, events, more, receipt } = message;
        Ok(Self {
            repository: parsed("repository", &repository)?,
            name: parsed_option("name", name.as_deref())?,
            gap: if gap { Gap::Lost } else { Gap::None },
            events: read_all(events)?,
            more: More::from_message(more)?,
            receipt: read("receipt", receipt)?,
        })
    }
}

impl Wire for Batches {
    type Message = wire::EventsResponse;

    fn to_message(&self) -> wire::EventsResponse {
        wire::EventsResponse { batches: written_all(&self.batches), next: printed(self.next.as_ref()) }
    }

    fn from_message(message: wire::EventsResponse) -> Result<Self, BadField> {
        let wire::EventsResponse { batches, next } = message;
        Ok(Self { batches: read_all(batches)?, next: parsed_option("next", next.as_deref())? })
    }
}
