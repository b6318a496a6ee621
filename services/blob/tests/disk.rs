//! What only a disk can do wrong: become full, lose power over half a file, not be mounted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use blob::{
    Service,
    config::default_store,
    layout::ObjectName,
    store::{
        Store as _, StoreError,
        disk::{Disk, DiskOptions, OpenError},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use oci::{Digest, Generation, Locator, SessionId, Span};
use proto::{
    ByteStream, StreamError,
    blob::{
        Append, Appended, BlobError, Blobs as _, Delivery, Finish, Finished, GrantKey, HashState, Opened,
        Part,
    },
    empty_stream, stream_of,
};
use rstest::rstest;
use secrecy::SecretString;
use service_kit::{
    clock::{Clock as _, ManualClock},
    random::SeededRandom,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

const MIB: u64 = 1024 * 1024;

fn grants() -> GrantKey {
    GrantKey::new(&SecretString::from("a secret of metadata and blob"))
}

fn session(number: u32) -> SessionId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn probe() -> Generation {
    "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

fn options(root: &Path, reserve_bytes: u64) -> DiskOptions {
    DiskOptions { root: root.to_owned(), name: default_store(), reserve_bytes }
}

async fn open(root: &Path, reserve_bytes: u64) -> Disk {
    Disk::open(options(root, reserve_bytes), ManualClock::default().now(), probe()).await.unwrap()
}

fn service(disk: &Disk) -> Service {
    let clock = Arc::new(ManualClock::default());
    Service::over(Arc::new(disk.clone()), default_store(), grants(), clock, Arc::new(SeededRandom::new(1)))
}

fn start(session: SessionId) -> Append {
    Append { session, before: None, offset: 0, hash: HashState::default(), expected_bytes: None }
}

fn finish(session: SessionId, content: &[u8]) -> Finish {
    Finish {
        session,
        parts: vec![],
        offset: 0,
        hash: HashState::default(),
        digest: Digest::of_sha256(content),
        existing: None,
        expected_bytes: None,
    }
}

async fn publish(service: &Service, session: SessionId, content: &[u8]) -> Locator {
    let last = stream_of(Bytes::copy_from_slice(content));
    match service.finish(finish(session, content), last).await.unwrap() {
        Finished::Published { locator, .. } => locator,
        cut @ Finished::Cut(_) => panic!("{cut:?}"),
    }
}

async fn read(service: &Service, locator: &Locator, size_bytes: u64) -> Result<Vec<u8>, BlobError> {
    let expires = ManualClock::default().now() + Duration::from_mins(1);
    let grant = grants().grant(locator.clone(), "library/disk".parse().unwrap(), size_bytes, expires);
    let body = match service.open(&grant, None, Delivery::default()).await? {
        Opened::Stream { body, .. } => body,
        other => panic!("{other:?}"),
    };
    Ok(body.try_collect::<Vec<Bytes>>().await.unwrap().concat())
}

fn megabytes(number: u64) -> ByteStream {
    let megabyte = Bytes::from(vec![7; usize::try_from(MIB).unwrap()]);
    stream::repeat(Ok(megabyte)).take(usize::try_from(number).unwrap()).boxed()
}

/// The files under `root`, without the one that says which store it is.
fn files(root: &Path) -> BTreeMap<PathBuf, fs::Metadata> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match fs::metadata(&path).unwrap() {
                directory if directory.is_dir() => directories.push(path),
                file => drop(found.insert(path.strip_prefix(root).unwrap().to_owned(), file)),
            }
        }
    }
    found.remove(Path::new("bucket-store"));
    found
}

/// A real file system of a few megabytes.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn mount(size_bytes: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let size = format!("size={size_bytes}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "bucket"]).arg(directory.path()).output();
        let output = mount.unwrap();
        assert!(output.status.success(), "mounting needs root: {}", String::from_utf8_lossy(&output.stderr));
        Self(directory)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[rstest]
#[case::down_to_the_reserve(2 * MIB)]
#[case::down_to_the_last_byte(0)]
#[tokio::test]
async fn a_full_disk_refuses_uploads_serves_reads_and_heals(#[case] reserve_bytes: u64) {
    let tmpfs = Tmpfs::mount(16 * MIB);
    let disk = open(tmpfs.0.path(), reserve_bytes).await;
    let service = service(&disk);
    let small = publish(&service, session(1), b"written before").await;
    let large = service.append(start(session(2)), megabytes(10)).await.unwrap();

    let refused = service.append(start(session(3)), megabytes(10)).await;

    assert!(matches!(refused, Err(BlobError::NoSpace { .. })), "{refused:?}");
    disk.idle().await;
    assert_eq!(
        files(tmpfs.0.path()).len(),
        3,
        "only what was committed: the small blob twice, and the large part"
    );
    assert_eq!(read(&service, &small, 14).await.unwrap(), b"written before");
    assert_eq!(service.check().await, Ok(()));

    // What is there already is published still: that takes no space.
    let finish = Finish {
        parts: vec![large.part.unwrap()],
        offset: large.offset,
        hash: large.hash,
        ..finish(session(2), &vec![7; 10 * usize::try_from(MIB).unwrap()])
    };
    let published = service.finish(finish, empty_stream()).await.unwrap();
    let Finished::Published { locator, .. } = published else { panic!("{published:?}") };

    service.discard(&session(2)).await.unwrap();
    fs::remove_file(tmpfs.0.path().join(ObjectName::content(&locator.content, &locator.generation).as_str()))
        .unwrap();
    let healed = service.append(start(session(3)), megabytes(10)).await.unwrap();
    assert_eq!(healed.offset, 10 * MIB);
}

#[tokio::test]
async fn writing_blobs_leaves_the_reserve_free() {
    let tmpfs = Tmpfs::mount(16 * MIB);
    let service = service(&open(tmpfs.0.path(), 4 * MIB).await);

    let mut written = 0;
    let refused = loop {
        match service.append(start(session(written)), megabytes(1)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };

    assert!(matches!(refused, BlobError::NoSpace { .. }), "{refused:?}");
    let left = rustix::fs::statvfs(tmpfs.0.path()).unwrap();
    let left_bytes = left.f_bavail * left.f_frsize;
    // A few pages of directories come on top of the parts.
    assert!(
        (4 * MIB - MIB / 2..6 * MIB).contains(&left_bytes),
        "{left_bytes} bytes left after {written} MiB"
    );
}

#[tokio::test]
async fn a_blob_that_has_lost_its_end_is_written_again() {
    let directory = TempDir::new().unwrap();
    let service = service(&open(directory.path(), 0).await);
    let damaged = publish(&service, session(1), b"whole").await;
    service.discard(&session(1)).await.unwrap();
    let name = ObjectName::content(&damaged.content, &damaged.generation);
    let file = fs::File::options().write(true).open(directory.path().join(name.as_str()));
    file.unwrap().set_len(3).unwrap();

    let again = Finish { existing: Some(damaged.clone()), ..finish(session(2), b"whole") };
    let finished = service.finish(again, stream_of(Bytes::from_static(b"whole"))).await.unwrap();

    let Finished::Published { locator, .. } = finished else { panic!("{finished:?}") };
    assert_ne!(locator, damaged);
    assert_eq!(read(&service, &locator, 5).await.unwrap(), b"whole");
    assert_eq!(read(&service, &damaged, 5).await, Err(BlobError::Missing { locator: damaged }));
}

#[tokio::test]
async fn a_full_disk_does_not_hold_half_of_what_many_parts_become() {
    let tmpfs = Tmpfs::mount(16 * MIB);
    let disk = open(tmpfs.0.path(), MIB).await;
    let service = service(&disk);
    let mut parts: Vec<Part> = Vec::new();
    let mut append = start(session(1));
    for _ in 0..3 {
        let appended = service.append(append.clone(), megabytes(3)).await.unwrap();
        parts.extend(appended.part.clone());
        let Appended { part: before, offset, hash, .. } = appended;
        append = Append { before, offset, hash, ..append };
    }
    let before = files(tmpfs.0.path()).len();

    let finish = Finish {
        parts,
        offset: append.offset,
        hash: append.hash,
        ..finish(session(1), &vec![7; 9 * usize::try_from(MIB).unwrap()])
    };
    let refused = service.finish(finish, empty_stream()).await;

    assert!(matches!(refused, Err(BlobError::NoSpace { .. })), "{refused:?}");
    disk.idle().await;
    assert_eq!(files(tmpfs.0.path()).len(), before);
}

#[tokio::test]
async fn an_upload_whose_request_is_dropped_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let disk = open(directory.path(), 0).await;
    let service = service(&disk);
    let (waiting, waits) = oneshot::channel();
    let silence = stream::once(async {
        let _ = waiting.send(());
        std::future::pending::<Result<Bytes, StreamError>>().await
    });

    let appending = service.append(start(session(1)), megabytes(3).chain(silence).boxed());
    tokio::select! {
        appended = appending => panic!("{appended:?} of a body that has no end"),
        waits = waits => waits.unwrap(),
    }

    disk.idle().await;
    assert_eq!(files(directory.path()).len(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let disk = open(directory.path(), 0).await;
    let service = service(&disk);

    let append = Append { expected_bytes: Some(2 * MIB), ..start(session(1)) };
    let refused = service.append(append, megabytes(3)).await;

    assert_eq!(refused, Err(BlobError::TooLong { expected_bytes: 2 * MIB }));
    disk.idle().await;
    assert_eq!(files(directory.path()).len(), 0);
}

#[tokio::test]
async fn one_part_becomes_a_blob_without_being_copied() {
    let directory = TempDir::new().unwrap();
    let disk = open(directory.path(), 0).await;

    publish(&service(&disk), session(1), b"one inode").await;

    let files = files(directory.path());
    let inodes: Vec<u64> = files.values().map(std::os::unix::fs::MetadataExt::ino).collect();
    assert!(inodes.len() == 2 && inodes[0] == inodes[1], "{files:?}");
    assert_eq!(files.values().next().unwrap().nlink(), 2);
}

#[tokio::test]
async fn two_processes_share_a_directory() {
    let directory = TempDir::new().unwrap();
    let (one, other) = (open(directory.path(), 0).await, open(directory.path(), 0).await);

    let locator = publish(&service(&one), session(1), b"shared").await;

    assert_eq!(read(&service(&other), &locator, 6).await.unwrap(), b"shared");
}

#[tokio::test]
async fn what_a_crash_has_left_is_removed_after_a_day() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path(), 0).await);
    let left = directory.path().join("tmp").join("01BX5ZZKBKACTAV9WEVGEMMVRZ");
    fs::write(&left, "half a part").unwrap();
    let written = Timestamp::try_from(fs::metadata(&left).unwrap().modified().unwrap()).unwrap();
    let reopen =
        |hours| Disk::open(options(directory.path(), 0), written + Duration::from_hours(hours), probe());

    reopen(23).await.unwrap();
    assert!(left.exists(), "it may be another process's");

    reopen(24).await.unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn a_blob_that_shrinks_while_it_is_read_ends_with_an_error() {
    let directory = TempDir::new().unwrap();
    let disk = open(directory.path(), 0).await;
    let name = ObjectName::part(&session(1), 0, &probe());
    let mut writer = disk.write(&name, None).await.unwrap();
    writer.append(vec![7; 2_000_000].into()).await.unwrap();
    writer.commit().await.unwrap();

    let object = disk.read(&name, Span { first: 0, length: 2_000_000 }).await.unwrap().unwrap();
    disk.idle().await;
    fs::File::options()
        .write(true)
        .open(directory.path().join(name.as_str()))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();

    let pieces: Vec<Result<Bytes, StreamError>> = object.body.collect().await;
    assert_eq!(pieces.last(), Some(&Err(StreamError::Source)));
    assert_eq!(pieces.iter().filter(|piece| piece.is_err()).count(), 1);
}

#[tokio::test]
async fn blobs_of_a_store_that_is_not_mounted_are_not_missing() {
    let directory = TempDir::new().unwrap();
    let disk = open(&directory.path().join("mount"), 0).await;
    let service = service(&disk);
    let locator = publish(&service, session(1), b"elsewhere").await;

    fs::rename(directory.path().join("mount"), directory.path().join("unmounted")).unwrap();
    fs::create_dir(directory.path().join("mount")).unwrap();

    let refused = read(&service, &locator, 9).await;
    assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{refused:?}");
    assert!(service.check().await.is_err());
}

#[tokio::test]
async fn a_directory_of_another_store_is_refused() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path(), 0).await);

    let other = DiskOptions { name: "other".parse().unwrap(), ..options(directory.path(), 0) };
    let refused = Disk::open(other, ManualClock::default().now(), probe()).await.unwrap_err();

    assert!(matches!(refused, OpenError::OtherStore { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a-file");
    fs::write(&file, "").unwrap();

    let refused = Disk::open(options(&file, 0), ManualClock::default().now(), probe()).await.unwrap_err();

    assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
}

#[tokio::test]
async fn a_store_that_is_gone_is_unavailable() {
    let directory = TempDir::new().unwrap();
    let disk = open(&directory.path().join("store"), 0).await;
    fs::remove_dir_all(directory.path().join("store")).unwrap();

    let refused = disk.write(&ObjectName::part(&session(1), 0, &probe()), None).await;

    assert!(matches!(refused.map(drop), Err(StoreError::Unavailable { .. })));
}
