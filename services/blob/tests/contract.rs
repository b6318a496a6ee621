//! The port and the contract, over a store in memory and one on a disk.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use std::{sync::Arc, time::Duration};

use blob::{
    Claim, Service,
    config::{CacheConfig, Config, Storage, default_store},
    store::{
        self,
        disk::{Disk, DiskOptions},
        memory::Memory,
    },
    sweep::SweepConfig,
};
use proto::blob::{
    BlobClient, Blobs, GrantKey, server,
    suite::{self, Harness},
};
use secrecy::SecretString;
use service_kit::{
    clock::{Clock as _, ManualClock},
    grpc,
    random::SeededRandom,
};
use tempfile::TempDir;

const GRANT_SECRET: &str = "a secret of metadata and blob";

fn in_memory(clock: &Arc<ManualClock>) -> Service {
    let grants = GrantKey::new(&SecretString::from(GRANT_SECRET));
    let random = Arc::new(SeededRandom::new(1));
    Service::over(Arc::new(Memory::default()), default_store(), grants, clock.clone(), random)
}

async fn on_disk(directory: &TempDir, clock: &Arc<ManualClock>) -> Service {
    let config = Config {
        storage: Storage::Directory(directory.path().join("blobs")),
        store: default_store(),
        claim: Claim::IfNew,
        grant_secret: SecretString::from(GRANT_SECRET),
        handoff_listen: Some("127.0.0.1:0".parse().unwrap()),
        reserve_bytes: 0,
        cache: Some(CacheConfig { directory: directory.path().join("cache"), max_bytes: 64 << 20 }),
        sweep: SweepConfig::default(),
    };
    Service::open(&config, async { Ok(true) }, clock.clone(), Arc::new(SeededRandom::new(1))).await.unwrap()
}

async fn over_grpc(service: Service, clock: &ManualClock) -> Harness {
    let channel = grpc::in_memory(|routes| server::add_to(routes, Arc::new(service))).await;
    harness(BlobClient::new(channel, Duration::from_secs(30)), clock)
}

fn harness(blobs: impl Blobs, clock: &ManualClock) -> Harness {
    Harness::new(Arc::new(blobs), GrantKey::new(&SecretString::from(GRANT_SECRET)), clock.now())
}

#[tokio::test]
async fn a_store_in_memory_does_what_a_store_must() {
    store::suite::run(&Memory::default()).await;
}

#[tokio::test]
async fn a_store_on_a_disk_does_what_a_store_must() {
    let directory = TempDir::new().unwrap();
    let options = DiskOptions { root: directory.path().to_owned(), name: default_store(), reserve_bytes: 0 };
    let probe = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();

    store::suite::run(&Disk::open(options, ManualClock::default().now(), probe).await.unwrap()).await;
}

#[tokio::test]
async fn the_service_in_memory_keeps_the_contract() {
    let clock = Arc::new(ManualClock::default());

    suite::run(&harness(in_memory(&clock), &clock)).await;
}

#[tokio::test]
async fn the_service_in_memory_keeps_the_contract_across_grpc() {
    let clock = Arc::new(ManualClock::default());

    suite::run(&over_grpc(in_memory(&clock), &clock).await).await;
}

#[tokio::test]
async fn the_service_on_a_disk_keeps_the_contract() {
    let (directory, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::default()));

    suite::run(&harness(on_disk(&directory, &clock).await, &clock)).await;
}

#[tokio::test]
async fn the_service_on_a_disk_keeps_the_contract_across_grpc() {
    let (directory, clock) = (TempDir::new().unwrap(), Arc::new(ManualClock::default()));

    suite::run(&over_grpc(on_disk(&directory, &clock).await, &clock).await).await;
}
