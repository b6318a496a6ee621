//! Integrity over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{Checked, Integrity, Mending};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::{Actor, ReclaimError},
    wire::{self, integrity_service_client::IntegrityServiceClient},
};

/// Integrity, over a channel.
#[derive(Debug, Clone)]
pub struct IntegrityClient {
    service: IntegrityServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl IntegrityClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = IntegrityServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Integrity for IntegrityClient {
    async fn check(
        &self,
        cursor: Option<&str>,
        mending: Mending,
        actor: &Actor,
    ) -> Result<Checked, ReclaimError> {
        let message = wire::CheckRequest {
            cursor: cursor.map(ToOwned::to_owned),
            repair: mending.to_message(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().check(unary(message, self.deadline)).await;

        concluded("checking metadata", answer, Checked::from_message)
    }
}
