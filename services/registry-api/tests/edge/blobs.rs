//! HEAD, GET and DELETE of blobs: headers, ranges, and bytes that are not there.

use axum::body::Body;
use http::{Method, header};
use oci::Digest;
use proto::{blob::BlobError, metadata::RepositoryError};
use rstest::rstest;

use crate::{
    services::{When, locator},
    world::{PULL, World, get, on},
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

#[tokio::test]
async fn content_that_the_client_has_is_not_sent_again() {
    let world = World::new();
    let digest = world.blob(TEN);
    for method in [Method::GET, Method::HEAD] {
        let request = on(method, &path(&digest)).header(header::IF_NONE_MATCH, format!("\"{digest}\""));
        let answer = world.send(&[PULL], request, Body::empty()).await.expect(304);
        assert!(answer.body().is_empty());
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.calls, ["blob"]);
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
