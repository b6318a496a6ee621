//! Proofs as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Code, Proofs, SecondFactor};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, at_most, bytes_32, parsed, printed_all, proofs, read},
    metadata::users::LONGEST_EMAIL,
    status::status_of,
    wire::{
        self,
        proof_service_server::{ProofService, ProofServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Proofs>) -> Routes {
    let service = ProofServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Proofs>);

#[async_trait]
impl ProofService for Server {
    async fn second_factors(
        &self,
        request: Request<wire::SecondFactorsRequest>,
    ) -> Answer<wire::SecondFactorsResponse> {
        let user = parsed("user", &request.into_inner().user)?;

        let found = self.0.second_factors(&user).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn propose_second_factor(
        &self,
        request: Request<wire::ProposeSecondFactorRequest>,
    ) -> Answer<wire::ProposeSecondFactorResponse> {
        let wire::ProposeSecondFactorRequest { user, sealed_secret, actor } = request.into_inner();
        let (user, actor) = (parsed("user", &user)?, read("actor", actor)?);

        let factor = SecondFactor { sealed_secret };
        self.0.propose_second_factor(&user, &factor, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::ProposeSecondFactorResponse {}))
    }

    async fn confirm_second_factor(
        &self,
        request: Request<wire::ConfirmSecondFactorRequest>,
    ) -> Answer<wire::ConfirmSecondFactorResponse> {
        let (user, confirmed, actor) = proofs::confirmed(request.into_inner())?;

        self.0.confirm_second_factor(&user, &confirmed, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::ConfirmSecondFactorResponse {}))
    }

    async fn spend_code(&self, request: Request<wire::SpendCodeRequest>) -> Answer<wire::SpendCodeResponse> {
        let wire::SpendCodeRequest { user, sealed_secret, code } = request.into_inner();
        let (user, code) = (parsed("user", &user)?, read::<Code>("code", code)?);

        let factor = SecondFactor { sealed_secret };
        self.0.spend_code(&user, &factor, code).await.map_err(status_of)?;
        Ok(Response::new(wire::SpendCodeResponse {}))
    }

    async fn remove_second_factor(
        &self,
        request: Request<wire::RemoveSecondFactorRequest>,
    ) -> Answer<wire::RemoveSecondFactorResponse> {
        let wire::RemoveSecondFactorRequest { user, actor } = request.into_inner();
        let (user, actor) = (parsed("user", &user)?, read("actor", actor)?);

        self.0.remove_second_factor(&user, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RemoveSecondFactorResponse {}))
    }

    async fn put_ticket(&self, request: Request<wire::PutTicketRequest>) -> Answer<wire::PutTicketResponse> {
        let (user, ticket) = proofs::ticket(request.into_inner())?;

        self.0.put_ticket(&user, &ticket).await.map_err(status_of)?;
        Ok(Response::new(wire::PutTicketResponse {}))
    }

    async fn verify_email(
        &self,
        request: Request<wire::VerifyEmailRequest>,
    ) -> Answer<wire::VerifyEmailResponse> {
        let wire::VerifyEmailRequest { user, hash, actor } = request.into_inner();
        let (user, hash) = (parsed("user", &user)?, bytes_32("hash", &hash)?);
        let actor = read("actor", actor)?;

        self.0.verify_email(&user, &hash, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::VerifyEmailResponse {}))
    }

    async fn reset_password(
        &self,
        request: Request<wire::ResetPasswordRequest>,
    ) -> Answer<wire::ResetPasswordResponse> {
        let wire::ResetPasswordRequest { user, hash, password_hash, actor } = request.into_inner();
        let (user, hash) = (parsed("user", &user)?, bytes_32("hash", &hash)?);
        let (password_hash, actor) = (SecretString::from(password_hash), read("actor", actor)?);

        self.0.reset_password(&user, &hash, &password_hash, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::ResetPasswordResponse {}))
    }

    async fn users_of_email(
        &self,
        request: Request<wire::UsersOfEmailRequest>,
    ) -> Answer<wire::UsersOfEmailResponse> {
        let email = at_most("email", LONGEST_EMAIL, request.into_inner().email)?;

        let users = self.0.users_of_email(&email).await.map_err(status_of)?;
        Ok(Response::new(wire::UsersOfEmailResponse { users: printed_all(&users) }))
    }

    async fn rehash_password(
        &self,
        request: Request<wire::RehashPasswordRequest>,
    ) -> Answer<wire::RehashPasswordResponse> {
        let wire::RehashPasswordRequest { user, from, to } = request.into_inner();
        let (user, from, to) = (parsed("user", &user)?, SecretString::from(from), SecretString::from(to));

        self.0.rehash_password(&user, &from, &to).await.map_err(status_of)?;
        Ok(Response::new(wire::RehashPasswordResponse {}))
    }
}
