//! Upload sessions as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Advance, Uploads};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{self, Wire as _, parsed, read},
    status::status_of,
    wire::{
        self,
        upload_service_server::{UploadService, UploadServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Uploads>) -> Routes {
    let service = UploadServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Uploads>);

#[async_trait]
impl UploadService for Server {
    async fn start(&self, request: Request<wire::StartRequest>) -> Answer<wire::StartResponse> {
        let wire::StartRequest { repository, actor } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let actor = read("actor", actor)?;

        let session = self.0.start(&repository, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::StartResponse { session: Some(session.to_message()) }))
    }

    async fn mount(&self, request: Request<wire::MountRequest>) -> Answer<wire::MountResponse> {
        let (mount, actor) = convert::uploads::mount(request.into_inner())?;

        let mounted = self.0.mount(&mount, &actor).await.map_err(status_of)?;
        Ok(Response::new(mounted.to_message()))
    }

    async fn session(&self, request: Request<wire::SessionRequest>) -> Answer<wire::SessionResponse> {
        let address = read("address", request.into_inner().address)?;

        let session = self.0.session(&address).await.map_err(status_of)?;
        Ok(Response::new(wire::SessionResponse { session: Some(session.to_message()) }))
    }

    async fn advance(&self, request: Request<wire::AdvanceRequest>) -> Answer<wire::AdvanceResponse> {
        let advance = Advance::from_message(request.into_inner())?;

        let offset = self.0.advance(&advance).await.map_err(status_of)?;
        Ok(Response::new(wire::AdvanceResponse { offset }))
    }

    async fn hold(&self, request: Request<wire::HoldRequest>) -> Answer<wire::HoldResponse> {
        let wire::HoldRequest { address, digest } = request.into_inner();
        let address = read("address", address)?;
        let digest = parsed("digest", &digest)?;

        let held = self.0.hold(&address, &digest).await.map_err(status_of)?;
        Ok(Response::new(held.to_message()))
    }

    async fn link(&self, request: Request<wire::LinkRequest>) -> Answer<wire::LinkResponse> {
        let (link, actor) = convert::uploads::link(request.into_inner())?;

        self.0.link(&link, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::LinkResponse {}))
    }

    async fn cancel(&self, request: Request<wire::CancelRequest>) -> Answer<wire::CancelResponse> {
        let wire::CancelRequest { address, actor } = request.into_inner();
        let address = read("address", address)?;
        let actor = read("actor", actor)?;

        self.0.cancel(&address, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::CancelResponse {}))
    }
}
