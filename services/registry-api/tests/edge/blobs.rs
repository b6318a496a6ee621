//! HEAD, GET and DELETE of blobs: headers, ranges, and bytes that are not there.

use axum::body::Body;
use http::{Method, header};
use oci::Digest;
use proto::{blob::BlobError, metadata::RepositoryError};
use rstest::rstest;

use crate::{
    services::{When, locator},
    world::{PULL, PUSH, World, get, on},
};

const TEN: &[u8] = b"0123456789";

fn path(digest: &Digest) -> String {
    format!("/v2/ann/app/blobs/{digest}")
}

#[rstest]
#[case("bytes=0-0", 206, "bytes 0-0/10", "0")]
#[case("bytes=2-4", 206, "bytes 2-4/10", "234")]
#[case("bytes=7-", 206, "bytes 7-9/10", "789")]
#[case("bytes=-3", 206, "bytes 7-9/10", "789")]
#[case("bytes=-99", 206, "bytes 0-9/10", "0123456789")]
#[case("bytes=5-99", 206, "bytes 5-9/10", "56789")]
#[case("bytes=0-1,4-5", 200, "", "0123456789")]
#[case("bytes=4-2", 200, "", "0123456789")]
#[case("lines=1-2", 200, "", "0123456789")]
#[tokio::test]
async fn a_range_is_answered_exactly_or_ignored(
    #[case] range: &str,
    #[case] status: u16,
    #[case] content_range: &str,
    #[case] bytes: &str,
) {
    let world = World::new();
    let digest = world.blob(TEN);
    let request = get(&path(&digest)).header(header::RANGE, range);

    let answer = world.send(&[PULL], request, Body::empty()).await.expect(status);

    assert_eq!(answer.header("content-range"), content_range);
    assert_eq!(answer.header("content-length"), bytes.len().to_string());
    assert_eq!(answer.body(), bytes.as_bytes());
    assert_eq!(answer.calls, ["blob", "open"]);
}

#[rstest]
#[case("bytes=10-")]
#[case("bytes=99-100")]
#[case("bytes=-0")]
#[tokio::test]
async fn a_range_without_a_byte_is_refused_with_the_length(#[case] range: &str) {
    let world = World::new();
    let digest = world.blob(TEN);
    let request = get(&path(&digest)).header(header::RANGE, range);
    let answer = world.send(&[PULL], request, Body::empty()).await.expect_error(416, "RANGE_INVALID");
    assert_eq!(answer.header("content-range"), "bytes */10");
    assert_eq!(answer.calls, ["blob"]);
}

/// RFC 9110 §14.1.2: a suffix of something is satisfiable even if there is nothing, and no Content-Range says so.
#[rstest]
#[case("bytes=-1", 200)]
#[case("bytes=-99", 200)]
#[case("lines=0-1", 200)]
#[case("bytes=-0", 416)]
#[case("bytes=0-", 416)]
#[case("bytes=0-0", 416)]
#[tokio::test]
async fn the_last_bytes_of_an_empty_blob_are_the_empty_blob(#[case] range: &str, #[case] status: u16) {
    let world = World::new();
    let digest = world.blob(b"");
    let request = get(&path(&digest)).header(header::RANGE, range);
    let answer = world.send(&[PULL], request, Body::empty()).await.expect(status);

    let whole = status == 200;
    assert_eq!(answer.header("content-range"), if whole { "" } else { "bytes */0" });
    assert_eq!(answer.body().is_empty(), whole);
}

/// RFC 9110 §13.1.5: only a strong validator that is the same, byte for byte.
#[rstest]
#[case("\"DIGEST\"", 206)]
#[case("W/\"DIGEST\"", 200)]
#[case("DIGEST", 200)]
#[case("\"other\"", 200)]
#[case("*", 200)]
#[case("Sat, 29 Oct 1994 19:43:31 GMT", 200)]
#[tokio::test]
async fn a_range_is_for_the_content_that_if_range_names(#[case] if_range: &str, #[case] status: u16) {
    let world = World::new();
    let digest = world.blob(TEN);
    let if_range = if_range.replace("DIGEST", &digest.to_string());
    let request = get(&path(&digest)).header(header::RANGE, "bytes=2-4").header(header::IF_RANGE, if_range);
    let answer = world.send(&[PULL], request, Body::empty()).await.expect(status);

    assert_eq!(answer.body(), if status == 206 { &TEN[2..5] } else { TEN });
    assert_eq!(answer.header("content-range"), if status == 206 { "bytes 2-4/10" } else { "" });
}

/// RFC 9110 §14.2: ranges are defined for GET alone.
#[tokio::test]
async fn a_range_of_a_head_is_ignored() {
    let world = World::new();
    let digest = world.blob(TEN);
    for range in ["bytes=2-4", "bytes=99-"] {
        let request = on(Method::HEAD, &path(&digest)).header(header::RANGE, range);
        let answer = world.send(&[PULL], request, Body::empty()).await.expect(200);
        assert_eq!((answer.header("content-length"), answer.header("content-range")), ("10", ""));
    }
}

#[tokio::test]
async fn head_says_the_same_as_get_and_asks_only_once() {
    let world = World::new();
    let digest = world.blob(TEN);
    let got = world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect(200);
    let head = world.send(&[PULL], on(Method::HEAD, &path(&digest)), Body::empty()).await.expect(200);

    assert_eq!(head.headers, got.headers);
    assert_eq!(got.header("content-type"), "application/octet-stream");
    assert_eq!(got.header("content-length"), "10");
    assert_eq!(got.header("docker-content-digest"), digest.to_string());
    assert_eq!(got.header("etag"), format!("\"{digest}\""));
    assert_eq!(got.header("accept-ranges"), "bytes");
    assert!(head.body().is_empty());
    assert_eq!(head.calls, ["blob"]);
}

/// RFC 9110 §13.1.2 and §13.2.2: compared weakly, and before any range is looked at.
#[rstest]
#[case("\"DIGEST\"", "")]
#[case("DIGEST", "")]
#[case("W/\"DIGEST\"", "")]
#[case("*", "")]
#[case("\"other\", W/\"DIGEST\"", "")]
#[case("\"DIGEST\"", "bytes=2-4")]
#[case("\"DIGEST\"", "bytes=99-")]
#[tokio::test]
async fn content_that_the_client_has_is_not_sent_again(#[case] tags: &str, #[case] range: &str) {
    let world = World::new();
    let digest = world.blob(TEN);
    let tags = tags.replace("DIGEST", &digest.to_string());
    for method in [Method::GET, Method::HEAD] {
        let request = on(method, &path(&digest)).header(header::IF_NONE_MATCH, &tags);
        let request = if range.is_empty() { request } else { request.header(header::RANGE, range) };
        let answer = world.send(&[PULL], request, Body::empty()).await.expect(304);
        assert!(answer.body().is_empty());
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
        assert_eq!(answer.header("content-range"), "");
        assert_eq!(answer.calls, ["blob"]);
    }
}

#[tokio::test]
async fn content_that_the_client_has_not_is_sent() {
    let world = World::new();
    let digest = world.blob(TEN);
    let request = get(&path(&digest)).header(header::IF_NONE_MATCH, "\"other\", W/\"another\"");
    assert_eq!(world.send(&[PULL], request, Body::empty()).await.expect(200).body(), TEN);
}

/// distribution-spec, Registry proxying: containerd adds the host that it would rather have asked.
#[tokio::test]
async fn whose_content_a_pull_means_changes_nothing() {
    let world = World::new();
    let digest = world.blob(TEN);
    let body = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let tagged = "/v2/ann/app/manifests/v1";
    let _ = world.send(&[PUSH], on(Method::PUT, tagged), body).await.expect(201);

    let manifest = format!("/v2/ann/app/manifests/{}", Digest::of_sha256(body.as_bytes()));
    let referrers = format!("/v2/ann/app/referrers/{digest}");
    for path in [path(&digest).as_str(), tagged, &manifest, &referrers, "/v2/ann/app/tags/list", "/v2/"] {
        for method in [Method::GET, Method::HEAD] {
            let plain = world.send(&[PULL], on(method.clone(), path), Body::empty()).await.expect(200);
            for ns in ["docker.io", "other.example%3A5000", ""] {
                let request = on(method.clone(), &format!("{path}?ns={ns}"));
                let asked = world.send(&[PULL], request, Body::empty()).await.expect(200);
                assert_eq!((&asked.headers, asked.body()), (&plain.headers, plain.body()));
                assert_eq!(asked.header("oci-namespace"), "");
            }
        }
    }
}

#[tokio::test]
async fn a_blob_that_is_not_linked_is_unknown() {
    let world = World::new();
    let digest = Digest::of_sha256(b"elsewhere");
    let answer =
        world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect_error(404, "BLOB_UNKNOWN");
    assert_eq!(answer.json()["errors"][0]["detail"]["digest"], digest.to_string());
}

#[tokio::test]
async fn a_linked_blob_without_bytes_is_quarantined_and_unknown() {
    let world = World::new();
    let digest = world.blob(TEN);
    world.blobs.faults.add("open", When::Before, BlobError::Missing { locator: locator(&digest, 7) });
    let answer =
        world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect_error(404, "BLOB_UNKNOWN");
    assert_eq!(answer.calls, ["blob", "open", "quarantine"]);
    assert!(!answer.json().to_string().contains("main/"), "where bytes are kept is nobody's business");
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_complete() {
    let world = World::new();
    let digest = world.blob(TEN);
    *world.blobs.cut_reads_after.lock().unwrap() = Some(4);
    let answer = world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect(200);
    assert_eq!(answer.header("content-length"), "10");
    assert!(answer.whole.is_err());
}

#[tokio::test(start_paused = true)]
async fn metadata_that_comes_back_is_waited_for() {
    let world = World::new();
    let digest = world.blob(TEN);
    let gone = || RepositoryError::Unavailable { attempted: "reading".into() };
    world.repositories.faults.add("blob", When::Before, gone());
    world.repositories.faults.add("blob", When::Before, gone());
    let answer = world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect(200);
    assert_eq!(answer.calls, ["blob", "blob", "blob", "open"]);

    for _ in 0..3 {
        world.repositories.faults.add("blob", When::Before, gone());
    }
    let answer =
        world.send(&[PULL], get(&path(&digest)), Body::empty()).await.expect_error(503, "UNAVAILABLE");
    assert_eq!(answer.calls, ["blob", "blob", "blob"]);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_deleted_once_and_only_with_the_right_to() {
    let world = World::new();
    let digest = Digest::of_sha256(TEN);
    let delete = async |scope| world.send(&[scope], on(Method::DELETE, &path(&digest)), Body::empty()).await;
    assert_eq!(delete("repository:ann/app:delete").await.expect(202).calls, ["delete_blob"]);
    let refused = delete("repository:ann/app:pull,push").await.expect_error(401, "UNAUTHORIZED");
    assert!(refused.calls.is_empty());

    // It may have been done: the same again would say that there is no such blob.
    let gone = RepositoryError::Unavailable { attempted: "deleting".into() };
    world.repositories.faults.add("delete_blob", When::Before, gone);
    let answer = delete("repository:ann/app:delete").await.expect_error(503, "UNAVAILABLE");
    assert_eq!(answer.calls, ["delete_blob"]);
}

#[tokio::test]
async fn a_blob_that_is_needed_is_not_deleted_and_its_manifest_is_named() {
    let world = World::new();
    let (digest, manifest) = (Digest::of_sha256(TEN), Digest::of_sha256(b"manifest"));
    let needed = RepositoryError::BlobNeeded { digest: digest.clone(), manifest: manifest.clone() };
    world.repositories.faults.add("delete_blob", When::Before, needed);

    let request = on(Method::DELETE, &path(&digest));
    let answer = world.send(&["repository:ann/app:delete"], request, Body::empty()).await;
    let answer = answer.expect_error(405, "DENIED");
    assert_eq!(answer.header("allow"), "GET, HEAD");
    assert_eq!(answer.json()["errors"][0]["detail"]["manifest"], manifest.to_string());
}
