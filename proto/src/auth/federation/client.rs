//! Federation over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use service_kit::grpc::{GrpcChannel, unary};

use super::{
    BegunFlow, ExchangedSecret, Federation, FinishedFlow, Provider, ReturnedFlow, WantedFlow, WantedTrust,
    Workload,
};
use crate::{
    auth::identities::{Asker, IdentityError},
    call::{MAX_MESSAGE_BYTES, concluded},
    convert::{Wire as _, federation, read, read_all},
    metadata::credentials::Credential,
    wire::{self, federation_service_client::FederationServiceClient},
};

/// Federation, over a channel.
#[derive(Debug, Clone)]
pub struct FederationClient {
    service: FederationServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl FederationClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = FederationServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Federation for FederationClient {
    async fn providers(&self) -> Result<Vec<Provider>, IdentityError> {
        let message = wire::ProvidersRequest {};
        let answer = self.service.clone().providers(unary(message, self.deadline)).await;

        concluded("listing providers", answer, |answer| read_all(answer.providers))
    }

    async fn begin(&self, asker: &Asker, wanted: &WantedFlow) -> Result<BegunFlow, IdentityError> {
        let message = federation::begin_flow_request(asker, wanted);
        let answer = self.service.clone().begin_flow(unary(message, self.deadline)).await;

        concluded("beginning a sign-in by a provider", answer, BegunFlow::from_message)
    }

    async fn finish(&self, returned: &ReturnedFlow) -> Result<FinishedFlow, IdentityError> {
        let message = returned.to_message();
        let answer = self.service.clone().finish_flow(unary(message, self.deadline)).await;

        concluded("finishing a sign-in by a provider", answer, FinishedFlow::from_message)
    }

    async fn trust(&self, asker: &Asker, wanted: &WantedTrust) -> Result<Credential, IdentityError> {
        let message = federation::make_trust_request(asker, wanted);
        let answer = self.service.clone().make_trust(unary(message, self.deadline)).await;

        concluded("making a trust", answer, |answer| read("credential", answer.credential))
    }

    async fn exchange(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError> {
        let answer = self.service.clone().exchange(unary(workload.to_message(), self.deadline)).await;

        concluded("exchanging the token of a workload", answer, ExchangedSecret::from_message)
    }
}
