//! Repositories over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{Digest, Locator, Reference, RepositoryName, Tag};
use service_kit::grpc::{GrpcChannel, unary};

use super::{
    Expected, Found, Intent, Manifest, NewManifest, Referrers, Repositories, RepositoryEntry,
    RepositoryError, Restore, TagHistory, WantedHistory, WantedReferrers, WantedRepositories, WantedSearch,
};
use crate::{
    blob::Grant,
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{
        Wire as _, parsed, read,
        repositories::{put_manifest_request, restore_request, tags_request},
    },
    metadata::{Actor, Page, PageRequest},
    wire::{self, repository_service_client::RepositoryServiceClient},
};

/// Repositories, over a channel.
#[derive(Debug, Clone)]
pub struct RepositoriesClient {
    service: RepositoryServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl RepositoriesClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = RepositoryServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

#[async_trait]
impl Repositories for RepositoriesClient {
    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        intent: Intent,
    ) -> Result<Grant, RepositoryError> {
        let (repository, digest) = (repository.to_string(), digest.to_string());
        let message = wire::BlobRequest { repository, digest, intent: intent.to_message() };
        let answer = self.service.clone().blob(unary(message, self.deadline)).await;

        concluded("looking up a blob", answer, |answer| read("grant", answer.grant))
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let message = wire::DeleteBlobRequest {
            repository: repository.to_string(),
            digest: digest.to_string(),
            actor: Some(actor.to_message()),
        };
        let answer = self.service.clone().delete_blob(unary(message, self.deadline)).await;

        concluded("deleting a blob", answer, |_| Ok(()))
    }

    async fn quarantine(&self, locator: &Locator) -> Result<(), RepositoryError> {
        let message = wire::QuarantineRequest { locator: locator.to_string() };
        let answer = self.service.clone().quarantine(unary(message, self.deadline)).await;

        concluded("quarantining a blob", answer, |_| Ok(()))
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        let message = manifest_request(repository, reference);
        let answer = self.service.clone().manifest(unary(message, self.deadline)).await;

        concluded("reading a manifest", answer, Manifest::from_message)
    }

    async fn pull(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        let message = wire::ManifestRequest { pulled: true, ..manifest_request(repository, reference) };
        let answer = self.service.clone().manifest(unary(message, self.deadline)).await;

        concluded("pulling a manifest", answer, Manifest::from_message)
    }

    async fn put_manifest(&self, manifest: &NewManifest, actor: &Actor) -> Result<(), RepositoryError> {
        let message = put_manifest_request(manifest, actor);
        let answer = self.service.clone().put_manifest(unary(message, self.deadline)).await;

        concluded("storing a manifest", answer, |_| Ok(()))
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        expected: &Expected,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let message = wire::DeleteManifestRequest {
            repository: repository.to_string(),
            reference: reference.to_string(),
            actor: Some(actor.to_message()),
            expected: expected.to_message(),
        };
        let answer = self.service.clone().delete_manifest(unary(message, self.deadline)).await;

        concluded("deleting a manifest", answer, |_| Ok(()))
    }

    async fn restore(&self, restore: &Restore, actor: &Actor) -> Result<Digest, RepositoryError> {
        let message = restore_request(restore, actor);
        let answer = self.service.clone().restore(unary(message, self.deadline)).await;

        concluded("restoring", answer, |answer| parsed("digest", &answer.digest))
    }

    async fn referrers(&self, wanted: &WantedReferrers) -> Result<Referrers, RepositoryError> {
        let answer = self.service.clone().referrers(unary(wanted.to_message(), self.deadline)).await;

        concluded("listing referrers", answer, Referrers::from_message)
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &PageRequest<Tag>,
    ) -> Result<Page<Tag>, RepositoryError> {
        let message = tags_request(repository, page);
        let answer = self.service.clone().tags(unary(message, self.deadline)).await;

        concluded("listing tags", answer, Page::<Tag>::from_message)
    }

    async fn tag_history(&self, wanted: &WantedHistory) -> Result<TagHistory, RepositoryError> {
        let answer = self.service.clone().tag_history(unary(wanted.to_message(), self.deadline)).await;

        concluded("reading the history of a tag", answer, TagHistory::from_message)
    }

    async fn repositories(
        &self,
        wanted: &WantedRepositories,
    ) -> Result<Page<RepositoryEntry>, RepositoryError> {
        let answer = self.service.clone().repositories(unary(wanted.to_message(), self.deadline)).await;

        concluded("listing repositories", answer, Page::<RepositoryEntry>::from_message)
    }

    async fn search(&self, wanted: &WantedSearch) -> Result<Found, RepositoryError> {
        let answer = self.service.clone().search(unary(wanted.to_message(), self.deadline)).await;

        concluded("looking for repositories", answer, Found::from_message)
    }
}

fn manifest_request(repository: &RepositoryName, reference: &Reference) -> wire::ManifestRequest {
    let (repository, reference) = (repository.to_string(), reference.to_string());
    wire::ManifestRequest { repository, reference, pulled: false }
}
