//! The outbox as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Outbox, WantedEvents};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, printed_all, read},
    status::status_of,
    wire::{
        self,
        outbox_service_server::{OutboxService, OutboxServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Outbox>) -> Routes {
    let service = OutboxServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Outbox>);

#[async_trait]
impl OutboxService for Server {
    async fn add_reader(&self, request: Request<wire::AddReaderRequest>) -> Answer<wire::AddReaderResponse> {
        let reader = parsed("reader", &request.into_inner().reader)?;

        self.0.add_reader(&reader).await.map_err(status_of)?;
        Ok(Response::new(wire::AddReaderResponse {}))
    }

    async fn remove_reader(
        &self,
        request: Request<wire::RemoveReaderRequest>,
    ) -> Answer<wire::RemoveReaderResponse> {
        let reader = parsed("reader", &request.into_inner().reader)?;

        self.0.remove_reader(&reader).await.map_err(status_of)?;
        Ok(Response::new(wire::RemoveReaderResponse {}))
    }

    async fn readers(&self, _: Request<wire::ReadersRequest>) -> Answer<wire::ReadersResponse> {
        let readers = self.0.readers().await.map_err(status_of)?;
        Ok(Response::new(wire::ReadersResponse { readers: printed_all(&readers) }))
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Answer<wire::EventsResponse> {
        let wanted = WantedEvents::from_message(request.into_inner())?;

        let batches = self.0.events(&wanted).await.map_err(status_of)?;
        Ok(Response::new(batches.to_message()))
    }

    async fn acknowledge(
        &self,
        request: Request<wire::AcknowledgeRequest>,
    ) -> Answer<wire::AcknowledgeResponse> {
        let wire::AcknowledgeRequest { reader, repository, receipt } = request.into_inner();
        let (reader, repository) = (parsed("reader", &reader)?, parsed("repository", &repository)?);
        let receipt = read("receipt", receipt)?;

        self.0.acknowledge(&reader, &repository, &receipt).await.map_err(status_of)?;
        Ok(Response::new(wire::AcknowledgeResponse {}))
    }
}
