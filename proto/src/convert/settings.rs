//! What is said of repositories, and what is to be changed of it, as messages.

use jiff::Timestamp;

use super::{BadField, Wire, at_most, parsed, timestamp};
use crate::{
    metadata::{
        Visibility,
        settings::{LONGEST_REPOSITORY_DESCRIPTION, RepositoryChange, RepositoryDetails},
    },
    wire,
};

impl Wire for RepositoryDetails {
    type Message = wire::RepositoryResponse;

    fn to_message(&self) -> wire::RepositoryResponse {
        wire::RepositoryResponse {
            name: self.name.to_string(),
            visibility: self.visibility.to_message(),
            description: self.description.clone(),
            created_ms: self.created.as_millisecond(),
            updated_ms: self.updated.as_millisecond(),
            size_bytes: self.size_bytes,
            pulls: self.pulls,
            last_pulled_ms: self.last_pulled.map(Timestamp::as_millisecond),
        }
    }

    fn from_message(message: wire::RepositoryResponse) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            visibility: Visibility::from_message(message.visibility)?,
            description: description(message.description)?,
            created: timestamp("created_ms", message.created_ms)?,
            updated: timestamp("updated_ms", message.updated_ms)?,
            size_bytes: message.size_bytes,
            pulls: message.pulls,
            last_pulled: message.last_pulled_ms.map(|at| timestamp("last_pulled_ms", at)).transpose()?,
        })
    }
}

impl Wire for RepositoryChange {
    type Message = wire::RepositoryChange;

    fn to_message(&self) -> wire::RepositoryChange {
        wire::RepositoryChange {
            visibility: self.visibility.as_ref().map(Visibility::to_message),
            description: self.description.clone(),
        }
    }

    fn from_message(message: wire::RepositoryChange) -> Result<Self, BadField> {
        Ok(Self {
            visibility: message.visibility.map(Visibility::from_message).transpose()?,
            description: message.description.map(description).transpose()?,
        })
    }
}

/// Takes a description that is not too long.
pub(crate) fn description(text: String) -> Result<String, BadField> {
    at_most("description", LONGEST_REPOSITORY_DESCRIPTION, text)
}
