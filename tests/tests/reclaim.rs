//! What nobody needs goes by itself, what is deleted by mistake comes back, what is damaged is found: with real
//! processes and their own sweeper. Times are seconds here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use reqwest::Method;
use tests::{
    Topology, address,
    hub::{Hub, Options, Reclaim, binary},
    image,
    raw::{Answer, Raw},
};

const BOTH: [Topology; 2] = [Topology::OneProcess, Topology::FiveServices];

/// Long after everything should have happened.
const LIMIT: Duration = Duration::from_mins(1);

fn hub(topology: Topology, reclaim: Reclaim) -> Hub {
    Hub::start_with(topology, Options { reclaim, ..Options::default() })
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

async fn delete(raw: &Raw, repository: &str, what: &str) -> Answer {
    raw.send(Method::DELETE, repository, &format!("/v2/{repository}/{what}")).await
}

/// All files below a directory of the store.
fn files(hub: &Hub, directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![hub.data().join("blobs").join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test]
async fn what_was_deleted_goes_and_what_is_used_stays() {
    for topology in BOTH {
        let hub = hub(topology, Reclaim::SoonWithoutUndo);
        let raw = hub.raw();
        let (gone, stays) = (image::noise(1, 300_000), image::noise(2, 300_000));
        let manifest = raw.push_image("team/app", "old", &gone).await;
        raw.push_image("team/app", "new", &stays).await;
        let before = files(&hub, "blobs").len();

        let manifest = image::digest(&manifest);
        let _ = delete(&raw, "team/app", &format!("manifests/{manifest}")).await.expect(202);
        eventually("the unlinking of the layer", async || {
            raw.blob("team/app", &image::digest(&gone)).await.status == 404
        })
        .await;
        eventually("the deletion of its bytes", async || files(&hub, "blobs").len() == before - 1).await;

        assert_eq!(raw.blob("team/app", &image::digest(&stays)).await.expect(200).body, stays);
        assert_eq!(files(&hub, "uploads"), Vec::<PathBuf>::new());
        raw.push_image("team/app", "old", &gone).await;
        assert_eq!(raw.blob("team/app", &image::digest(&gone)).await.expect(200).body, gone);
    }
}

#[tokio::test]
async fn bytes_that_are_damaged_are_found_and_the_next_push_heals_them() {
    for topology in BOTH {
        let hub = hub(topology, Reclaim::Soon);
        let raw = hub.raw();
        let layer = image::noise(3, 300_000);
        raw.push_image("team/app", "v1", &layer).await;
        let digest = image::digest(&layer);
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, layer);

        let damaged = files(&hub, "blobs").into_iter().find(|file| of(file, &digest.to_string())).unwrap();
        let mut bytes = layer.clone();
        bytes[150_000] ^= 1;
        fs::write(&damaged, bytes).unwrap();
        eventually("the discovery of the damage", async || raw.blob("team/app", &digest).await.status == 404)
            .await;

        raw.push_image("team/app", "v1", &layer).await;
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, layer);
        eventually("the deletion of the damaged bytes", async || !damaged.exists()).await;
    }
}

fn of(file: &Path, digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(_, hex)| file.to_string_lossy().contains(hex))
}

#[tokio::test]
async fn an_operator_sees_why_and_how_much_and_brings_back_what_was_deleted() {
    for topology in BOTH {
        let hub = hub(topology, Reclaim::AsShipped);
        let raw = hub.raw();
        let layer = image::noise(4, 300_000);
        let manifest = image::digest(&raw.push_image("team/app", "v1", &layer).await).to_string();
        let digest = image::digest(&layer).to_string();
        raw.push_blob("team/app", &image::noise(5, 2 << 20)).await;

        let why = hub.operator(&["why", &digest]).unwrap();
        assert!(why.contains(&format!("team/app\n  v1 → {manifest} → {digest}")), "{why}");
        assert!(why.starts_with(&format!("{digest}: 292.9 KiB in store disk")), "{why}");

        let _ = delete(&raw, "team/app", &format!("manifests/{manifest}")).await.expect(202);
        let why = hub.operator(&["why", &digest]).unwrap();
        assert!(why.contains("deleted, can be restored until"), "{why}");
        let survey = hub.operator(&["reclaim", "--dry-run"]).unwrap();
        let line: Vec<&str> =
            survey.lines().find(|line| line.starts_with("team/app")).unwrap().split_whitespace().collect();
        assert_eq!(line, ["team/app", "0", "B", "2.0", "MiB", "293.0", "KiB", "0", "B"], "{survey}");

        let restored = hub.operator(&["restore", "team/app:v1"]).unwrap();
        assert_eq!(restored, format!("team/app:v1 names {manifest} again\n"));
        assert_eq!(
            raw.manifest("team/app", "v1").await.expect(200).header("docker-content-digest"),
            manifest
        );

        let nothing = hub.operator(&["restore", "team/app:v9"]).unwrap_err();
        assert!(nothing.contains("there is nothing to restore for v9 in team/app"), "{nothing}");
        let reclaimed = hub.operator(&["reclaim"]).unwrap();
        assert!(reclaimed.contains("0 unused links"), "{reclaimed}");
    }
}

#[test]
fn an_operator_is_told_where_no_hub_runs() {
    let directory = tempfile::tempdir().unwrap();
    let output =
        Command::new(binary("bucket")).args(["reclaim", "--data"]).arg(directory.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("no hub runs on"), "{said}");

    let token = directory.path().join("token");
    fs::write(&token, "a token").unwrap();
    let nobody = format!("http://{}", address::with_port(7009));
    let output = Command::new(binary("bucket"))
        .args(["why", &image::digest(b"x").to_string(), "--metadata", &nobody, "--service-token-file"])
        .arg(token)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("metadata unavailable"), "{said}");
}
