//! Manifests come back as they were pushed, by tag and by digest.

use reqwest::Method;
use serde_json::json;
use tests::image;

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_manifest_comes_back_byte_for_byte,
    a_manifest_is_answered_with_its_digest,
    a_manifest_has_the_type_it_was_pushed_as,
    a_manifest_keeps_its_type_whatever_is_accepted,
    head_of_a_manifest_says_its_length_digest_and_type,
    a_manifest_that_is_not_there_is_404,
    a_manifest_of_a_repository_that_is_not_there_is_404,
    head_of_a_manifest_that_is_not_there_is_404,
    a_manifest_of_another_repository_is_not_there,
    a_manifest_is_never_encoded_in_another_way,
    a_manifest_that_the_client_has_is_not_sent_again,
    a_tag_that_has_moved_is_sent,
];

/// The paths of an image, by its tag and its digest.
fn both_paths(tag: &str, manifest: &[u8]) -> [String; 2] {
    [format!("manifests/{tag}"), format!("manifests/{}", image::digest(manifest))]
}

/// OCI distribution 1.1, "Pulling manifests": GET of an existing manifest MUST provide it, with 200. "Pushing
/// Manifests": in the exact bytes that the client sent.
async fn a_manifest_comes_back_byte_for_byte(at: &Ground) {
    at.blob(b"{}").await;
    let config = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": image::digest(b"{}"), "size": 2 });
    let body = format!("{{\n\t\"schemaVersion\" :2,\"layers\":[ ] ,\r\n \"config\":{config}\n}}\n\n");
    let _ = at.put_manifest("odd", image::OCI_MANIFEST, body.as_bytes()).await.expect(201);
    for path in both_paths("odd", body.as_bytes()) {
        assert_eq!(at.get(&path).await.expect(200).body, body);
    }
}

/// OCI distribution main, "Pulling manifests": the answer MUST have `Docker-Content-Digest`.
async fn a_manifest_is_answered_with_its_digest(at: &Ground) {
    let manifest = at.image("v1").await;
    for path in both_paths("v1", &manifest) {
        let answer = at.get(&path).await.expect(200);
        assert_eq!(answer.header("docker-content-digest"), image::digest(&manifest).to_string());
        assert_eq!(answer.header("content-length"), manifest.len().to_string());
    }
}

/// OCI distribution 1.1, "Pulling manifests": `Content-Type` SHOULD be what the client pushed it as, and
/// SHOULD NOT have parameters.
async fn a_manifest_has_the_type_it_was_pushed_as(at: &Ground) {
    let manifest = at.image("v1").await;
    let index = image::oci_index(&[&manifest]);
    let _ = at.put_manifest("all", image::OCI_INDEX, &index).await.expect(201);
    assert_eq!(at.get("manifests/v1").await.expect(200).header("content-type"), image::OCI_MANIFEST);
    assert_eq!(at.get("manifests/all").await.expect(200).header("content-type"), image::OCI_INDEX);
}

/// OCI distribution 1.1, "Pulling manifests": GET MUST provide *the expected manifest*, which by digest is
/// one alone, whatever `Accept` says.
async fn a_manifest_keeps_its_type_whatever_is_accepted(at: &Ground) {
    let manifest = at.image("v1").await;
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for path in both_paths("v1", &manifest) {
        for accepted in [docker, image::OCI_INDEX, "*/*", "text/html"] {
            let answer = at.get_with(&path, "accept", accepted).await.expect(200);
            assert_eq!(answer.header("content-type"), image::OCI_MANIFEST);
            assert_eq!(answer.body, manifest);
        }
    }
}

/// OCI distribution main, "Checking if content exists in the registry": HEAD of an existing manifest MUST be
/// answered with 200, `Docker-Content-Digest` and the size in `Content-Length`.
async fn head_of_a_manifest_says_its_length_digest_and_type(at: &Ground) {
    let manifest = at.image("v1").await;
    for path in both_paths("v1", &manifest) {
        let head = at.head(&path).await.expect(200);
        assert_eq!(head.header("content-length"), manifest.len().to_string());
        assert_eq!(head.header("docker-content-digest"), image::digest(&manifest).to_string());
        assert_eq!(head.header("content-type"), image::OCI_MANIFEST);
        assert!(head.body.is_empty());
    }
}

/// OCI distribution 1.1, "Pulling manifests": a manifest that is not in the repository MUST be answered with
/// 404.
async fn a_manifest_that_is_not_there_is_404(at: &Ground) {
    at.image("v1").await;
    for path in both_paths("v2", b"nothing") {
        let _ = at.get(&path).await.expect_error(404, "MANIFEST_UNKNOWN");
    }
}

/// OCI distribution 1.1, "Pushing Manifests": an attempt to pull a nonexistent repository MUST be answered
/// with 404.
async fn a_manifest_of_a_repository_that_is_not_there_is_404(at: &Ground) {
    for path in both_paths("v1", b"nothing") {
        let unknown = at.get(&path).await.expect(404);
        assert!(["NAME_UNKNOWN", "MANIFEST_UNKNOWN"].contains(&unknown.code().as_str()), "{unknown:?}");
    }
}

/// OCI distribution 1.1, "Checking if content exists in the registry": HEAD of a manifest that is not there
/// MUST be answered with 404.
async fn head_of_a_manifest_that_is_not_there_is_404(at: &Ground) {
    at.image("v1").await;
    for path in both_paths("v2", b"nothing") {
        assert!(at.head(&path).await.expect(404).body.is_empty());
    }
}

/// OCI distribution 1.1, "Pulling manifests": 404 if it is not found in *the* repository, be it in another.
async fn a_manifest_of_another_repository_is_not_there(at: &Ground) {
    let manifest = at.image("v1").await;
    let other = at.beside("other");
    other.image("v2").await;
    for path in both_paths("v1", &manifest) {
        let _ = other.get(&path).await.expect_error(404, "MANIFEST_UNKNOWN");
    }
}

/// OCI distribution 1.1, "Pulling manifests", with RFC 9110, section 8.4: the body has the digest, so that no
/// `Content-Encoding` is chosen, whatever `Accept-Encoding` offers.
async fn a_manifest_is_never_encoded_in_another_way(at: &Ground) {
    let manifest = at.image("v1").await;
    let answer = at.get_with("manifests/v1", "accept-encoding", "zstd, gzip, deflate, br").await.expect(200);
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.body, manifest);
}

/// RFC 9110, sections 8.8.3 and 13.1.2: what `ETag` said, sent in `If-None-Match`, is answered with 304 and
/// the same `ETag`, to GET and HEAD.
async fn a_manifest_that_the_client_has_is_not_sent_again(at: &Ground) {
    let manifest = at.image("v1").await;
    for path in both_paths("v1", &manifest) {
        let tag = at.get(&path).await.expect(200).header("etag").to_owned();
        for method in [Method::GET, Method::HEAD] {
            let same = at.send(method, &path, &[("if-none-match", &tag)], "").await.expect(304);
            assert_eq!((same.header("etag"), same.body.len()), (&*tag, 0));
        }
    }
}

/// RFC 9110, section 13.1.2: with another tag in `If-None-Match` the answer is 200: so a moved tag is
/// noticed.
async fn a_tag_that_has_moved_is_sent(at: &Ground) {
    at.image("v1").await;
    let old = at.get("manifests/v1").await.header("etag").to_owned();
    let new = at.image("v2").await;
    let _ = at.put_manifest("v1", image::OCI_MANIFEST, &new).await.expect(201);
    assert_eq!(at.get_with("manifests/v1", "if-none-match", &old).await.expect(200).body, new);
}
