//! Quotas as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{ByteLimit, Quotas};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, read},
    status::status_of,
    wire::{
        self,
        quota_service_server::{QuotaService, QuotaServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Quotas>) -> Routes {
    let service = QuotaServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Quotas>);

#[async_trait]
impl QuotaService for Server {
    async fn quota(&self, request: Request<wire::QuotaRequest>) -> Answer<wire::QuotaResponse> {
        let namespace = parsed("namespace", &request.into_inner().namespace)?;

        let quota = self.0.quota(&namespace).await.map_err(status_of)?;
        Ok(Response::new(quota.to_message()))
    }

    async fn put_quota(&self, request: Request<wire::PutQuotaRequest>) -> Answer<wire::PutQuotaResponse> {
        let wire::PutQuotaRequest { namespace, own, actor } = request.into_inner();
        let (namespace, actor) = (parsed("namespace", &namespace)?, read("actor", actor)?);
        let own = own.map(ByteLimit::from_message).transpose()?;

        self.0.put_quota(&namespace, own, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutQuotaResponse {}))
    }
}
