//! Settings of repositories as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::RepositorySettings;
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, read, settings::description},
    metadata::Visibility,
    status::status_of,
    wire::{
        self,
        repository_settings_service_server::{RepositorySettingsService, RepositorySettingsServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn RepositorySettings>) -> Routes {
    let service = RepositorySettingsServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn RepositorySettings>);

#[async_trait]
impl RepositorySettingsService for Server {
    async fn create_repository(
        &self,
        request: Request<wire::CreateRepositoryRequest>,
    ) -> Answer<wire::CreateRepositoryResponse> {
        let message = request.into_inner();
        let (name, description) = (parsed("name", &message.name)?, description(message.description)?);
        let (visibility, actor) =
            (Visibility::from_message(message.visibility)?, read("actor", message.actor)?);

        self.0.create_repository(&name, visibility, &description, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::CreateRepositoryResponse {}))
    }

    async fn repository(
        &self,
        request: Request<wire::RepositoryRequest>,
    ) -> Answer<wire::RepositoryResponse> {
        let name = parsed("name", &request.into_inner().name)?;

        let details = self.0.repository(&name).await.map_err(status_of)?;
        Ok(Response::new(details.to_message()))
    }

    async fn change_repository(
        &self,
        request: Request<wire::ChangeRepositoryRequest>,
    ) -> Answer<wire::ChangeRepositoryResponse> {
        let wire::ChangeRepositoryRequest { name, change, actor } = request.into_inner();
        let (name, change) = (parsed("name", &name)?, read("change", change)?);
        let actor = read("actor", actor)?;

        self.0.change_repository(&name, &change, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::ChangeRepositoryResponse {}))
    }

    async fn move_repository(
        &self,
        request: Request<wire::MoveRepositoryRequest>,
    ) -> Answer<wire::MoveRepositoryResponse> {
        let wire::MoveRepositoryRequest { from, to, actor } = request.into_inner();
        let (from, to, actor) = (parsed("from", &from)?, parsed("to", &to)?, read("actor", actor)?);

        self.0.move_repository(&from, &to, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::MoveRepositoryResponse {}))
    }

    async fn delete_repository(
        &self,
        request: Request<wire::DeleteRepositoryRequest>,
    ) -> Answer<wire::DeleteRepositoryResponse> {
        let wire::DeleteRepositoryRequest { name, actor } = request.into_inner();
        let (name, actor) = (parsed("name", &name)?, read("actor", actor)?);

        self.0.delete_repository(&name, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::DeleteRepositoryResponse {}))
    }
}
