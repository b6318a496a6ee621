//! Who may say that bytes are gone, and what a place must be to be believed: what is said to be gone will be removed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{fs, path::Path, sync::Arc, time::Duration};

use blob::{
    Claim, Service,
    config::{CacheConfig, Config, Storage, default_store},
    layout::ObjectName,
    store::{
        OpenError,
        faulty::{Fault, Faulty},
        memory::Memory,
        operation::Operation,
    },
    sweep::SweepConfig,
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::{Digest, Locator};
use proto::{
    blob::{Blobs as _, Delivery, Finish, Finished, Grant, GrantKey, Handoff, HashState, Opened, Redirect},
    stream_of,
};
use secrecy::SecretString;
use service_kit::{
    clock::{Clock as _, ManualClock},
    random::SeededRandom,
};
use tempfile::TempDir;

const SECRET: &str = "a secret of metadata and blob";

/// A hub's blobs in `blobs`, with copies in `cache`.
fn config(directory: &Path, claim: Claim) -> Config {
    Config {
        storage: Storage::Directory(directory.join("blobs")),
        store: default_store(),
        claim,
        grant_secret: SecretString::from(SECRET),
        handoff_listen: None,
        reserve_bytes: 0,
        cache: Some(CacheConfig { directory: directory.join("cache"), max_bytes: 64 << 20 }),
        sweep: SweepConfig::default(),
    }
}

async fn opened(directory: &Path, claim: Claim, new: bool) -> Result<Service, OpenError> {
    let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
    Service::open(&config(directory, claim), async move { Ok(new) }, clock, random).await
}

async fn published(blobs: &Service, content: &Bytes) -> Locator {
    let finish = Finish {
        session: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        parts: Vec::new(),
        offset: 0,
        hash: HashState::default(),
        digest: Digest::of_sha256(content),
        existing: None,
        expected_bytes: None,
    };
    match blobs.finish(finish, stream_of(content.clone())).await.unwrap() {
        Finished::Published { locator, .. } => locator,
        other @ Finished::Cut(_) => panic!("{other:?}"),
    }
}

fn grant(locator: &Locator, content: &Bytes) -> Grant {
    let expires = ManualClock::default().now() + Duration::from_mins(1);
    let grants = GrantKey::new(&SecretString::from(SECRET));
    grants.grant(locator.clone(), "team/app".parse().unwrap(), content.len() as u64, expires)
}

async fn read(blobs: &Service, grant: &Grant, delivery: Delivery) -> Vec<u8> {
    match blobs.open(grant, None, delivery).await.unwrap() {
        Opened::Stream { body, .. } => body.try_collect::<Vec<Bytes>>().await.unwrap().concat(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_copy_of_the_wrong_length_does_not_make_bytes_missing() {
    let directory = TempDir::new().unwrap();
    let content = Bytes::from(vec![7; 100_000]);
    let blobs = opened(directory.path(), Claim::IfNew, true).await.unwrap();
    let locator = published(&blobs, &content).await;
    drop(blobs);
    // What a file system may leave of a copy: it has lost its end, and its name is right.
    let name = ObjectName::content(&locator.content, &locator.generation);
    let copy = directory.path().join("cache").join(name.as_str().replace('/', "+"));
    fs::write(&copy, &content[..1_000]).unwrap();

    let blobs = opened(directory.path(), Claim::IfNew, true).await.unwrap();

    assert_eq!(read(&blobs, &grant(&locator, &content), Delivery::default()).await, content);
    assert!(!copy.exists(), "the copy is kept");
}

#[tokio::test]
async fn an_address_that_cannot_be_signed_costs_no_pull() {
    let store = Faulty::scripted(Memory::default(), [(Operation::Redirect, Fault::Fail)]);
    let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
    let grants = GrantKey::new(&SecretString::from(SECRET));
    let blobs = Service::over(Arc::new(store.clone()), default_store(), grants, clock, random);
    let content = Bytes::from(vec![7; 100_000]);
    let locator = published(&blobs, &content).await;

    let delivery = Delivery { redirect: Redirect::Allowed, handoff: Handoff::Never };

    assert_eq!(read(&blobs, &grant(&locator, &content), delivery).await, content);
    assert_eq!(store.asked(Operation::Redirect), 1);
}

#[tokio::test]
async fn an_empty_directory_is_no_store_of_a_hub_that_has_blobs() {
    let directory = TempDir::new().unwrap();

    let refused = opened(directory.path(), Claim::IfNew, false).await.unwrap_err();

    assert!(matches!(refused, OpenError::Unclaimed { .. }), "{refused:?}");
    let said = refused.to_string();
    let root = directory.path().join("blobs");
    assert!(said.contains("blob.claim = true") && said.contains(root.to_str().unwrap()), "{said}");
    assert!(!root.exists(), "it was begun all the same");
    opened(directory.path(), Claim::Insisted, false).await.unwrap();
    opened(directory.path(), Claim::IfNew, false).await.unwrap();
}
