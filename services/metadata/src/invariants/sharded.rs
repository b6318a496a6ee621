//! Operations on an engine that commits only what lies together, whose process dies with any of the writes that a commit
//! consists of there: the next process finds the invariants as they are after a cut, finishes or gives up what was left
//! behind, and then they hold exactly.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Digest, Needed, Reference, RepositoryName};
use proto::metadata::{
    Repositories as _, RepositoryError, UploadError, Uploads as _,
    repositories::{Expected, NewManifest},
    uploads::{Link, Mount},
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use super::{
    Strictness, check,
    cut::{Upload, World, actor, app, digest, furnished, held, locator, manifest, other, world_over},
};
use crate::{
    Service,
    keyspace::{
        Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Record,
        memory::Memory,
        sharded::{Sharded, Waits},
    },
};

/// Never, so far.
const NEVER: usize = usize::MAX;

/// The engine as one process has it: it dies with a write, and hears nothing of it.
struct Dying {
    memory: Arc<Memory>,
    left: AtomicUsize,
}

impl Dying {
    fn lives(&self) -> Result<(), Error> {
        match self.left.load(Ordering::SeqCst) {
            0 => Err(Error::Unavailable { attempted: "dying" }),
            _ => Ok(()),
        }
    }

    fn dies_with(&self, write: usize) {
        self.left.store(write + 1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Keyspace for Dying {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.lives()?;
        self.memory.get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.lives()?;
        self.memory.get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.lives()?;
        self.memory.records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        to: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        self.lives()?;
        self.memory.range(key, members, limit, to).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.lives()?;
        self.memory.follow(follow).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.lives()?;
        let outcome = self.memory.commit(commit).await;
        let left = self.left.load(Ordering::SeqCst);
        if left != NEVER {
            self.left.store(left - 1, Ordering::SeqCst);
        }
        self.lives()?;
        outcome
    }
}

fn sharded<K: Keyspace>(engine: &Arc<K>, seed: u64) -> Arc<Sharded<K>> {
    let waits = Waits { first: Duration::ZERO, longest: Duration::ZERO, looks: 0, most: 1_000 };
    Arc::new(Sharded::new(Arc::clone(engine), Arc::new(SeededRandom::new(seed)), waits))
}

/// Writes to a repository what touches nothing of before, and so meets whoever was left behind there.
async fn nudged(service: &Service, name: &RepositoryName) {
    service.put_manifest(&manifest(name, "nudge", &[], &["nudge"]), &actor()).await.unwrap();
}

async fn dies_everywhere<T, E: std::fmt::Debug>(
    operation: impl AsyncFn(&Service, &T) -> Result<(), E>,
    prepare: impl AsyncFn(&World) -> T,
) {
    let manifests = ["image 1", "image 2", "image 3", "index", "nudge"].map(digest);
    let names = [app(), other()];
    for write in 0.. {
        let (memory, clock) = (Arc::new(Memory::new()), Arc::new(ManualClock::default()));
        let dying = Arc::new(Dying { memory: Arc::clone(&memory), left: AtomicUsize::new(NEVER) });
        let first = world_over(sharded(&dying, 1), clock.clone()).await;
        furnished(&first.service).await;
        for name in &names {
            nudged(&first.service, name).await;
        }
        let prepared = prepare(&first).await;

        dying.dies_with(write);
        let outcome = operation(&first.service, &prepared).await;
        clock.advance(Duration::from_secs(1));
        let next = world_over(sharded(&memory, 2), clock).await;
        let service = &next.service;
        check(service, &names, &manifests, Strictness::AfterCuts).await;
        if outcome.is_err() {
            operation(service, &prepared).await.unwrap();
        }
        for name in &names {
            nudged(service, name).await;
        }

        check(service, &names, &manifests, Strictness::Exact).await;
        let is_left =
            |key: &Key| key.to_string().ends_with(":locks") || key.to_string().contains("}:commit:");
        let left: Vec<_> = memory.entries().into_iter().filter(|(key, ..)| is_left(key)).collect();
        assert!(left.is_empty(), "after write {write}: {left:?}");
        if outcome.is_ok() {
            assert!(write > 5, "the operation has {write} writes");
            return;
        }
    }
}

async fn linked(service: &Service, link: &Link) -> Result<(), UploadError> {
    match service.link(link, &actor()).await {
        Err(UploadError::HoldLost { .. }) => {
            let again = match service.hold(&link.address, &link.digest).await {
                Ok(held) => Link { locator: locator(&link.digest, 9), seen: held.locator, ..link.clone() },
                // The first one was decided, and is done by now: whoever looked had met it half done.
                Err(UploadError::UploadUnknown { .. }) => link.clone(),
                Err(error) => return Err(error),
            };
            service.link(&again, &actor()).await
        }
        outcome => outcome,
    }
}

#[tokio::test]
async fn a_link() {
    dies_everywhere(linked, async |world: &World| {
        held(world, &app(), &digest("layer 3"), Upload::Reused(1)).await
    })
    .await;
}

#[tokio::test]
async fn a_mount() {
    let mount = Mount { repository: other(), digest: digest("layer 1"), from: vec![app()] };
    let operation = async |service: &Service, mount: &Mount| service.mount(mount, &actor()).await.map(drop);
    dies_everywhere(operation, async |_: &World| mount.clone()).await;
}

#[tokio::test]
async fn a_push_of_a_manifest_that_moves_tags() {
    let image = async |world: &World| {
        let link = held(world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
        world.link(&link, &actor()).await.unwrap();
        let (layer, child) = (digest("layer 3"), digest("image 1"));
        let needs = [(Needed::Blob, &layer), (Needed::Manifest, &child)];
        manifest(&app(), "image 3", &needs, &["latest", "v3"])
    };
    let put = async |service: &Service, image: &NewManifest| service.put_manifest(image, &actor()).await;
    dies_everywhere(put, image).await;
}

#[tokio::test]
async fn the_deletion_of_a_manifest() {
    let delete = async |service: &Service, reference: &Reference| match service
        .delete_manifest(&app(), reference, &Expected::Anything, &actor())
        .await
    {
        Err(RepositoryError::ManifestUnknown { .. }) => Ok(()),
        outcome => outcome,
    };
    let index = Reference::Digest(digest("index"));
    dies_everywhere(delete, async |_: &World| index.clone()).await;
}

#[tokio::test]
async fn the_deletion_of_a_blob() {
    let delete =
        async |service: &Service, blob: &Digest| match service.delete_blob(&app(), blob, &actor()).await {
            Err(RepositoryError::BlobUnknown { .. }) => Ok(()),
            outcome => outcome,
        };
    let prepare = async |world: &World| {
        let link = held(world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
        world.link(&link, &actor()).await.unwrap();
        digest("layer 3")
    };
    dies_everywhere(delete, prepare).await;
}
