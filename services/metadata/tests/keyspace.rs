//! The keyspaces of this crate against the port's suite, and what only a file can do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use metadata::keyspace::{
    Commit, CommitError, Condition, Direction, Error, Keyspace, MemberRange, Mutation,
    embedded::{Embedded, OpenError, Options},
    memory::Memory,
    suite::{self, field, key},
};
use tokio::task::JoinSet;

fn open(directory: &Path) -> Embedded {
    Embedded::open(&Options::new(directory)).expect("the directory is free")
}

fn set(name: &'static str, value: impl Into<Bytes>) -> Mutation {
    Mutation::SetField(key("record"), field(name), value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_a_keyspace() {
    suite::run(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_engine_is_a_keyspace() {
    let directory = tempfile::tempdir().unwrap();

    suite::run(Arc::new(open(directory.path()))).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("made/for/it");
    let engine = open(&place);
    let commit = Commit::synced()
        .then(set("synced", "1"))
        .then(Mutation::SetValue(key("value"), "v".into()))
        .then(Mutation::AddMember(key("set"), "m".into()));
    engine.commit(commit).await.unwrap();
    engine.commit(Commit::relaxed().then(set("relaxed", "2"))).await.unwrap();

    // when
    drop(engine);
    let engine = open(&place);

    // then
    assert_eq!(engine.record(&key("record")).await.unwrap().unwrap().len(), 2);
    assert_eq!(engine.get(&key("value")).await, Ok(Some("v".into())));
    let members = engine.range(&key("set"), MemberRange::all(), 9, Direction::Forward).await;
    assert_eq!(members, Ok(vec!["m".into()]));
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_an_abrupt_end() {
    // given
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(directory.path());
    for number in 0..50_u8 {
        engine.commit(Commit::synced().then(set("n", vec![number]))).await.unwrap();
        engine.commit(Commit::relaxed().then(set("relaxed", vec![number]))).await.unwrap();
    }

    // when: the files as a killed process would leave them, never closed
    for file in ["metadata.redb", "metadata.journal"] {
        std::fs::copy(directory.path().join(file), copy.path().join(file)).unwrap();
    }
    let survivor = open(copy.path());

    // then
    let record = survivor.record(&key("record")).await.unwrap().unwrap();
    assert_eq!((record.get("n"), record.get("relaxed")), (Some(&vec![49].into()), Some(&vec![49].into())));
    survivor.commit(Commit::synced().then(set("n", "on"))).await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_never_finished_is_made_again() {
    // given
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("metadata.new"), b"half a datab").unwrap();

    // when
    let engine = open(directory.path());

    // then
    assert_eq!(engine.commit(Commit::synced().then(set("f", "v"))).await, Ok(()));
}

#[tokio::test]
async fn a_second_engine_on_the_same_directory_is_refused_until_the_first_is_closed() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());

    // when
    let refused = Embedded::open(&Options::new(directory.path())).expect_err("the first is open");

    // then
    assert!(matches!(refused, OpenError::InUse { .. }));
    let text = refused.to_string();
    assert!(text.contains("one metadata process") && text.contains("more replicas need Redis"), "{text}");

    // and when
    first.close().await;

    // then
    assert_eq!(open(directory.path()).get(&key("k")).await, Ok(None));
    assert!(matches!(first.get(&key("k")).await, Err(Error::Unavailable { .. })));
    let late = first.commit(Commit::synced().then(set("f", "v"))).await;
    assert!(matches!(late, Err(CommitError::Engine(Error::Unavailable { .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metadata.redb");
    std::fs::write(&file, b"precious").unwrap();

    // when
    let refused = Embedded::open(&Options::new(directory.path())).expect_err("it is not a database");

    // then
    assert!(refused.to_string().contains("metadata.redb"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commits_share_a_sync() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(directory.path()));

    // when
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let engine = Arc::clone(&engine);
        writers.spawn(async move {
            for round in 0..20 {
                let member = Mutation::AddMember(key("set"), format!("{writer} {round}").into());
                engine.commit(Commit::synced().then(member)).await.unwrap();
            }
        });
    }
    writers.join_all().await;

    // then
    let statistics = engine.statistics();
    assert_eq!(statistics.commits, 640);
    assert!(statistics.batches <= 320, "{statistics:?}");
}

#[tokio::test]
async fn commits_of_one_batch_see_those_before_them() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    let claim = || {
        let commit = Commit::synced().when(Condition::ValueAbsent(key("claim")));
        engine.commit(commit.then(Mutation::SetValue(key("claim"), "taken".into())))
    };

    // when
    let (one, two, three) = tokio::join!(claim(), claim(), claim());

    // then
    let won = [&one, &two, &three].into_iter().filter(|outcome| outcome.is_ok()).count();
    let lost = [&one, &two, &three]
        .into_iter()
        .filter(|o| **o == Err(CommitError::Conflict { condition: 0 }))
        .count();
    assert_eq!((won, lost), (1, 2));
}

#[tokio::test]
async fn below_the_reserve_only_removing_goes_on() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    engine.commit(Commit::synced().then(set("f", "v"))).await.unwrap();
    drop(engine);
    let no_room = Options { reserve_bytes: u64::MAX, ..Options::new(directory.path()) };

    // when
    let engine = Embedded::open(&no_room).unwrap();
    let write = engine.commit(Commit::synced().then(set("g", "v"))).await;
    let read = engine.record(&key("record")).await;
    let remove = engine.commit(Commit::synced().then(Mutation::RemoveField(key("record"), field("f")))).await;

    // then
    assert!(matches!(write, Err(CommitError::Engine(Error::NoSpace { .. }))), "{write:?}");
    assert_eq!(read.unwrap().unwrap().len(), 1);
    assert_eq!(remove, Ok(()));
    assert_eq!(engine.record(&key("record")).await, Ok(None));
}

fn cut(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(4_096).unwrap();
}

/// Breaks the file under an engine that keeps no page in memory, sees it fail, and mends the file.
async fn broken_and_mended(damage: impl FnOnce(&Path, Vec<u8>)) -> Result<usize, CommitError> {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { cache_bytes: 0, ..Options::new(directory.path()) };
    let engine = Embedded::open(&options).unwrap();
    engine.commit(Commit::synced().then(set("f", "v"))).await.unwrap();
    let path = directory.path().join("metadata.redb");
    let whole = std::fs::read(&path).unwrap();

    damage(&path, whole.clone());
    for _ in 0..3 {
        let write = engine.commit(Commit::synced().then(set("g", "v"))).await;
        assert!(matches!(write, Err(CommitError::Engine(_))), "{write:?}");
        let read = engine.record(&key("record")).await;
        assert!(read.is_err(), "{read:?}");
    }
    // In place, as a disk that comes back would have it.
    std::fs::write(&path, &whole).unwrap();

    engine.commit(Commit::synced().then(set("g", "v"))).await?;
    Ok(engine.record(&key("record")).await.unwrap().unwrap().len())
}

#[tokio::test]
async fn a_file_that_fails_under_the_engine_is_reopened_once_it_is_whole_again() {
    let truncate = |path: &Path, _| cut(path);

    assert_eq!(broken_and_mended(truncate).await, Ok(2));
}

#[tokio::test]
async fn reads_heal_without_a_commit() {
    // given
    let directory = tempfile::tempdir().unwrap();
    let options = Options { cache_bytes: 0, ..Options::new(directory.path()) };
    let engine = Embedded::open(&options).unwrap();
    engine.commit(Commit::synced().then(set("f", "v"))).await.unwrap();
    let path = directory.path().join("metadata.redb");
    let whole = std::fs::read(&path).unwrap();
    cut(&path);
    engine.record(&key("record")).await.expect_err("the record is cut off");

    // when
    std::fs::write(&path, &whole).unwrap();

    // then
    let healed = async {
        while engine.record(&key("record")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), healed).await.expect("reads go on");
}

#[tokio::test]
async fn a_file_in_which_redb_panics_does_not_end_the_thread_that_writes() {
    let scribble = |path: &Path, mut whole: Vec<u8>| {
        whole[4_096..].fill(0xff);
        std::fs::write(path, whole).unwrap();
    };

    assert_eq!(broken_and_mended(scribble).await, Ok(2));
}

#[cfg(target_os = "linux")]
#[path = "keyspace/full_disk.rs"]
mod full_disk;
