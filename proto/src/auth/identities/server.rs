//! Identities as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::Identities;
use crate::{
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::{Wire as _, identities, parsed_option, read, written_all},
    status::status_of,
    wire::{
        self,
        identity_service_server::{IdentityService, IdentityServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Identities>) -> Routes {
    let service = IdentityServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Identities>);

#[async_trait]
impl IdentityService for Server {
    async fn authorize(&self, request: Request<wire::AuthorizeRequest>) -> Answer<wire::AuthorizeResponse> {
        let wire::AuthorizeRequest { asker, deed } = request.into_inner();
        let (asker, deed) = (read("asker", asker)?, read("deed", deed)?);

        let permit = self.0.authorize(&asker, &deed).await.map_err(status_of)?;
        Ok(Response::new(permit.to_message()))
    }

    async fn sign_up(&self, request: Request<wire::SignUpRequest>) -> Answer<wire::SignUpResponse> {
        let (asker, new) = identities::sign_up(request.into_inner())?;

        self.0.sign_up(&asker, &new).await.map_err(status_of)?;
        Ok(Response::new(wire::SignUpResponse {}))
    }

    async fn change_password(
        &self,
        request: Request<wire::ChangePasswordRequest>,
    ) -> Answer<wire::ChangePasswordResponse> {
        let (asker, change) = identities::change_password(request.into_inner())?;

        self.0.change_password(&asker, &change).await.map_err(status_of)?;
        Ok(Response::new(wire::ChangePasswordResponse {}))
    }

    async fn sign_in(&self, request: Request<wire::SignInRequest>) -> Answer<wire::SignInResponse> {
        let wire::SignInRequest { asker, code } = request.into_inner();
        let (asker, code) = (read("asker", asker)?, code.map(SecretString::from));

        let issued = self.0.sign_in(&asker, code.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(wire::SignInResponse { issued: Some(issued.to_message()) }))
    }

    async fn issue_credential(
        &self,
        request: Request<wire::IssueCredentialRequest>,
    ) -> Answer<wire::IssueCredentialResponse> {
        let (asker, wanted) = identities::issue_credential(request.into_inner())?;

        let issued = self.0.issue_credential(&asker, &wanted).await.map_err(status_of)?;
        Ok(Response::new(wire::IssueCredentialResponse { issued: Some(issued.to_message()) }))
    }

    async fn revoked(&self, request: Request<wire::RevokedRequest>) -> Answer<wire::RevokedResponse> {
        let after = parsed_option("after", request.into_inner().after.as_deref())?;

        let revocations = self.0.revocations(after.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(wire::RevokedResponse { revocations: written_all(&revocations) }))
    }
}
