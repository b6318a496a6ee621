//! Accounts over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{AccessFacts, AccessQuestion, Account, AccountError, Accounts, SigningKey};
use crate::{
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
}
