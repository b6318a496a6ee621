//! Federation as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Federation, ReturnedFlow, Workload};
use crate::{
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::{Wire as _, federation, written_all},
    status::status_of,
    wire::{
        self,
        federation_service_server::{FederationService, FederationServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Federation>) -> Routes {
    let service = FederationServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Federation>);

#[async_trait]
impl FederationService for Server {
    async fn providers(&self, _: Request<wire::ProvidersRequest>) -> Answer<wire::ProvidersResponse> {
        let providers = self.0.providers().await.map_err(status_of)?;
        Ok(Response::new(wire::ProvidersResponse { providers: written_all(&providers) }))
    }

    async fn begin_flow(&self, request: Request<wire::BeginFlowRequest>) -> Answer<wire::BeginFlowResponse> {
        let (asker, wanted) = federation::begin_flow(request.into_inner())?;

        let begun = self.0.begin(&asker, &wanted).await.map_err(status_of)?;
        Ok(Response::new(begun.to_message()))
    }

    async fn finish_flow(
        &self,
        request: Request<wire::FinishFlowRequest>,
    ) -> Answer<wire::FinishFlowResponse> {
        let returned = ReturnedFlow::from_message(request.into_inner())?;

        let finished = self.0.finish(&returned).await.map_err(status_of)?;
        Ok(Response::new(finished.to_message()))
    }

    async fn make_trust(&self, request: Request<wire::MakeTrustRequest>) -> Answer<wire::MakeTrustResponse> {
        let (asker, wanted) = federation::make_trust(request.into_inner())?;

        let credential = self.0.trust(&asker, &wanted).await.map_err(status_of)?;
        Ok(Response::new(wire::MakeTrustResponse { credential: Some(credential.to_message()) }))
    }

    async fn exchange(&self, request: Request<wire::ExchangeRequest>) -> Answer<wire::ExchangeResponse> {
        let workload = Workload::from_message(request.into_inner())?;

        let exchanged = self.0.exchange(&workload).await.map_err(status_of)?;
        Ok(Response::new(exchanged.to_message()))
    }
}
