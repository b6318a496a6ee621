//! Pictures as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Avatar, AvatarOf, Avatars};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, read},
    status::status_of,
    wire::{
        self,
        avatar_service_server::{AvatarService, AvatarServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Avatars>) -> Routes {
    let service = AvatarServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Avatars>);

#[async_trait]
impl AvatarService for Server {
    async fn avatar(&self, request: Request<wire::AvatarRequest>) -> Answer<wire::AvatarResponse> {
        let of = AvatarOf::from_message(request.into_inner())?;

        let avatar = self.0.avatar(&of).await.map_err(status_of)?;
        Ok(Response::new(wire::AvatarResponse { image: avatar.as_ref().map(Avatar::to_message) }))
    }

    async fn put_avatar(&self, request: Request<wire::PutAvatarRequest>) -> Answer<wire::PutAvatarResponse> {
        let wire::PutAvatarRequest { kind, name, image, actor } = request.into_inner();
        let of = AvatarOf::from_message(wire::AvatarRequest { kind, name })?;
        let (image, actor) = (image.map(Avatar::from_message).transpose()?, read("actor", actor)?);

        self.0.put_avatar(&of, image.as_ref(), &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutAvatarResponse {}))
    }
}
