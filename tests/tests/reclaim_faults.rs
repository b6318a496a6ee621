//! A hub is killed, as by `kill -9`, in the midst of reclaiming, and started again: what is used is there, what is not
//! goes all the same, and may be pushed anew.

use std::{
    fs,
    time::{Duration, Instant},
};

use oci::Digest;
use reqwest::Method;
use tests::{
    Topology,
    hub::{Hub, Options, Reclaim},
    image,
    raw::Raw,
    service::Service,
};

const REPOSITORY: &str = "team/app";

/// After the step that each is named by, in the order in which a deleted image meets them.
const STEPS: [&str; 5] = [
    "metadata.give_up.after",
    "metadata.unlink.after",
    "metadata.reap.after",
    "blob.sweep.removed",
    "metadata.forget_garbage.after",
];

/// Long after everything should have happened.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks again and again until the answer is as it should be.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "{what} has not happened");
        pause.tick().await;
    }
}

/// Whether the store has bytes of `digest`.
fn has_bytes(hub: &Hub, digest: &Digest) -> bool {
    let text = digest.to_string();
    let (_, hex) = text.split_once(':').unwrap();
    let directory = hub.data().join("blobs/blobs/sha256").join(&hex[..2]);
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(hex))
}

async fn delete(raw: &Raw, manifest: &[u8]) {
    let path = format!("/v2/{REPOSITORY}/manifests/{}", image::digest(manifest));
    let _ = raw.send(Method::DELETE, REPOSITORY, &path).await.expect(202);
}

async fn serves(raw: &Raw, layer: &[u8]) -> bool {
    let answer = raw.blob(REPOSITORY, &image::digest(layer)).await;
    answer.status == 200 && answer.body == layer
}

#[tokio::test]
async fn a_hub_killed_at_any_step_of_reclaiming_goes_on_with_it_and_keeps_what_is_used() {
    let options = Options { reclaim: Reclaim::SoonWithoutUndo, ..Options::default() };
    let mut hub = Hub::start_with(Topology::OneProcess, options);
    let stays = image::noise(100, 200_000);
    hub.raw().push_image(REPOSITORY, "stays", &stays).await;

    for (seed, step) in (0..).zip(STEPS) {
        let layer = image::noise(seed, 200_000);
        let manifest = hub.raw().push_image(REPOSITORY, "goes", &layer).await;
        hub.kill(Service::Bucket);
        hub.start_to_fail(Service::Bucket, step);
        delete(&hub.raw(), &manifest).await;
        hub.wait_for_death(Service::Bucket);
        hub.start_service(Service::Bucket);

        let raw = hub.raw();
        assert!(serves(&raw, &stays).await, "{step}");
        let digest = image::digest(&layer);
        eventually(&format!("{step}: the deletion of its bytes"), async || !has_bytes(&hub, &digest)).await;
        assert_eq!(raw.blob(REPOSITORY, &digest).await.status, 404, "{step}");
        raw.push_image(REPOSITORY, "again", &layer).await;
        assert!(serves(&raw, &layer).await, "{step}");
    }
}

#[tokio::test]
async fn a_hub_killed_while_rules_let_tags_go_has_all_of_a_tag_or_nothing() {
    let options = Options { reclaim: Reclaim::Soon, ..Options::default() };
    let mut hub = Hub::start_with(Topology::OneProcess, options);
    let rules = hub.data().join("rules.toml");
    fs::write(&rules, "[[retain]]\ntags = \"ci-*\"\nkeep_last = 1\n").unwrap();
    for step in ["metadata.delete_manifest.before", "metadata.delete_manifest.after"] {
        let repository = format!("team/{}", step.replace('_', "-"));
        let (old, new) = (image::noise(1, 100_000), image::noise(2, 100_000));
        hub.raw().push_image(&repository, "ci-1", &old).await;
        hub.raw().push_image(&repository, "ci-2", &new).await;
        hub.kill(Service::Bucket);
        hub.start_to_fail(Service::Bucket, step);
        let _ = hub.operator(&["rules", "set", &repository, rules.to_str().unwrap()]);
        hub.wait_for_death(Service::Bucket);
        hub.start_service(Service::Bucket);

        let raw = hub.raw();
        eventually("the end of the old tag", async || raw.manifest(&repository, "ci-1").await.status == 404)
            .await;
        let _ = raw.manifest(&repository, "ci-2").await.expect(200);
        assert_eq!(raw.blob(&repository, &image::digest(&new)).await.expect(200).body, new, "{step}");
        let restored = hub.operator(&["restore", &format!("{repository}:ci-1")]).unwrap();
        assert!(restored.starts_with(&format!("{repository}:ci-1 names ")), "{restored}");
        assert_eq!(raw.blob(&repository, &image::digest(&old)).await.expect(200).body, old, "{step}");
    }
}
