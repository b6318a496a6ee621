//! Invitations over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use oci::{InvitationId, Namespace};
use service_kit::grpc::{GrpcChannel, unary};

use super::{Invitation, Invitations, NewInvitation};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, printed, read_all},
    metadata::{AccountError, Actor, accounts::Account, credentials::SecretHash},
    wire::{self, invitation_service_client::InvitationServiceClient},
};

/// Invitations, over a channel.
#[derive(Debug, Clone)]
pub struct InvitationsClient {
    service: InvitationServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl InvitationsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = InvitationServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Invitations for InvitationsClient {
    async fn put_invitation(&self, new: &NewInvitation, actor: &Actor) -> Result<(), AccountError> {
        let message = wire::PutInvitationRequest {
            invitation: Some(new.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().put_invitation(unary(message, self.deadline)).await;

        concluded("keeping an invitation", answer, |_| Ok(()))
    }

    async fn invitations(&self, organization: Option<&Namespace>) -> Result<Vec<Invitation>, AccountError> {
        let message = wire::InvitationsRequest { organization: printed(organization) };
        let answer = self.service.clone().invitations(unary(message, self.deadline)).await;

        concluded("listing invitations", answer, |answer| read_all(answer.invitations))
    }

    async fn revoke_invitation(
        &self,
        organization: Option<&Namespace>,
        id: &InvitationId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::RevokeInvitationRequest {
            organization: printed(organization),
            id: id.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().revoke_invitation(unary(message, self.deadline)).await;

        concluded("revoking an invitation", answer, |_| Ok(()))
    }

    async fn redeem_invitation(
        &self,
        hash: &SecretHash,
        account: &Account,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::RedeemInvitationRequest {
            hash: Bytes::copy_from_slice(hash),
            account: Some(account.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().redeem_invitation(unary(message, self.deadline)).await;

        concluded("taking an invitation", answer, |_| Ok(()))
    }
}
