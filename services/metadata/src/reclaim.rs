//! The contract `Reclaim`: what is not needed any more, step by step (ARCHITECTURE.md §4). Each step is bounded,
//! and may come late, twice and from anyone. While an engine without snapshots is dumped, nothing goes.

use std::time::Duration;

use async_trait::async_trait;
use oci::{Digest, Generation, RepositoryName};
use proto::metadata::{
    More, Reclaim, ReclaimError,
    reclaim::{
        Audited, Discarded, Found, Office, Purged, Reaped, Retained, StaleUpload, Survey, Unlinked, Why,
    },
};

use crate::Service;

mod auditing;
mod garbage;
mod office;
mod purging;
mod reaping;
mod retaining;
mod stale;
mod survey;
mod unlinking;
mod untagged;
mod why;

#[async_trait]
impl Reclaim for Service {
    async fn take_office(&self, holder: &Generation, term: Duration) -> Result<Office, ReclaimError> {
        Ok(self.office(holder, term).await?)
    }

    async fn unlink(&self, after: Option<&RepositoryName>) -> Result<Unlinked, ReclaimError> {
        if self.is_backed_up().await? {
            return Ok(Unlinked { links: 0, size_bytes: 0, manifests: 0, more: More::No, next: None });
        }
        Ok(self.unlink_unused(after).await?)
    }

    async fn retain(&self, cursor: Option<&str>) -> Result<Retained, ReclaimError> {
        if self.is_backed_up().await? {
            return Ok(Retained::default());
        }
        Ok(self.retain_by_rules(cursor).await?)
    }

    async fn purge(&self) -> Result<Purged, ReclaimError> {
        if self.is_backed_up().await? {
            return Ok(Purged { repositories: 0, links: 0, more: More::No });
        }
        Ok(self.purge_deleted().await?)
    }

    async fn reap(&self) -> Result<Reaped, ReclaimError> {
        if self.is_backed_up().await? {
            return Ok(Reaped { contents: 0, size_bytes: 0, more: More::No });
        }
        Ok(self.reap_idle().await?)
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<Discarded>, ReclaimError> {
        if self.is_backed_up().await? {
            return Ok(Vec::new());
        }
        Ok(self.due_garbage(limit).await?)
    }

    async fn forget_garbage(&self, deleted: &[Discarded]) -> Result<(), ReclaimError> {
        Ok(self.remove_garbage(deleted).await?)
    }

    async fn stale_uploads(&self, limit: usize) -> Result<Vec<StaleUpload>, ReclaimError> {
        Ok(self.too_old_sessions(limit).await?)
    }

    async fn forget_uploads(&self, uploads: &[StaleUpload]) -> Result<(), ReclaimError> {
        Ok(self.end_sessions(uploads).await?)
    }

    async fn audit(&self, found: &Found) -> Result<Audited, ReclaimError> {
        Ok(self.compare(found).await?)
    }

    async fn survey(&self, after: Option<&RepositoryName>) -> Result<Survey, ReclaimError> {
        Ok(self.reclaimable(after).await?)
    }

    async fn why(&self, digest: &Digest, after: Option<&RepositoryName>) -> Result<Why, ReclaimError> {
        Ok(self.keepers(digest, after).await?)
    }
}
