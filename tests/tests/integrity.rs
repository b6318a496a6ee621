//! `bucket metadata check`: on a hub that is used meanwhile it finds nothing; what is damaged it names, leaves alone and
//! ends with a failure, until the next push has healed it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::Value;
use tests::{
    Hub, Topology,
    hub::{Options, Reclaim},
    image,
};

/// Long after everything should have happened.
const LIMIT: Duration = Duration::from_mins(1);

/// Pushes and deletions while it is checked.
const ROUNDS: u64 = 20;

fn check(hub: &Hub, arguments: &[&str]) -> Result<String, String> {
    hub.operator(&[["metadata", "check"].as_slice(), arguments].concat())
}

/// Asks again and again until the answer is as it should be.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "{what} has not happened");
        pause.tick().await;
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_while_others_push_and_delete(#[case] topology: Topology) {
    let hub = Hub::start_with(topology, Options { reclaim: Reclaim::Soon, ..Options::default() });
    let raw = hub.raw();
    raw.push_image("team/app", "kept", &image::noise(1, 1_000)).await;
    let busy = tokio::spawn(async move {
        for round in 0..ROUNDS {
            let layer = image::noise(round + 2, 1_000);
            let manifest = image::digest(&raw.push_image("team/app", "moves", &layer).await);
            raw.push_image("team/other", &format!("v{}", round % 3), &layer).await;
            let gone = format!("/v2/team/app/manifests/{manifest}");
            let _ = raw.send(Method::DELETE, "team/app", &gone).await.expect(202);
        }
    });

    let mut checks = 0;
    while !busy.is_finished() || checks < 2 {
        let said = check(&hub, if checks % 2 == 0 { &[] } else { &["--repair"] }).unwrap();
        assert!(said.starts_with("nothing is wrong: "), "{said}");
        checks += 1;
    }
    busy.await.unwrap();

    let lines = check(&hub, &["--json"]).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &last["left"], &last["mended"]), (1, &0.into(), &0.into()));
    assert_eq!((&last["checked"]["repositories"], &last["checked"]["tags"]), (&2.into(), &4.into()));
    let audited = hub.operator(&["audit", "--action", "metadata.repair"]).unwrap();
    assert_eq!(audited, "", "nothing was changed");
}

/// The files of the store whose names have the digest's.
fn files(hub: &Hub, digest: &str) -> Vec<PathBuf> {
    let hex = digest.split_once(':').unwrap().1;
    let (mut found, mut directories) = (Vec::new(), vec![hub.data().join("blobs").join("blobs")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.to_string_lossy().contains(hex) {
                found.push(path);
            }
        }
    }
    found
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn what_only_a_push_can_heal_is_named_and_left(#[case] topology: Topology) {
    let hub = Hub::start_with(topology, Options { reclaim: Reclaim::Soon, ..Options::default() });
    let raw = hub.raw();
    let layer = image::noise(1, 100_000);
    raw.push_image("team/app", "v1", &layer).await;
    let digest = image::digest(&layer);
    let mut bytes = layer.clone();
    bytes[50_000] ^= 1;
    fs::write(&files(&hub, &digest.to_string())[0], bytes).unwrap();
    eventually("the discovery of the damage", async || raw.blob("team/app", &digest).await.status == 404)
        .await;

    for arguments in [&[][..], &["--repair"]] {
        let said = check(&hub, arguments).unwrap_err();
        assert!(said.contains("findings that are left: 1"), "{said}");
    }
    raw.push_image("team/app", "v1", &layer).await;
    let said = check(&hub, &[]).unwrap();
    assert!(said.starts_with("nothing is wrong: 1 repository, 1 tag, 1 manifest, 2 blobs, "), "{said}");
}
