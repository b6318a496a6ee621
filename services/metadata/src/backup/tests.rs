//! Leases, and loadings that are refused, interrupted or fooled.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::{io::Cursor, sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use proto::metadata::{Accounts as _, Actor, Backup as _, BackupError, Reclaim as _, accounts::Role};
use service_kit::{clock::ManualClock, random::SeededRandom};

use super::{Attempt, DumpError, FormatError, LoadError, Loaded, load};
use crate::{
    Service,
    config::Config,
    invariants::cut::{Cutting, account},
    keyspace::{Key, Keyspace, memory::Memory},
    schema::FoundError,
};

async fn found(keyspace: Arc<dyn Keyspace>, clock: &Arc<ManualClock>) -> Result<Service, FoundError> {
    let config = Config::new("unused".into(), "a secret for grants".into());
    Service::found(keyspace, &config, clock.clone(), Arc::new(SeededRandom::new(3))).await
}

async fn service(keyspace: Arc<dyn Keyspace>) -> (Service, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (found(keyspace, &clock).await.unwrap(), clock)
}

async fn dump(service: &Service) -> Vec<u8> {
    let pieces: Vec<bytes::Bytes> =
        service.dump(&Actor::operator()).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn loaded(dump: &[u8], keyspace: &dyn Keyspace, attempt: Attempt) -> Result<Loaded, LoadError> {
    load(&mut Cursor::new(dump), keyspace, attempt, &mut |_| {}).await
}

/// A dump of a hub with a few users.
async fn small_dump() -> Vec<u8> {
    let (service, _) = service(Arc::new(Memory::new())).await;
    for name in ["ann", "bob"] {
        service.create_account(&account(name, Role::User), &Actor::service()).await.unwrap();
    }
    dump(&service).await
}

#[tokio::test]
async fn nothing_is_reclaimed_and_nobody_else_dumps_under_a_lease() {
    let (service, clock) = service(Arc::new(Memory::new())).await;
    let mut lease = service.take_lease("one".to_owned()).await.unwrap();
    assert!(service.is_backed_up().await.unwrap());
    let second = service.take_lease("two".to_owned()).await;
    assert!(matches!(second, Err(BackupError::Taken { .. })));
    assert!(service.garbage(10).await.unwrap().is_empty());

    for _ in 0..10 {
        clock.advance(Duration::from_mins(2));
        lease.keep().await.unwrap();
        assert!(service.is_backed_up().await.unwrap());
    }
    lease.give_back().await.unwrap();
    assert!(!service.is_backed_up().await.unwrap());
}

#[tokio::test]
async fn a_lease_that_was_not_renewed_is_lost_and_leaves_that_of_the_next_alone() {
    let (service, clock) = service(Arc::new(Memory::new())).await;
    let mut lost = service.take_lease("one".to_owned()).await.unwrap();
    clock.advance(Duration::from_mins(6));
    assert!(!service.is_backed_up().await.unwrap());
    assert!(matches!(lost.keep().await, Err(DumpError::LeaseLost)));

    let next = service.take_lease("two".to_owned()).await.unwrap();
    assert!(matches!(lost.give_back().await, Err(DumpError::LeaseLost)));
    assert!(service.is_backed_up().await.unwrap());
    next.give_back().await.unwrap();
}

#[tokio::test]
async fn a_dump_of_an_engine_without_snapshots_ends_its_lease() {
    let (service, _) = service(Cutting::new()).await;
    let dump = dump(&service).await;
    assert!(!service.is_backed_up().await.unwrap());
    loaded(&dump, &Memory::new(), Attempt::First).await.unwrap();
}

#[tokio::test]
async fn a_dump_is_not_loaded_where_there_is_something() {
    let dump = small_dump().await;
    let used = Arc::new(Memory::new());
    let _service = service(used.clone()).await;
    let before = used.entries();
    for attempt in [Attempt::First, Attempt::Again] {
        let refused = loaded(&dump, &*used, attempt).await;
        assert!(matches!(refused, Err(LoadError::NotEmpty)), "{refused:?}");
    }
    assert_eq!(used.entries(), before);
}

#[tokio::test]
async fn a_damaged_dump_leaves_the_engine_as_it_was() {
    let mut dump = small_dump().await;
    let middle = dump.len() / 2;
    dump[middle] ^= 4;
    let empty = Memory::new();
    let refused = loaded(&dump, &empty, Attempt::First).await;
    assert!(matches!(refused, Err(LoadError::Format(FormatError::Damaged { .. }))), "{refused:?}");
    assert!(empty.entries().is_empty());
}

#[tokio::test]
async fn a_loading_that_was_interrupted_keeps_services_away_until_it_is_repeated() {
    let (whole, dump) = (Memory::new(), small_dump().await);
    loaded(&dump, &whole, Attempt::First).await.unwrap();

    let (interrupted, clock) = (Cutting::new(), Arc::new(ManualClock::default()));
    interrupted.cut_after(5);
    let failed = loaded(&dump, &*interrupted, Attempt::First).await;
    assert!(matches!(failed, Err(LoadError::Engine(_))), "{failed:?}");
    assert!(matches!(found(interrupted.clone(), &clock).await, Err(FoundError::Loading { .. })));
    let again = loaded(&dump, &*interrupted, Attempt::First).await;
    assert!(matches!(again, Err(LoadError::Begun { .. })), "{again:?}");

    loaded(&dump, &*interrupted, Attempt::Again).await.unwrap();
    assert_eq!(interrupted.entries(), whole.entries());
    found(interrupted, &clock).await.unwrap();
}

#[tokio::test]
async fn what_no_hub_has_is_found_out() {
    // A dump that somebody has made, with a key that nothing leads to.
    let (mut encoder, first) = super::format::Encoder::begin(&header());
    let astray = super::format::Entry::Value(Key::from_static("astray"), "value".into());
    let block = encoder.add(&astray).unwrap_or_default();
    let (last, _) = encoder.finish();
    let dump = [&first[..], &block[..], &last[..]].concat();

    let keyspace = Arc::new(Memory::new());
    let refused = loaded(&dump, &*keyspace, Attempt::First).await;
    assert!(matches!(refused, Err(LoadError::Differs { .. })), "{refused:?}");
    let clock = Arc::new(ManualClock::default());
    assert!(matches!(found(keyspace, &clock).await, Err(FoundError::Loading { .. })));
}

#[tokio::test]
async fn a_dump_of_a_later_schema_is_refused_by_name() {
    let later = super::Header { schema: crate::schema::VERSION + 1, ..header() };
    let (encoder, first) = super::format::Encoder::begin(&later);
    let dump = [&first[..], &encoder.finish().0[..]].concat();
    let refused = loaded(&dump, &Memory::new(), Attempt::First).await;
    assert!(matches!(refused, Err(LoadError::NewerSchema { .. })), "{refused:?}");
}

fn header() -> super::Header {
    super::Header {
        schema: crate::schema::VERSION,
        id: ulid::Ulid(7),
        taken: jiff::Timestamp::UNIX_EPOCH,
        consistency: super::Consistency::OneMoment,
    }
}
