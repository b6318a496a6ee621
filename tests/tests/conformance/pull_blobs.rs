//! Blobs come back as they were pushed.

use oci::Digest;
use reqwest::Method;
use tests::image;

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_blob_comes_back_byte_for_byte,
    a_blob_is_answered_with_its_digest,
    a_blob_has_a_length_and_a_type,
    head_of_a_blob_says_its_length_and_digest,
    a_blob_that_is_not_there_is_404,
    head_of_a_blob_that_is_not_there_is_404,
    a_blob_of_another_repository_is_not_there,
    an_empty_blob_can_be_pulled,
    a_blob_is_never_encoded_in_another_way,
    a_blob_that_the_client_has_is_not_sent_again,
    a_blob_that_the_client_does_not_have_is_sent,
];

const BYTES: &[u8] = b"what is in the blob";

/// OCI distribution 1.1, "Pulling blobs": GET of an existing blob MUST provide it, with 200.
async fn a_blob_comes_back_byte_for_byte(at: &Ground) {
    for bytes in [BYTES.to_vec(), image::noise(1, 3_000_000)] {
        let path = at.blob(&bytes).await;
        assert!(at.get(&path).await.expect(200).body == bytes);
    }
}

/// OCI distribution main, "Pulling blobs": the answer MUST have `Docker-Content-Digest`, and it is that of
/// the body.
async fn a_blob_is_answered_with_its_digest(at: &Ground) {
    let path = at.blob(BYTES).await;
    let digest: Digest = at.get(&path).await.expect(200).header("docker-content-digest").parse().unwrap();
    assert_eq!(digest, image::digest(BYTES));
}

/// RFC 9110, sections 8.3 and 8.6: the answer says how long the blob is, and that it is bytes of no known
/// type.
async fn a_blob_has_a_length_and_a_type(at: &Ground) {
    let path = at.blob(BYTES).await;
    let blob = at.get(&path).await.expect(200);
    assert_eq!(blob.header("content-length"), BYTES.len().to_string());
    assert_eq!(blob.header("content-type"), "application/octet-stream");
}

/// OCI distribution main, "Checking if content exists in the registry": HEAD of an existing blob MUST be
/// answered with 200, `Docker-Content-Digest` and the size in `Content-Length`.
async fn head_of_a_blob_says_its_length_and_digest(at: &Ground) {
    let path = at.blob(BYTES).await;
    let head = at.head(&path).await.expect(200);
    assert_eq!(head.header("content-length"), BYTES.len().to_string());
    assert_eq!(head.header("docker-content-digest"), image::digest(BYTES).to_string());
    assert!(head.body.is_empty());
}

/// OCI distribution 1.1, "Pulling blobs": a blob that is not in the repository MUST be answered with 404.
async fn a_blob_that_is_not_there_is_404(at: &Ground) {
    let path = format!("blobs/{}", image::digest(b"nothing"));
    let _ = at.get(&path).await.expect_error(404, "NAME_UNKNOWN");
    at.blob(BYTES).await;
    let _ = at.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
}

/// OCI distribution 1.1, "Checking if content exists in the registry": HEAD of a blob that is not there MUST
/// be answered with 404.
async fn head_of_a_blob_that_is_not_there_is_404(at: &Ground) {
    let head = at.head(&format!("blobs/{}", image::digest(b"nothing"))).await.expect(404);
    assert!(head.body.is_empty());
}

/// OCI distribution 1.1, "Pulling blobs": 404 if the blob is not found in *the* repository, be it in another.
async fn a_blob_of_another_repository_is_not_there(at: &Ground) {
    let path = at.blob(BYTES).await;
    let other = at.beside("other");
    other.blob(b"something else").await;
    let _ = other.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
}

/// OCI distribution, conformance suite (empty blob): a blob of no bytes is a blob.
async fn an_empty_blob_can_be_pulled(at: &Ground) {
    let path = at.blob(b"").await;
    let blob = at.get(&path).await.expect(200);
    assert_eq!((blob.header("content-length"), blob.body.len()), ("0", 0));
    assert_eq!(at.head(&path).await.expect(200).header("content-length"), "0");
}

/// OCI distribution 1.1, "Pulling blobs", with RFC 9110, section 8.4: the body has the digest, so that no
/// `Content-Encoding` is chosen, whatever `Accept-Encoding` offers.
async fn a_blob_is_never_encoded_in_another_way(at: &Ground) {
    let bytes = vec![b'a'; 100_000];
    let path = at.blob(&bytes).await;
    for offered in ["zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "gzip", "*", "identity;q=0, gzip"] {
        let blob = at.get_with(&path, "accept-encoding", offered).await.expect(200);
        assert_eq!(blob.header("content-encoding"), "");
        assert_eq!(blob.body, bytes);
    }
}

/// RFC 9110, sections 8.8.3 and 13.1.2: what `ETag` said, sent in `If-None-Match`, is answered with 304 and
/// the same `ETag`, to GET and HEAD.
async fn a_blob_that_the_client_has_is_not_sent_again(at: &Ground) {
    let path = at.blob(BYTES).await;
    let tag = at.get(&path).await.expect(200).header("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    for method in [Method::GET, Method::HEAD] {
        let same = at.send(method, &path, &[("if-none-match", &tag)], "").await.expect(304);
        assert_eq!(same.header("etag"), tag);
        assert!(same.body.is_empty());
    }
}

/// RFC 9110, section 13.1.2: with another tag in `If-None-Match` the answer is 200.
async fn a_blob_that_the_client_does_not_have_is_sent(at: &Ground) {
    let path = at.blob(BYTES).await;
    let other = format!("\"{}\"", image::digest(b"other"));
    assert_eq!(at.get_with(&path, "if-none-match", &other).await.expect(200).body, BYTES);
}
