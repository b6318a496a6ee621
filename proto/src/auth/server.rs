//! The auth contract as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Auth, TokenRequest};
use crate::{
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::{Wire as _, written_all},
    status::status_of,
    wire::{
        self,
        auth_service_server::{AuthService, AuthServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Auth>) -> Routes {
    let service = AuthServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Auth>);

#[async_trait]
impl AuthService for Server {
    async fn token(&self, request: Request<wire::TokenRequest>) -> Answer<wire::TokenResponse> {
        let request = TokenRequest::from_message(request.into_inner())?;

        let issued = self.0.token(request).await.map_err(status_of)?;
        Ok(Response::new(issued.to_message()))
    }

    async fn keys(&self, _: Request<wire::KeysRequest>) -> Answer<wire::KeysResponse> {
        let keys = self.0.keys().await.map_err(status_of)?;
        Ok(Response::new(wire::KeysResponse { keys: written_all(&keys) }))
    }
}
