//! Rules for tags, made by an operator and met by clients.

use std::fs;

use reqwest::Method;
use rstest::rstest;
use tests::{
    Hub, Topology, image,
    raw::{Answer, Raw},
};

fn set(hub: &Hub, of: &str, rules: &str) -> Result<String, String> {
    let file = hub.data().join("rules.toml");
    fs::write(&file, rules).unwrap();
    hub.operator(&["rules", "set", of, file.to_str().unwrap()])
}

async fn push(raw: &Raw, tag: &str, manifest: &[u8]) -> Answer {
    raw.put_manifest("team/app", tag, image::OCI_MANIFEST, manifest).await
}

async fn delete(raw: &Raw, reference: &str) -> Answer {
    raw.send(Method::DELETE, "team/app", &format!("/v2/team/app/manifests/{reference}")).await
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn an_immutable_tag_keeps_what_it_names(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    let one = raw.push_image("team/app", "v1.0", b"one").await;
    let two = raw.push_image("team/app", "latest", b"two").await;
    let said = set(&hub, "team", "[[immutable]]\ntags = \"v*\"\nexcept = [\"*-rc*\"]\n").unwrap();
    assert_eq!(said, "the rules of team hold from now on\n");

    let refused = push(&raw, "v1.0", &two).await.expect_error(409, "DENIED");
    let (message, digest) = (refused.json()["errors"][0]["message"].to_string(), image::digest(&one));
    assert!(
        message.contains("v1.0") && message.contains(&digest.to_string()) && message.contains("v*"),
        "{message}"
    );
    let _ = delete(&raw, "v1.0").await.expect_error(409, "DENIED");
    let _ = delete(&raw, &digest.to_string()).await.expect_error(409, "DENIED");
    assert_eq!(raw.manifest("team/app", "v1.0").await.expect(200).body, one);

    for (tag, manifest) in
        [("v1.0", &one), ("v1.1", &two), ("v2-rc1", &one), ("v2-rc1", &two), ("latest", &one)]
    {
        let _ = push(&raw, tag, manifest).await.expect(201);
    }

    let own = hub.operator(&["rules", "show", "team/app"]).unwrap();
    assert_eq!(own, "# team/app has no rules of its own\n");
    let shown = hub.operator(&["rules", "show", "team"]).unwrap();
    assert_eq!(set(&hub, "team/app", &shown).unwrap(), "the rules of team/app hold from now on\n");
    let _ = hub.operator(&["rules", "clear", "team"]).unwrap();
    let _ = push(&raw, "v1.0", &two).await.expect_error(409, "DENIED");
    let _ = hub.operator(&["rules", "clear", "team/app"]).unwrap();
    let _ = push(&raw, "v1.0", &two).await.expect(201);
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused_with_their_place() {
    let hub = Hub::start(Topology::OneProcess);

    let wrong = set(&hub, "library", "[[immutable]]\ntags = \"v[0-9]*\"\n").unwrap_err();
    assert!(wrong.contains("rules.toml") && wrong.contains("line 2"), "{wrong}");
    let nobody = set(&hub, "nobody", "").unwrap_err();
    assert!(nobody.contains("there is no user or organization nobody"), "{nobody}");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn old_tags_go_with_what_only_they_have(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    for number in 1..=3 {
        raw.push_image("team/app", &format!("ci-{number}"), &image::noise(number, 300_000)).await;
    }
    let rules = "[[retain]]\ntags = \"ci-*\"\nkeep_last = 1\nwithin = \"0s\"\n";
    let _ = set(&hub, "team", rules).unwrap();

    let preview = hub.operator(&["rules", "preview", "team/app"]).unwrap();
    assert!(preview.starts_with("ci-2\nci-1\n2 tags would go, with 2 manifests and 585.9 KiB"), "{preview}");
    let reclaimed = hub.operator(&["reclaim"]).unwrap();
    assert!(reclaimed.starts_with("2 tags are gone by rules, with 2 manifests"), "{reclaimed}");
    let listed = raw.send(Method::GET, "team/app", "/v2/team/app/tags/list").await.expect(200).json();
    assert_eq!(listed["tags"], serde_json::json!(["ci-3"]));

    let _ = hub.operator(&["rules", "clear", "team"]).unwrap();
    let _ = hub.operator(&["restore", "team/app:ci-1"]).unwrap();
    let _ = raw.manifest("team/app", "ci-1").await.expect(200);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn manifests_that_have_lost_their_tag_go_and_can_be_restored(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    let old = raw.push_image("team/app", "latest", &image::noise(1, 300_000)).await;
    let new = raw.push_image("team/app", "latest", &image::noise(2, 300_000)).await;
    let old = image::digest(&old).to_string();

    let wrong = set(&hub, "team", "[untagged]\n").unwrap_err();
    assert!(wrong.contains("without a tag keeps nothing"), "{wrong}");
    let reclaimed = hub.operator(&["reclaim"]).unwrap();
    assert!(reclaimed.starts_with("0 tags are gone by rules, with 0 manifests that"), "{reclaimed}");
    let rules = "[untagged]\nwithin = \"1ms\"\n";
    let _ = set(&hub, "team", rules).unwrap();
    assert_eq!(hub.operator(&["rules", "show", "team"]).unwrap(), rules);

    let preview = hub.operator(&["rules", "preview", "team/app"]).unwrap();
    assert!(preview.starts_with("0 tags would go, with 1 manifests and 292.9 KiB"), "{preview}");
    assert!(preview.ends_with("\n1 of these manifests would go because they have no tag\n"), "{preview}");
    let reclaimed = hub.operator(&["reclaim"]).unwrap();
    assert!(reclaimed.starts_with("0 tags are gone by rules, with 1 manifests"), "{reclaimed}");
    assert!(reclaimed.contains("\n1 of these manifests are gone because they had no tag\n"), "{reclaimed}");
    let _ = raw.manifest("team/app", &old).await.expect(404);
    assert_eq!(raw.manifest("team/app", "latest").await.expect(200).body, new);

    let _ = hub.operator(&["rules", "clear", "team"]).unwrap();
    let _ = hub.operator(&["restore", &format!("team/app@{old}")]).unwrap();
    let _ = raw.manifest("team/app", &old).await.expect(200);
}
