//! Backups of what random operations leave: everything is found by the lists that lead to it, and what was dumped while
//! others wrote is of one moment.

use std::{collections::HashSet, io::Cursor, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::RepositoryName;
use proto::metadata::{
    Accounts as _, Actor, Backup as _, Outbox as _, Repositories as _, RepositorySettings as _, Visibility,
    accounts::Role,
    integrity::{Kind, Mending},
    outbox::{ReaderName, WantedEvents},
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use super::{
    Strictness, check,
    cut::{self, Cutting, World},
    mended::{is_mended, walked},
    random::{made, stir},
    stirred::Stirred,
};
use crate::{
    Service,
    backup::{Attempt, load},
    config::Config,
    keys::{self, Log},
    keyspace::{
        Key, Keyspace,
        embedded::{Embedded, Options},
        memory::Memory,
    },
};

pub(super) async fn over(keyspace: Arc<dyn Keyspace>) -> World {
    let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(3)));
    let config = Config::new("unused".into(), "a secret for grants".into());
    let service = Service::found(keyspace, &config, clock.clone(), random).await.unwrap();
    World { service, clock }
}

async fn dumped(service: &Service) -> Vec<u8> {
    let pieces: Vec<Bytes> = service.dump(&Actor::operator()).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn loaded(dump: &[u8], keyspace: &dyn Keyspace) {
    load(&mut Cursor::new(dump), keyspace, Attempt::First, &mut |_| {}).await.unwrap();
}

fn kept(entries: Vec<(Key, Bytes, Bytes)>) -> Vec<(Key, Bytes, Bytes)> {
    entries.into_iter().filter(|(key, ..)| !keys::is_left_out(key)).collect()
}

/// Without the log of the hub, where each dump is an entry.
fn unaudited(entries: Vec<(Key, Bytes, Bytes)>) -> Vec<(Key, Bytes, Bytes)> {
    let log = [keys::audit(&Log::Hub), keys::audit_marks(&Log::Hub)];
    entries.into_iter().filter(|(key, ..)| !log.contains(key)).collect()
}

fn assert_same(before: Vec<(Key, Bytes, Bytes)>, after: &[(Key, Bytes, Bytes)], seed: u64) {
    let (before, found): (_, HashSet<_>) = (kept(before), after.iter().collect());
    let missing: Vec<_> = before.iter().filter(|entry| !found.contains(entry)).take(3).collect();
    assert!(missing.is_empty(), "seed {seed}: {missing:?} are not in the dump");
    assert_eq!(before.len(), after.len(), "seed {seed}: more was loaded than there was");
}

#[tokio::test]
async fn whatever_was_done_is_in_a_dump() {
    let (names, manifests) = made();
    for seed in 300..304 {
        let memory = Arc::new(Memory::new());
        let world = over(memory.clone()).await;
        stir(&world, seed, 200).await;

        let copy = Arc::new(Memory::new());
        loaded(&dumped(&world.service).await, &*copy).await;
        assert_same(memory.entries(), &copy.entries(), seed);
        let again = over(copy).await;
        check(&again.service, &names, &manifests, Strictness::Exact).await;
    }
}

#[tokio::test]
async fn an_engine_without_snapshots_is_dumped_as_well() {
    for seed in 310..312 {
        let keyspace = Cutting::new();
        let world = cut::world(keyspace.clone()).await;
        stir(&world, seed, 150).await;

        let copy = Memory::new();
        loaded(&dumped(&world.service).await, &copy).await;
        assert_same(keyspace.entries(), &copy.entries(), seed);
    }
}

#[tokio::test]
async fn a_hub_moves_from_a_file_to_memory_and_back() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = Arc::new(Embedded::open(&Options::new(first.path())).unwrap());
    let world = over(file.clone()).await;
    cut::furnished(&world.service).await;
    let there = Arc::new(Memory::new());
    loaded(&dumped(&world.service).await, &*there).await;

    let back = Arc::new(Embedded::open(&Options::new(second.path())).unwrap());
    loaded(&dumped(&over(there.clone()).await.service).await, &*back).await;
    let compared = Memory::new();
    loaded(&dumped(&over(back.clone()).await.service).await, &compared).await;
    assert_same(unaudited(there.entries()), &unaudited(compared.entries()), 0);
    for engine in [file, back] {
        engine.close().await;
    }
}

#[tokio::test]
async fn a_dump_that_is_taken_while_others_write_is_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(&Options::new(directory.path())).unwrap());
    let world = over(engine.clone()).await;
    let dumps = async {
        let mut dumps = Vec::new();
        for _ in 0..6 {
            dumps.push(dumped(&world.service).await);
        }
        dumps
    };
    let (dumps, ()) = tokio::join!(dumps, stir(&world, 320, 60));

    let (names, manifests) = made();
    for dump in dumps {
        let copy = Arc::new(Memory::new());
        loaded(&dump, &*copy).await;
        check(&over(copy).await.service, &names, &manifests, Strictness::AfterCuts).await;
    }
    engine.close().await;
}

/// What is loaded from a dump of an engine without snapshots, during which `rival` came right after `list` was read.
async fn disturbed(
    keyspace: Arc<Cutting>,
    list: Key,
    rival: impl Future<Output = ()> + Send + 'static,
) -> World {
    let stirred = Stirred::over(keyspace);
    let world = over(stirred.clone()).await;
    stirred.once_read(list, rival);
    let dump = dumped(&world.service).await;
    assert!(!stirred.waits(), "the list was not read");

    let copy = Arc::new(Memory::new());
    loaded(&dump, &*copy).await;
    over(copy).await
}

#[tokio::test]
async fn a_repository_that_is_renamed_while_others_are_dumped_is_not_lost() {
    let keyspace = Cutting::new();
    let rival = cut::service(keyspace.clone()).await;
    cut::furnished(&rival).await;
    let name: RepositoryName = "ann/a-name-before".parse().unwrap();
    let to = name.clone();
    let moving = async move { rival.move_repository(&cut::app(), &to, &cut::actor()).await.unwrap() };

    let copy = disturbed(keyspace, keys::REPOSITORIES, moving).await;
    let manifests = ["image 1", "image 2", "index"].map(cut::digest);
    check(&copy.service, std::slice::from_ref(&name), &manifests, Strictness::AfterCuts).await;
    copy.manifest(&name, &"latest".parse().unwrap()).await.unwrap();
    is_mended(&copy.service).await;
}

#[tokio::test]
async fn a_user_who_comes_while_others_are_dumped_leaves_no_repository_without_one() {
    let keyspace = Cutting::new();
    let rival = cut::service(keyspace.clone()).await;
    cut::furnished(&rival).await;
    let coming = async move {
        rival.create_account(&cut::account("bob", Role::User), &Actor::service()).await.unwrap();
        let name = "bob/app".parse().unwrap();
        rival.create_repository(&name, Visibility::Private, "", &Actor::service()).await.unwrap();
    };

    let copy = disturbed(keyspace, keys::USERS, coming).await;
    let (findings, _) = walked(&copy.service, Mending::Report).await;
    assert!(findings.iter().all(|finding| finding.kind != Kind::RepositoryOwnerless), "{findings:?}");
}

#[tokio::test]
async fn events_that_are_spread_while_others_are_dumped_are_not_lost() {
    let keyspace = Cutting::new();
    let rival = cut::service(keyspace.clone()).await;
    let reader: ReaderName = "scan".parse().unwrap();
    rival.add_reader(&reader).await.unwrap();
    cut::furnished(&rival).await;
    let spreading = async move { rival.spread().await.unwrap() };

    let copy = disturbed(keyspace, keys::dirty(&reader), spreading).await;
    let wanted = WantedEvents { reader, after: None, limit: 10 };
    assert!(!copy.events(&wanted).await.unwrap().batches.is_empty());
}
