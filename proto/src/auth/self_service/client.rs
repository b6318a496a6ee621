//! Self-service over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{InvitationId, Namespace};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::grpc::{GrpcChannel, unary};

use super::{FactorDrop, MadeInvitation, ProposedFactor, SecondFactorStatus, SelfService, WantedInvitation};
use crate::{
    auth::{IdentityError, identities::Asker},
    call::{MAX_MESSAGE_BYTES, concluded},
    convert::{Wire as _, printed, read_all, self_service},
    metadata::invitations::Invitation,
    wire::{self, self_service_client::SelfServiceClient as Service},
};

/// Self-service, over a channel.
#[derive(Debug, Clone)]
pub struct SelfServiceClient {
    service: Service<GrpcChannel>,
    deadline: Duration,
}

impl SelfServiceClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = Service::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

#[async_trait]
impl SelfService for SelfServiceClient {
    async fn second_factor(&self, asker: &Asker) -> Result<SecondFactorStatus, IdentityError> {
        let message = wire::SecondFactorRequest { asker: Some(asker.to_message()) };
        let answer = self.service.clone().second_factor(unary(message, self.deadline)).await;

        concluded("asking for a second factor", answer, SecondFactorStatus::from_message)
    }

    async fn start_second_factor(
        &self,
        asker: &Asker,
        password: &SecretString,
    ) -> Result<ProposedFactor, IdentityError> {
        let message =
            wire::StartSecondFactorRequest { asker: Some(asker.to_message()), password: exposed(password) };
        let answer = self.service.clone().start_second_factor(unary(message, self.deadline)).await;

        concluded("making a second factor", answer, ProposedFactor::from_message)
    }

    async fn finish_second_factor(
        &self,
        asker: &Asker,
        code: &SecretString,
    ) -> Result<Vec<SecretString>, IdentityError> {
        let message =
            wire::FinishSecondFactorRequest { asker: Some(asker.to_message()), code: exposed(code) };
        let answer = self.service.clone().finish_second_factor(unary(message, self.deadline)).await;

        concluded("confirming a second factor", answer, |answer| {
            Ok(answer.recovery_codes.into_iter().map(SecretString::from).collect())
        })
    }

    async fn drop_second_factor(&self, asker: &Asker, drop: &FactorDrop) -> Result<(), IdentityError> {
        let message = self_service::drop_request(asker, drop);
        let answer = self.service.clone().drop_second_factor(unary(message, self.deadline)).await;

        concluded("removing a second factor", answer, |_| Ok(()))
    }

    async fn ask_verification(&self, asker: &Asker, password: &SecretString) -> Result<(), IdentityError> {
        let message =
            wire::AskVerificationRequest { asker: Some(asker.to_message()), password: exposed(password) };
        let answer = self.service.clone().ask_verification(unary(message, self.deadline)).await;

        concluded("asking for a mail", answer, |_| Ok(()))
    }

    async fn confirm_email(&self, asker: &Asker, secret: &SecretString) -> Result<(), IdentityError> {
        let message = wire::ConfirmEmailRequest { asker: Some(asker.to_message()), secret: exposed(secret) };
        let answer = self.service.clone().confirm_email(unary(message, self.deadline)).await;

        concluded("verifying an e-mail address", answer, |_| Ok(()))
    }

    async fn ask_reset(&self, asker: &Asker, of: &str) -> Result<(), IdentityError> {
        let message = wire::AskResetRequest { asker: Some(asker.to_message()), of: of.to_owned() };
        let answer = self.service.clone().ask_reset(unary(message, self.deadline)).await;

        concluded("asking for another password", answer, |_| Ok(()))
    }

    async fn reset(
        &self,
        asker: &Asker,
        secret: &SecretString,
        new: &SecretString,
    ) -> Result<(), IdentityError> {
        let message = wire::ResetRequest {
            asker: Some(asker.to_message()),
            secret: exposed(secret),
            new: exposed(new),
        };
        let answer = self.service.clone().reset(unary(message, self.deadline)).await;

        concluded("resetting a password", answer, |_| Ok(()))
    }

    async fn invite(
        &self,
        asker: &Asker,
        wanted: &WantedInvitation,
    ) -> Result<MadeInvitation, IdentityError> {
        let message = self_service::invite_request(asker, wanted);
        let answer = self.service.clone().invite(unary(message, self.deadline)).await;

        concluded("inviting somebody", answer, MadeInvitation::from_message)
    }

    async fn invited(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
    ) -> Result<Vec<Invitation>, IdentityError> {
        let message =
            wire::InvitedRequest { asker: Some(asker.to_message()), organization: printed(organization) };
        let answer = self.service.clone().invited(unary(message, self.deadline)).await;

        concluded("listing invitations", answer, |answer| read_all(answer.invitations))
    }

    async fn uninvite(
        &self,
        asker: &Asker,
        organization: Option<&Namespace>,
        id: &InvitationId,
    ) -> Result<(), IdentityError> {
        let message = wire::UninviteRequest {
            asker: Some(asker.to_message()),
            organization: printed(organization),
            id: id.to_string(),
        };
        let answer = self.service.clone().uninvite(unary(message, self.deadline)).await;

        concluded("revoking an invitation", answer, |_| Ok(()))
    }
}
