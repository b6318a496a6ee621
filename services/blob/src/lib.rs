//! Content-addressed bytes: parts of uploads, published content, granted reads. It knows no names and no
//! users; what may be read is said by a grant from metadata, and where things lie by one file, `layout`.

#![deny(missing_docs)]

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use oci::{SessionId, Span, StoreName};
use proto::{
    ByteStream,
    blob::{Append, Appended, BlobError, Blobs, Delivery, Finish, Finished, Grant, GrantKey, Opened},
    metadata::RepositoryError,
};
use service_kit::{
    clock::Clock,
    failpoint,
    handoff::{Asked, Found, Refused, Source},
    random::{Random, Ulids},
    readiness::Readiness,
    shutdown::Shutdown,
};
use tokio::time::timeout;

use crate::{
    config::{CacheConfig, Config, Storage},
    reads::{HandoffPort, Reads},
    store::{
        Marker, OpenError, Store, StoreError,
        cached::Cached,
        disk::{Disk, DiskOptions},
        object::Objects,
        swift::Swift,
        watched::{Limits, Watched},
    },
    sweep::{SweepConfig, Sweeper},
    uploads::{Uploads, fresh_generation},
};

mod claim;
pub mod config;
mod handoff;
mod hasher;
mod hashing;
mod incoming;
pub mod layout;
mod reads;
pub mod store;
pub mod sweep;
mod uploads;

pub use claim::{Claim, is_new};

// How a probe calls what it cannot reach.
const STORE: &str = "store";

const CHECK_INTERVAL: Duration = Duration::from_secs(5);
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// The blob service over a store. Clones are the same service.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    name: StoreName,
    clock: Arc<dyn Clock>,
    ulids: Arc<Ulids>,
    uploads: Uploads,
    reads: Reads,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("blob::Service").finish_non_exhaustive()
    }
}

impl Service {
    /// The service over the directory, bucket or container of `config`, which is tried out. If that is no store yet, `new`
    /// must say that the hub has no blobs, as [`is_new`] does; otherwise it is not asked.
    ///
    /// # Errors
    /// With the place, and what does not work there.
    pub async fn open(
        config: &Config,
        new: impl Future<Output = Result<bool, RepositoryError>>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let probe = fresh_generation(&Ulids::new(clock.clone(), random.clone()));
        let grants = GrantKey::new(&config.grant_secret);
        let marker = Marker::new(&config.store, &grants, config.claim);
        let store: Arc<dyn Store> = match &config.storage {
            Storage::Directory(root) => {
                if !Disk::is_marked(root).await? {
                    claim::require(config.claim, &root.display().to_string(), new).await?;
                }
                let (name, reserve_bytes) = (config.store.clone(), config.reserve_bytes);
                let options = DiskOptions { root: root.clone(), name, reserve_bytes };
                Arc::new(Disk::open(options, clock.now(), probe).await?)
            }
            Storage::Bucket(bucket) => {
                if !Objects::is_marked(bucket).await? {
                    claim::require(config.claim, &format!("the bucket {:?}", bucket.bucket), new).await?;
                }
                Arc::new(Objects::open(bucket, marker, probe).await?)
            }
            Storage::Container(container) => {
                if !Swift::is_marked(container, clock.clone()).await? {
                    let place = format!("the container {:?} of Swift", container.container);
                    claim::require(config.claim, &place, new).await?;
                }
                Arc::new(Swift::open(container, marker, clock.clone(), probe).await?)
            }
        };
        let port = if config.handoff_listen.is_some() { HandoffPort::Open } else { HandoffPort::Closed };
        let stores = wrapped(store, config, &clock).await?;
        Ok(Self::reading(stores, config.store.clone(), (grants, port), (clock, random)))
    }

    /// The service over `store`, whose locators say `name`.
    pub fn over(
        store: Arc<dyn Store>,
        name: StoreName,
        grants: GrantKey,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self::reading((store.clone(), store), name, (grants, HandoffPort::Closed), (clock, random))
    }

    /// The same, where granted reads go by another way to the store.
    fn reading(
        (store, read): (Arc<dyn Store>, Arc<dyn Store>),
        name: StoreName,
        (grants, port): (GrantKey, HandoffPort),
        (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
    ) -> Self {
        let ulids = Arc::new(Ulids::new(clock.clone(), random));
        Self(Arc::new(Parts {
            uploads: Uploads::new(store.clone(), name.clone(), ulids.clone()),
            reads: Reads::new((store.clone(), read, name.clone()), (grants, port), clock.clone()),
            store,
            name,
            clock,
            ulids,
        }))
    }

    /// What deletes bytes that nobody needs from the store of this service.
    pub fn sweeper(&self, services: sweep::Services, config: SweepConfig) -> Sweeper {
        let Parts { store, name, clock, ulids, .. } = self.0.as_ref();
        let holder = fresh_generation(ulids);
        Sweeper::new((store.clone(), name.clone()), services, config, (holder, clock.clone()))
    }

    /// Whether blobs can be read and, if there is space, written.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn check(&self) -> Result<(), BlobError> {
        match self.0.store.check().await {
            // Reads go on, and freeing space heals it: no reason to send everybody elsewhere.
            Ok(()) | Err(StoreError::NoSpace) => Ok(()),
            Err(error) => Err(refused(error, "checking the store")),
        }
    }

    /// Tells `readiness` whether the store works, until the shutdown begins.
    pub fn report_to(
        &self,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let service = self.clone();
        async move {
            loop {
                // A directory on a network may not answer at all.
                let found = timeout(CHECK_LIMIT, service.check()).await;
                match found {
                    Ok(Ok(())) => readiness.up(STORE),
                    _ => readiness.down(STORE),
                }

                if timeout(CHECK_INTERVAL, shutdown.stopping()).await.is_ok() {
                    return;
                }
            }
        }
    }
}

#[async_trait]
impl Blobs for Service {
    async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        self.0.uploads.append(append, body).await
    }

    async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        self.0.uploads.finish(finish, last).await
    }

    async fn open(&self, grant: &Grant, span: Option<Span>, delivery: Delivery) -> Result<Opened, BlobError> {
        self.0.reads.open(grant, span, delivery).await
    }

    async fn discard(&self, session: &SessionId) -> Result<(), BlobError> {
        failpoint::hit("blob.discard.before");
        let discarded = self.0.store.remove_upload(session).await;
        discarded.map_err(|error| refused(error, "discarding an upload"))
    }
}

#[async_trait]
impl Source for Service {
    async fn find(&self, asked: Asked<'_>) -> Result<Found, Refused> {
        handoff::find(&self.0.reads, asked).await
    }
}

/// `store` within limits, and the way to it for granted reads. The scrub is to see what the store has, and uploads what
/// has just been written: they go past copies.
async fn wrapped(
    store: Arc<dyn Store>,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<dyn Store>, Arc<dyn Store>), OpenError> {
    let watched: Arc<dyn Store> = Arc::new(Watched::new(store, Limits::default(), clock.clone()));
    let read = match &config.cache {
        None => watched.clone(),
        Some(CacheConfig { directory, max_bytes }) => {
            let cached = Cached::open(watched.clone(), directory.clone(), *max_bytes).await?;
            Arc::new(cached) as Arc<dyn Store>
        }
    };
    Ok((watched, read))
}

/// What the store's error is to a caller; the rest of it is for the log.
fn refused(error: StoreError, attempted: &'static str) -> BlobError {
    let attempted = Cow::Borrowed(attempted);
    match error {
        StoreError::NoSpace => {
            tracing::warn!(%attempted, "the blob store has no space left");
            BlobError::NoSpace { attempted }
        }
        error => {
            tracing::error!(%attempted, %error, "the blob store failed");
            BlobError::Unavailable { attempted }
        }
    }
}
