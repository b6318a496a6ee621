//! The contract `Repositories`: each operation is told in the file of its noun.

use async_trait::async_trait;
use oci::{Digest, Locator, Reference, RepositoryName, Tag};
use proto::{
    blob::Grant,
    metadata::{
        Actor, Page, PageRequest, Repositories, RepositoryError,
        repositories::{
            Expected, Found, Intent, Manifest, NewManifest, Referrers, RepositoryEntry, Restore, TagHistory,
            WantedHistory, WantedReferrers, WantedRepositories, WantedSearch,
        },
    },
};

use crate::Service;

#[async_trait]
impl Repositories for Service {
    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        intent: Intent,
    ) -> Result<Grant, RepositoryError> {
        self.granted_blob(repository, digest, intent).await
    }

    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.unlink_blob(repository, digest, actor).await
    }

    async fn quarantine(&self, locator: &Locator) -> Result<(), RepositoryError> {
        self.quarantine_content(locator).await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        Ok(self.found_manifest(repository, reference).await?.1)
    }

    async fn pull(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        self.pull_manifest(repository, reference).await
    }

    async fn put_manifest(&self, manifest: &NewManifest, actor: &Actor) -> Result<(), RepositoryError> {
        self.store_manifest(manifest, actor).await
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        expected: &Expected,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        match reference {
            Reference::Tag(tag) => self.delete_tag(repository, tag, expected, actor).await,
            Reference::Digest(digest) => self.delete_digest(repository, digest, actor).await,
        }
    }

    async fn restore(&self, restore: &Restore, actor: &Actor) -> Result<Digest, RepositoryError> {
        self.bring_back(restore, actor).await
    }

    async fn referrers(&self, wanted: &WantedReferrers) -> Result<Referrers, RepositoryError> {
        self.list_referrers(wanted).await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &PageRequest<Tag>,
    ) -> Result<Page<Tag>, RepositoryError> {
        self.list_tags(repository, page).await
    }

    async fn tag_history(&self, wanted: &WantedHistory) -> Result<TagHistory, RepositoryError> {
        self.history_of_tag(wanted).await
    }

    async fn repositories(
        &self,
        wanted: &WantedRepositories,
    ) -> Result<Page<RepositoryEntry>, RepositoryError> {
        self.list_repositories(wanted).await
    }

    async fn search(&self, wanted: &WantedSearch) -> Result<Found, RepositoryError> {
        self.search_repositories(wanted).await
    }
}
