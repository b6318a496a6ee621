//! Manifests that are pushed: by tag, by digest, by several tags, and on conditions.

use reqwest::{Method, header};
use serde_json::{Value, json};
use tests::{image, raw::Answer};

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_manifest_is_pushed_by_tag,
    a_manifest_is_pushed_by_digest,
    a_pushed_manifest_is_at_its_location,
    a_pushed_manifest_is_named_by_its_digest,
    a_manifest_under_another_digest_is_refused,
    a_manifest_is_pushed_with_ten_tags_at_once,
    too_many_tags_at_once_are_414,
    a_tag_is_moved_by_a_push,
    a_manifest_can_be_pushed_again,
    parameters_of_the_content_type_are_ignored,
    a_content_type_other_than_the_media_type_is_refused,
    a_manifest_that_needs_an_unknown_blob_is_refused,
    a_body_that_is_no_json_is_refused,
    a_manifest_without_what_it_must_have_is_refused,
    a_manifest_of_4_megabytes_is_accepted,
    a_manifest_above_the_limit_is_413,
    a_push_that_wants_a_tag_to_be_new_is_refused_if_it_is_not,
    a_push_that_expects_another_manifest_is_refused,
    of_two_pushes_on_the_same_condition_one_is_done,
];

async fn put(at: &Ground, reference: &str, body: &[u8]) -> Answer {
    at.put_manifest(reference, image::OCI_MANIFEST, body).await
}

async fn put_if(at: &Ground, condition: &str, value: &str, body: &[u8]) -> Answer {
    let headers = [("content-type", image::OCI_MANIFEST), (condition, value)];
    at.send(Method::PUT, "manifests/v1", &headers, body.to_vec()).await
}

/// Two images, none of which has the tag v1.
async fn two_images(at: &Ground) -> [Vec<u8>; 2] {
    [at.image("one").await, at.image("two").await]
}

fn entity_tag(manifest: &[u8]) -> String {
    format!("\"{}\"", image::digest(manifest))
}

/// A manifest of so many bytes.
async fn of_length(at: &Ground, length: usize) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(&at.image("small").await).unwrap();
    manifest["annotations"] = json!({ "padding": "" });
    let missing = length - manifest.to_string().len();
    manifest["annotations"]["padding"] = json!("x".repeat(missing));
    manifest.to_string().into_bytes()
}

/// OCI distribution 1.1, "Pushing Manifests": PUT by tag MUST be answered with 201.
async fn a_manifest_is_pushed_by_tag(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let _ = put(at, "v1", &manifest).await.expect(201);
    assert_eq!(at.get("manifests/v1").await.expect(200).body, manifest);
}

/// OCI distribution 1.1, "Pushing Manifests": PUT by digest MUST be answered with 201. It makes no tag.
async fn a_manifest_is_pushed_by_digest(at: &Ground) {
    let [manifest, other] = two_images(at).await;
    let at_digest = image::oci_index(&[&manifest, &other]);
    let digest = image::digest(&at_digest).to_string();
    let _ = at.put_manifest(&digest, image::OCI_INDEX, &at_digest).await.expect(201);
    assert_eq!(at.get(&format!("manifests/{digest}")).await.expect(200).body, at_digest);
    assert_eq!(at.get("tags/list").await.expect(200).json()["tags"], json!(["one", "two"]));
}

/// OCI distribution 1.1, "Pushing Manifests": 201 MUST have `Location`, a pullable manifest URL.
async fn a_pushed_manifest_is_at_its_location(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    for reference in ["v1".to_owned(), image::digest(&manifest).to_string()] {
        let pushed = put(at, &reference, &manifest).await.expect(201);
        assert_eq!(at.get(pushed.header("location")).await.expect(200).body, manifest);
    }
}

/// OCI distribution 1.1, "Pushing Manifests": `Docker-Content-Digest` is the digest of what was uploaded.
async fn a_pushed_manifest_is_named_by_its_digest(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let digest = image::digest(&manifest).to_string();
    for reference in ["v1", &digest] {
        let pushed = put(at, reference, &manifest).await.expect(201);
        assert_eq!(pushed.header("docker-content-digest"), digest);
    }
}

/// OCI distribution 1.1, "Pushing Manifests": the digest MUST be the one that the client gave. "Error Codes":
/// `DIGEST_INVALID`.
async fn a_manifest_under_another_digest_is_refused(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let claimed = image::digest(b"other").to_string();
    let _ = put(at, &claimed, &manifest).await.expect_error(400, "DIGEST_INVALID");
    let _ = at.get(&format!("manifests/{claimed}")).await.expect(404);
}

/// OCI distribution main, "Pushing Manifests" (end-7b): at least ten `tag` parameters SHOULD be supported,
/// and each that is accepted MUST be in an `OCI-Tag` header.
async fn a_manifest_is_pushed_with_ten_tags_at_once(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let tags: Vec<_> = (0..10).map(|number| format!("v1.{number}")).collect();
    let path = format!("manifests/{}?tag={}", image::digest(&manifest), tags.join("&tag="));
    let request = at.request(Method::PUT, &path).await.header(header::CONTENT_TYPE, image::OCI_MANIFEST);

    let pushed = request.body(manifest.clone()).send().await.unwrap();

    assert_eq!(pushed.status(), 201);
    let values = pushed.headers().get_all("oci-tag").iter();
    let made = values.flat_map(|value| value.to_str().unwrap().split(',').map(str::trim));
    assert_eq!(made.collect::<Vec<_>>(), tags);
    for tag in tags {
        assert_eq!(at.get(&format!("manifests/{tag}")).await.expect(200).body, manifest);
    }
}

/// OCI distribution main, "Pushing Manifests" (end-7b): too many tags MAY be answered with 414; then none is
/// made.
async fn too_many_tags_at_once_are_414(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let tags: Vec<_> = (0..500).map(|number| format!("v1.{number}")).collect();
    let reference = format!("{}?tag={}", image::digest(&manifest), tags.join("&tag="));
    let _ = put(at, &reference, &manifest).await.expect_error(414, "SIZE_INVALID");
    let _ = at.get("manifests/v1.0").await.expect_error(404, "MANIFEST_UNKNOWN");
}

/// OCI distribution 1.1, "Definitions": a tag is a pointer to a manifest: PUT moves it, and the manifest that
/// it was at stays.
async fn a_tag_is_moved_by_a_push(at: &Ground) {
    let [old, new] = two_images(at).await;
    let _ = put(at, "v1", &old).await.expect(201);
    let _ = put(at, "v1", &new).await.expect(201);
    assert_eq!(at.get("manifests/v1").await.expect(200).body, new);
    assert_eq!(at.get(&format!("manifests/{}", image::digest(&old))).await.expect(200).body, old);
}

/// RFC 9110, section 9.2.2: PUT is idempotent.
async fn a_manifest_can_be_pushed_again(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    for _ in 0..2 {
        let _ = put(at, "v1", &manifest).await.expect(201);
    }
    assert_eq!(at.get("tags/list").await.expect(200).json()["tags"], json!(["one", "two", "v1"]));
}

/// OCI distribution 1.1, "Pushing Manifests": the registry SHOULD ignore parameters on `Content-Type`.
/// "Pulling manifests": and SHOULD NOT answer with any.
async fn parameters_of_the_content_type_are_ignored(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let with_parameter = format!("{}; charset=utf-8", image::OCI_MANIFEST);
    let _ = at.put_manifest("v1", &with_parameter, &manifest).await.expect(201);
    assert_eq!(at.get("manifests/v1").await.expect(200).header("content-type"), image::OCI_MANIFEST);
}

/// OCI distribution 1.1, "Pushing Manifests": clients MUST set `Content-Type` to the value of `mediaType`.
async fn a_content_type_other_than_the_media_type_is_refused(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let refused = at.put_manifest("v1", image::OCI_INDEX, &manifest).await;
    let _ = refused.expect_error(400, "MANIFEST_INVALID");
}

/// OCI distribution 1.1, "Push": a manifest that is rejected for a blob that does not exist MUST be answered
/// with `MANIFEST_BLOB_UNKNOWN`.
async fn a_manifest_that_needs_an_unknown_blob_is_refused(at: &Ground) {
    at.blob(b"config").await;
    let manifest = image::oci_manifest(b"config", &[b"one that is missing", b"another"]);
    let refused = put(at, "v1", &manifest).await;
    let refused = refused.expect_error(400, "MANIFEST_BLOB_UNKNOWN").json().to_string();
    assert!(refused.contains(&image::digest(b"one that is missing").to_string()), "{refused}");
    let _ = at.get("manifests/v1").await.expect(404);
}

/// OCI distribution 1.1, "Error Codes": `MANIFEST_INVALID`.
async fn a_body_that_is_no_json_is_refused(at: &Ground) {
    for body in ["", "{", "[]", "null", "not json", "{}{}"] {
        let _ = put(at, "v1", body.as_bytes()).await.expect_error(400, "MANIFEST_INVALID");
    }
}

/// OCI image 1.1, "Image Manifest": `schemaVersion` MUST be 2, `config` and `layers` are REQUIRED. OCI
/// distribution 1.1, "Error Codes": `MANIFEST_INVALID`.
async fn a_manifest_without_what_it_must_have_is_refused(at: &Ground) {
    let [manifest, _] = two_images(at).await;
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for field in ["schemaVersion", "config", "layers"] {
        let mut lacking = manifest.clone();
        lacking.as_object_mut().unwrap().remove(field);
        let refused = put(at, "v1", lacking.to_string().as_bytes()).await;
        let _ = refused.expect_error(400, "MANIFEST_INVALID");
    }
}

/// OCI distribution 1.1, "Pushing Manifests": registries SHOULD support manifests of at least 4 megabytes.
async fn a_manifest_of_4_megabytes_is_accepted(at: &Ground) {
    for length in [4_000_000, 4 << 20] {
        let manifest = of_length(at, length).await;
        assert_eq!(manifest.len(), length);
        let _ = put(at, "large", &manifest).await.expect(201);
        assert!(at.get("manifests/large").await.expect(200).body == manifest);
    }
}

/// OCI distribution 1.1, "Pushing Manifests": a registry that limits the size SHOULD answer 413 above it.
async fn a_manifest_above_the_limit_is_413(at: &Ground) {
    let manifest = of_length(at, (4 << 20) + 1).await;
    let _ = put(at, "large", &manifest).await.expect_error(413, "MANIFEST_INVALID");
    let _ = at.get("manifests/large").await.expect(404);
}

/// OCI distribution 1.1, "Pushing Manifests with Subject": clients MAY use conditional requests. RFC 9110,
/// section 13.1.2: `If-None-Match: *` is false if there is something, which is answered with 412.
async fn a_push_that_wants_a_tag_to_be_new_is_refused_if_it_is_not(at: &Ground) {
    let [one, two] = two_images(at).await;
    let _ = put_if(at, "if-none-match", "*", &one).await.expect(201);
    let _ = put_if(at, "if-none-match", "*", &two).await.expect_error(412, "DENIED");
    assert_eq!(at.get("manifests/v1").await.expect(200).body, one);
}

/// RFC 9110, section 13.1.1: `If-Match` with another tag than the current is false, which is answered with
/// 412.
async fn a_push_that_expects_another_manifest_is_refused(at: &Ground) {
    let [one, two] = two_images(at).await;
    let _ = put_if(at, "if-match", &entity_tag(&one), &two).await.expect_error(412, "DENIED");
    let _ = at.get("manifests/v1").await.expect(404);
    let _ = put(at, "v1", &one).await.expect(201);
    let _ = put_if(at, "if-match", &entity_tag(&two), &two).await.expect_error(412, "DENIED");
    assert_eq!(at.get("manifests/v1").await.expect(200).body, one);
    let _ = put_if(at, "if-match", &entity_tag(&one), &two).await.expect(201);
    assert_eq!(at.get("manifests/v1").await.expect(200).body, two);
}

/// RFC 9110, section 13.1.1: `If-Match` keeps one client from undoing what another has done at the same time.
async fn of_two_pushes_on_the_same_condition_one_is_done(at: &Ground) {
    let [one, two] = two_images(at).await;
    let three = at.image("three").await;
    let _ = put(at, "v1", &one).await.expect(201);
    let condition = entity_tag(&one);
    let (first, second) =
        tokio::join!(put_if(at, "if-match", &condition, &two), put_if(at, "if-match", &condition, &three));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    let winner = if first.status == 201 { &two } else { &three };
    assert_eq!(at.get("manifests/v1").await.expect(200).body, *winner);
}
