//! Accounts, what is known about access, and signing keys as messages.

use bytes::Bytes;
use oci::RepositoryName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BadField, Wire, bytes_32, enumeration, parsed, parsed_all, parsed_option, printed, printed_all, read_all,
    timestamp, written_all,
};
use crate::{
    auth::{KeyId, VerificationKey},
    metadata::{
        Standing, Visibility,
        accounts::{AccessFacts, AccessQuestion, Account, Role, SigningKey},
    },
    wire,
};

enumeration!(Role, wire::Role, "role", [User, Administrator]);

impl Wire for Account {
    type Message = wire::Account;

    fn to_message(&self) -> wire::Account {
        wire::Account {
            name: self.name.to_string(),
            password_hash: self.password_hash.expose_secret().to_owned(),
            role: self.role.to_message(),
            standing: self.standing.to_message(),
        }
    }

    fn from_message(message: wire::Account) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            password_hash: SecretString::from(message.password_hash),
            role: Role::from_message(message.role)?,
            standing: Standing::from_message(message.standing)?,
        })
    }
}

impl Wire for AccessQuestion {
    type Message = wire::AccessFactsRequest;

    fn to_message(&self) -> wire::AccessFactsRequest {
        wire::AccessFactsRequest {
            account: printed(self.account.as_ref()),
            repositories: printed_all(&self.repositories),
        }
    }

    fn from_message(message: wire::AccessFactsRequest) -> Result<Self, BadField> {
        Ok(Self {
            account: parsed_option("account", message.account.as_deref())?,
            repositories: parsed_all("repositories", &message.repositories)?,
        })
    }
}

impl Wire for AccessFacts {
    type Message = wire::AccessFactsResponse;

    fn to_message(&self) -> wire::AccessFactsResponse {
        wire::AccessFactsResponse {
            account: self.account.as_ref().map(Account::to_message),
            repositories: written_all(&self.repositories),
        }
    }

    fn from_message(message: wire::AccessFactsResponse) -> Result<Self, BadField> {
        Ok(Self {
            account: message.account.map(Account::from_message).transpose()?,
            repositories: read_all(message.repositories)?,
        })
    }
}

// The one place where an unspecified value has a meaning: there is no such repository.
impl Wire for (RepositoryName, Option<Visibility>) {
    type Message = wire::RepositoryFacts;

    fn to_message(&self) -> wire::RepositoryFacts {
        let (name, visibility) = self;
        let absent = wire::Visibility::Unspecified.into();
        wire::RepositoryFacts {
            name: name.to_string(),
            visibility: visibility.as_ref().map_or(absent, Visibility::to_message),
        }
    }

    fn from_message(message: wire::RepositoryFacts) -> Result<Self, BadField> {
        let wire::RepositoryFacts { name, visibility } = message;
        let known = visibility != i32::from(wire::Visibility::Unspecified);
        let visibility = known.then(|| Visibility::from_message(visibility)).transpose()?;
        Ok((parsed("name", &name)?, visibility))
    }
}

impl Wire for SigningKey {
    type Message = wire::SigningKey;

    fn to_message(&self) -> wire::SigningKey {
        wire::SigningKey {
            id: self.verification.id.0.clone(),
            public_key: Bytes::copy_from_slice(&self.verification.public_key),
            sealed_private_key: self.sealed_private_key.clone(),
            created_ms: self.created.as_millisecond(),
        }
    }

    fn from_message(message: wire::SigningKey) -> Result<Self, BadField> {
        let wire::SigningKey { id, public_key, sealed_private_key, created_ms } = message;
        let verification =
            VerificationKey { id: KeyId(id), public_key: bytes_32("public_key", &public_key)? };
        Ok(Self { verification, sealed_private_key, created: timestamp("created_ms", created_ms)? })
    }
}
