//! Credentials as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{CredentialUse, Credentials};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{parsed, parsed_option, read, read_all, written_all},
    status::status_of,
    wire::{
        self,
        credential_service_server::{CredentialService, CredentialServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Credentials>) -> Routes {
    let service = CredentialServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Credentials>);

#[async_trait]
impl CredentialService for Server {
    async fn put_credential(
        &self,
        request: Request<wire::PutCredentialRequest>,
    ) -> Answer<wire::PutCredentialResponse> {
        let wire::PutCredentialRequest { credential, actor } = request.into_inner();
        let (new, actor) = (read("credential", credential)?, read("actor", actor)?);

        self.0.put_credential(&new, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutCredentialResponse {}))
    }

    async fn credentials(
        &self,
        request: Request<wire::CredentialsRequest>,
    ) -> Answer<wire::CredentialsResponse> {
        let owner = read("owner", request.into_inner().owner)?;

        let credentials = self.0.credentials(&owner).await.map_err(status_of)?;
        Ok(Response::new(wire::CredentialsResponse { credentials: written_all(&credentials) }))
    }

    async fn revoke_credential(
        &self,
        request: Request<wire::RevokeCredentialRequest>,
    ) -> Answer<wire::RevokeCredentialResponse> {
        let wire::RevokeCredentialRequest { owner, id, actor } = request.into_inner();
        let (owner, id, actor) = (read("owner", owner)?, parsed("id", &id)?, read("actor", actor)?);

        self.0.revoke_credential(&owner, &id, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RevokeCredentialResponse {}))
    }

    async fn used(&self, request: Request<wire::UsedRequest>) -> Answer<wire::UsedResponse> {
        let uses: Vec<CredentialUse> = read_all(request.into_inner().uses)?;

        self.0.used(&uses).await.map_err(status_of)?;
        Ok(Response::new(wire::UsedResponse {}))
    }

    async fn revocations(
        &self,
        request: Request<wire::RevocationsRequest>,
    ) -> Answer<wire::RevocationsResponse> {
        let after = parsed_option("after", request.into_inner().after.as_deref())?;

        let revocations = self.0.revocations(after.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(wire::RevocationsResponse { revocations: written_all(&revocations) }))
    }
}
