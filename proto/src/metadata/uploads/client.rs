//! Upload sessions over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{Digest, RepositoryName};
use service_kit::grpc::{GrpcChannel, unary};

use super::{Advance, Held, Link, Mount, Mounted, UploadAddress, UploadError, UploadSession, Uploads};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{
        Wire as _, read,
        uploads::{link_request, mount_request},
    },
    metadata::Actor,
    wire::{self, upload_service_client::UploadServiceClient},
};

/// Upload sessions, over a channel.
#[derive(Debug, Clone)]
pub struct UploadsClient {
    service: UploadServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl UploadsClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = UploadServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Uploads for UploadsClient {
    async fn start(&self, repository: &RepositoryName, actor: &Actor) -> Result<UploadSession, UploadError> {
        let message =
            wire::StartRequest { repository: repository.to_string(), actor: Some(actor.to_message()) };
        let answer = self.service.clone().start(unary(message, self.deadline)).await;

        concluded("starting an upload", answer, |answer| read("session", answer.session))
    }

    async fn mount(&self, mount: &Mount, actor: &Actor) -> Result<Mounted, UploadError> {
        let message = mount_request(mount, actor);
        let answer = self.service.clone().mount(unary(message, self.deadline)).await;

        concluded("mounting a blob", answer, Mounted::from_message)
    }

    async fn session(&self, address: &UploadAddress) -> Result<UploadSession, UploadError> {
        let message = wire::SessionRequest { address: Some(address.to_message()) };
        let answer = self.service.clone().session(unary(message, self.deadline)).await;

        concluded("reading an upload", answer, |answer| read("session", answer.session))
    }

    async fn advance(&self, advance: &Advance) -> Result<u64, UploadError> {
        let answer = self.service.clone().advance(unary(advance.to_message(), self.deadline)).await;

        concluded("recording a part", answer, |answer| Ok(answer.offset))
    }

    async fn hold(&self, address: &UploadAddress, digest: &Digest) -> Result<Held, UploadError> {
        let message = wire::HoldRequest { address: Some(address.to_message()), digest: digest.to_string() };
        let answer = self.service.clone().hold(unary(message, self.deadline)).await;

        concluded("holding a blob", answer, Held::from_message)
    }

    async fn link(&self, link: &Link, actor: &Actor) -> Result<(), UploadError> {
        let message = link_request(link, actor);
        let answer = self.service.clone().link(unary(message, self.deadline)).await;

        concluded("linking a blob", answer, |_| Ok(()))
    }

    async fn cancel(&self, address: &UploadAddress, actor: &Actor) -> Result<(), UploadError> {
        let message =
            wire::CancelRequest { address: Some(address.to_message()), actor: Some(actor.to_message()) };
        let answer = self.service.clone().cancel(unary(message, self.deadline)).await;

        concluded("cancelling an upload", answer, |_| Ok(()))
    }
}
