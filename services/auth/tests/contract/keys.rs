//! Signing keys that take over from each other while tokens are asked for, with several replicas.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use auth::Service;
use proto::{
    auth::{Auth as _, KeyId, Offline, TokenRequest},
    metadata::{Accounts as _, Actor},
};
use secrecy::ExposeSecret as _;
use service_kit::{
    clock::Clock as _,
    jose::{self, Algorithm},
    shutdown::Shutdown,
};

use crate::{config, memory::MemoryMetadata, service_with};

const DAY: Duration = Duration::from_hours(24);
/// How long a key is told before it signs.
const TOLD: Duration = Duration::from_mins(2);

struct World {
    metadata: Arc<MemoryMetadata>,
    replicas: [Service; 2],
}

impl World {
    async fn new(algorithm: Algorithm) -> Self {
        let metadata: Arc<MemoryMetadata> = Arc::default();
        let mut config = config();
        config.keys.algorithm = algorithm;
        let replicas = [(); 2].map(|()| service_with(&metadata, &config));
        let world = Self { metadata, replicas };
        world.tend().await;
        world
    }

    /// Both replicas look after the keys at once.
    async fn tend(&self) {
        let [one, two] = &self.replicas;
        let (first, second) = tokio::join!(one.prepare(), two.prepare());
        first.unwrap();
        second.unwrap();
    }

    async fn pass(&self, time: Duration) {
        self.metadata.clock.advance(time);
        self.tend().await;
    }

    fn kept(&self) -> Vec<KeyId> {
        self.metadata.state().keys.iter().map(|key| key.verification.id.clone()).collect()
    }

    /// The key that signs, the same at both replicas; what it signs is verified by what is told.
    async fn signer(&self) -> KeyId {
        let mut signers = Vec::new();
        for replica in &self.replicas {
            let (service, scopes) = ("bucket".to_owned(), Vec::new());
            let request =
                TokenRequest { credentials: None, service, scopes, address: None, offline: Offline::Not };
            let issued = replica.token(request).await.unwrap();
            let token = issued.token.expose_secret();
            let id = KeyId(jose::named_key(token).unwrap());
            let keys = replica.keys().await.unwrap();
            let key = keys.iter().find(|key| key.id == id).expect("it is told");
            assert!(key.public_key.verified::<serde_json::Value>(token).is_some());
            signers.push(id);
        }
        assert_eq!(signers[0], signers[1]);
        signers.remove(0)
    }
}

#[tokio::test]
async fn by_age_the_next_key_is_told_then_signs_and_the_old_one_stays_for_a_day() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let world = World::new(algorithm).await;
        let first = world.signer().await;
        world.pass(89 * DAY).await;
        assert_eq!(world.kept(), std::slice::from_ref(&first));

        world.pass(DAY.saturating_sub(TOLD)).await;
        let told = world.kept();
        assert_eq!(told.len(), 2, "of two replicas one has made the next key");
        assert_eq!(world.signer().await, first);
        world.pass(TOLD.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(world.signer().await, first);
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.signer().await, told[1]);

        world.pass(DAY).await;
        assert_eq!(world.kept(), told, "uploads go on that were begun with the old one");
        world.pass(Duration::from_hours(1)).await;
        assert_eq!(world.kept(), told[1..]);
        assert_eq!(world.signer().await, told[1]);
    }
}

#[tokio::test]
async fn a_replica_signs_with_the_next_key_at_its_time_without_reading_it_again() {
    let world = World::new(Algorithm::EdDsa).await;
    world.pass((90 * DAY).saturating_sub(TOLD)).await;
    world.pass(TOLD.saturating_sub(Duration::from_secs(5))).await;
    let told = world.kept();
    let reads = world.metadata.reads_of_keys.load(Ordering::Relaxed);

    world.metadata.clock.advance(Duration::from_secs(5));
    assert_eq!(world.signer().await, told[1]);
    // `keys` reads them at each call, and signing does not.
    assert_eq!(world.metadata.reads_of_keys.load(Ordering::Relaxed), reads + 2);
}

#[tokio::test]
async fn a_key_that_is_retired_now_is_followed_at_once_and_can_be_removed() {
    let world = World::new(Algorithm::EdDsa).await;
    let leaked = world.signer().await;
    let (metadata, now) = (&world.metadata, world.metadata.clock.now());
    metadata.retire_signing_key(&leaked, now, &Actor::service()).await.unwrap();

    world.pass(Duration::from_secs(10)).await;
    let kept = world.kept();
    assert_eq!(kept.len(), 2);
    assert_eq!(world.signer().await, kept[1]);
    metadata.remove_signing_keys(&kept, &Actor::service()).await.unwrap();
    world.tend().await;
    assert_eq!((world.kept(), world.signer().await), (vec![kept[1].clone()], kept[1].clone()));
}

#[tokio::test]
async fn a_replica_that_cannot_look_after_the_keys_does_not_sign_with_a_removed_one() {
    let world = World::new(Algorithm::EdDsa).await;
    let first = world.signer().await;
    let [one, _] = &world.replicas;
    world.metadata.retire_signing_key(&first, world.metadata.clock.now(), &Actor::service()).await.unwrap();
    one.prepare().await.unwrap();
    let kept = world.kept();
    world.metadata.remove_signing_keys(&kept, &Actor::service()).await.unwrap();

    // The other replica has not looked since.
    world.metadata.clock.advance(Duration::from_secs(30));
    assert_eq!(world.signer().await, kept[1]);
}

#[tokio::test]
async fn another_kind_of_key_comes_with_the_next_one() {
    let world = World::new(Algorithm::EdDsa).await;
    let mut config = config();
    config.keys.algorithm = Algorithm::Es256;
    let changed = service_with(&world.metadata, &config);
    changed.prepare().await.unwrap();
    assert_eq!(world.kept().len(), 1);

    world.metadata.clock.advance(90 * DAY);
    changed.prepare().await.unwrap();
    let kinds: Vec<_> = changed.keys().await.unwrap().iter().map(|key| key.public_key.algorithm()).collect();
    assert_eq!(kinds, [Algorithm::EdDsa, Algorithm::Es256]);
    world.pass(TOLD).await;
    assert_eq!(world.signer().await, world.kept()[1]);
}

#[tokio::test(start_paused = true)]
async fn the_keys_are_looked_after_while_the_process_runs() {
    let world = World::new(Algorithm::EdDsa).await;
    let shutdown = Shutdown::new();
    shutdown.spawn(world.replicas[0].tend_keys(shutdown.clone()));

    world.metadata.clock.advance(90 * DAY);
    tokio::time::sleep(Duration::from_secs(11)).await;

    assert_eq!(world.kept().len(), 2);
    shutdown.drain(Duration::from_secs(1)).await;
}
