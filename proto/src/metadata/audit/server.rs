//! The audit log as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{AuditLog, WantedEntries};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::Wire as _,
    status::status_of,
    wire::{
        self,
        audit_log_service_server::{AuditLogService, AuditLogServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn AuditLog>) -> Routes {
    let service = AuditLogServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn AuditLog>);

#[async_trait]
impl AuditLogService for Server {
    async fn audit_entries(
        &self,
        request: Request<wire::AuditEntriesRequest>,
    ) -> Answer<wire::AuditEntriesResponse> {
        let wanted = WantedEntries::from_message(request.into_inner())?;

        let entries = self.0.audit_entries(&wanted).await.map_err(status_of)?;
        Ok(Response::new(entries.to_message()))
    }
}
