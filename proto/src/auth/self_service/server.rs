//! Self-service as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::SelfService;
use crate::{
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::{Wire as _, at_most, parsed, parsed_option, read, self_service, written_all},
    metadata::users::LONGEST_EMAIL,
    status::status_of,
    wire::{
        self,
        self_service_server::{SelfService as Service, SelfServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn SelfService>) -> Routes {
    let service = SelfServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn SelfService>);

#[async_trait]
impl Service for Server {
    async fn second_factor(
        &self,
        request: Request<wire::SecondFactorRequest>,
    ) -> Answer<wire::SecondFactorResponse> {
        let asker = read("asker", request.into_inner().asker)?;

        let status = self.0.second_factor(&asker).await.map_err(status_of)?;
        Ok(Response::new(status.to_message()))
    }

    async fn start_second_factor(
        &self,
        request: Request<wire::StartSecondFactorRequest>,
    ) -> Answer<wire::StartSecondFactorResponse> {
        let wire::StartSecondFactorRequest { asker, password } = request.into_inner();
        let (asker, password) = (read("asker", asker)?, SecretString::from(password));

        let proposed = self.0.start_second_factor(&asker, &password).await.map_err(status_of)?;
        Ok(Response::new(proposed.to_message()))
    }

    async fn finish_second_factor(
        &self,
        request: Request<wire::FinishSecondFactorRequest>,
    ) -> Answer<wire::FinishSecondFactorResponse> {
        let wire::FinishSecondFactorRequest { asker, code } = request.into_inner();
        let (asker, code) = (read("asker", asker)?, SecretString::from(code));

        let codes = self.0.finish_second_factor(&asker, &code).await.map_err(status_of)?;
        let recovery_codes = codes.iter().map(|code| code.expose_secret().to_owned()).collect();
        Ok(Response::new(wire::FinishSecondFactorResponse { recovery_codes }))
    }

    async fn drop_second_factor(
        &self,
        request: Request<wire::DropSecondFactorRequest>,
    ) -> Answer<wire::DropSecondFactorResponse> {
        let (asker, drop) = self_service::drop(request.into_inner())?;

        self.0.drop_second_factor(&asker, &drop).await.map_err(status_of)?;
        Ok(Response::new(wire::DropSecondFactorResponse {}))
    }

    async fn ask_verification(
        &self,
        request: Request<wire::AskVerificationRequest>,
    ) -> Answer<wire::AskVerificationResponse> {
        let wire::AskVerificationRequest { asker, password } = request.into_inner();
        let (asker, password) = (read("asker", asker)?, SecretString::from(password));

        self.0.ask_verification(&asker, &password).await.map_err(status_of)?;
        Ok(Response::new(wire::AskVerificationResponse {}))
    }

    async fn confirm_email(
        &self,
        request: Request<wire::ConfirmEmailRequest>,
    ) -> Answer<wire::ConfirmEmailResponse> {
        let wire::ConfirmEmailRequest { asker, secret } = request.into_inner();
        let (asker, secret) = (read("asker", asker)?, SecretString::from(secret));

        self.0.confirm_email(&asker, &secret).await.map_err(status_of)?;
        Ok(Response::new(wire::ConfirmEmailResponse {}))
    }

    async fn ask_reset(&self, request: Request<wire::AskResetRequest>) -> Answer<wire::AskResetResponse> {
        let wire::AskResetRequest { asker, of } = request.into_inner();
        let (asker, of) = (read("asker", asker)?, at_most("of", LONGEST_EMAIL, of)?);

        self.0.ask_reset(&asker, &of).await.map_err(status_of)?;
        Ok(Response::new(wire::AskResetResponse {}))
    }

    async fn reset(&self, request: Request<wire::ResetRequest>) -> Answer<wire::ResetResponse> {
        let wire::ResetRequest { asker, secret, new } = request.into_inner();
        let (secret, new) = (SecretString::from(secret), SecretString::from(new));
        let asker = read("asker", asker)?;

        self.0.reset(&asker, &secret, &new).await.map_err(status_of)?;
        Ok(Response::new(wire::ResetResponse {}))
    }

    async fn invite(&self, request: Request<wire::InviteRequest>) -> Answer<wire::InviteResponse> {
        let (asker, wanted) = self_service::invite(request.into_inner())?;

        let made = self.0.invite(&asker, &wanted).await.map_err(status_of)?;
        Ok(Response::new(made.to_message()))
    }

    async fn invited(&self, request: Request<wire::InvitedRequest>) -> Answer<wire::InvitedResponse> {
        let wire::InvitedRequest { asker, organization } = request.into_inner();
        let organization = parsed_option("organization", organization.as_deref())?;
        let asker = read("asker", asker)?;

        let found = self.0.invited(&asker, organization.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(wire::InvitedResponse { invitations: written_all(&found) }))
    }

    async fn uninvite(&self, request: Request<wire::UninviteRequest>) -> Answer<wire::UninviteResponse> {
        let wire::UninviteRequest { asker, organization, id } = request.into_inner();
        let organization = parsed_option("organization", organization.as_deref())?;
        let (asker, id) = (read("asker", asker)?, parsed("id", &id)?);

        self.0.uninvite(&asker, organization.as_ref(), &id).await.map_err(status_of)?;
        Ok(Response::new(wire::UninviteResponse {}))
    }
}
