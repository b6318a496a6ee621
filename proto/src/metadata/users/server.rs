//! Users as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{User, Users};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, read, repositories::page},
    status::status_of,
    wire::{
        self,
        user_service_server::{UserService, UserServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Users>) -> Routes {
    let service = UserServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Users>);

#[async_trait]
impl UserService for Server {
    async fn user(&self, request: Request<wire::UserRequest>) -> Answer<wire::UserResponse> {
        let name = parsed("name", &request.into_inner().name)?;

        let user = self.0.user(&name).await.map_err(status_of)?;
        Ok(Response::new(wire::UserResponse { user: user.as_ref().map(User::to_message) }))
    }

    async fn users(&self, request: Request<wire::UsersRequest>) -> Answer<wire::UsersResponse> {
        let wire::UsersRequest { after, limit } = request.into_inner();
        let page = page(&after, limit)?;

        let users = self.0.users(&page).await.map_err(status_of)?;
        Ok(Response::new(users.to_message()))
    }

    async fn change_user(
        &self,
        request: Request<wire::ChangeUserRequest>,
    ) -> Answer<wire::ChangeUserResponse> {
        let wire::ChangeUserRequest { name, change, actor } = request.into_inner();
        let (name, change) = (parsed("name", &name)?, read("change", change)?);
        let actor = read("actor", actor)?;

        self.0.change_user(&name, &change, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::ChangeUserResponse {}))
    }
}
