//! Every operation, cut off after each mutation of its commit, as an engine without transactions may leave it:
//! the invariants hold all the same, and doing it again completes it.

use std::{
    collections::BTreeMap,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{ContentId, Digest, Locator, ManifestKind, Need, Needed, Reference, RepositoryName};
use proto::{
    auth::Subject,
    metadata::{
        Accounts as _, Actor, Repositories as _, RepositoryError, Standing, UploadError, Uploads as _, Via,
        accounts::{Account, Role},
        repositories::{Expected, NewManifest},
        uploads::{Link, Mount},
    },
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use super::{Strictness, check, mended::cut_and_mended};
use crate::{
    Service,
    config::Config,
    keyspace::{
        Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, Record,
        memory::Memory,
    },
};

mod federation;
mod invitations;
mod keys;
mod moves;
mod people;
mod proofs;
mod settings;

/// Nothing is cut.
const NEVER: usize = usize::MAX;

/// Memory that loses its power in the middle of a commit, or lets somebody else be first.
pub(crate) struct Cutting {
    memory: Memory,
    after: AtomicUsize,
    rival: Mutex<Option<BoxFuture>>,
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Cutting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { memory: Memory::new(), after: AtomicUsize::new(NEVER), rival: Mutex::default() })
    }

    /// The next commit is cut after so many mutations, if it has more.
    pub(crate) fn cut_after(&self, mutations: usize) {
        self.after.store(mutations, Ordering::SeqCst);
    }

    /// `rival` happens between what the next commit was decided by and that commit.
    pub(super) fn interpose(&self, rival: impl Future<Output = ()> + Send + 'static) {
        *self.rival.lock().unwrap() = Some(Box::pin(rival));
    }

    /// Whether somebody waits for the next commit.
    pub(super) fn is_interposed(&self) -> bool {
        self.rival.lock().unwrap().is_some()
    }

    /// Every entry, to be compared.
    pub(crate) fn entries(&self) -> Vec<(Key, Bytes, Bytes)> {
        self.memory.entries()
    }

    /// Cuts nothing any more.
    pub(super) fn mend(&self) {
        self.after.store(NEVER, Ordering::SeqCst);
    }
}

#[async_trait]
impl Keyspace for Cutting {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.memory.get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.memory.get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.memory.records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        to: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        self.memory.range(key, members, limit, to).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.memory.follow(follow).await
    }

    async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
        let rival = self.rival.lock().unwrap().take();
        if let Some(rival) = rival {
            rival.await;
        }

        let after = self.after.load(Ordering::SeqCst);
        if after >= commit.mutations.len() {
            return self.memory.commit(commit).await;
        }

        commit.mutations.truncate(after);
        self.memory.commit(commit).await?;
        self.mend();
        Err(Error::Unavailable { attempted: "losing power" }.into())
    }
}

/// A service, and the clock that it goes by.
pub(super) struct World {
    pub(super) service: Service,
    pub(super) clock: Arc<ManualClock>,
}

impl Deref for World {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

pub(super) async fn world(keyspace: Arc<Cutting>) -> World {
    world_at(keyspace, Arc::new(ManualClock::default())).await
}

/// Another process, or the same one after a restart.
pub(super) async fn world_at(keyspace: Arc<Cutting>, clock: Arc<ManualClock>) -> World {
    world_over(keyspace, clock).await
}

/// The same on any engine.
pub(super) async fn world_over(keyspace: Arc<dyn Keyspace>, clock: Arc<ManualClock>) -> World {
    let config = Config::new("unused".into(), "a secret for grants".into());
    let random = Arc::new(SeededRandom::new(3));
    let service = Service::found(keyspace, &config, clock.clone(), random).await.unwrap();
    World { service, clock }
}

pub(super) async fn service(keyspace: Arc<Cutting>) -> Service {
    world(keyspace).await.service
}

pub(super) fn actor() -> Actor {
    Actor {
        subject: Subject::User("ann".parse().unwrap()),
        via: Via::Registry,
        address: None,
        credential: None,
    }
}

pub(crate) fn account(name: &str, role: Role) -> Account {
    Account {
        name: name.parse().unwrap(),
        password_hash: "hash".to_owned().into(),
        role,
        standing: Standing::Active,
    }
}

pub(super) fn digest(content: &str) -> Digest {
    Digest::of_sha256(content.as_bytes())
}

pub(super) fn locator(digest: &Digest, number: u64) -> Locator {
    // Of the second day of the world: after it was founded.
    let generation = format!("01KDY02100{number:016}").parse().unwrap();
    let store = "disk".parse().unwrap();
    Locator { store, content: ContentId::plain(digest.clone()), generation }
}

pub(super) fn manifest(
    name: &RepositoryName,
    body: &str,
    needs: &[(Needed, &Digest)],
    tags: &[&str],
) -> NewManifest {
    let need = |(what, digest): &(Needed, &Digest)| Need { digest: (*digest).clone(), size: 1, what: *what };
    NewManifest {
        repository: name.clone(),
        digest: digest(body),
        media_type: ManifestKind::OciManifest.media_type(),
        body: Bytes::from(body.to_owned()),
        needs: needs.iter().map(need).collect(),
        subject: Some(digest("subject")),
        artifact_type: None,
        annotations: BTreeMap::new(),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        expected: Expected::Anything,
    }
}

/// Where the bytes of a push end up: every upload has a generation of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upload {
    /// Where they are already, if they are; otherwise under this generation.
    Reused(u64),
    /// Under this generation.
    Written(u64),
}

/// Content held by a new session, and the link that comes next.
pub(super) async fn held(service: &Service, name: &RepositoryName, digest: &Digest, upload: Upload) -> Link {
    let session = service.start(name, &actor()).await.unwrap();
    let held = service.hold(&session.address, digest).await.unwrap();
    let ours = match upload {
        Upload::Reused(number) => held.locator.clone().unwrap_or_else(|| locator(digest, number)),
        Upload::Written(number) => locator(digest, number),
    };
    Link {
        address: session.address,
        digest: digest.clone(),
        size_bytes: 7,
        locator: ours,
        seen: held.locator,
    }
}

pub(super) fn app() -> RepositoryName {
    "ann/app".parse().unwrap()
}

pub(super) fn other() -> RepositoryName {
    "ann/other".parse().unwrap()
}

/// Where every case begins: two layers, two images, an index of the second, and tags.
pub(super) async fn furnished(service: &Service) {
    let (name, layers) = (app(), [digest("layer 1"), digest("layer 2")]);
    service.create_account(&account("ann", Role::Administrator), &Actor::service()).await.unwrap();
    for layer in &layers {
        let link = held(service, &name, layer, Upload::Reused(1)).await;
        service.link(&link, &actor()).await.unwrap();
    }

    let one = manifest(&name, "image 1", &[(Needed::Blob, &layers[0])], &["latest", "v1"]);
    let two = manifest(&name, "image 2", &[(Needed::Blob, &layers[0]), (Needed::Blob, &layers[1])], &["v2"]);
    let index = manifest(&name, "index", &[(Needed::Manifest, &two.digest)], &["multi"]);
    for manifest in [&one, &two, &index] {
        service.put_manifest(manifest, &actor()).await.unwrap();
    }
}

/// Does `operation` on a new world for each mutation that it could be cut after, and then again.
pub(super) async fn cut_everywhere<T, E: std::fmt::Debug>(
    operation: impl AsyncFn(&Service, &T) -> Result<(), E>,
    prepare: impl AsyncFn(&World) -> T,
) {
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        let service = &world.service;
        furnished(service).await;
        let prepared = prepare(&world).await;

        keyspace.cut_after(after);
        let outcome = operation(service, &prepared).await;
        keyspace.mend();
        check(service, &[app(), other()], &manifests, Strictness::AfterCuts).await;
        if outcome.is_ok() {
            assert!(after > 1, "the operation has made no commit that could be cut");
            check(service, &[app(), other()], &manifests, Strictness::Exact).await;
            return;
        }
        operation(service, &prepared).await.unwrap();
        check(service, &[app(), other()], &manifests, Strictness::AfterCuts).await;
        cut_and_mended(&operation, &prepare, after).await;
    }
}

/// Links as the edge does: a lost hold is held again, and the bytes are written again.
async fn linked(service: &Service, link: &Link) -> Result<(), UploadError> {
    match service.link(link, &actor()).await {
        Err(UploadError::HoldLost { .. }) => {
            let seen = service.hold(&link.address, &link.digest).await?.locator;
            let again = Link { locator: locator(&link.digest, 9), seen, ..link.clone() };
            service.link(&again, &actor()).await
        }
        outcome => outcome,
    }
}

#[tokio::test]
async fn the_first_link_of_a_repository() {
    cut_everywhere(linked, async |service: &World| {
        held(service, &other(), &digest("layer 3"), Upload::Reused(1)).await
    })
    .await;
    cut_everywhere(linked, async |service: &World| {
        held(service, &other(), &digest("layer 1"), Upload::Reused(1)).await
    })
    .await;
}

#[tokio::test]
async fn a_link_that_replaces_missing_bytes() {
    cut_everywhere(linked, async |service: &World| {
        held(service, &app(), &digest("layer 1"), Upload::Written(2)).await
    })
    .await;
}

#[tokio::test]
async fn a_link_that_loses_against_another() {
    let lose = async |service: &World| {
        let (loser, winner) = (digest("layer 3"), digest("layer 3"));
        let loser = held(service, &other(), &loser, Upload::Written(2)).await;
        let winner = held(service, &app(), &winner, Upload::Written(3)).await;
        service.link(&winner, &actor()).await.unwrap();
        loser
    };
    cut_everywhere(linked, lose).await;
}

#[tokio::test]
async fn a_mount() {
    let mount = Mount { repository: other(), digest: digest("layer 1"), from: vec![app()] };
    let operation = async |service: &Service, mount: &Mount| service.mount(mount, &actor()).await.map(drop);
    cut_everywhere(operation, async |_: &World| mount.clone()).await;
}

#[tokio::test]
async fn a_push_of_a_manifest_that_moves_tags() {
    let put =
        async |service: &Service, manifest: &NewManifest| service.put_manifest(manifest, &actor()).await;
    let (layer, child) = (digest("layer 3"), digest("image 1"));
    let prepare = async |service: &World| {
        let link = held(service, &app(), &layer, Upload::Reused(1)).await;
        service.link(&link, &actor()).await.unwrap();
        let needs = [(Needed::Blob, &layer), (Needed::Manifest, &child)];
        manifest(&app(), "image 3", &needs, &["latest", "v3"])
    };
    cut_everywhere(put, prepare).await;
    cut_everywhere(put, async |_: &World| manifest(&other(), "image 3", &[], &["v1"])).await;
}

#[tokio::test]
async fn the_deletion_of_tags_and_manifests() {
    for reference in ["v1".to_owned(), digest("image 1").to_string(), digest("index").to_string()] {
        let reference: Reference = reference.parse().unwrap();
        let delete = async |service: &Service, reference: &Reference| {
            // What a cut deletion has already removed cannot be removed again.
            match service.delete_manifest(&app(), reference, &Expected::Anything, &actor()).await {
                Err(RepositoryError::ManifestUnknown { .. }) => Ok(()),
                outcome => outcome,
            }
        };
        cut_everywhere(delete, async |_: &World| reference.clone()).await;
    }
}

#[tokio::test]
async fn the_deletion_of_a_blob() {
    let delete =
        async |service: &Service, blob: &Digest| match service.delete_blob(&app(), blob, &actor()).await {
            Err(RepositoryError::BlobUnknown { .. }) => Ok(()),
            outcome => outcome,
        };
    let prepare = async |service: &World| {
        let link = held(service, &app(), &digest("layer 3"), Upload::Reused(1)).await;
        service.link(&link, &actor()).await.unwrap();
        digest("layer 3")
    };
    cut_everywhere(delete, prepare).await;
}

#[tokio::test]
async fn a_quarantine() {
    let quarantine = async |service: &Service, locator: &Locator| service.quarantine(locator).await;
    cut_everywhere(quarantine, async |_: &World| locator(&digest("layer 1"), 1)).await;
}
