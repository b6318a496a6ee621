//! The largest errors and messages of the metadata contracts fit through real HTTP/2.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, as in tests

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Locator, Reference, RepositoryName, Tag};
use proto::{
    blob::Grant,
    metadata::{
        Actor, Page, PageRequest, Repositories, RepositoryError,
        repositories::{
            Expected, Found, Intent, Manifest, NewManifest, Referrers, RepositoriesClient, RepositoryEntry,
            Restore, TagHistory, WantedHistory, WantedReferrers, WantedRepositories, WantedSearch, server,
        },
    },
};
use service_kit::grpc::in_memory;

/// Answers each call with what it was made with, or not at all.
struct Scripted {
    error: RepositoryError,
    manifest: Manifest,
}

#[async_trait]
impl Repositories for Scripted {
    async fn restore(&self, _: &Restore, _: &Actor) -> Result<Digest, RepositoryError> {
        Err(self.error.clone())
    }

    async fn blob(&self, _: &RepositoryName, _: &Digest, _: Intent) -> Result<Grant, RepositoryError> {
        Err(self.error.clone())
    }

    async fn delete_blob(&self, _: &RepositoryName, _: &Digest, _: &Actor) -> Result<(), RepositoryError> {
        Err(self.error.clone())
    }

    async fn quarantine(&self, _: &Locator) -> Result<(), RepositoryError> {
        std::future::pending().await
    }

    async fn manifest(&self, _: &RepositoryName, _: &Reference) -> Result<Manifest, RepositoryError> {
        Ok(self.manifest.clone())
    }

    async fn pull(&self, _: &RepositoryName, _: &Reference) -> Result<Manifest, RepositoryError> {
        Ok(self.manifest.clone())
    }

    async fn put_manifest(&self, _: &NewManifest, _: &Actor) -> Result<(), RepositoryError> {
        Err(self.error.clone())
    }

    async fn delete_manifest(
        &self,
        _: &RepositoryName,
        _: &Reference,
        _: &Expected,
        _: &Actor,
    ) -> Result<(), RepositoryError> {
        Err(self.error.clone())
    }

    async fn referrers(&self, _: &WantedReferrers) -> Result<Referrers, RepositoryError> {
        Err(self.error.clone())
    }

    async fn tags(&self, _: &RepositoryName, _: &PageRequest<Tag>) -> Result<Page<Tag>, RepositoryError> {
        Err(self.error.clone())
    }

    async fn tag_history(&self, _: &WantedHistory) -> Result<TagHistory, RepositoryError> {
        Err(self.error.clone())
    }

    async fn repositories(&self, _: &WantedRepositories) -> Result<Page<RepositoryEntry>, RepositoryError> {
        Err(self.error.clone())
    }

    async fn search(&self, _: &WantedSearch) -> Result<Found, RepositoryError> {
        Err(self.error.clone())
    }
}

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn repository() -> RepositoryName {
    "alice/app".parse().unwrap()
}

async fn over_grpc(error: RepositoryError, deadline: Duration) -> RepositoriesClient {
    let manifest = Manifest {
        digest: SHA256.parse().unwrap(),
        media_type: "application/vnd.oci.image.index.v1+json".parse().unwrap(),
        body: Bytes::from(vec![b' '; 4 * 1024 * 1024]),
    };
    let far = Arc::new(Scripted { error, manifest });
    let channel = in_memory(|routes| server::add_to(routes, far)).await;
    RepositoriesClient::new(channel, deadline)
}

fn unknown() -> RepositoryError {
    RepositoryError::NameUnknown { repository: repository() }
}

#[tokio::test]
async fn a_hundred_missing_references_fit_into_an_error() {
    let missing = (0..100).map(|number| format!("sha512:{number:0128x}").parse().unwrap()).collect();
    let error = RepositoryError::ReferencesMissing { missing };
    let client = over_grpc(error.clone(), Duration::from_secs(30)).await;

    assert_eq!(client.blob(&repository(), &SHA256.parse().unwrap(), Intent::Read).await, Err(error));
}

#[tokio::test]
async fn a_long_text_fits_into_an_error() {
    let error = RepositoryError::Damaged { what: "ü".repeat(4_000) };
    let client = over_grpc(error.clone(), Duration::from_secs(30)).await;

    assert_eq!(client.blob(&repository(), &SHA256.parse().unwrap(), Intent::Read).await, Err(error));
}

#[tokio::test]
async fn a_manifest_of_4_mib_arrives() {
    let client = over_grpc(unknown(), Duration::from_secs(30)).await;

    let manifest = client.manifest(&repository(), &"latest".parse().unwrap()).await.unwrap();

    assert_eq!(manifest.body.len(), 4 * 1024 * 1024);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let client = over_grpc(unknown(), Duration::from_millis(20)).await;
    let locator = "disk/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855+/01ARZ3NDEKTSV4RRFFQ69G5FAV";

    let answer = client.quarantine(&locator.parse().unwrap()).await;

    assert_eq!(answer, Err(RepositoryError::Unavailable { attempted: "quarantining a blob".into() }));
}
