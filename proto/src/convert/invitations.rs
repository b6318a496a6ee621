//! Invitations as messages.

use bytes::Bytes;

use super::{BadField, Wire, at_most, bytes_32, parsed, subject, timestamp};
use crate::{
    metadata::{
        invitations::{Invitation, Joining, NewInvitation},
        organizations::MemberRole,
        users::LONGEST_EMAIL,
    },
    wire,
};

impl Wire for Joining {
    type Message = wire::Joining;

    fn to_message(&self) -> wire::Joining {
        wire::Joining { organization: self.organization.to_string(), role: self.role.to_message() }
    }

    fn from_message(message: wire::Joining) -> Result<Self, BadField> {
        let organization = parsed("organization", &message.organization)?;
        Ok(Self { organization, role: MemberRole::from_message(message.role)? })
    }
}

impl Wire for NewInvitation {
    type Message = wire::NewInvitation;

    fn to_message(&self) -> wire::NewInvitation {
        wire::NewInvitation {
            id: self.id.to_string(),
            hash: Bytes::copy_from_slice(&self.hash),
            email: self.email.clone(),
            joining: self.joining.as_ref().map(Joining::to_message),
            expires_ms: self.expires.as_millisecond(),
        }
    }

    fn from_message(message: wire::NewInvitation) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            hash: bytes_32("hash", &message.hash)?,
            email: at_most("email", LONGEST_EMAIL, message.email)?,
            joining: message.joining.map(Joining::from_message).transpose()?,
            expires: timestamp("expires_ms", message.expires_ms)?,
        })
    }
}

impl Wire for Invitation {
    type Message = wire::Invitation;

    fn to_message(&self) -> wire::Invitation {
        wire::Invitation {
            id: self.id.to_string(),
            email: self.email.clone(),
            joining: self.joining.as_ref().map(Joining::to_message),
            by: self.by.to_string(),
            created_ms: self.created.as_millisecond(),
            expires_ms: self.expires.as_millisecond(),
        }
    }

    fn from_message(message: wire::Invitation) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            email: at_most("email", LONGEST_EMAIL, message.email)?,
            joining: message.joining.map(Joining::from_message).transpose()?,
            by: subject("by", &message.by)?,
            created: timestamp("created_ms", message.created_ms)?,
            expires: timestamp("expires_ms", message.expires_ms)?,
        })
    }
}
