//! Backups as a gRPC service, over any implementation.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use futures_util::{Stream, TryStreamExt as _};
use service_kit::grpc::Routes;
use tonic::{Request, Response, Status};

use super::Backup;
use crate::{
    body::pieces,
    call::{Answer, MAX_MESSAGE_BYTES},
    convert::read,
    status::status_of,
    wire::{
        self,
        backup_service_server::{BackupService, BackupServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Backup>) -> Routes {
    let service = BackupServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Backup>);

#[async_trait]
impl BackupService for Server {
    type DumpStream = Pin<Box<dyn Stream<Item = Result<wire::DumpResponse, Status>> + Send>>;

    async fn dump(&self, request: Request<wire::DumpRequest>) -> Answer<Self::DumpStream> {
        let actor = read("actor", request.into_inner().actor)?;

        let dump = self.0.dump(&actor).await.map_err(status_of)?;
        let messages = pieces(dump)
            .map_ok(|data| wire::DumpResponse { data })
            .map_err(|error| Status::unavailable(error.to_string()));
        Ok(Response::new(Box::pin(messages)))
    }
}
