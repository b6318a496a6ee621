//! Credentials and their limits as messages.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    BadField, Wire, at_most, bytes_32, enumeration, parsed, parsed_option, present, printed, read, subject,
    timestamp,
};
use crate::{
    metadata::credentials::{
        ClaimPattern, Credential, CredentialOwner, CredentialUse, Holder, LONGEST_LABEL, Limits,
        MAX_PATTERNS, NewCredential, Permission, RepositoryPattern, RequiredClaims, Revocation, Revoked,
        Trust,
    },
    wire::{self, credential_owner, holder, revocation},
};

enumeration!(Permission, wire::Permission, "permission", [Pull, Push, Delete, Manage]);

impl Wire for Holder {
    type Message = wire::Holder;

    fn to_message(&self) -> wire::Holder {
        let holder = match self {
            Self::User(name) => holder::Holder::User(name.to_string()),
            Self::Session(name) => holder::Holder::Session(name.to_string()),
            Self::Robot(name) => holder::Holder::Robot(name.to_string()),
            Self::Offline { user, through } => {
                let (user, through) = (user.to_string(), printed(through.as_ref()));
                holder::Holder::Offline(wire::OfflineHolder { user, through })
            }
        };
        wire::Holder { holder: Some(holder) }
    }

    fn from_message(message: wire::Holder) -> Result<Self, BadField> {
        Ok(match present("holder", message.holder)? {
            holder::Holder::User(name) => Self::User(parsed("user", &name)?),
            holder::Holder::Session(name) => Self::Session(parsed("session", &name)?),
            holder::Holder::Robot(name) => Self::Robot(parsed("robot", &name)?),
            holder::Holder::Offline(wire::OfflineHolder { user, through }) => Self::Offline {
                user: parsed("user", &user)?,
                through: parsed_option("through", through.as_deref())?,
            },
        })
    }
}

impl Wire for Limits {
    type Message = wire::Limits;

    fn to_message(&self) -> wire::Limits {
        wire::Limits {
            repositories: self.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            actions: self.actions.iter().map(Permission::to_message).collect(),
        }
    }

    fn from_message(message: wire::Limits) -> Result<Self, BadField> {
        let named = message.repositories.len();
        if named > MAX_PATTERNS {
            let why = format_args!("{named} patterns, allowed are {MAX_PATTERNS}");
            return Err(BadField::unreadable("repositories", why));
        }

        let pattern = |text| {
            RepositoryPattern::try_from(text).map_err(|error| BadField::unreadable("repositories", error))
        };
        Ok(Self {
            repositories: message.repositories.into_iter().map(pattern).collect::<Result<_, _>>()?,
            actions: message.actions.into_iter().map(Permission::from_message).collect::<Result<_, _>>()?,
        })
    }
}

impl Wire for Trust {
    type Message = wire::Trust;

    fn to_message(&self) -> wire::Trust {
        let claims = self.claims.iter().map(|(name, pattern)| (name.to_owned(), pattern.to_string()));
        wire::Trust {
            issuer: self.issuer.to_string(),
            audience: self.audience.to_string(),
            claims: claims.collect(),
        }
    }

    fn from_message(message: wire::Trust) -> Result<Self, BadField> {
        let wire::Trust { issuer, audience, claims } = message;
        let pattern = |(name, text): (String, String)| Ok((name, parsed::<ClaimPattern>("claims", &text)?));
        let claims = claims.into_iter().map(pattern).collect::<Result<BTreeMap<_, _>, BadField>>()?;
        let claims = RequiredClaims::try_from(claims).map_err(|why| BadField::unreadable("claims", why))?;
        Ok(Self { issuer: parsed("issuer", &issuer)?, audience: parsed("audience", &audience)?, claims })
    }
}

impl Wire for Credential {
    type Message = wire::Credential;

    fn to_message(&self) -> wire::Credential {
        wire::Credential {
            id: self.id.to_string(),
            holder: Some(self.holder.to_message()),
            label: self.label.clone(),
            limits: Some(self.limits.to_message()),
            created_ms: self.created.as_millisecond(),
            expires_ms: self.expires.map(Timestamp::as_millisecond),
            used_ms: self.used.map(Timestamp::as_millisecond),
            trust: self.trust.as_ref().map(Trust::to_message),
        }
    }

    fn from_message(message: wire::Credential) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            holder: read("holder", message.holder)?,
            label: at_most("label", LONGEST_LABEL, message.label)?,
            limits: read("limits", message.limits)?,
            created: timestamp("created_ms", message.created_ms)?,
            expires: moment("expires_ms", message.expires_ms)?,
            used: moment("used_ms", message.used_ms)?,
            trust: message.trust.map(Trust::from_message).transpose()?,
        })
    }
}

impl Wire for NewCredential {
    type Message = wire::NewCredential;

    fn to_message(&self) -> wire::NewCredential {
        wire::NewCredential {
            id: self.id.to_string(),
            hash: Bytes::copy_from_slice(&self.hash),
            holder: Some(self.holder.to_message()),
            label: self.label.clone(),
            limits: Some(self.limits.to_message()),
            expires_ms: self.expires.map(Timestamp::as_millisecond),
            trust: self.trust.as_ref().map(Trust::to_message),
            revision: self.revision,
        }
    }

    fn from_message(message: wire::NewCredential) -> Result<Self, BadField> {
        Ok(Self {
            id: parsed("id", &message.id)?,
            hash: bytes_32("hash", &message.hash)?,
            holder: read("holder", message.holder)?,
            label: at_most("label", LONGEST_LABEL, message.label)?,
            limits: read("limits", message.limits)?,
            expires: moment("expires_ms", message.expires_ms)?,
            trust: message.trust.map(Trust::from_message).transpose()?,
            revision: message.revision,
        })
    }
}

impl Wire for CredentialOwner {
    type Message = wire::CredentialOwner;

    fn to_message(&self) -> wire::CredentialOwner {
        let owner = match self {
            Self::User(name) => credential_owner::Owner::User(name.to_string()),
            Self::Robots(namespace) => credential_owner::Owner::Robots(namespace.to_string()),
        };
        wire::CredentialOwner { owner: Some(owner) }
    }

    fn from_message(message: wire::CredentialOwner) -> Result<Self, BadField> {
        Ok(match present("owner", message.owner)? {
            credential_owner::Owner::User(name) => Self::User(parsed("user", &name)?),
            credential_owner::Owner::Robots(namespace) => Self::Robots(parsed("robots", &namespace)?),
        })
    }
}

impl Wire for CredentialUse {
    type Message = wire::CredentialUse;

    fn to_message(&self) -> wire::CredentialUse {
        wire::CredentialUse {
            id: self.id.to_string(),
            owner: Some(self.owner.to_message()),
            at_ms: self.at.as_millisecond(),
        }
    }

    fn from_message(message: wire::CredentialUse) -> Result<Self, BadField> {
        let wire::CredentialUse { id, owner, at_ms } = message;
        Ok(Self { id: parsed("id", &id)?, owner: read("owner", owner)?, at: timestamp("at_ms", at_ms)? })
    }
}

impl Wire for Revocation {
    type Message = wire::Revocation;

    fn to_message(&self) -> wire::Revocation {
        let what = match &self.what {
            Revoked::Credential(id) => revocation::What::Credential(id.to_string()),
            Revoked::Subject(subject) => revocation::What::Subject(subject.to_string()),
            Revoked::Repository(name) => revocation::What::Repository(name.to_string()),
        };
        wire::Revocation { id: self.id.to_string(), at_ms: self.at.as_millisecond(), what: Some(what) }
    }

    fn from_message(message: wire::Revocation) -> Result<Self, BadField> {
        let wire::Revocation { id, at_ms, what } = message;
        let what = match present("what", what)? {
            revocation::What::Credential(id) => Revoked::Credential(parsed("credential", &id)?),
            revocation::What::Subject(text) => Revoked::Subject(subject("subject", &text)?),
            revocation::What::Repository(name) => Revoked::Repository(parsed("repository", &name)?),
        };
        Ok(Self { id: parsed("id", &id)?, at: timestamp("at_ms", at_ms)?, what })
    }
}

fn moment(field: &'static str, milliseconds: Option<i64>) -> Result<Option<Timestamp>, BadField> {
    milliseconds.map(|milliseconds| timestamp(field, milliseconds)).transpose()
}
