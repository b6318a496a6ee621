//! Rules as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{RuleSet, Rules};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, parsed, uploads::actor_of},
    status::status_of,
    wire::{
        self,
        rule_service_server::{RuleService, RuleServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Rules>) -> Routes {
    let service = RuleServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Rules>);

#[async_trait]
impl RuleService for Server {
    async fn rules(&self, request: Request<wire::RulesRequest>) -> Answer<wire::RulesResponse> {
        let of = parsed("of", &request.into_inner().of)?;

        let rules = self.0.rules(&of).await.map_err(status_of)?;
        Ok(Response::new(wire::RulesResponse { rules: rules.as_ref().map(RuleSet::to_message) }))
    }

    async fn put_rules(&self, request: Request<wire::PutRulesRequest>) -> Answer<wire::PutRulesResponse> {
        let wire::PutRulesRequest { of, rules, actor } = request.into_inner();
        let (of, rules) = (parsed("of", &of)?, rules.map(RuleSet::from_message).transpose()?);
        let actor = actor_of(actor)?;

        self.0.put_rules(&of, rules.as_ref(), &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutRulesResponse {}))
    }

    async fn preview_rules(
        &self,
        request: Request<wire::PreviewRulesRequest>,
    ) -> Answer<wire::PreviewRulesResponse> {
        let wire::PreviewRulesRequest { repository, rules } = request.into_inner();
        let rules = rules.map(RuleSet::from_message).transpose()?;
        let repository = parsed("repository", &repository)?;

        let preview = self.0.preview_rules(&repository, rules.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(preview.to_message()))
    }
}
