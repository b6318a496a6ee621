//! What is read without us: files for a proxy that has the directory, addresses at the handoff port for one that has
//! not, and the store's own addresses for clients.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use blob::{
    Claim, Service,
    config::{Config, Storage, default_store},
    layout::{ObjectName, Place},
    store::{Object, PublicUrl, Store, StoreError, Writer, memory::Memory},
    sweep::SweepConfig,
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::{ContentId, Digest, Locator, SessionId, Span};
use proto::blob::{
    BlobError, Blobs as _, Delivery, Finish, Finished, Grant, GrantKey, Handoff, HashState, Opened, Redirect,
};
use proto::stream_of;
use rstest::rstest;
use secrecy::SecretString;
use service_kit::{
    clock::{Clock as _, ManualClock},
    handoff::{Asked, Found, Refused, Source as _},
    random::SeededRandom,
};
use tempfile::TempDir;

const SECRET: &str = "a secret of metadata and blob";
const FILE: Delivery = Delivery { handoff: Handoff::File, redirect: Redirect::Never };
const REPLICA: Delivery = Delivery { handoff: Handoff::Replica, redirect: Redirect::Never };

struct World {
    directory: TempDir,
    clock: Arc<ManualClock>,
    service: Service,
}

impl World {
    async fn new() -> Self {
        Self::with_port(Some("127.0.0.1:0")).await
    }

    async fn with_port(listen: Option<&str>) -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::default());
        let config = Config {
            storage: Storage::Directory(directory.path().to_owned()),
            store: default_store(),
            claim: Claim::IfNew,
            grant_secret: SecretString::from(SECRET),
            handoff_listen: listen.map(|address| address.parse().unwrap()),
            reserve_bytes: 0,
            cache: None,
            sweep: SweepConfig::default(),
        };
        let service =
            Service::open(&config, async { Ok(true) }, clock.clone(), Arc::new(SeededRandom::new(1)))
                .await
                .unwrap();
        Self { directory, clock, service }
    }

    async fn published(&self, content: &Bytes) -> Grant {
        grant(&self.clock, published(&self.service, content).await, content.len() as u64)
    }

    /// The address at the handoff port.
    async fn address(&self, grant: &Grant) -> String {
        match self.service.open(grant, None, REPLICA).await.unwrap() {
            Opened::Handoff { path } => path.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    async fn find(&self, address: &str, range: Option<&str>) -> Result<Found, Refused> {
        let (path, query) = address.split_once('?').unwrap();
        self.service.find(Asked { path, query, range }).await
    }
}

async fn published(service: &Service, content: &Bytes) -> Locator {
    let finish = Finish {
        session: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        parts: vec![],
        offset: 0,
        hash: HashState::default(),
        digest: Digest::of_sha256(content),
        existing: None,
        expected_bytes: None,
    };
    match service.finish(finish, stream_of(content.clone())).await.unwrap() {
        Finished::Published { locator, .. } => locator,
        cut @ Finished::Cut(_) => panic!("{cut:?}"),
    }
}

fn grant(clock: &ManualClock, locator: Locator, size_bytes: u64) -> Grant {
    let expires = clock.now() + Duration::from_mins(1);
    GrantKey::new(&SecretString::from(SECRET)).grant(
        locator,
        "team/app".parse().unwrap(),
        size_bytes,
        expires,
    )
}

fn large() -> Bytes {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

async fn bytes(found: Found) -> Bytes {
    let pieces: Vec<Bytes> = found.body.try_collect().await.unwrap();
    pieces.concat().into()
}

#[tokio::test]
async fn a_file_is_named_by_its_path_in_the_directory() {
    let world = World::new().await;
    let grant = world.published(&large()).await;

    let path = match world.service.open(&grant, Some(Span { first: 1, length: 2 }), FILE).await.unwrap() {
        Opened::Handoff { path } => path,
        other => panic!("{other:?}"),
    };

    assert_eq!(std::fs::read(world.directory.path().join(Path::new(path.as_str()))).unwrap(), large());
}

#[tokio::test]
async fn what_is_small_is_not_worth_a_handoff() {
    let world = World::new().await;
    let grant = world.published(&Bytes::from_static(b"small")).await;
    for delivery in [FILE, REPLICA] {
        let opened = world.service.open(&grant, None, delivery).await.unwrap();
        assert!(matches!(opened, Opened::Stream { .. }), "{opened:?}");
    }
}

#[tokio::test]
async fn what_is_sealed_is_never_read_without_us() {
    let world = World::new().await;
    let digest = Digest::of_sha256(&large());
    let content = ContentId { digest, sign: Some("key-1".parse().unwrap()) };
    let locator = Locator {
        store: default_store(),
        content,
        generation: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
    };
    let name = ObjectName::content(&locator.content, &locator.generation);
    std::fs::write(world.directory.path().join(name.as_str()), large()).unwrap();
    let grant = grant(&world.clock, locator, large().len() as u64);

    for delivery in [FILE, REPLICA] {
        let opened = world.service.open(&grant, None, delivery).await.unwrap();
        assert!(matches!(opened, Opened::Stream { .. }), "{opened:?}");
    }
}

#[tokio::test]
async fn without_a_port_nothing_is_handed_off_to_it() {
    let world = World::with_port(None).await;
    let grant = world.published(&large()).await;
    let opened = world.service.open(&grant, None, REPLICA).await.unwrap();
    assert!(matches!(opened, Opened::Stream { .. }), "{opened:?}");
}

#[rstest]
#[case::whole(None, None)]
#[case::first(Some("bytes=0-0"), Some((0, 0)))]
#[case::middle(Some("bytes=7-300000"), Some((7, 300_000)))]
#[case::rest(Some("bytes=399990-"), Some((399_990, 399_999)))]
#[case::suffix(Some("bytes=-3"), Some((399_997, 399_999)))]
#[case::not_understood(Some("lines=1-2"), None)]
#[tokio::test]
async fn an_address_leads_to_the_bytes(#[case] range: Option<&str>, #[case] part: Option<(u64, u64)>) {
    let world = World::new().await;
    let address = world.address(&world.published(&large()).await).await;

    let found = world.find(&address, range).await.unwrap();

    assert_eq!(found.size_bytes, 400_000);
    assert_eq!(found.part.clone().map(|part| (*part.start(), *part.end())), part);
    let (first, last) = part.map_or((0, 399_999), |(first, last)| {
        (usize::try_from(first).unwrap(), usize::try_from(last).unwrap())
    });
    assert!(bytes(found).await == large()[first..=last]);
}

#[tokio::test]
async fn a_range_without_a_byte_is_refused() {
    let world = World::new().await;
    let address = world.address(&world.published(&large()).await).await;
    let refused = world.find(&address, Some("bytes=400000-")).await.unwrap_err();
    assert_eq!(refused, Refused::Unsatisfiable { size_bytes: 400_000 });
}

#[tokio::test]
async fn an_address_that_was_changed_leads_nowhere() {
    let world = World::new().await;
    let address = world.address(&world.published(&large()).await).await;
    let other = world.published(&Bytes::from(vec![9_u8; 400_000])).await;
    let (_, query) = address.split_once('?').unwrap();

    for changed in [
        format!("{}?{query}", other.locator),
        address.replace("team/app", "team/app2"),
        address.replace("expires=", "expires=9"),
        address.replace("size=400000", "size=400001"),
        address.replace("mac=", "mac=0"),
        format!("{}?", other.locator),
    ] {
        assert_eq!(world.find(&changed, None).await.unwrap_err(), Refused::NotGranted, "{changed}");
    }
}

#[tokio::test]
async fn an_address_expires() {
    let world = World::new().await;
    let address = world.address(&world.published(&large()).await).await;
    world.clock.advance(Duration::from_secs(59));
    assert!(world.find(&address, None).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.find(&address, None).await.unwrap_err(), Refused::NotGranted);
}

#[tokio::test]
async fn what_is_gone_is_missing_before_and_after_a_handoff() {
    let world = World::new().await;
    let grant = world.published(&large()).await;
    let address = world.address(&grant).await;
    let name = ObjectName::content(&grant.locator.content, &grant.locator.generation);
    std::fs::remove_file(world.directory.path().join(name.as_str())).unwrap();

    assert_eq!(world.find(&address, None).await.unwrap_err(), Refused::Missing);
    for delivery in [FILE, REPLICA] {
        let missing = world.service.open(&grant, None, delivery).await.unwrap_err();
        assert_eq!(missing, BlobError::Missing { locator: grant.locator.clone() });
    }
}

/// A store with addresses of its own, over one in memory.
struct Addressed {
    memory: Memory,
    url: &'static str,
}

#[async_trait]
impl Store for Addressed {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        self.memory.write(name, before).await
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        self.memory.publish(parts, content).await
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        self.memory.size(name).await
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        self.memory.read(name, span).await
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        self.memory.remove_upload(session).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.memory.remove(name).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        self.memory.list(place, after, limit).await
    }

    async fn redirect(&self, _: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        assert!(lifetime >= Duration::from_mins(1), "a client would come too late");
        Ok(Some(PublicUrl::new(self.url.to_owned())))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.memory.check().await
    }
}

#[rstest]
#[case::good("https://store.example/o?signature=1", Redirect::Allowed, true)]
#[case::not_allowed("https://store.example/o?signature=1", Redirect::Never, false)]
#[case::unusable("store.example/o\r\n", Redirect::Allowed, false)]
#[tokio::test]
async fn a_client_is_sent_to_a_store_that_has_addresses(
    #[case] url: &'static str,
    #[case] redirect: Redirect,
    #[case] sent: bool,
) {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(Addressed { memory: Memory::default(), url });
    let (grants, random) = (GrantKey::new(&SecretString::from(SECRET)), Arc::new(SeededRandom::new(1)));
    let service = Service::over(store, default_store(), grants, clock.clone(), random);
    let locator = published(&service, &large()).await;
    let grant = grant(&clock, locator, 400_000);

    // No proxy finds a file there.
    let delivery = Delivery { handoff: Handoff::File, redirect };
    match service.open(&grant, None, delivery).await.unwrap() {
        Opened::Redirect { url: found } if sent => assert_eq!(found.as_str(), url),
        Opened::Stream { span, .. } if !sent => assert_eq!(span, Span::whole(400_000)),
        other => panic!("{other:?}"),
    }
}
