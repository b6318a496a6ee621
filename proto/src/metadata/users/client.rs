//! Users over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::AccountName;
use service_kit::grpc::{GrpcChannel, unary};

use super::{User, UserChange, Users};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, repositories::page_fields},
    metadata::{AccountError, Actor, Page, PageRequest},
    wire::{self, user_service_client::UserServiceClient},
};

/// Users, over a channel.
#[derive(Debug, Clone)]
pub struct UsersClient {
    service: UserServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl UsersClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = UserServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Users for UsersClient {
    async fn user(&self, name: &AccountName) -> Result<Option<User>, AccountError> {
        let message = wire::UserRequest { name: name.to_string() };
        let answer = self.service.clone().user(unary(message, self.deadline)).await;

        concluded("reading a user", answer, |answer| answer.user.map(User::from_message).transpose())
    }

    async fn users(&self, page: &PageRequest<AccountName>) -> Result<Page<User>, AccountError> {
        let (after, limit) = page_fields(page);
        let message = wire::UsersRequest { after, limit };
        let answer = self.service.clone().users(unary(message, self.deadline)).await;

        concluded("listing users", answer, Page::<User>::from_message)
    }

    async fn change_user(
        &self,
        name: &AccountName,
        change: &UserChange,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        let message = wire::ChangeUserRequest {
            name: name.to_string(),
            change: Some(change.to_message()),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().change_user(unary(message, self.deadline)).await;

        concluded("changing a user", answer, |_| Ok(()))
    }
}
