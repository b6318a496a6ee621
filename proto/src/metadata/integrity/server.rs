//! Integrity as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Integrity, Mending};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, read},
    status::status_of,
    wire::{
        self,
        integrity_service_server::{IntegrityService, IntegrityServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Integrity>) -> Routes {
    let service = IntegrityServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Integrity>);

#[async_trait]
impl IntegrityService for Server {
    async fn check(&self, request: Request<wire::CheckRequest>) -> Answer<wire::CheckResponse> {
        let wire::CheckRequest { cursor, repair, actor } = request.into_inner();
        let (mending, actor) = (Mending::from_message(repair)?, read("actor", actor)?);

        let checked = self.0.check(cursor.as_deref(), mending, &actor).await.map_err(status_of)?;
        Ok(Response::new(checked.to_message()))
    }
}
