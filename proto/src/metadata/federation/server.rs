//! Federated identities as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::FederatedIdentities;
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{parsed, printed, read, written_all},
    status::status_of,
    wire::{
        self,
        federated_identity_service_server::{FederatedIdentityService, FederatedIdentityServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn FederatedIdentities>) -> Routes {
    let service = FederatedIdentityServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn FederatedIdentities>);

#[async_trait]
impl FederatedIdentityService for Server {
    async fn identity_user(
        &self,
        request: Request<wire::IdentityUserRequest>,
    ) -> Answer<wire::IdentityUserResponse> {
        let id = parsed("id", &request.into_inner().id)?;

        let user = self.0.identity_user(&id).await.map_err(status_of)?;
        Ok(Response::new(wire::IdentityUserResponse { user: printed(user.as_ref()) }))
    }

    async fn create_federated_account(
        &self,
        request: Request<wire::CreateFederatedAccountRequest>,
    ) -> Answer<wire::CreateFederatedAccountResponse> {
        let wire::CreateFederatedAccountRequest { account, identity, actor } = request.into_inner();
        let (account, identity) = (read("account", account)?, read("identity", identity)?);
        let actor = read("actor", actor)?;

        self.0.create_federated_account(&account, &identity, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::CreateFederatedAccountResponse {}))
    }

    async fn link_identity(
        &self,
        request: Request<wire::LinkIdentityRequest>,
    ) -> Answer<wire::LinkIdentityResponse> {
        let wire::LinkIdentityRequest { user, identity, actor } = request.into_inner();
        let (user, identity) = (parsed("user", &user)?, read("identity", identity)?);
        let actor = read("actor", actor)?;

        self.0.link_identity(&user, &identity, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::LinkIdentityResponse {}))
    }

    async fn identities(
        &self,
        request: Request<wire::IdentitiesRequest>,
    ) -> Answer<wire::IdentitiesResponse> {
        let user = parsed("user", &request.into_inner().user)?;

        let identities = self.0.identities(&user).await.map_err(status_of)?;
        Ok(Response::new(wire::IdentitiesResponse { identities: written_all(&identities) }))
    }

    async fn unlink_identity(
        &self,
        request: Request<wire::UnlinkIdentityRequest>,
    ) -> Answer<wire::UnlinkIdentityResponse> {
        let wire::UnlinkIdentityRequest { user, id, actor } = request.into_inner();
        let (user, id, actor) = (parsed("user", &user)?, parsed("id", &id)?, read("actor", actor)?);

        self.0.unlink_identity(&user, &id, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::UnlinkIdentityResponse {}))
    }
}
