//! Repositories as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Expected, Repositories, WantedHistory, WantedReferrers, WantedRepositories, WantedSearch};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{self, Wire as _, parsed, read, repositories::page},
    status::status_of,
    wire::{
        self,
        repository_service_server::{RepositoryService, RepositoryServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Repositories>) -> Routes {
    let service = RepositoryServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Repositories>);

#[async_trait]
impl RepositoryService for Server {
    async fn blob(&self, request: Request<wire::BlobRequest>) -> Answer<wire::BlobResponse> {
        let wire::BlobRequest { repository, digest, intent } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let digest = parsed("digest", &digest)?;

        let grant = self
            .0
            .blob(&repository, &digest, convert::repositories::intent(intent)?)
            .await
            .map_err(status_of)?;
        Ok(Response::new(wire::BlobResponse { grant: Some(grant.to_message()) }))
    }

    async fn delete_blob(
        &self,
        request: Request<wire::DeleteBlobRequest>,
    ) -> Answer<wire::DeleteBlobResponse> {
        let wire::DeleteBlobRequest { repository, digest, actor } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let digest = parsed("digest", &digest)?;
        let actor = read("actor", actor)?;

        self.0.delete_blob(&repository, &digest, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::DeleteBlobResponse {}))
    }

    async fn quarantine(
        &self,
        request: Request<wire::QuarantineRequest>,
    ) -> Answer<wire::QuarantineResponse> {
        let locator = parsed("locator", &request.into_inner().locator)?;

        self.0.quarantine(&locator).await.map_err(status_of)?;
        Ok(Response::new(wire::QuarantineResponse {}))
    }

    async fn manifest(&self, request: Request<wire::ManifestRequest>) -> Answer<wire::ManifestResponse> {
        let wire::ManifestRequest { repository, reference, pulled } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let reference = parsed("reference", &reference)?;

        let manifest = if pulled {
            self.0.pull(&repository, &reference).await
        } else {
            self.0.manifest(&repository, &reference).await
        };
        Ok(Response::new(manifest.map_err(status_of)?.to_message()))
    }

    async fn put_manifest(
        &self,
        request: Request<wire::PutManifestRequest>,
    ) -> Answer<wire::PutManifestResponse> {
        let (manifest, actor) = convert::repositories::put_manifest(request.into_inner())?;

        self.0.put_manifest(&manifest, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::PutManifestResponse {}))
    }

    async fn delete_manifest(
        &self,
        request: Request<wire::DeleteManifestRequest>,
    ) -> Answer<wire::DeleteManifestResponse> {
        let wire::DeleteManifestRequest { repository, reference, actor, expected } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let reference = parsed("reference", &reference)?;
        let actor = read("actor", actor)?;
        let expected = Expected::from_message(expected)?;

        self.0.delete_manifest(&repository, &reference, &expected, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::DeleteManifestResponse {}))
    }

    async fn restore(&self, request: Request<wire::RestoreRequest>) -> Answer<wire::RestoreResponse> {
        let (restore, actor) = convert::repositories::restore(request.into_inner())?;

        let digest = self.0.restore(&restore, &actor).await.map_err(status_of)?;
        Ok(Response::new(wire::RestoreResponse { digest: digest.to_string() }))
    }

    async fn referrers(&self, request: Request<wire::ReferrersRequest>) -> Answer<wire::ReferrersResponse> {
        let wanted = WantedReferrers::from_message(request.into_inner())?;

        let found = self.0.referrers(&wanted).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn tags(&self, request: Request<wire::TagsRequest>) -> Answer<wire::TagsResponse> {
        let wire::TagsRequest { repository, after, limit } = request.into_inner();
        let repository = parsed("repository", &repository)?;
        let page = page(&after, limit)?;

        let tags = self.0.tags(&repository, &page).await.map_err(status_of)?;
        Ok(Response::new(tags.to_message()))
    }

    async fn tag_history(
        &self,
        request: Request<wire::TagHistoryRequest>,
    ) -> Answer<wire::TagHistoryResponse> {
        let wanted = WantedHistory::from_message(request.into_inner())?;

        let found = self.0.tag_history(&wanted).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn repositories(
        &self,
        request: Request<wire::RepositoriesRequest>,
    ) -> Answer<wire::RepositoriesResponse> {
        let wanted = WantedRepositories::from_message(request.into_inner())?;

        let found = self.0.repositories(&wanted).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }

    async fn search(&self, request: Request<wire::SearchRequest>) -> Answer<wire::SearchResponse> {
        let wanted = WantedSearch::from_message(request.into_inner())?;

        let found = self.0.search(&wanted).await.map_err(status_of)?;
        Ok(Response::new(found.to_message()))
    }
}
