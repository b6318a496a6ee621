//! Manifests: what is stored, what comes back, and what is refused.

use axum::body::Body;
use http::{Method, header, request::Builder};
use oci::{Algorithm, Digest};
use proto::metadata::{RepositoryError, repositories::Expected};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    services::When,
    world::{Answer, PULL, PUSH, World, get, on, put},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const TAGGED: &str = "/v2/ann/app/manifests/v1";

fn manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of_sha256(b"c"), "size": 1 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of_sha256(b"l"), "size": 1 }],
    })
}

fn typed(request: Builder) -> Builder {
    request.header(header::CONTENT_TYPE, OCI)
}

async fn push(world: &World, path: &str, body: &str) -> Answer {
    world.send(&[PUSH], typed(put(path)), body.to_owned()).await
}

/// distribution-spec, end-7b: "SHOULD support pushing at least 10 tags", "MUST include an `OCI-Tag` response header".
#[tokio::test]
async fn a_manifest_that_is_put_by_its_digest_can_have_tags() {
    let world = World::new();
    let body = manifest().to_string();
    let path = format!("/v2/ann/app/manifests/{}", Digest::of_sha256(body.as_bytes()));
    let tags: Vec<String> = (0..100).map(|number| format!("v{number}")).collect();

    let asked = format!("{path}?tag=v0&tag={}", tags.join("&tag="));
    let pushed = push(&world, &asked, &body).await.expect(201);
    let told = pushed.headers.get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), tags);
    assert_eq!(pushed.header("location"), path);
    assert_eq!(world.repositories.stored.lock().unwrap()[0].tags.len(), 100);

    let asked = format!("{path}?tag=v100&tag={}", tags.join("&tag="));
    let _ = push(&world, &asked, &body).await.expect_error(414, "SIZE_INVALID");
    let _ = push(&world, &format!("{path}?tag=v1&tag=-no"), &body).await.expect_error(400, "TAG_INVALID");
    let _ = push(&world, &format!("{TAGGED}?tag=v2"), &body).await.expect_error(400, "UNSUPPORTED");
    assert_eq!(world.repositories.stored.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_manifest_comes_back_as_it_was_pushed() {
    let world = World::new();
    let body = manifest().to_string();
    let digest = Digest::of_sha256(body.as_bytes());

    let pushed = push(&world, TAGGED, &body).await.expect(201);
    assert_eq!(pushed.header("location"), TAGGED);
    assert_eq!(pushed.header("docker-content-digest"), digest.to_string());
    assert_eq!(pushed.header("oci-subject"), "");
    assert_eq!(pushed.calls, ["put_manifest"]);

    let request = get(TAGGED).header(header::ACCEPT, "application/json");
    let got = world.send(&[PULL], request, Body::empty()).await.expect(200);
    assert_eq!(got.body(), body.as_bytes());
    assert_eq!(got.header("content-type"), OCI);
    assert_eq!(got.header("etag"), format!("\"{digest}\""));
    assert_eq!(got.calls, ["pull"]);

    let head = world.send(&[PULL], on(Method::HEAD, TAGGED), Body::empty()).await.expect(200);
    assert_eq!(head.calls, ["manifest"], "who only looks has not pulled");
    assert_eq!(head.headers, got.headers);
    assert!(head.body().is_empty());

    let request = get(TAGGED).header(header::IF_NONE_MATCH, digest.to_string());
    let _ = world.send(&[PULL], request, Body::empty()).await.expect(304);
}

#[rstest]
#[case(Algorithm::Sha256)]
#[case(Algorithm::Sha512)]
#[tokio::test]
async fn a_manifest_put_by_digest_must_have_it(#[case] algorithm: Algorithm) {
    let world = World::new();
    let body = manifest().to_string();
    let digest = Digest::of(algorithm, body.as_bytes());
    let path = |digest: &Digest| format!("/v2/ann/app/manifests/{digest}");

    let answer = push(&world, &path(&digest), &body).await.expect(201);
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(answer.header("location"), path(&digest));

    let other = Digest::of(algorithm, b"something else");
    let answer = push(&world, &path(&other), &body).await.expect_error(400, "DIGEST_INVALID");
    let detail = &answer.json()["errors"][0]["detail"];
    assert_eq!((&detail["claimed"], &detail["actual"]), (&json!(other), &json!(digest)));
    assert!(answer.calls.is_empty());
}

#[tokio::test]
async fn a_manifest_with_a_subject_is_told_so() {
    let world = World::new();
    let subject = Digest::of_sha256(b"subject");
    let mut body = manifest();
    body["subject"] = json!({ "mediaType": OCI, "digest": subject, "size": 1 });
    let answer = push(&world, TAGGED, &body.to_string()).await.expect(201);
    assert_eq!(answer.header("oci-subject"), subject.to_string());
}

/// distribution-spec, Warnings: `299 - "text"`, and no date.
#[tokio::test]
async fn who_pushes_layers_that_are_elsewhere_is_told_which() {
    let world = World::new();
    let here = world.blob(b"a layer that was brought all the same");
    let elsewhere = Digest::of_sha256(b"elsewhere");
    let foreign = |digest| json!({ "mediaType": FOREIGN, "digest": digest, "size": 1 });
    let mut body = manifest();
    body["layers"] = json!([foreign(&here), foreign(&elsewhere), foreign(&elsewhere)]);

    let answer = push(&world, TAGGED, &body.to_string()).await.expect(201);
    let expected = format!(
        "299 - \"layer {elsewhere} is not distributable and is not kept here: pulls will need its own source\""
    );
    assert_eq!(answer.headers.get_all("warning").iter().collect::<Vec<_>>(), [expected.as_str()]);
    assert_eq!(answer.calls, ["put_manifest", "blob", "blob"]);
}

#[tokio::test]
async fn very_many_layers_that_are_elsewhere_are_not_all_looked_for() {
    let world = World::new();
    let layer = |number: u32| json!({ "mediaType": FOREIGN, "digest": Digest::of_sha256(&number.to_le_bytes()), "size": 1 });
    let mut body = manifest();
    body["layers"] = (0..1_000).map(layer).collect();

    let answer = push(&world, TAGGED, &body.to_string()).await.expect(201);
    assert_eq!(answer.headers.get_all("warning").iter().count(), 8);
    assert_eq!(answer.calls.len(), 1 + 8);
}

/// distribution-spec, Referrers Tag Schema.
#[rstest]
#[case("sha256-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", true)]
#[case("sha512-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", true)]
#[case("sha256-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.sig", false)]
#[case("sha256-2d711642", false)]
#[case("v1-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", false)]
#[case("v1", false)]
#[tokio::test]
async fn who_pushes_a_list_of_referrers_is_told_that_there_is_one(#[case] tag: &str, #[case] told: bool) {
    let world = World::new();
    let body = manifest().to_string();
    let by_digest = format!("/v2/ann/app/manifests/{}?tag=v0&tag={tag}", Digest::of_sha256(body.as_bytes()));
    for path in [format!("/v2/ann/app/manifests/{tag}"), by_digest] {
        let answer = push(&world, &path, &body).await.expect(201);
        assert_eq!(answer.header("warning").contains("lists referrers itself"), told);
        assert_eq!(answer.headers.contains_key("warning"), told);
        assert_eq!(answer.calls, ["put_manifest"]);
    }
}

#[rstest]
#[case("not json", OCI, 400, "MANIFEST_INVALID")]
#[case("{}", OCI, 400, "MANIFEST_INVALID")]
#[case("", OCI, 400, "MANIFEST_INVALID")]
#[case("{}", "no type", 400, "MANIFEST_INVALID")]
#[tokio::test]
async fn what_is_no_manifest_is_refused(
    #[case] body: &'static str,
    #[case] media_type: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let world = World::new();
    let request = put(TAGGED).header(header::CONTENT_TYPE, media_type);
    let answer = world.send(&[PUSH], request, body).await.expect_error(status, code);
    assert!(answer.calls.is_empty());
}

#[tokio::test]
async fn a_manifest_that_is_too_long_is_refused_whether_announced_or_not() {
    let world = World::new();
    let long = vec![b' '; (4 << 20) + 1];
    let _ = world.send(&[PUSH], typed(put(TAGGED)), long.clone()).await.expect_error(413, "MANIFEST_INVALID");

    let announced = typed(put(TAGGED)).header(header::CONTENT_LENGTH, long.len());
    let _ = world.send(&[PUSH], announced, Body::empty()).await.expect_error(413, "MANIFEST_INVALID");
}

#[tokio::test]
async fn a_manifest_without_its_blobs_is_told_which_are_missing() {
    let world = World::new();
    let missing = vec![Digest::of_sha256(b"c"), Digest::of_sha256(b"l")];
    let error = RepositoryError::ReferencesMissing { missing: missing.clone() };
    world.repositories.faults.add("put_manifest", When::Before, error);
    let answer =
        push(&world, TAGGED, &manifest().to_string()).await.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(answer.json()["errors"][0]["detail"]["missing"], json!(missing));
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_put_again_if_there_was_no_answer() {
    let world = World::new();
    let gone = RepositoryError::Unavailable { attempted: "storing".into() };
    world.repositories.faults.add("put_manifest", When::After, gone);
    let conflict = RepositoryError::Conflict { attempted: "storing".into() };
    world.repositories.faults.add("put_manifest", When::Before, conflict);
    let answer = push(&world, TAGGED, &manifest().to_string()).await.expect(201);
    assert_eq!(answer.calls, ["put_manifest"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_is_deleted_once() {
    let world = World::new();
    let delete = || world.send(&["repository:ann/app:delete"], on(Method::DELETE, TAGGED), Body::empty());
    assert_eq!(delete().await.expect(202).calls, ["delete_manifest"]);

    let conflict = RepositoryError::Conflict { attempted: "deleting".into() };
    world.repositories.faults.add("delete_manifest", When::Before, conflict);
    assert_eq!(delete().await.expect(202).calls, ["delete_manifest"; 2]);

    // It may have been done: the same again would say that there is no such manifest.
    let gone = RepositoryError::Unavailable { attempted: "deleting".into() };
    world.repositories.faults.add("delete_manifest", When::Before, gone);
    assert_eq!(delete().await.expect_error(503, "UNAVAILABLE").calls, ["delete_manifest"]);

    let (digest, parent) = (Digest::of_sha256(b"child"), Digest::of_sha256(b"index"));
    let needed = RepositoryError::StillNeeded { digest, parent: parent.clone() };
    world.repositories.faults.add("delete_manifest", When::Before, needed);
    let answer = delete().await.expect_error(405, "DENIED");
    assert_eq!(answer.header("allow"), "GET, HEAD, PUT");
    assert_eq!(answer.json()["errors"][0]["detail"]["parent"], parent.to_string());
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_unknown() {
    let world = World::new();
    let _ = world.send(&[PULL], get(TAGGED), Body::empty()).await.expect_error(404, "MANIFEST_UNKNOWN");
}

#[rstest]
#[case("if-match", "\"DIGEST\"", Some(Expected::Digest(Digest::of_sha256(b"old"))))]
#[case("if-match", "DIGEST", Some(Expected::Digest(Digest::of_sha256(b"old"))))]
#[case("if-none-match", "*", Some(Expected::Absent))]
#[case("if-none-match", "\"DIGEST\"", None)]
#[case("if-match", "*", None)]
#[case("if-match", "\"DIGEST\", \"DIGEST\"", None)]
#[case("if-match", "W/\"DIGEST\"", None)]
#[tokio::test]
async fn a_condition_on_a_tag_is_passed_on_or_refused(
    #[case] name: &str,
    #[case] value: &str,
    #[case] expected: Option<Expected>,
) {
    let world = World::new();
    let value = value.replace("DIGEST", &Digest::of_sha256(b"old").to_string());
    let conditional = |method| on(method, TAGGED).header(name, &value);
    let put = world.send(&[PUSH], conditional(Method::PUT), manifest().to_string()).await;
    let delete = conditional(Method::DELETE);
    let deleted = world.send(&["repository:ann/app:delete"], delete, Body::empty()).await;

    let Some(expected) = expected else {
        assert!(put.expect_error(400, "UNSUPPORTED").calls.is_empty());
        assert!(deleted.expect_error(400, "UNSUPPORTED").calls.is_empty());
        return;
    };
    assert_eq!(put.expect(201).calls, ["put_manifest"]);
    assert_eq!(deleted.expect(202).calls, ["delete_manifest"]);
    assert_eq!(world.repositories.stored.lock().unwrap()[0].expected, expected);
    assert_eq!(*world.repositories.expected.lock().unwrap(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_not_as_expected_is_named_and_not_tried_again() {
    let world = World::new();
    let current = Digest::of_sha256(b"other");
    let put = || put(TAGGED).header("if-none-match", "*");
    let moved = RepositoryError::TagUnexpected { tag: "v1".parse().unwrap(), current: Some(current.clone()) };
    world.repositories.faults.add("put_manifest", When::Before, moved);
    let answer = world.send(&[PUSH], put(), manifest().to_string()).await.expect_error(412, "DENIED");
    assert_eq!(answer.json()["errors"][0]["detail"]["current"], current.to_string());
    assert_eq!(answer.calls, ["put_manifest"]);

    // It may have been done: then the tag is there, and the same again would be refused.
    let gone = RepositoryError::Unavailable { attempted: "storing".into() };
    world.repositories.faults.add("put_manifest", When::After, gone);
    let answer = world.send(&[PUSH], put(), manifest().to_string()).await.expect_error(503, "UNAVAILABLE");
    assert_eq!(answer.calls, ["put_manifest"]);
}
