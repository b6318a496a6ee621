//! Settings of repositories over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::RepositoryName;
use service_kit::grpc::{GrpcChannel, unary};

use super::{RepositoryChange, RepositoryDetails, RepositorySettings};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::{Actor, RepositoryError, Visibility},
    wire::{self, repository_settings_service_client::RepositorySettingsServiceClient},
};

/// Settings of repositories, over a channel.
#[derive(Debug, Clone)]
pub struct RepositorySettingsClient {
    service: RepositorySettingsServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl RepositorySettingsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = RepositorySettingsServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl RepositorySettings for RepositorySettingsClient {
    async fn create_repository(
        &self,
        name: &RepositoryName,
        visibility: Visibility,
        description: &str,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let message = wire::CreateRepositoryRequest {
            name: name.to_string(),
            visibility: visibility.to_message(),
            description: description.to_owned(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().create_repository(unary(message, self.deadline)).await;

        concluded("creating a repository", answer, |_| Ok(()))
    }

    async fn repository(&self, name: &RepositoryName) -> Result<RepositoryDetails, RepositoryError> {
        let message = wire::RepositoryRequest { name: name.to_string() };
        let answer = self.service.clone().repository(unary(message, self.deadline)).await;

        concluded("reading what is said of a repository", answer, RepositoryDetails::from_message)
    }

    async fn change_repository(
        &self,
        name: &RepositoryName,
        change: &RepositoryChange,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let message = wire::ChangeRepositoryRequest {
            name: name.to_string(),
            change: Some(change.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().change_repository(unary(message, self.deadline)).await;

        concluded("changing a repository", answer, |_| Ok(()))
    }

    async fn move_repository(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let (from, to, actor) = (from.to_string(), to.to_string(), Some(actor.to_message()));
        let message = wire::MoveRepositoryRequest { from, to, actor };
        let answer = self.service.clone().move_repository(unary(message, self.deadline)).await;

        concluded("moving a repository", answer, |_| Ok(()))
    }

    async fn delete_repository(&self, name: &RepositoryName, actor: &Actor) -> Result<(), RepositoryError> {
        let message =
            wire::DeleteRepositoryRequest { name: name.to_string(), actor: Some(actor.to_message()) };
        let answer = self.service.clone().delete_repository(unary(message, self.deadline)).await;

        concluded("deleting a repository", answer, |_| Ok(()))
    }
}
