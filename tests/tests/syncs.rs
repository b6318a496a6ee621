//! What is acknowledged is durable, and no dearer than that: strace counts how often a push makes the hub wait for
//! its disk, with nobody else there to share the waiting with.

use std::{fs, process::Command};

use reqwest::Method;
use rstest::rstest;
use tests::{
    Hub, Topology, image,
    process::Process,
    raw::{Raw, read},
};

/// What makes the caller wait until bytes are on the disk.
const SYNCS: [&str; 5] = ["fsync", "fdatasync", "syncfs", "sync_file_range", "msync"];
/// Flags of `openat` with which each write does so, which would be more than can be counted here.
const SYNCHRONOUS: [&str; 2] = ["O_SYNC", "O_DSYNC"];

/// Its bytes, their name, and the record of both.
const BLOB: usize = 3;
/// Its record, which has its bytes.
const MANIFEST: usize = 1;
/// What a push before has left to be synced when there is time may be synced while strace watches this one, though
/// nobody waits for it: of so many pushes, the one with the fewest syncs counts.
const TRIES: u64 = 4;

/// The calls that synced, each with the file, in their order.
type Calls = Vec<String>;

/// Watches every process of the hub while `action` runs.
async fn syncs_of(hub: &mut Hub, action: impl Future<Output = ()>) -> Calls {
    let directory = tempfile::tempdir().unwrap();
    let traces: Vec<_> = hub
        .services()
        .iter()
        .map(|service| directory.path().join(format!("{}.strace", service.name())))
        .collect();
    let mut watchers = Vec::new();
    for (service, trace) in hub.services().iter().zip(&traces) {
        let watched = format!("--trace={},openat", SYNCS.join(","));
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--decode-fds=path", &watched, "--output"]).arg(trace);
        strace.arg("--attach").arg(hub.process(*service).id().to_string());
        let log = directory.path().join(format!("{}.log", service.name()));
        watchers.push(Process::start("strace", strace, &log, "attached"));
    }

    action.await;

    for mut watcher in watchers {
        // It ends with the signal that asked it to, once it has written all.
        let _ = watcher.terminate();
    }
    traces.iter().flat_map(|trace| syncs(&fs::read_to_string(trace).unwrap())).collect()
}

/// The syncs in what strace has written. A call that was interrupted by another's line is written twice.
fn syncs(trace: &str) -> Calls {
    let begun = trace.lines().filter(|line| !line.contains(" resumed>"));
    let calls = begun.filter_map(|line| Some(line.split_once(' ')?.1.trim_start()));
    calls
        .filter(|call| {
            SYNCS.iter().any(|name| call.starts_with(&format!("{name}(")))
                || SYNCHRONOUS.iter().any(|flag| call.contains(flag))
        })
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn syncs_are_read_from_what_strace_writes() {
    let trace = "12 openat(AT_FDCWD</>, \"a\", O_RDONLY|O_CLOEXEC) = 3</a>\n\
        12 fsync(3</a> <unfinished ...>\n\
        13    fdatasync(4</b>) = 0\n\
        12 <... fsync resumed>) = 0\n\
        13 openat(AT_FDCWD</>, \"c\", O_WRONLY|O_DSYNC) = 5</c>\n\
        13 +++ exited with 0 +++\n";
    let expected = [
        "fsync(3</a> <unfinished ...>",
        "fdatasync(4</b>) = 0",
        "openat(AT_FDCWD</>, \"c\", O_WRONLY|O_DSYNC) = 5</c>",
    ];
    assert_eq!(syncs(trace), expected);
}

/// The bytes of a small blob that nobody else has pushed.
fn bytes(kind: u64, attempt: u64) -> Vec<u8> {
    image::noise(kind * TRIES + attempt, 50_000)
}

async fn post(raw: &Raw, attempt: u64) {
    let blob = bytes(1, attempt);
    let path = format!("/v2/team/app/blobs/uploads/?digest={}", image::digest(&blob));
    let request = raw.request(Method::POST, "team/app", &path).await.body(blob);
    let _ = read(request.send().await.unwrap()).await.expect(201);
}

async fn post_and_put(raw: &Raw, attempt: u64) {
    raw.push_blob("team/app", &bytes(2, attempt)).await;
}

async fn post_patch_and_put(raw: &Raw, attempt: u64) {
    let blob = bytes(3, attempt);
    let location = raw.start("team/app").await;
    let _ = raw.patch("team/app", &location, blob.clone()).await.expect(202);
    let _ = raw.put("team/app", &location, &image::digest(&blob), "").await.expect(201);
}

async fn put_manifest(raw: &Raw, attempt: u64) {
    let manifest = image::oci_manifest(&bytes(1, attempt), &[&bytes(2, attempt), &bytes(3, attempt)]);
    let _ = raw.put_manifest("team/app", "v1", image::OCI_MANIFEST, &manifest).await.expect(201);
}

fn assert_at_most(most: usize, what: &str, tries: &[Calls]) {
    assert!(tries.iter().all(|calls| !calls.is_empty()), "{what} is acknowledged and not durable");
    let fewest = tries.iter().map(Vec::len).min().unwrap();
    assert!(fewest <= most, "{what} may sync {most} times, not {fewest}: {tries:#?}");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_push_waits_for_the_disk_as_often_as_it_must(#[case] topology: Topology) {
    let mut hub = Hub::start(topology);
    let raw = hub.raw();
    // What is made once, such as the repository, has been.
    raw.push_image("team/app", "first", b"a layer").await;

    let [mut posts, mut puts, mut patches, mut manifests] = [const { Vec::new() }; 4];
    for attempt in 0..TRIES {
        posts.push(syncs_of(&mut hub, post(&raw, attempt)).await);
        puts.push(syncs_of(&mut hub, post_and_put(&raw, attempt)).await);
        patches.push(syncs_of(&mut hub, post_patch_and_put(&raw, attempt)).await);
        manifests.push(syncs_of(&mut hub, put_manifest(&raw, attempt)).await);
    }

    assert_at_most(BLOB, "a blob with POST", &posts);
    assert_at_most(BLOB, "a blob with POST and PUT", &puts);
    assert_at_most(BLOB, "a blob with POST, PATCH and PUT", &patches);
    assert_at_most(MANIFEST, "a manifest", &manifests);
}
