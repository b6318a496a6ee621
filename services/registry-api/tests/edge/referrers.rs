//! Referrers: an index, its pages, its filter, and what stands under the fallback tag.

use std::collections::BTreeMap;

use axum::body::Body;
use oci::{Descriptor, Digest, ManifestKind};
use proto::metadata::{
    More, RepositoryError,
    repositories::{Manifest, ReferrerPlace, Referrers},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    services::When,
    world::{Answer, PULL, World, get},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn subject() -> Digest {
    Digest::of_sha256(b"subject")
}

fn path(query: &str) -> String {
    format!("/v2/ann/app/referrers/{}{query}", subject())
}

fn referrer(name: &str, artifact_type: Option<&str>) -> Descriptor {
    Descriptor {
        media_type: ManifestKind::OciManifest.media_type(),
        digest: Digest::of_sha256(name.as_bytes()),
        size: 7,
        artifact_type: artifact_type.map(|artifact_type| artifact_type.parse().unwrap()),
        annotations: BTreeMap::from([("name".to_owned(), name.to_owned())]),
        urls: Vec::new(),
    }
}

fn fallback(entries: &[Descriptor]) -> Manifest {
    let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }).to_string();
    let digest = Digest::of_sha256(body.as_bytes());
    Manifest { digest, media_type: ManifestKind::OciIndex.media_type(), body: body.into() }
}

fn world(mut entries: Vec<Descriptor>, more: More, fallback: Option<Manifest>) -> World {
    let world = World::new();
    entries.sort_by_key(ReferrerPlace::of);
    *world.repositories.referrers.lock().unwrap() = Some(Referrers { entries, more, fallback });
    world
}

async fn list(world: &World, query: &str) -> Answer {
    let answer = world.send(&[PULL], get(&path(query)), Body::empty()).await.expect(200);
    assert_eq!(answer.header("content-type"), INDEX);
    assert_eq!(answer.calls, ["referrers"]);
    answer
}

fn names(answer: &Answer) -> Vec<String> {
    let text = |entry: &Value| entry["annotations"]["name"].as_str().unwrap().to_owned();
    answer.json()["manifests"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn nothing_refers_to_what_is_not_there() {
    let empty = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let world = World::new();
    assert_eq!(list(&world, "").await.json(), empty);

    let unknown = RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() };
    world.repositories.faults.add("referrers", When::Before, unknown);
    assert_eq!(list(&world, "").await.json(), empty);
}

#[tokio::test]
async fn who_may_not_pull_is_not_told_what_refers() {
    let world = World::new();
    let _ = world.send(&[], get(&path("")), Body::empty()).await.expect_error(401, "UNAUTHORIZED");
    let _ = world.send_as_it_is(get(&path("")), Body::empty()).await.expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_referrer_is_listed_as_a_descriptor() {
    let world = world(vec![referrer("one", Some("a/b")), referrer("two", None)], More::No, None);
    let answer = list(&world, "").await;
    let digests = ["two", "one"].map(|name| Digest::of_sha256(name.as_bytes()));
    let media_type = ManifestKind::OciManifest.as_str();
    assert_eq!(
        answer.json()["manifests"],
        json!([
            { "mediaType": media_type, "digest": digests[0], "size": 7, "annotations": { "name": "two" } },
            { "mediaType": media_type, "digest": digests[1], "size": 7, "artifactType": "a/b",
              "annotations": { "name": "one" } },
        ])
    );
    assert_eq!((answer.header("oci-filters-applied"), answer.header("link")), ("", ""));
}

#[tokio::test]
async fn a_filter_is_passed_on_and_named() {
    let listed = fallback(&[referrer("old", Some("a/b")), referrer("other", Some("a/c"))]);
    let world = world(vec![referrer("one", Some("a/b"))], More::Yes, Some(listed));
    let answer = list(&world, "?artifactType=a%2Fb").await;
    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    assert!(!names(&answer).contains(&"other".to_owned()));
    let wanted = world.repositories.wanted_referrers.lock().unwrap().pop().unwrap();
    assert_eq!(wanted.artifact_type, Some("a/b".parse().unwrap()));

    let next = answer.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let _ = world.send(&[PULL], get(next), Body::empty()).await.expect(200);
    let wanted = world.repositories.wanted_referrers.lock().unwrap().pop().unwrap();
    assert_eq!(wanted.artifact_type, Some("a/b".parse().unwrap()));
    assert_eq!(wanted.after, Some(ReferrerPlace::of(&referrer("one", Some("a/b")))));
}

#[tokio::test]
async fn what_clients_have_listed_under_the_fallback_tag_is_folded_in() {
    let listed =
        fallback(&[referrer("old", Some("a/b")), referrer("new", Some("a/c")), referrer("old", None)]);
    let world = world(vec![referrer("new", Some("a/c"))], More::No, Some(listed));
    assert_eq!(names(&list(&world, "").await), ["old", "new"]);
    assert_eq!(names(&list(&world, "?artifactType=a/b").await), ["old"]);

    let body = bytes::Bytes::from_static(b"{}");
    let (digest, media_type) = (subject(), ManifestKind::OciManifest.media_type());
    let image = Manifest { digest, media_type, body };
    let found = Referrers { entries: vec![referrer("new", None)], more: More::No, fallback: Some(image) };
    *world.repositories.referrers.lock().unwrap() = Some(found);
    assert_eq!(names(&list(&world, "").await), ["new"], "an image under that tag lists nothing");
}

#[tokio::test]
async fn many_entries_under_the_fallback_tag_come_in_pages() {
    let entries: Vec<_> = (0..250).map(|number| referrer(&format!("r{number}"), None)).collect();
    let world = world(Vec::new(), More::No, Some(fallback(&entries)));
    let (mut query, mut all) = (String::new(), Vec::new());
    loop {
        let answer = list(&world, &query).await;
        all.extend(names(&answer));
        let Some((_, next)) = answer.header("link").split_once('?') else { break };
        query = format!("?{}", next.strip_suffix(">; rel=\"next\"").unwrap());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 250);
}

#[tokio::test]
async fn an_answer_stays_far_below_what_clients_read() {
    let heavy = |number: i32| {
        let annotations = BTreeMap::from([("name".to_owned(), "\u{1}".repeat(60_000))]);
        Descriptor { annotations, ..referrer(&format!("r{number}"), None) }
    };
    let world = world((0..16).map(heavy).collect(), More::No, None);
    let answer = list(&world, "").await;
    assert!(answer.body().len() < 2 << 20, "{} bytes", answer.body().len());
    assert!(!answer.header("link").is_empty());
}

#[rstest]
#[case("?last=x")]
#[case("?last=a%2Fb,sha256:1")]
#[case("?artifactType=none")]
#[tokio::test]
async fn a_list_that_is_none_is_refused(#[case] query: &str) {
    let world = World::new();
    let _ = world.send(&[PULL], get(&path(query)), Body::empty()).await.expect_error(400, "UNSUPPORTED");
}
