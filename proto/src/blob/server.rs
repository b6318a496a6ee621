//! The blob contract as a gRPC service, over any implementation.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::Stream;
use oci::Span;
use service_kit::grpc::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::{Append, Blobs, Delivery, Finish};
use crate::{
    body,
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::{Wire as _, parsed, read},
    status::status_of,
    wire::{
        self,
        blob_service_server::{BlobService, BlobServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Blobs>) -> Routes {
    let service = BlobServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Blobs>);

#[async_trait]
impl BlobService for Server {
    type OpenStream = Pin<Box<dyn Stream<Item = Result<wire::OpenResponse, Status>> + Send>>;

    async fn append(&self, request: Request<Streaming<wire::AppendRequest>>) -> Answer<wire::AppendResponse> {
        let (header, body) = body::received(request.into_inner()).await?;
        let append = Append::from_message(header)?;

        let appended = self.0.append(append, body).await.map_err(status_of)?;
        Ok(Response::new(wire::AppendResponse { appended: Some(appended.to_message()) }))
    }

    async fn finish(&self, request: Request<Streaming<wire::FinishRequest>>) -> Answer<wire::FinishResponse> {
        let (header, last) = body::received(request.into_inner()).await?;
        let finish = Finish::from_message(header)?;

        let finished = self.0.finish(finish, last).await.map_err(status_of)?;
        Ok(Response::new(finished.to_message()))
    }

    async fn open(&self, request: Request<wire::OpenRequest>) -> Answer<Self::OpenStream> {
        let wire::OpenRequest { grant, span, delivery } = request.into_inner();
        let grant = read("grant", grant)?;
        let span = span.map(Span::from_message).transpose()?;
        let delivery = delivery.map(Delivery::from_message).transpose()?.unwrap_or_default();

        let opened = self.0.open(&grant, span, delivery).await.map_err(status_of)?;
        Ok(Response::new(Box::pin(body::opened(opened))))
    }

    async fn discard(&self, request: Request<wire::DiscardRequest>) -> Answer<wire::DiscardResponse> {
        let session = parsed("session", &request.into_inner().session)?;

        self.0.discard(&session).await.map_err(status_of)?;
        Ok(Response::new(wire::DiscardResponse {}))
    }
}
