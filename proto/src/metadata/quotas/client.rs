//! Quotas over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::Namespace;
use service_kit::grpc::{GrpcChannel, unary};

use super::{ByteLimit, Quota, Quotas};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::{Actor, RepositoryError},
    wire::{self, quota_service_client::QuotaServiceClient},
};

/// Quotas, over a channel.
#[derive(Debug, Clone)]
pub struct QuotasClient {
    service: QuotaServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl QuotasClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = QuotaServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Quotas for QuotasClient {
    async fn quota(&self, namespace: &Namespace) -> Result<Quota, RepositoryError> {
        let message = wire::QuotaRequest { namespace: namespace.to_string() };
        let answer = self.service.clone().quota(unary(message, self.deadline)).await;

        concluded("reading a quota", answer, Quota::from_message)
    }

    async fn put_quota(
        &self,
        namespace: &Namespace,
        own: Option<ByteLimit>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let message = wire::PutQuotaRequest {
            namespace: namespace.to_string(),
            own: own.as_ref().map(ByteLimit::to_message),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().put_quota(unary(message, self.deadline)).await;

        concluded("changing a quota", answer, |_| Ok(()))
    }
}
