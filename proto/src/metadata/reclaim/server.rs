//! Reclaim as a gRPC service, over any implementation.

use std::sync::Arc;

use async_trait::async_trait;
use oci::RepositoryName;
use service_kit::grpc::Routes;
use tonic::{Request, Response};

use super::{Discarded, Found, MOST_AT_ONCE, Reclaim, StaleUpload};
use crate::{
    call::{Answer, MAX_METADATA_MESSAGE_BYTES},
    convert::{BadField, Wire as _, parsed, parsed_option, read_all, reclaim::duration, written_all},
    status::status_of,
    wire::{
        self,
        reclaim_service_server::{ReclaimService, ReclaimServiceServer},
    },
};

/// Adds the service to `routes`.
pub fn add_to(routes: Routes, implementation: Arc<dyn Reclaim>) -> Routes {
    let service = ReclaimServiceServer::new(Server(implementation))
        .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
    routes.add_service(service)
}

struct Server(Arc<dyn Reclaim>);

fn limit(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).min(MOST_AT_ONCE)
}

fn after(text: Option<&str>) -> Result<Option<RepositoryName>, BadField> {
    parsed_option("after", text)
}

#[async_trait]
impl ReclaimService for Server {
    async fn take_office(
        &self,
        request: Request<wire::TakeOfficeRequest>,
    ) -> Answer<wire::TakeOfficeResponse> {
        let wire::TakeOfficeRequest { holder, term_ms } = request.into_inner();
        let holder = parsed("holder", &holder)?;

        let office = self.0.take_office(&holder, duration(term_ms)).await.map_err(status_of)?;
        Ok(Response::new(wire::TakeOfficeResponse { held: office.to_message() }))
    }

    async fn unlink(&self, request: Request<wire::UnlinkRequest>) -> Answer<wire::UnlinkResponse> {
        let after = after(request.into_inner().after.as_deref())?;

        let unlinked = self.0.unlink(after.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(unlinked.to_message()))
    }

    async fn retain(&self, request: Request<wire::RetainRequest>) -> Answer<wire::RetainResponse> {
        let cursor = request.into_inner().cursor;

        let retained = self.0.retain(cursor.as_deref()).await.map_err(status_of)?;
        Ok(Response::new(retained.to_message()))
    }

    async fn purge(&self, _: Request<wire::PurgeRequest>) -> Answer<wire::PurgeResponse> {
        let purged = self.0.purge().await.map_err(status_of)?;
        Ok(Response::new(purged.to_message()))
    }

    async fn reap(&self, _: Request<wire::ReapRequest>) -> Answer<wire::ReapResponse> {
        let reaped = self.0.reap().await.map_err(status_of)?;
        Ok(Response::new(reaped.to_message()))
    }

    async fn garbage(&self, request: Request<wire::GarbageRequest>) -> Answer<wire::GarbageResponse> {
        let garbage = self.0.garbage(limit(request.into_inner().limit)).await.map_err(status_of)?;
        Ok(Response::new(wire::GarbageResponse { garbage: written_all(&garbage) }))
    }

    async fn forget_garbage(
        &self,
        request: Request<wire::ForgetGarbageRequest>,
    ) -> Answer<wire::ForgetGarbageResponse> {
        let deleted: Vec<Discarded> = read_all(request.into_inner().deleted)?;

        self.0.forget_garbage(&deleted).await.map_err(status_of)?;
        Ok(Response::new(wire::ForgetGarbageResponse {}))
    }

    async fn stale_uploads(
        &self,
        request: Request<wire::StaleUploadsRequest>,
    ) -> Answer<wire::StaleUploadsResponse> {
        let uploads = self.0.stale_uploads(limit(request.into_inner().limit)).await.map_err(status_of)?;
        Ok(Response::new(wire::StaleUploadsResponse { uploads: written_all(&uploads) }))
    }

    async fn forget_uploads(
        &self,
        request: Request<wire::ForgetUploadsRequest>,
    ) -> Answer<wire::ForgetUploadsResponse> {
        let uploads: Vec<StaleUpload> = read_all(request.into_inner().uploads)?;

        self.0.forget_uploads(&uploads).await.map_err(status_of)?;
        Ok(Response::new(wire::ForgetUploadsResponse {}))
    }

    async fn audit(&self, request: Request<wire::AuditRequest>) -> Answer<wire::AuditResponse> {
        let found = Found::from_message(request.into_inner())?;

        let audited = self.0.audit(&found).await.map_err(status_of)?;
        Ok(Response::new(audited.to_message()))
    }

    async fn survey(&self, request: Request<wire::SurveyRequest>) -> Answer<wire::SurveyResponse> {
        let after = after(request.into_inner().after.as_deref())?;

        let survey = self.0.survey(after.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(survey.to_message()))
    }

    async fn why(&self, request: Request<wire::WhyRequest>) -> Answer<wire::WhyResponse> {
        let wire::WhyRequest { digest, after: behind } = request.into_inner();
        let (digest, after) = (parsed("digest", &digest)?, after(behind.as_deref())?);

        let why = self.0.why(&digest, after.as_ref()).await.map_err(status_of)?;
        Ok(Response::new(why.to_message()))
    }
}
