//! Accounts as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{AccessQuestion, Accounts};
use crate::{
    auth::KeyId,
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{Wire as _, read, timestamp, uploads::actor_of, written_all},
    status::status_of,
    wire::{
        self,
        account_service_server::{AccountService, AccountServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Accounts>) -> Routes {
    let service = AccountServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Accounts>);

#[async_trait]
impl AccountService for Server {
    async fn create_account(
        &self,
        request: Request<wire::CreateAccountRequest>,
    ) -> Answer<wire::CreateAccountResponse> {
        let wire::CreateAccountRequest { account, actor } = request.into_inner();
        let (account, actor) = (read("account", account)?, actor_of(actor)?);

        self.0.create_account(&account, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::CreateAccountResponse {}))
    }

    async fn access_facts(
        &self,
        request: Request<wire::AccessFactsRequest>,
    ) -> Answer<wire::AccessFactsResponse> {
        let question = AccessQuestion::from_message(request.into_inner())?;

        let facts = self.0.access_facts(&question).await.map_err(status_of)?;
        Ok(Response::new(facts.to_message()))
    }

    async fn found_signing_key(
        &self,
        request: Request<wire::FoundSigningKeyRequest>,
    ) -> Answer<wire::FoundSigningKeyResponse> {
        let key = read("key", request.into_inner().key)?;

        let keys = self.0.found_signing_key(&key).await.map_err(status_of)?;
        Ok(Response::new(wire::FoundSigningKeyResponse { keys: written_all(&keys) }))
    }

    async fn signing_keys(&self, _: Request<wire::SigningKeysRequest>) -> Answer<wire::SigningKeysResponse> {
        let keys = self.0.signing_keys().await.map_err(status_of)?;
        Ok(Response::new(wire::SigningKeysResponse { keys: written_all(&keys) }))
    }

    async fn succeed_signing_key(
        &self,
        request: Request<wire::SucceedSigningKeyRequest>,
    ) -> Answer<wire::SucceedSigningKeyResponse> {
        let wire::SucceedSigningKeyRequest { of, key, actor } = request.into_inner();
        let (key, actor) = (read("key", key)?, read("actor", actor)?);

        let keys = self.0.succeed_signing_key(&KeyId(of), &key, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::SucceedSigningKeyResponse { keys: written_all(&keys) }))
    }

    async fn retire_signing_key(
        &self,
        request: Request<wire::RetireSigningKeyRequest>,
    ) -> Answer<wire::RetireSigningKeyResponse> {
        let wire::RetireSigningKeyRequest { of, at_ms, actor } = request.into_inner();
        let (at, actor) = (timestamp("at_ms", at_ms)?, read("actor", actor)?);

        let keys = self.0.retire_signing_key(&KeyId(of), at, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RetireSigningKeyResponse { keys: written_all(&keys) }))
    }

    async fn remove_signing_keys(
        &self,
        request: Request<wire::RemoveSigningKeysRequest>,
    ) -> Answer<wire::RemoveSigningKeysResponse> {
        let wire::RemoveSigningKeysRequest { ids, actor } = request.into_inner();
        let (ids, actor): (Vec<KeyId>, _) = (ids.into_iter().map(KeyId).collect(), read("actor", actor)?);

        let keys = self.0.remove_signing_keys(&ids, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RemoveSigningKeysResponse { keys: written_all(&keys) }))
    }
}
