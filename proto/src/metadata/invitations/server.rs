//! Invitations as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::Invitations;
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{bytes_32, parsed, parsed_option, read, written_all},
    status::status_of,
    wire::{
        self,
        invitation_service_server::{InvitationService, InvitationServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Invitations>) -> Routes {
    let service = InvitationServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Invitations>);

#[async_trait]
impl InvitationService for Server {
    async fn put_invitation(
        &self,
        request: Request<wire::PutInvitationRequest>,
    ) -> Answer<wire::PutInvitationResponse> {
        let wire::PutInvitationRequest { invitation, actor } = request.into_inner();
        let (new, actor) = (read("invitation", invitation)?, read("actor", actor)?);

        self.0.put_invitation(&new, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutInvitationResponse {}))
    }

    async fn invitations(
        &self,
        request: Request<wire::InvitationsRequest>,
    ) -> Answer<wire::InvitationsResponse> {
        let organization = parsed_option("organization", request.into_inner().organization.as_deref())?;

        let found = self.0.invitations(organization.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(wire::InvitationsResponse { invitations: written_all(&found) }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<wire::RevokeInvitationRequest>,
    ) -> Answer<wire::RevokeInvitationResponse> {
        let wire::RevokeInvitationRequest { organization, id, actor } = request.into_inner();
        let organization = parsed_option("organization", organization.as_deref())?;
        let (id, actor) = (parsed("id", &id)?, read("actor", actor)?);

        self.0.revoke_invitation(organization.as_ref(), &id, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RevokeInvitationResponse {}))
    }

    async fn redeem_invitation(
        &self,
        request: Request<wire::RedeemInvitationRequest>,
    ) -> Answer<wire::RedeemInvitationResponse> {
        let wire::RedeemInvitationRequest { hash, account, actor } = request.into_inner();
        let (hash, account) = (bytes_32("hash", &hash)?, read("account", account)?);
        let actor = read("actor", actor)?;

        self.0.redeem_invitation(&hash, &account, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RedeemInvitationResponse {}))
    }
}
