//! Reclaim over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use oci::{Digest, Generation, RepositoryName};
use service_kit::grpc::{GrpcChannel, unary};

use super::{
    Audited, Discarded, Found, Office, Purged, Reaped, Reclaim, ReclaimError, Retained, StaleUpload, Survey,
    Unlinked, Why,
};
use crate::{
    call::{MAX_METADATA_MESSAGE_BYTES, concluded},
    convert::{Wire as _, printed, read_all, reclaim::milliseconds, written_all},
    wire::{self, reclaim_service_client::ReclaimServiceClient},
};

/// Reclaim, over a channel.
#[derive(Debug, Clone)]
pub struct ReclaimClient {
    service: ReclaimServiceClient<GrpcChannel>,
    deadline: Duration,
}

impl ReclaimClient {
    /// A client whose calls end after `deadline`.
    pub fn new(channel: GrpcChannel, deadline: Duration) -> Self {
        let service = ReclaimServiceClient::new(channel)
            .max_decoding_message_size(MAX_METADATA_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_METADATA_MESSAGE_BYTES);
        Self { service, deadline }
    }
}

fn limit(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

#[async_trait]
impl Reclaim for ReclaimClient {
    async fn take_office(&self, holder: &Generation, term: Duration) -> Result<Office, ReclaimError> {
        let message = wire::TakeOfficeRequest { holder: holder.to_string(), term_ms: milliseconds(term) };
        let answer = self.service.clone().take_office(unary(message, self.deadline)).await;

        concluded("taking the office", answer, |answer| Office::from_message(answer.held))
    }

    async fn unlink(&self, after: Option<&RepositoryName>) -> Result<Unlinked, ReclaimError> {
        let message = wire::UnlinkRequest { after: printed(after) };
        let answer = self.service.clone().unlink(unary(message, self.deadline)).await;

        concluded("unlinking", answer, Unlinked::from_message)
    }

    async fn retain(&self, cursor: Option<&str>) -> Result<Retained, ReclaimError> {
        let message = wire::RetainRequest { cursor: cursor.map(ToOwned::to_owned) };
        let answer = self.service.clone().retain(unary(message, self.deadline)).await;

        concluded("retaining tags", answer, Retained::from_message)
    }

    async fn purge(&self) -> Result<Purged, ReclaimError> {
        let answer = self.service.clone().purge(unary(wire::PurgeRequest {}, self.deadline)).await;

        concluded("purging", answer, Purged::from_message)
    }

    async fn reap(&self) -> Result<Reaped, ReclaimError> {
        let answer = self.service.clone().reap(unary(wire::ReapRequest {}, self.deadline)).await;

        concluded("reaping", answer, Reaped::from_message)
    }

    async fn garbage(&self, most: usize) -> Result<Vec<Discarded>, ReclaimError> {
        let message = wire::GarbageRequest { limit: limit(most) };
        let answer = self.service.clone().garbage(unary(message, self.deadline)).await;

        concluded("reading the garbage", answer, |answer| read_all(answer.garbage))
    }

    async fn forget_garbage(&self, deleted: &[Discarded]) -> Result<(), ReclaimError> {
        let message = wire::ForgetGarbageRequest { deleted: written_all(deleted) };
        let answer = self.service.clone().forget_garbage(unary(message, self.deadline)).await;

        concluded("forgetting garbage", answer, |_| Ok(()))
    }

    async fn stale_uploads(&self, most: usize) -> Result<Vec<StaleUpload>, ReclaimError> {
        let message = wire::StaleUploadsRequest { limit: limit(most) };
        let answer = self.service.clone().stale_uploads(unary(message, self.deadline)).await;

        concluded("finding stale uploads", answer, |answer| read_all(answer.uploads))
    }

    async fn forget_uploads(&self, uploads: &[StaleUpload]) -> Result<(), ReclaimError> {
        let message = wire::ForgetUploadsRequest { uploads: written_all(uploads) };
        let answer = self.service.clone().forget_uploads(unary(message, self.deadline)).await;

        concluded("forgetting stale uploads", answer, |_| Ok(()))
    }

    async fn audit(&self, found: &Found) -> Result<Audited, ReclaimError> {
        let answer = self.service.clone().audit(unary(found.to_message(), self.deadline)).await;

        concluded("auditing the store", answer, Audited::from_message)
    }

    async fn survey(&self, after: Option<&RepositoryName>) -> Result<Survey, ReclaimError> {
        let message = wire::SurveyRequest { after: printed(after) };
        let answer = self.service.clone().survey(unary(message, self.deadline)).await;

        concluded("surveying", answer, Survey::from_message)
    }

    async fn why(&self, digest: &Digest, after: Option<&RepositoryName>) -> Result<Why, ReclaimError> {
        let message = wire::WhyRequest { digest: digest.to_string(), after: printed(after) };
        let answer = self.service.clone().why(unary(message, self.deadline)).await;

        concluded("finding what keeps content", answer, Why::from_message)
    }
}
