//! Credentials over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{CredentialId, EventId};
use service_kit::grpc::{GrpcChannel, unary};

use super::{Credential, CredentialOwner, CredentialUse, Credentials, NewCredential, Revocation};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, printed, read_all, written_all},
    metadata::{AccountError, Actor},
    wire::{self, credential_service_client::CredentialServiceClient},
};

/// Credentials, over a channel.
#[derive(Debug, Clone)]
pub struct CredentialsClient {
    service: CredentialServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl CredentialsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = CredentialServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Credentials for CredentialsClient {
    async fn put_credential(&self, new: &NewCredential, actor: &Actor) -> Result<(), AccountError> {
        let (credential, actor) = (Some(new.to_message()), Some(actor.to_message()));
        let message = wire::PutCredentialRequest { credential, actor };
        let answer = self.service.clone().put_credential(unary(message, self.deadline)).await;

        concluded("keeping a credential", answer, |_| Ok(()))
    }

    async fn credentials(&self, owner: &CredentialOwner) -> Result<Vec<Credential>, AccountError> {
        let message = wire::CredentialsRequest { owner: Some(owner.to_message()) };
        let answer = self.service.clone().credentials(unary(message, self.deadline)).await;

        concluded("listing credentials", answer, |answer| read_all(answer.credentials))
    }

    async fn revoke_credential(
        &self,
        owner: &CredentialOwner,
        id: &CredentialId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::RevokeCredentialRequest {
            owner: Some(owner.to_message()),
            id: id.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().revoke_credential(unary(message, self.deadline)).await;

        concluded("revoking a credential", answer, |_| Ok(()))
    }

    async fn used(&self, uses: &[CredentialUse]) -> Result<(), AccountError> {
        let message = wire::UsedRequest { uses: written_all(uses) };
        let answer = self.service.clone().used(unary(message, self.deadline)).await;

        concluded("noting when credentials were used", answer, |_| Ok(()))
    }

    async fn revocations(&self, after: Option<&EventId>) -> Result<Vec<Revocation>, AccountError> {
        let message = wire::RevocationsRequest { after: printed(after) };
        let answer = self.service.clone().revocations(unary(message, self.deadline)).await;

        concluded("reading what was revoked", answer, |answer| read_all(answer.revocations))
    }
}
