//! Parts, appends, finishes and grants as messages.

use bytes::Bytes;
use oci::Span;

use super::{
    BadField, Wire, bytes_32, enumeration, parsed, parsed_option, printed, read_all, timestamp, written_all,
};
use crate::{
    blob::{Append, Appended, Delivery, Ended, Finish, Finished, Grant, Handoff, HashState, Part, Redirect},
    wire,
};

enumeration!(Ended, wire::Ended, "ended", [Complete, Cut]);
enumeration!(Handoff, wire::Handoff, "handoff", [Never, File, Replica]);
enumeration!(Redirect, wire::Redirect, "redirect", [Never, Allowed]);

impl Wire for Part {
    type Message = wire::Part;

    fn to_message(&self) -> wire::Part {
        let Self { offset, size_bytes, generation } = self;
        wire::Part { offset: *offset, size_bytes: *size_bytes, generation: generation.to_string() }
    }

    fn from_message(message: wire::Part) -> Result<Self, BadField> {
        let wire::Part { offset, size_bytes, generation } = message;
        Ok(Self { offset, size_bytes, generation: parsed("generation", &generation)? })
    }
}

impl Wire for Append {
    type Message = wire::AppendHeader;

    fn to_message(&self) -> wire::AppendHeader {
        wire::AppendHeader {
            session: self.session.to_string(),
            offset: self.offset,
            hash_state: self.hash.0.clone(),
            expected_bytes: self.expected_bytes,
            before: self.before.as_ref().map(Part::to_message),
        }
    }

    fn from_message(message: wire::AppendHeader) -> Result<Self, BadField> {
        Ok(Self {
            session: parsed("session", &message.session)?,
            before: message.before.map(Part::from_message).transpose()?,
            offset: message.offset,
            hash: HashState(message.hash_state),
            expected_bytes: message.expected_bytes,
        })
    }
}

impl Wire for Appended {
    type Message = wire::Appended;

    fn to_message(&self) -> wire::Appended {
        wire::Appended {
            part: self.part.as_ref().map(Part::to_message),
            offset: self.offset,
            hash_state: self.hash.0.clone(),
            ended: self.ended.to_message(),
        }
    }

    fn from_message(message: wire::Appended) -> Result<Self, BadField> {
        Ok(Self {
            part: message.part.map(Part::from_message).transpose()?,
            offset: message.offset,
            hash: HashState(message.hash_state),
            ended: Ended::from_message(message.ended)?,
        })
    }
}

impl Wire for Finish {
    type Message = wire::FinishHeader;

    fn to_message(&self) -> wire::FinishHeader {
        wire::FinishHeader {
            session: self.session.to_string(),
            parts: written_all(&self.parts),
            offset: self.offset,
            hash_state: self.hash.0.clone(),
            digest: self.digest.to_string(),
            existing: printed(self.existing.as_ref()),
            expected_bytes: self.expected_bytes,
        }
    }

    fn from_message(message: wire::FinishHeader) -> Result<Self, BadField> {
        Ok(Self {
            session: parsed("session", &message.session)?,
            parts: read_all(message.parts)?,
            offset: message.offset,
            hash: HashState(message.hash_state),
            digest: parsed("digest", &message.digest)?,
            existing: parsed_option("existing", message.existing.as_deref())?,
            expected_bytes: message.expected_bytes,
        })
    }
}

impl Wire for Finished {
    type Message = wire::FinishResponse;

    fn to_message(&self) -> wire::FinishResponse {
        use wire::finish_response::Outcome;

        let outcome = match self {
            Self::Published { locator, size_bytes } => {
                Outcome::Published(wire::Published { locator: locator.to_string(), size_bytes: *size_bytes })
            }
            Self::Cut(appended) => Outcome::Cut(appended.to_message()),
        };
        wire::FinishResponse { outcome: Some(outcome) }
    }

    fn from_message(message: wire::FinishResponse) -> Result<Self, BadField> {
        use wire::finish_response::Outcome;

        match message.outcome {
            Some(Outcome::Published(wire::Published { locator, size_bytes })) => {
                Ok(Self::Published { locator: parsed("locator", &locator)?, size_bytes })
            }
            Some(Outcome::Cut(appended)) => Appended::from_message(appended).map(Self::Cut),
            None => Err(BadField::Absent { field: "outcome" }),
        }
    }
}

impl Wire for Grant {
    type Message = wire::Grant;

    fn to_message(&self) -> wire::Grant {
        wire::Grant {
            locator: self.locator.to_string(),
            repository: self.repository.to_string(),
            size_bytes: self.size_bytes,
            expires_ms: self.expires.as_millisecond(),
            mac: Bytes::copy_from_slice(&self.mac),
        }
    }

    fn from_message(message: wire::Grant) -> Result<Self, BadField> {
        Ok(Self {
            locator: parsed("locator", &message.locator)?,
            repository: parsed("repository", &message.repository)?,
            size_bytes: message.size_bytes,
            expires: timestamp("expires_ms", message.expires_ms)?,
            mac: bytes_32("mac", &message.mac)?,
        })
    }
}

impl Wire for Delivery {
    type Message = wire::Delivery;

    fn to_message(&self) -> wire::Delivery {
        let Self { handoff, redirect } = self;
        wire::Delivery { handoff: handoff.to_message(), redirect: redirect.to_message() }
    }

    fn from_message(message: wire::Delivery) -> Result<Self, BadField> {
        let wire::Delivery { handoff, redirect } = message;
        Ok(Self { handoff: Handoff::from_message(handoff)?, redirect: Redirect::from_message(redirect)? })
    }
}

impl Wire for Span {
    type Message = wire::Span;

    fn to_message(&self) -> wire::Span {
        wire::Span { first: self.first, length: self.length }
    }

    fn from_message(message: wire::Span) -> Result<Self, BadField> {
        let wire::Span { first, length } = message;
        Ok(Self { first, length })
    }
}
