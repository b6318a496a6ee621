//! Pictures over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{Avatar, AvatarOf, Avatars};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::{Actor, RepositoryError},
    wire::{self, avatar_service_client::AvatarServiceClient},
};

/// Pictures, over a channel.
#[derive(Debug, Clone)]
pub struct AvatarsClient {
    service: AvatarServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl AvatarsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = AvatarServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Avatars for AvatarsClient {
    async fn avatar(&self, of: &AvatarOf) -> Result<Option<Avatar>, RepositoryError> {
        let answer = self.service.clone().avatar(unary(of.to_message(), self.deadline)).await;

        concluded("reading a picture", answer, |answer| answer.image.map(Avatar::from_message).transpose())
    }

    async fn put_avatar(
        &self,
        of: &AvatarOf,
        avatar: Option<&Avatar>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let wire::AvatarRequest { kind, name } = of.to_message();
        let message = wire::PutAvatarRequest {
            kind,
            name,
            image: avatar.map(Avatar::to_message),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().put_avatar(unary(message, self.deadline)).await;

        concluded("changing a picture", answer, |_| Ok(()))
    }
}
