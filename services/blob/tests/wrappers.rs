//! What comes between the service and a store: copies in a cache, and limits. The store behind fails on purpose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use blob::{
    config::default_store,
    layout::ObjectName,
    store::{
        Store, StoreError,
        cached::Cached,
        disk::{Disk, DiskOptions, OpenError},
        faulty::{Chances, Fault, Faulty},
        memory::Memory,
        operation::Operation,
        suite,
        watched::{Limits, Watched},
    },
};
use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _, future::join_all};
use oci::{ContentId, Digest, SessionId, Span};
use proto::StreamError;
use service_kit::clock::{Clock as _, ManualClock};
use tempfile::TempDir;
use tokio::time::Instant;

const WHOLE: Span = Span { first: 0, length: u64::MAX };
const MIB: usize = 1024 * 1024;
const CACHE_BYTES: u64 = 16 * MIB as u64;

/// A store in memory with faults, and copies of it in a directory.
struct Ground {
    directory: TempDir,
    store: Faulty<Memory>,
    memory: Memory,
}

impl Ground {
    fn new(script: impl IntoIterator<Item = (Operation, Fault)>) -> Self {
        let memory = Memory::default();
        let store = Faulty::scripted(memory.clone(), script);
        Self { directory: TempDir::new().unwrap(), store, memory }
    }

    async fn cached(&self) -> Cached {
        self.cached_within(CACHE_BYTES).await
    }

    async fn cached_within(&self, max_bytes: u64) -> Cached {
        let store = Arc::new(self.store.clone());
        Cached::open(store, self.directory.path().to_owned(), max_bytes).await.unwrap()
    }

    /// Content of so many bytes, in the store alone.
    async fn content(&self, number: u32, size_bytes: usize) -> (ObjectName, Bytes) {
        let bytes: Bytes = (0..size_bytes).map(|at| (at / 7 + number as usize).to_le_bytes()[0]).collect();
        let part =
            ObjectName::part(&session(), u64::from(number), &format!("0{number:025}").parse().unwrap());
        let mut writer = self.memory.write(&part, None).await.unwrap();
        writer.append(bytes.clone()).await.unwrap();
        writer.commit().await.unwrap();
        let name = name(number);
        self.memory.publish(std::slice::from_ref(&part), &name).await.unwrap();
        (name, bytes)
    }

    fn fetched(&self) -> usize {
        self.store.asked(Operation::Read)
    }

    /// The files of the cache, without the lock.
    fn files(&self) -> Vec<PathBuf> {
        files(self.directory.path())
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.file_name().unwrap() != "lock").collect();
    files.sort();
    files
}

fn session() -> SessionId {
    "00000000-0000-4000-8000-000000000001".parse().unwrap()
}

fn name(number: u32) -> ObjectName {
    let content = ContentId::plain(Digest::of_sha256(&number.to_le_bytes()));
    ObjectName::content(&content, &format!("1{number:025}").parse().unwrap())
}

async fn read(store: &dyn Store, name: &ObjectName, span: Span) -> Result<Vec<u8>, StreamError> {
    let object = store.read(name, span).await.unwrap().unwrap();
    Ok(object.body.try_collect::<Vec<Bytes>>().await?.concat())
}

async fn whole(store: &dyn Store, name: &ObjectName) -> Vec<u8> {
    read(store, name, WHOLE).await.unwrap()
}

fn watched(store: impl Store, limits: Limits) -> Watched {
    Watched::new(Arc::new(store), limits, Arc::new(ManualClock::default()))
}

async fn disk(directory: &TempDir) -> Disk {
    let root = directory.path().join("blobs");
    let options = DiskOptions { root, name: default_store(), reserve_bytes: 0 };
    let probe = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    Disk::open(options, ManualClock::default().now(), probe).await.unwrap()
}

#[tokio::test]
async fn a_store_within_limits_does_what_a_store_must() {
    let directory = TempDir::new().unwrap();
    suite::run(&watched(Memory::default(), Limits::default())).await;
    suite::run(&watched(disk(&directory).await, Limits::default())).await;
}

#[tokio::test]
async fn a_store_behind_copies_does_what_a_store_must() {
    let directory = TempDir::new().unwrap();
    let behind =
        |store: Arc<dyn Store>, name: &str| Cached::open(store, directory.path().join(name), CACHE_BYTES);
    suite::run(&behind(Arc::new(Memory::default()), "of-memory").await.unwrap()).await;
    let disk: Arc<dyn Store> = Arc::new(watched(disk(&directory).await, Limits::default()));
    suite::run(&behind(disk, "of-disk").await.unwrap()).await;
}

#[tokio::test]
async fn a_store_that_is_slow_by_chance_does_what_a_store_must() {
    let chances = Chances { seed: 1, fail: 0, forget: 0, slow: 200, wait: Duration::from_millis(1) };
    suite::run(&Faulty::by_chance(Memory::default(), chances)).await;
}

#[tokio::test(start_paused = true)]
async fn many_who_want_a_cold_blob_make_one_fetch() {
    let ground = Ground::new([(Operation::Read, Fault::Wait(Duration::from_secs(1)))]);
    let (name, bytes) = ground.content(1, MIB + 1).await;
    let cached = ground.cached().await;

    let all = join_all((0..100).map(|_| whole(&cached, &name))).await;

    assert!(all.iter().all(|read| *read == bytes));
    assert_eq!(ground.fetched(), 1);
    cached.idle().await;
    assert_eq!(whole(&cached, &name).await, bytes);
    assert_eq!(read(&cached, &name, Span { first: 7, length: 300_000 }).await.unwrap(), bytes[7..300_007]);
    assert_eq!((ground.fetched(), ground.files().len()), (1, 1));
}

#[tokio::test]
async fn who_fetches_may_go_away() {
    let ground = Ground::new([]);
    let (name, bytes) = ground.content(1, MIB).await;
    let cached = ground.cached().await;

    drop(cached.read(&name, WHOLE).await.unwrap());

    cached.idle().await;
    assert_eq!(whole(&cached, &name).await, bytes);
    assert_eq!(ground.fetched(), 1, "what was begun is there");
}

#[test]
fn who_goes_away_before_the_copy_is_begun_leaves_nothing() {
    // One thread for files, which is busy at first: what is done with them waits.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let ground = Ground::new([]);
        let (name, bytes) = ground.content(1, MIB).await;
        let cached = ground.cached().await;
        let (release, busy) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || busy.recv().is_err());

        assert!(cached.read(&name, WHOLE).now_or_never().is_none());
        assert_eq!(cached.used_bytes(), MIB as u64, "its room is kept until its file is gone");
        drop(release);
        assert!(busy.await.unwrap());
        // Behind what the reader has begun.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        cached.idle().await;

        assert_eq!((ground.files(), cached.used_bytes()), (Vec::new(), 0));
        assert_eq!(whole(&cached, &name).await, bytes);
    });
}

#[tokio::test]
async fn a_range_of_a_cold_blob_and_a_blob_too_large_are_not_copied() {
    let ground = Ground::new([]);
    let (small, bytes) = ground.content(1, MIB).await;
    let (large, _) = ground.content(2, 2 * MIB + 1).await;
    let (empty, _) = ground.content(3, 0).await;
    let cached = ground.cached().await;

    assert_eq!(read(&cached, &small, Span { first: 5, length: 10 }).await.unwrap(), bytes[5..15]);
    assert_eq!(read(&cached, &small, Span { first: 0, length: 10 }).await.unwrap(), bytes[..10]);
    assert_eq!(whole(&cached, &large).await.len(), 2 * MIB + 1);
    assert_eq!(whole(&cached, &empty).await.len(), 0);

    cached.idle().await;
    assert_eq!((ground.files(), cached.used_bytes()), (Vec::new(), 0));
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room() {
    let ground = Ground::new([]);
    let mut names = Vec::new();
    for number in 0..9 {
        names.push(ground.content(number, 2 * MIB).await.0);
    }
    let cached = ground.cached().await;
    for name in &names[..8] {
        whole(&cached, name).await;
        cached.idle().await;
    }
    assert_eq!((ground.fetched(), cached.used_bytes()), (8, CACHE_BYTES));

    whole(&cached, &names[0]).await;
    whole(&cached, &names[8]).await;
    cached.idle().await;
    assert_eq!((ground.fetched(), ground.files().len(), cached.used_bytes()), (9, 8, CACHE_BYTES));

    whole(&cached, &names[0]).await;
    assert_eq!(ground.fetched(), 9, "it was used after the others");
    whole(&cached, &names[1]).await;
    assert_eq!(ground.fetched(), 10, "it had to go");
}

#[tokio::test]
async fn copies_are_adopted_and_halves_are_removed() {
    let ground = Ground::new([]);
    let (one, bytes) = ground.content(1, MIB).await;
    let (two, _) = ground.content(2, MIB).await;
    let cached = ground.cached().await;
    whole(&cached, &one).await;
    whole(&cached, &two).await;
    cached.idle().await;
    drop(cached);
    let half = ground.files()[0].file_name().unwrap().to_str().unwrap().replace("blobs", "partial+blobs");
    fs::write(ground.directory.path().join(half), "half").unwrap();

    let again = ground.cached().await;
    assert_eq!((ground.files().len(), again.used_bytes()), (2, 2 * MIB as u64));
    assert_eq!(whole(&again, &one).await, bytes);
    assert_eq!(ground.fetched(), 2);

    drop(again);
    let smaller = ground.cached_within(MIB as u64).await;
    assert_eq!((ground.files().len(), smaller.used_bytes()), (1, MIB as u64), "less is kept than before");
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let ground = Ground::new([]);
    let cached = ground.cached().await;

    let store = Arc::new(Memory::default());
    let refused = Cached::open(store, ground.directory.path().to_owned(), CACHE_BYTES).await.unwrap_err();

    assert!(matches!(refused, OpenError::Directory { .. }), "{refused:?}");
    assert!(refused.to_string().contains(ground.directory.path().to_str().unwrap()), "{refused}");
    drop(cached);
    ground.cached().await;
}

#[tokio::test]
async fn a_copy_that_has_lost_its_end_or_is_gone_is_fetched_again() {
    let ground = Ground::new([]);
    let (name, bytes) = ground.content(1, MIB).await;
    let cached = ground.cached().await;
    whole(&cached, &name).await;
    cached.idle().await;
    let copy = ground.files().swap_remove(0);

    fs::File::options().write(true).open(&copy).unwrap().set_len(1_000).unwrap();
    assert_eq!(whole(&cached, &name).await, bytes);
    cached.idle().await;
    assert_eq!(ground.fetched(), 2);

    fs::remove_file(&copy).unwrap();
    assert_eq!(whole(&cached, &name).await, bytes);
    cached.idle().await;
    assert_eq!((ground.fetched(), cached.used_bytes()), (3, MIB as u64));
}

#[tokio::test]
async fn when_a_fetch_breaks_its_readers_go_on_in_the_store() {
    // Memory has one piece for all bytes: not even that comes.
    let ground = Ground::new([(Operation::Read, Fault::Cut(0))]);
    let (name, bytes) = ground.content(1, MIB).await;
    let cached = ground.cached().await;

    assert_eq!(whole(&cached, &name).await, bytes);

    cached.idle().await;
    assert_eq!((ground.fetched(), ground.files().len(), cached.used_bytes()), (2, 0, 0));
    assert_eq!(whole(&cached, &name).await, bytes);
    cached.idle().await;
    assert_eq!((ground.fetched(), ground.files().len()), (3, 1), "the next one fetches it");
}

#[tokio::test]
async fn a_copy_that_shrinks_while_it_is_read_is_read_on_in_the_store() {
    let ground = Ground::new([]);
    let (name, bytes) = ground.content(1, 2 * MIB).await;
    let cached = ground.cached().await;
    whole(&cached, &name).await;
    cached.idle().await;

    let mut body = cached.read(&name, WHOLE).await.unwrap().unwrap().body;
    let mut read = body.try_next().await.unwrap().unwrap().to_vec();
    let copy = ground.files().swap_remove(0);
    fs::File::options().write(true).open(copy).unwrap().set_len(MIB as u64).unwrap();
    while let Some(piece) = body.try_next().await.unwrap() {
        read.extend(piece);
    }

    assert_eq!(read, bytes);
    assert_eq!(ground.fetched(), 2);
    cached.idle().await;
    assert_eq!((ground.files(), cached.used_bytes()), (Vec::new(), 0), "nobody tries it again");
}

#[tokio::test]
async fn without_room_on_the_disk_the_store_is_read() {
    let ground = Ground::new([]);
    let (name, bytes) = ground.content(1, MIB).await;
    let cached = ground.cached().await;
    // No file can be made in a directory that is not there any more, whoever one is.
    fs::remove_dir_all(ground.directory.path()).unwrap();

    assert_eq!(whole(&cached, &name).await, bytes);
    assert_eq!(whole(&cached, &name).await, bytes);

    assert_eq!((ground.fetched(), cached.used_bytes()), (2, 0));
}

#[tokio::test]
async fn what_the_store_does_not_have_or_say_is_not_remembered() {
    let ground = Ground::new([(Operation::Read, Fault::None), (Operation::Read, Fault::Fail)]);
    let cached = ground.cached().await;
    assert!(cached.read(&name(1), WHOLE).await.unwrap().is_none());
    let (name, bytes) = ground.content(1, MIB).await;

    assert!(matches!(cached.read(&name, WHOLE).await, Err(StoreError::Unavailable { .. })));
    assert_eq!(whole(&cached, &name).await, bytes);

    cached.idle().await;
    cached.remove(&name).await.unwrap();
    assert!(cached.read(&name, WHOLE).await.unwrap().is_none());
}

fn tight() -> Limits {
    Limits {
        silence: Duration::from_secs(5),
        whole: Duration::from_mins(1),
        at_once: 1,
        writes_at_once: 1,
        waiting: 1,
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_takes_too_long_is_given_up() {
    let day = Fault::Wait(Duration::from_hours(24));
    let faults = Operation::ALL.map(|operation| (operation, day));
    let store = watched(Faulty::scripted(Memory::default(), faults), tight());
    let began = Instant::now();
    let late = |done: Result<(), StoreError>| assert!(matches!(done, Err(StoreError::Unavailable { .. })));

    late(store.size(&name(1)).await.map(drop));
    late(store.read(&name(1), WHOLE).await.map(drop));
    late(store.remove(&name(1)).await);
    late(store.check().await);
    assert_eq!(began.elapsed().as_secs(), 20);
    late(store.publish(&[], &name(1)).await.map(drop));
    assert_eq!(began.elapsed().as_secs(), 80, "what moves all bytes may take longer");
    assert!(store.size(&name(1)).await.unwrap().is_none(), "the next one has its turn");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_ends_with_an_error() {
    let ground = Ground::new([(Operation::Read, Fault::Stall(1))]);
    let (name, bytes) = ground.content(1, MIB).await;
    let store = watched(ground.store.clone(), tight());

    let mut body = store.read(&name, WHOLE).await.unwrap().unwrap().body;

    assert_eq!(body.try_next().await.unwrap().unwrap(), bytes);
    // A reader may take its time.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(body.try_next().await, Err(StreamError::Source));
    assert_eq!(body.try_next().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn operations_wait_for_each_other_and_too_many_are_refused() {
    let wait = (Operation::Size, Fault::Wait(Duration::from_secs(3)));
    let store = watched(Faulty::scripted(Memory::default(), [wait; 2]), tight());
    let began = Instant::now();

    let name = name(1);
    let all = join_all((0..3).map(|_| store.size(&name))).await;

    assert!(matches!(all[..], [Ok(None), Ok(None), Err(StoreError::Unavailable { .. })]), "{all:?}");
    assert_eq!(began.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_waits_for_no_bytes_that_are_sent() {
    let wait = (Operation::Append, Fault::Wait(Duration::from_secs(40)));
    let store = watched(Faulty::scripted(Memory::default(), [wait]), tight());
    let part = ObjectName::part(&session(), 0, &format!("0{:025}", 0).parse().unwrap());
    let mut writer = store.write(&part, None).await.unwrap();
    let began = Instant::now();

    let name = name(1);
    let reading = async {
        let found = store.size(&name).await;
        (found, began.elapsed())
    };
    let (appended, (found, after)) = tokio::join!(writer.append("bytes".into()), reading);

    appended.unwrap();
    assert_eq!((found.unwrap(), after), (None, Duration::ZERO));
    assert_eq!(began.elapsed().as_secs(), 40, "longer than a store may be silent otherwise");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_or_is_forgotten_is_told_and_the_store_goes_on() {
    let faults = [
        (Operation::Commit, Fault::Forget),
        (Operation::Append, Fault::Full),
        (Operation::Write, Fault::Fail),
    ];
    let store = watched(Faulty::scripted(Memory::default(), faults), Limits::default());
    let part = |offset| ObjectName::part(&session(), offset, &format!("0{offset:025}").parse().unwrap());

    assert!(store.write(&part(1), None).await.is_err());
    let mut writer = store.write(&part(2), None).await.unwrap();
    assert!(matches!(writer.append("bytes".into()).await, Err(StoreError::NoSpace)));
    drop(writer);
    let mut writer = store.write(&part(3), None).await.unwrap();
    writer.append("bytes".into()).await.unwrap();
    assert!(matches!(writer.commit().await, Err(StoreError::Unavailable { .. })));

    let sizes = join_all([1, 2, 3].map(|offset| {
        let (store, part) = (store.clone(), part(offset));
        async move { store.size(&part).await.unwrap() }
    }));
    assert_eq!(sizes.await, [None, None, Some(5)], "the last was written, whatever was said");
}
