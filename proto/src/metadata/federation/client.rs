//! Federated identities over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::AccountName;
use service_kit::grpc::{GrpcChannel, unary};

use super::{FederatedIdentities, IdentityId, LinkedIdentity, NewIdentity};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, parsed_option, read_all},
    metadata::{AccountError, Actor, accounts::Account},
    wire::{self, federated_identity_service_client::FederatedIdentityServiceClient},
};

/// Federated identities, over a channel.
#[derive(Debug, Clone)]
pub struct FederatedIdentitiesClient {
    service: FederatedIdentityServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl FederatedIdentitiesClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = FederatedIdentityServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl FederatedIdentities for FederatedIdentitiesClient {
    async fn identity_user(&self, id: &IdentityId) -> Result<Option<AccountName>, AccountError> {
        let message = wire::IdentityUserRequest { id: id.to_string() };
        let answer = self.service.clone().identity_user(unary(message, self.deadline)).await;

        concluded("finding who has an identity", answer, |answer| {
            parsed_option("user", answer.user.as_deref())
        })
    }

    async fn create_federated_account(
        &self,
        account: &Account,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::CreateFederatedAccountRequest {
            account: Some(account.to_message()),
            identity: Some(identity.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().create_federated_account(unary(message, self.deadline)).await;

        concluded("creating an account with an identity", answer, |_| Ok(()))
    }

    async fn link_identity(
        &self,
        user: &AccountName,
        identity: &NewIdentity,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::LinkIdentityRequest {
            user: user.to_string(),
            identity: Some(identity.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().link_identity(unary(message, self.deadline)).await;

        concluded("linking an identity", answer, |_| Ok(()))
    }

    async fn identities(&self, user: &AccountName) -> Result<Vec<LinkedIdentity>, AccountError> {
        let message = wire::IdentitiesRequest { user: user.to_string() };
        let answer = self.service.clone().identities(unary(message, self.deadline)).await;

        concluded("listing identities", answer, |answer| read_all(answer.identities))
    }

    async fn unlink_identity(
        &self,
        user: &AccountName,
        id: &IdentityId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::UnlinkIdentityRequest {
            user: user.to_string(),
            id: id.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().unlink_identity(unary(message, self.deadline)).await;

        concluded("unlinking an identity", answer, |_| Ok(()))
    }
}
