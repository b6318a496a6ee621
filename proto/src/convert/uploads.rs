//! Upload sessions, and who acts on them, as messages.

use oci::RepositoryName;
use service_kit::grpc::calling_account;

use super::{
    BadField, Wire, address, enumeration, parsed, parsed_all, parsed_option, printed, printed_all, read,
    read_all, subject, timestamp, written_all,
};
use crate::{
    auth::Subject,
    blob::HashState,
    metadata::{
        Actor, Standing, Via,
        uploads::{Advance, Held, Link, MAX_MOUNT_SOURCES, Mount, Mounted, UploadAddress, UploadSession},
    },
    wire,
};

enumeration!(Via, wire::Via, "via", [Registry, Ui, Service, Api, Operator]);
enumeration!(Standing, wire::Standing, "standing", [Active, Disabled]);

impl Wire for Actor {
    type Message = wire::Actor;

    fn to_message(&self) -> wire::Actor {
        wire::Actor {
            subject: self.subject.to_string(),
            via: self.via.to_message(),
            address: printed(self.address.as_ref()),
            credential: printed(self.credential.as_ref()),
        }
    }

    fn from_message(message: wire::Actor) -> Result<Self, BadField> {
        let said = Self {
            subject: subject("subject", &message.subject)?,
            via: Via::from_message(message.via)?,
            address: address(message.address.as_deref())?,
            credential: parsed_option("credential", message.credential.as_deref())?,
        };
        // Here, so that no method forgets it: only the hub's own services write on behalf of others.
        Ok(match calling_account() {
            Some(account) => Self {
                subject: Subject::Service(account),
                via: Via::Service,
                address: None,
                credential: None,
            },
            None => said,
        })
    }
}

/// Who acts; callers of before there was an audit log did not say it.
pub(crate) fn actor_of(message: Option<wire::Actor>) -> Result<Actor, BadField> {
    Actor::from_message(message.unwrap_or_else(|| Actor::service().to_message()))
}

impl Wire for UploadAddress {
    type Message = wire::UploadAddress;

    fn to_message(&self) -> wire::UploadAddress {
        wire::UploadAddress { repository: self.repository.to_string(), session: self.session.to_string() }
    }

    fn from_message(message: wire::UploadAddress) -> Result<Self, BadField> {
        let wire::UploadAddress { repository, session } = message;
        Ok(Self { repository: parsed("repository", &repository)?, session: parsed("session", &session)? })
    }
}

impl Wire for UploadSession {
    type Message = wire::UploadSession;

    fn to_message(&self) -> wire::UploadSession {
        wire::UploadSession {
            address: Some(self.address.to_message()),
            subject: self.subject.to_string(),
            standing: self.standing.to_message(),
            started_ms: self.started.as_millisecond(),
            offset: self.offset,
            parts: written_all(&self.parts),
            hash_state: self.hash.0.clone(),
        }
    }

    fn from_message(message: wire::UploadSession) -> Result<Self, BadField> {
        Ok(Self {
            address: read("address", message.address)?,
            subject: subject("subject", &message.subject)?,
            standing: Standing::from_message(message.standing)?,
            started: timestamp("started_ms", message.started_ms)?,
            offset: message.offset,
            parts: read_all(message.parts)?,
            hash: HashState(message.hash_state),
        })
    }
}

impl Wire for Mounted {
    type Message = wire::MountResponse;

    fn to_message(&self) -> wire::MountResponse {
        use wire::mount_response::Outcome;

        let outcome = match self {
            Self::Linked => Outcome::Linked(wire::Linked {}),
            Self::Started(session) => Outcome::Started(session.to_message()),
        };
        wire::MountResponse { outcome: Some(outcome) }
    }

    fn from_message(message: wire::MountResponse) -> Result<Self, BadField> {
        use wire::mount_response::Outcome;

        match message.outcome {
            Some(Outcome::Linked(wire::Linked {})) => Ok(Self::Linked),
            Some(Outcome::Started(session)) => UploadSession::from_message(session).map(Self::Started),
            None => Err(BadField::Absent { field: "outcome" }),
        }
    }
}

impl Wire for Advance {
    type Message = wire::AdvanceRequest;

    fn to_message(&self) -> wire::AdvanceRequest {
        wire::AdvanceRequest {
            address: Some(self.address.to_message()),
            part: Some(self.part.to_message()),
            hash_state: self.hash.0.clone(),
        }
    }

    fn from_message(message: wire::AdvanceRequest) -> Result<Self, BadField> {
        Ok(Self {
            address: read("address", message.address)?,
            part: read("part", message.part)?,
            hash: HashState(message.hash_state),
        })
    }
}

impl Wire for Held {
    type Message = wire::HoldResponse;

    fn to_message(&self) -> wire::HoldResponse {
        wire::HoldResponse {
            session: Some(self.session.to_message()),
            locator: printed(self.locator.as_ref()),
        }
    }

    fn from_message(message: wire::HoldResponse) -> Result<Self, BadField> {
        Ok(Self {
            session: read("session", message.session)?,
            locator: parsed_option("locator", message.locator.as_deref())?,
        })
    }
}

pub(crate) fn mount_request(mount: &Mount, actor: &Actor) -> wire::MountRequest {
    wire::MountRequest {
        repository: mount.repository.to_string(),
        digest: mount.digest.to_string(),
        from: printed(mount.from.first()).unwrap_or_default(),
        others: printed_all(mount.from.get(1..).unwrap_or_default()),
        actor: Some(actor.to_message()),
    }
}

pub(crate) fn mount(message: wire::MountRequest) -> Result<(Mount, Actor), BadField> {
    let first = Some(message.from.as_str()).filter(|from| !from.is_empty());
    let mut from = Vec::from_iter(parsed_option("from", first)?);
    from.extend(parsed_all::<RepositoryName>("others", &message.others)?);
    if from.len() > MAX_MOUNT_SOURCES {
        return Err(BadField::unreadable("others", "there are too many"));
    }
    let mount = Mount {
        repository: parsed("repository", &message.repository)?,
        digest: parsed("digest", &message.digest)?,
        from,
    };
    Ok((mount, read("actor", message.actor)?))
}

pub(crate) fn link_request(link: &Link, actor: &Actor) -> wire::LinkRequest {
    wire::LinkRequest {
        address: Some(link.address.to_message()),
        digest: link.digest.to_string(),
        size_bytes: link.size_bytes,
        locator: link.locator.to_string(),
        seen: printed(link.seen.as_ref()),
        actor: Some(actor.to_message()),
    }
}

pub(crate) fn link(message: wire::LinkRequest) -> Result<(Link, Actor), BadField> {
    let link = Link {
        address: read("address", message.address)?,
        digest: parsed("digest", &message.digest)?,
        size_bytes: message.size_bytes,
        locator: parsed("locator", &message.locator)?,
        seen: parsed_option("seen", message.seen.as_deref())?,
    };
    Ok((link, read("actor", message.actor)?))
}
