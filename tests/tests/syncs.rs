//! What is acknowledged is durable, and no dearer than that: strace counts how often a push makes the hub wait for
//! its disk, with nobody else there to share the waiting with.

use std::{collections::BTreeMap, fs, process::Command};

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

/// How often something may sync.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// What it needs.
    goal: usize,
    /// What it costs today. This may not grow.
    limit: usize,
}

/// A blob needs its bytes, their name, and the record of both. It costs three records (the session, the hold, the
/// link), its bytes once, and two directories twice, because they are a part before they are content.
const WHOLE: Budget = Budget { goal: 3, limit: 8 };
/// With the record of the part besides.
const IN_CHUNKS: Budget = Budget { goal: 3, limit: 9 };
/// One record.
const MANIFEST: Budget = Budget { goal: 1, limit: 1 };

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
fn bytes(seed: u64) -> Vec<u8> {
    image::noise(seed, 50_000)
}

async fn post(raw: &Raw) {
    let path = format!("/v2/team/app/blobs/uploads/?digest={}", image::digest(&bytes(1)));
    let request = raw.request(Method::POST, "team/app", &path).await.body(bytes(1));
    let _ = read(request.send().await.unwrap()).await.expect(201);
}

async fn post_and_put(raw: &Raw) {
    raw.push_blob("team/app", &bytes(2)).await;
}

async fn post_patch_and_put(raw: &Raw) {
    let location = raw.start("team/app").await;
    let _ = raw.patch("team/app", &location, bytes(3)).await.expect(202);
    let _ = raw.put("team/app", &location, &image::digest(&bytes(3)), "").await.expect(201);
}

async fn put_manifest(raw: &Raw) {
    let manifest = image::oci_manifest(&bytes(1), &[&bytes(2), &bytes(3)]);
    let _ = raw.put_manifest("team/app", "v1", image::OCI_MANIFEST, &manifest).await.expect(201);
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

    let counted = BTreeMap::from([
        ("1: a blob with POST", (WHOLE, syncs_of(&mut hub, post(&raw)).await)),
        ("2: a blob with POST and PUT", (WHOLE, syncs_of(&mut hub, post_and_put(&raw)).await)),
        (
            "3: a blob with POST, PATCH and PUT",
            (IN_CHUNKS, syncs_of(&mut hub, post_patch_and_put(&raw)).await),
        ),
        ("4: a manifest", (MANIFEST, syncs_of(&mut hub, put_manifest(&raw)).await)),
    ]);

    for (what, (Budget { goal, limit }, calls)) in &counted {
        println!(
            "{what}: {} syncs, at most {limit}; the goal is {goal}\n  {}",
            calls.len(),
            calls.join("\n  ")
        );
    }
    for (what, (Budget { limit, .. }, calls)) in counted {
        assert!(!calls.is_empty(), "{what} is acknowledged and not durable");
        assert!(calls.len() <= limit, "{what} may sync {limit} times, not {}: {calls:#?}", calls.len());
    }
}
