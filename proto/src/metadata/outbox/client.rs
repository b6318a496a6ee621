//! The outbox over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::RepositoryId;
use service_kit::grpc::{GrpcChannel, unary};

use super::{Batches, Outbox, OutboxError, ReaderName, Receipt, WantedEvents};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, parsed_all},
    wire::{self, outbox_service_client::OutboxServiceClient},
};

/// The outbox, over a channel.
#[derive(Debug, Clone)]
pub struct OutboxClient {
    service: OutboxServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl OutboxClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = OutboxServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Outbox for OutboxClient {
    async fn add_reader(&self, reader: &ReaderName) -> Result<(), OutboxError> {
        let message = wire::AddReaderRequest { reader: reader.to_string() };
        let answer = self.service.clone().add_reader(unary(message, self.deadline)).await;

        concluded("adding a reader", answer, |_| Ok(()))
    }

    async fn remove_reader(&self, reader: &ReaderName) -> Result<(), OutboxError> {
        let message = wire::RemoveReaderRequest { reader: reader.to_string() };
        let answer = self.service.clone().remove_reader(unary(message, self.deadline)).await;

        concluded("removing a reader", answer, |_| Ok(()))
    }

    async fn readers(&self) -> Result<Vec<ReaderName>, OutboxError> {
        let answer = self.service.clone().readers(unary(wire::ReadersRequest {}, self.deadline)).await;

        concluded("listing readers", answer, |answer| parsed_all("readers", &answer.readers))
    }

    async fn events(&self, wanted: &WantedEvents) -> Result<Batches, OutboxError> {
        let answer = self.service.clone().events(unary(wanted.to_message(), self.deadline)).await;

        concluded("reading events", answer, Batches::from_message)
    }

    async fn acknowledge(
        &self,
        reader: &ReaderName,
        repository: &RepositoryId,
        receipt: &Receipt,
    ) -> Result<(), OutboxError> {
        let (reader, repository) = (reader.to_string(), repository.to_string());
        let message = wire::AcknowledgeRequest { reader, repository, receipt: Some(receipt.to_message()) };
        let answer = self.service.clone().acknowledge(unary(message, self.deadline)).await;

        concluded("acknowledging events", answer, |_| Ok(()))
    }
}
