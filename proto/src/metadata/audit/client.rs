//! The audit log over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{AuditLog, Entries, WantedEntries};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::AccountError,
    wire::audit_log_service_client::AuditLogServiceClient,
};

/// The audit log, over a channel.
#[derive(Debug, Clone)]
pub struct AuditLogClient {
    service: AuditLogServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl AuditLogClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = AuditLogServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl AuditLog for AuditLogClient {
    async fn audit_entries(&self, wanted: &WantedEntries) -> Result<Entries, AccountError> {
        let answer = self.service.clone().audit_entries(unary(wanted.to_message(), self.deadline)).await;

        concluded("reading the audit log", answer, Entries::from_message)
    }
}
