//! Accounts, what is known about access, and signing keys as messages.

use bytes::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BadField, Wire, bytes_32, enumeration, parsed, parsed_all, printed_all, read, read_all, timestamp,
    written_all,
};
use crate::{
    auth::KeyId,
    metadata::{
        Standing, Visibility,
        accounts::{
            AccessFacts, AccessQuestion, Account, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts,
            Role, SigningKey,
        },
        credentials::Credential,
        organizations::{Level, MemberRole},
        proofs::SecondFactor,
    },
    wire,
};

enumeration!(Role, wire::Role, "role", [User, Administrator]);
enumeration!(NamespaceKind, wire::NamespaceKind, "kind", [User, Organization]);
enumeration!(MemberRole, wire::MemberRole, "role", [Member, Owner]);
enumeration!(Level, wire::Level, "level", [Read, Write, Admin]);

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
        let (account, credential_hash) = match &self.asker {
            FactsOf::Anonymous => (None, None),
            FactsOf::User(name) => (Some(name.to_string()), None),
            FactsOf::Credential(hash) => (None, Some(Bytes::copy_from_slice(hash))),
        };
        wire::AccessFactsRequest {
            account,
            repositories: printed_all(&self.repositories),
            credential_hash,
            namespaces: printed_all(&self.namespaces),
        }
    }

    fn from_message(message: wire::AccessFactsRequest) -> Result<Self, BadField> {
        let wire::AccessFactsRequest { account, repositories, credential_hash, namespaces } = message;
        let asker = match (account, credential_hash) {
            (Some(name), None) => FactsOf::User(parsed("account", &name)?),
            (None, Some(hash)) => FactsOf::Credential(bytes_32("credential_hash", &hash)?),
            (None, None) => FactsOf::Anonymous,
            (Some(_), Some(_)) => {
                return Err(BadField::unreadable("credential_hash", "there is an account too"));
            }
        };
        Ok(Self {
            asker,
            repositories: parsed_all("repositories", &repositories)?,
            namespaces: parsed_all("namespaces", &namespaces)?,
        })
    }
}

impl Wire for AccessFacts {
    type Message = wire::AccessFactsResponse;

    fn to_message(&self) -> wire::AccessFactsResponse {
        wire::AccessFactsResponse {
            account: self.account.as_ref().map(Account::to_message),
            repositories: written_all(&self.repositories),
            credential: self.credential.as_ref().map(Credential::to_message),
            namespaces: written_all(&self.namespaces),
            second_factor: self.second_factor.as_ref().map(|factor| factor.sealed_secret.clone()),
            revision: self.revision,
        }
    }

    fn from_message(message: wire::AccessFactsResponse) -> Result<Self, BadField> {
        Ok(Self {
            account: message.account.map(Account::from_message).transpose()?,
            credential: message.credential.map(Credential::from_message).transpose()?,
            repositories: read_all(message.repositories)?,
            namespaces: read_all(message.namespaces)?,
            second_factor: message.second_factor.map(|sealed_secret| SecondFactor { sealed_secret }),
            revision: message.revision,
        })
    }
}

// The one place where an unspecified value has a meaning: there is no such repository.
impl Wire for RepositoryFacts {
    type Message = wire::RepositoryFacts;

    fn to_message(&self) -> wire::RepositoryFacts {
        let absent = wire::Visibility::Unspecified.into();
        wire::RepositoryFacts {
            name: self.name.to_string(),
            visibility: self.visibility.as_ref().map_or(absent, Visibility::to_message),
            namespace: Some(self.namespace.to_message()),
            level: self.level.as_ref().map(Level::to_message),
            moved: self.moved.as_ref().map(|moved| Box::new(moved.to_message())),
        }
    }

    fn from_message(message: wire::RepositoryFacts) -> Result<Self, BadField> {
        let wire::RepositoryFacts { name, visibility, namespace, level, moved } = message;
        let known = visibility != i32::from(wire::Visibility::Unspecified);
        Ok(Self {
            name: parsed("name", &name)?,
            visibility: known.then(|| Visibility::from_message(visibility)).transpose()?,
            namespace: read("namespace", namespace)?,
            level: level.map(Level::from_message).transpose()?,
            moved: moved.map(|moved| Self::from_message(*moved).map(Box::new)).transpose()?,
        })
    }
}

impl Wire for NamespaceFacts {
    type Message = wire::NamespaceFacts;

    fn to_message(&self) -> wire::NamespaceFacts {
        wire::NamespaceFacts {
            name: self.name.to_string(),
            kind: self.kind.as_ref().map(NamespaceKind::to_message),
            role: self.role.as_ref().map(MemberRole::to_message),
        }
    }

    fn from_message(message: wire::NamespaceFacts) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            kind: message.kind.map(NamespaceKind::from_message).transpose()?,
            role: message.role.map(MemberRole::from_message).transpose()?,
        })
    }
}

impl Wire for SigningKey {
    type Message = wire::SigningKey;

    fn to_message(&self) -> wire::SigningKey {
        let wire::VerificationKey { id, public_key, p256_public_key } = self.verification.to_message();
        wire::SigningKey {
            id,
            public_key,
            sealed_private_key: self.sealed_private_key.clone(),
            created_ms: self.created.as_millisecond(),
            p256_public_key,
            from_ms: Some(self.from.as_millisecond()),
            until_ms: self.until.map(Timestamp::as_millisecond),
            next: self.next.as_ref().map(|next| next.0.clone()),
        }
    }

    fn from_message(message: wire::SigningKey) -> Result<Self, BadField> {
        let wire::SigningKey { id, public_key, p256_public_key, created_ms, from_ms, until_ms, .. } = message;
        let until = until_ms.map(|until| timestamp("until_ms", until)).transpose()?;
        Ok(Self {
            verification: Wire::from_message(wire::VerificationKey { id, public_key, p256_public_key })?,
            sealed_private_key: message.sealed_private_key,
            created: timestamp("created_ms", created_ms)?,
            from: timestamp("from_ms", from_ms.unwrap_or(created_ms))?,
            until,
            next: message.next.map(KeyId),
        })
    }
}
