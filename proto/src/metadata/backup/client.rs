//! Backups over gRPC.

use std::{future::ready, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use service_kit::grpc::{GrpcChannel, streaming};
use tonic::Status;

use super::{Backup, BackupError};
use crate::{
    ByteStream, StreamError,
    call::{self, MAX_MESSAGE_BYTES},
    convert::Wire as _,
    metadata::Actor,
    status::error_of,
    wire::{self, backup_service_client::BackupServiceClient},
};

/// Backups, over a channel.
#[derive(Debug, Clone)]
pub struct BackupClient {
    service: BackupServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl BackupClient {
    /// A client whose calls end after `deadline`, but for the time that a dump takes.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = BackupServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Backup for BackupClient {
    async fn dump(&self, actor: &Actor) -> Result<ByteStream, BackupError> {
        let mut service = self.service.clone();
        let message = wire::DumpRequest { actor: Some(actor.to_message()) };
        let call = async { Ok(service.dump(streaming(message)).await?.into_inner()) };
        let messages = call::within(self.deadline, call)
            .await
            .map_err(|status| error_of::<BackupError>("dumping metadata", &status))?;

        // Nothing follows an error.
        let pieces = messages.scan(false, |failed, message| {
            let piece =
                (!*failed).then(|| message.map(|message| message.data).map_err(|status| cut(&status)));
            *failed = matches!(piece, Some(Err(_)));
            ready(piece)
        });
        Ok(Box::pin(pieces))
    }
}

fn cut(status: &Status) -> StreamError {
    tracing::warn!(%status, "a dump was cut short on its way from the metadata service");
    StreamError::Source
}
