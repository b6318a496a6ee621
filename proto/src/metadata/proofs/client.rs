//! Proofs over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::{GrpcChannel, unary};

use super::{Code, Confirmed, Proofs, SecondFactor, SecondFactors, Ticket};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, parsed_all, proofs},
    metadata::{AccountError, Actor, credentials::SecretHash},
    wire::{self, proof_service_client::ProofServiceClient},
};

/// Proofs, over a channel.
#[derive(Debug, Clone)]
pub struct ProofsClient {
    service: ProofServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl ProofsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = ProofServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Proofs for ProofsClient {
    async fn second_factors(&self, user: &AccountName) -> Result<SecondFactors, AccountError> {
        let message = wire::SecondFactorsRequest { user: user.to_string() };
        let answer = self.service.clone().second_factors(unary(message, self.deadline)).await;

        concluded("reading second factors", answer, SecondFactors::from_message)
    }

    async fn propose_second_factor(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::ProposeSecondFactorRequest {
            user: user.to_string(),
            sealed_secret: factor.sealed_secret.clone(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().propose_second_factor(unary(message, self.deadline)).await;

        concluded("proposing a second factor", answer, |_| Ok(()))
    }

    async fn confirm_second_factor(
        &self,
        user: &AccountName,
        confirmed: &Confirmed,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = proofs::confirmation(user, confirmed, actor);
        let answer = self.service.clone().confirm_second_factor(unary(message, self.deadline)).await;

        concluded("confirming a second factor", answer, |_| Ok(()))
    }

    async fn spend_code(
        &self,
        user: &AccountName,
        factor: &SecondFactor,
        code: Code,
    ) -> Result<(), AccountError> {
        let message = wire::SpendCodeRequest {
            user: user.to_string(),
            sealed_secret: factor.sealed_secret.clone(),
            code: Some(code.to_message()),
        };
        let answer = self.service.clone().spend_code(unary(message, self.deadline)).await;

        concluded("using a code", answer, |_| Ok(()))
    }

    async fn remove_second_factor(&self, user: &AccountName, actor: &Actor) -> Result<(), AccountError> {
        let message =
            wire::RemoveSecondFactorRequest { user: user.to_string(), actor: Some(actor.to_message()) };
        let answer = self.service.clone().remove_second_factor(unary(message, self.deadline)).await;

        concluded("removing a second factor", answer, |_| Ok(()))
    }

    async fn put_ticket(&self, user: &AccountName, ticket: &Ticket) -> Result<(), AccountError> {
        let message = proofs::ticket_request(user, ticket);
        let answer = self.service.clone().put_ticket(unary(message, self.deadline)).await;

        concluded("keeping what a mail says", answer, |_| Ok(()))
    }

    async fn verify_email(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::VerifyEmailRequest {
            user: user.to_string(),
            hash: bytes::Bytes::copy_from_slice(hash),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().verify_email(unary(message, self.deadline)).await;

        concluded("verifying an e-mail address", answer, |_| Ok(()))
    }

    async fn reset_password(
        &self,
        user: &AccountName,
        hash: &SecretHash,
        password_hash: &SecretString,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::ResetPasswordRequest {
            user: user.to_string(),
            hash: bytes::Bytes::copy_from_slice(hash),
            password_hash: password_hash.expose_secret().to_owned(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().reset_password(unary(message, self.deadline)).await;

        concluded("resetting a password", answer, |_| Ok(()))
    }

    async fn users_of_email(&self, email: &str) -> Result<Vec<AccountName>, AccountError> {
        let message = wire::UsersOfEmailRequest { email: email.to_owned() };
        let answer = self.service.clone().users_of_email(unary(message, self.deadline)).await;

        concluded("looking for an e-mail address", answer, |answer| parsed_all("users", &answer.users))
    }

    async fn rehash_password(
        &self,
        user: &AccountName,
        from: &SecretString,
        to: &SecretString,
    ) -> Result<(), AccountError> {
        let message = wire::RehashPasswordRequest {
            user: user.to_string(),
            from: from.expose_secret().to_owned(),
            to: to.expose_secret().to_owned(),
        };
        let answer = self.service.clone().rehash_password(unary(message, self.deadline)).await;

        concluded("keeping another hash of a password", answer, |_| Ok(()))
    }
}
