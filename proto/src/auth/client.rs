//! The auth contract over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{Auth, AuthError, IssuedToken, TokenRequest, VerificationKey};
use crate::{
    call::{MAX_MESSAGE_BYTES, concluded},
    convert::{Wire as _, read_all},
    wire::{self, auth_service_client::AuthServiceClient},
};

/// The auth contract, over a channel.
#[derive(Debug, Clone)]
pub struct AuthClient {
    service: AuthServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl AuthClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = AuthServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Auth for AuthClient {
    async fn token(&self, request: TokenRequest) -> Result<IssuedToken, AuthError> {
        let answer = self.service.clone().token(unary(request.to_message(), self.deadline)).await;

        concluded("issuing a token", answer, IssuedToken::from_message)
    }

    async fn keys(&self) -> Result<Vec<VerificationKey>, AuthError> {
        let answer = self.service.clone().keys(unary(wire::KeysRequest {}, self.deadline)).await;

        concluded("reading the verification keys", answer, |answer| read_all(answer.keys))
    }
}
