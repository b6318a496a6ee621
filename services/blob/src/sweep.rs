//! The sweeper: deletes the bytes that metadata says nobody needs, in one of all replicas at a time. Every step may
//! be cut off, come late or be done twice; what a step has not done, a later round does.

use std::{sync::Arc, time::Duration};

use oci::{Generation, Locator, StoreName};
use proto::metadata::{
    More, Reclaim, ReclaimError, Repositories, RepositoryError,
    reclaim::{Discarded, MOST_AT_ONCE, Office},
};
use service_kit::{clock::Clock, failpoint, shutdown::Shutdown};
use tokio::{
    select,
    time::{sleep, timeout},
};

use crate::{
    layout::ObjectName,
    store::{Store, StoreError},
};

pub use config::SweepConfig;
use counted::Counted;

mod config;
mod counted;
mod inspection;
mod scrub;

/// Deletes what nobody needs.
pub struct Sweeper {
    store: Arc<dyn Store>,
    name: StoreName,
    services: Services,
    config: SweepConfig,
    holder: Generation,
    clock: Arc<dyn Clock>,
    counted: Counted,
    /// The turn whose place was inspected last.
    inspected: Option<u128>,
    /// Where the walk over what rules let go has stopped.
    retained: Option<String>,
}

/// The contracts of metadata that the sweeper needs.
#[derive(Clone)]
pub struct Services {
    /// What is not needed any more.
    pub reclaim: Arc<dyn Reclaim>,
    /// Told of bytes that are damaged.
    pub repositories: Arc<dyn Repositories>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweeper").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a round came to an end before it was done. The next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// Metadata did not say what is needed.
    #[error(transparent)]
    Reclaim(#[from] ReclaimError),
    /// Metadata did not take note of damaged bytes.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a round has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tags that rules have let go.
    pub tags: u64,
    /// Manifests that rules have let go, and that can be restored.
    pub manifests: u64,
    /// Deleted repositories of which nothing is left.
    pub repositories: u64,
    /// Links of repositories that no manifest had used for the grace, or that were deleted.
    pub links: u64,
    /// Contents whose bytes were queued.
    pub contents: u64,
    /// Blobs whose bytes were deleted.
    pub blobs: u64,
    /// Uploads whose parts were deleted.
    pub uploads: u64,
    /// Blobs whose bytes are not what they should be.
    pub damaged: u64,
}

impl Sweeper {
    pub(crate) fn new(
        (store, name): (Arc<dyn Store>, StoreName),
        services: Services,
        config: SweepConfig,
        (holder, clock): (Generation, Arc<dyn Clock>),
    ) -> Self {
        Self {
            store,
            name,
            services,
            config,
            holder,
            clock,
            counted: Counted::new(),
            inspected: None,
            retained: None,
        }
    }

    /// Sweeps in rounds until the shutdown begins.
    pub async fn run(mut self, shutdown: Shutdown) {
        while timeout(self.config.interval, shutdown.stopping()).await.is_err() {
            select! {
                () = shutdown.stopping() => return,
                swept = self.round() => match swept {
                    Ok(swept) if swept == Swept::default() => {}
                    Ok(swept) => tracing::info!(?swept, "reclaimed"),
                    Err(error) => tracing::warn!(%error, "a round of reclaim was not finished"),
                }
            }
        }
    }

    /// One round, unless another replica is at it.
    ///
    /// # Errors
    /// What did not work; the rest is left for the next round.
    pub async fn round(&mut self) -> Result<Swept, SweepError> {
        let mut swept = Swept::default();
        if self.services.reclaim.take_office(&self.holder, self.config.interval * 2).await? == Office::Taken {
            return Ok(swept);
        }

        let limit = self.config.step_limit;
        let within = |done: Result<Result<(), SweepError>, _>| done.unwrap_or(Ok(()));
        within(timeout(limit, self.unlink(&mut swept)).await)?;
        within(timeout(limit, self.purge(&mut swept)).await)?;
        within(timeout(limit, self.reap(&mut swept)).await)?;
        within(timeout(limit, self.delete_garbage(&mut swept)).await)?;
        within(timeout(limit, self.end_uploads(&mut swept)).await)?;
        within(timeout(limit, self.retain(&mut swept)).await)?;
        within(timeout(limit, self.inspect(&mut swept)).await)?;
        Ok(swept)
    }

    /// Walks over all repositories until nothing more is due.
    async fn unlink(&self, swept: &mut Swept) -> Result<(), SweepError> {
        let (mut after, mut again) = (None, More::No);
        loop {
            let unlinked = self.services.reclaim.unlink(after.as_ref()).await?;
            swept.links += unlinked.links;
            if unlinked.more == More::Yes {
                again = More::Yes;
            }
            after = unlinked.next;
            if after.is_none() && std::mem::replace(&mut again, More::No) == More::No {
                return Ok(());
            }
        }
    }

    /// Goes on with the walk over what rules let go, to its end.
    async fn retain(&mut self, swept: &mut Swept) -> Result<(), SweepError> {
        loop {
            let retained = self.services.reclaim.retain(self.retained.as_deref()).await?;
            swept.tags += retained.tags;
            swept.manifests += retained.manifests;
            self.retained = retained.next;
            if self.retained.is_none() {
                return Ok(());
            }
        }
    }

    async fn purge(&self, swept: &mut Swept) -> Result<(), SweepError> {
        loop {
            let purged = self.services.reclaim.purge().await?;
            swept.repositories += purged.repositories;
            swept.links += purged.links;
            if purged.more == More::No {
                return Ok(());
            }
        }
    }

    async fn reap(&self, swept: &mut Swept) -> Result<(), SweepError> {
        loop {
            let reaped = self.services.reclaim.reap().await?;
            swept.contents += reaped.contents;
            if reaped.more == More::No {
                return Ok(());
            }
        }
    }

    async fn delete_garbage(&self, swept: &mut Swept) -> Result<(), SweepError> {
        loop {
            let garbage = self.services.reclaim.garbage(MOST_AT_ONCE).await?;
            let ours: Vec<Discarded> =
                garbage.into_iter().filter(|discarded| discarded.locator.store == self.name).collect();
            if ours.is_empty() {
                return Ok(());
            }

            for discarded in &ours {
                self.store.remove(&name_of(&discarded.locator)).await?;
                failpoint::hit("blob.sweep.removed");
                self.pause(self.config.deletion_pause()).await;
            }
            self.services.reclaim.forget_garbage(&ours).await?;
            let deleted = ours.len() as u64;
            swept.blobs += deleted;
            self.counted.blobs.add(deleted, &[]);
        }
    }

    /// Ends the sessions that are too old to be used. Their parts go first: without the session nobody finds them
    /// as fast.
    async fn end_uploads(&self, swept: &mut Swept) -> Result<(), SweepError> {
        loop {
            let uploads = self.services.reclaim.stale_uploads(MOST_AT_ONCE).await?;
            if uploads.is_empty() {
                return Ok(());
            }
            for upload in &uploads {
                self.store.remove_upload(&upload.session).await?;
                self.pause(self.config.deletion_pause()).await;
            }
            self.services.reclaim.forget_uploads(&uploads).await?;
            self.count_uploads(uploads.len() as u64, swept);
        }
    }

    fn count_uploads(&self, uploads: u64, swept: &mut Swept) {
        swept.uploads += uploads;
        self.counted.uploads.add(uploads, &[]);
    }

    async fn pause(&self, pause: Duration) {
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

fn name_of(locator: &Locator) -> ObjectName {
    ObjectName::content(&locator.content, &locator.generation)
}
