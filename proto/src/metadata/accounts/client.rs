//! Accounts over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use service_kit::grpc::{GrpcChannel, unary};

use super::{AccessFacts, AccessQuestion, Account, AccountError, Accounts, SigningKey};
use crate::{
    auth::KeyId,
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, read_all},
    metadata::Actor,
    wire::{self, account_service_client::AccountServiceClient},
};

/// Accounts, over a channel.
#[derive(Debug, Clone)]
pub struct AccountsClient {
    service: AccountServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl AccountsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = AccountServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Accounts for AccountsClient {
    async fn create_account(&self, account: &Account, actor: &Actor) -> Result<(), AccountError> {
        let (account, actor) = (Some(account.to_message()), Some(actor.to_message()));
        let message = wire::CreateAccountRequest { account, actor };
        let answer = self.service.clone().create_account(unary(message, self.deadline)).await;

        concluded("creating an account", answer, |_| Ok(()))
    }

    async fn access_facts(&self, question: &AccessQuestion) -> Result<AccessFacts, AccountError> {
        let answer = self.service.clone().access_facts(unary(question.to_message(), self.deadline)).await;

        concluded("reading who may do what", answer, AccessFacts::from_message)
    }

    async fn found_signing_key(&self, key: &SigningKey) -> Result<Vec<SigningKey>, AccountError> {
        let message = wire::FoundSigningKeyRequest { key: Some(key.to_message()) };
        let answer = self.service.clone().found_signing_key(unary(message, self.deadline)).await;

        concluded("keeping a first signing key", answer, |answer| read_all(answer.keys))
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, AccountError> {
        let answer =
            self.service.clone().signing_keys(unary(wire::SigningKeysRequest {}, self.deadline)).await;

        concluded("reading the signing keys", answer, |answer| read_all(answer.keys))
    }

    async fn succeed_signing_key(
        &self,
        of: &KeyId,
        key: &SigningKey,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        let (key, actor) = (Some(key.to_message()), Some(actor.to_message()));
        let message = wire::SucceedSigningKeyRequest { of: of.0.clone(), key, actor };
        let answer = self.service.clone().succeed_signing_key(unary(message, self.deadline)).await;

        concluded("keeping the next signing key", answer, |answer| read_all(answer.keys))
    }

    async fn retire_signing_key(
        &self,
        of: &KeyId,
        at: Timestamp,
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        let (at_ms, actor) = (at.as_millisecond(), Some(actor.to_message()));
        let message = wire::RetireSigningKeyRequest { of: of.0.clone(), at_ms, actor };
        let answer = self.service.clone().retire_signing_key(unary(message, self.deadline)).await;

        concluded("retiring a signing key", answer, |answer| read_all(answer.keys))
    }

    async fn remove_signing_keys(
        &self,
        ids: &[KeyId],
        actor: &Actor,
    ) -> Result<Vec<SigningKey>, AccountError> {
        let ids = ids.iter().map(|id| id.0.clone()).collect();
        let message = wire::RemoveSigningKeysRequest { ids, actor: Some(actor.to_message()) };
        let answer = self.service.clone().remove_signing_keys(unary(message, self.deadline)).await;

        concluded("removing signing keys", answer, |answer| read_all(answer.keys))
    }
}
