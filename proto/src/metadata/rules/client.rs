//! Rules over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::RepositoryName;
use service_kit::grpc::{GrpcChannel, unary};

use super::{Preview, RuleSet, Rules, RulesOf};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::Wire as _,
    metadata::{Actor, RepositoryError},
    wire::{self, rule_service_client::RuleServiceClient},
};

/// Rules, over a channel.
#[derive(Debug, Clone)]
pub struct RulesClient {
    service: RuleServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl RulesClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = RuleServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Rules for RulesClient {
    async fn rules(&self, of: &RulesOf) -> Result<Option<RuleSet>, RepositoryError> {
        let message = wire::RulesRequest { of: of.to_string() };
        let answer = self.service.clone().rules(unary(message, self.deadline)).await;

        concluded("reading rules", answer, |answer| answer.rules.map(RuleSet::from_message).transpose())
    }

    async fn put_rules(
        &self,
        of: &RulesOf,
        rules: Option<&RuleSet>,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let (rules, actor) = (rules.map(RuleSet::to_message), Some(actor.to_message()));
        let message = wire::PutRulesRequest { of: of.to_string(), rules, actor };
        let answer = self.service.clone().put_rules(unary(message, self.deadline)).await;

        concluded("making rules", answer, |_| Ok(()))
    }

    async fn preview_rules(
        &self,
        repository: &RepositoryName,
        rules: Option<&RuleSet>,
    ) -> Result<Preview, RepositoryError> {
        let (repository, rules) = (repository.to_string(), rules.map(RuleSet::to_message));
        let message = wire::PreviewRulesRequest { repository, rules };
        let answer = self.service.clone().preview_rules(unary(message, self.deadline)).await;

        concluded("trying rules", answer, Preview::from_message)
    }
}
