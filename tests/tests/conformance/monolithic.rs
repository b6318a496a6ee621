//! Blobs that are pushed whole, and the sessions in which they are.

use reqwest::Method;
use tests::{image, raw::Answer};

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_session_is_opened_with_202_and_a_location,
    a_location_holds_a_uuid_that_is_in_a_header_too,
    a_location_is_relative_by_default,
    two_sessions_are_two,
    a_blob_is_pushed_with_post_and_put,
    a_blob_is_pushed_with_a_single_post,
    a_pushed_blob_is_at_its_location,
    a_pushed_blob_is_named_by_its_digest,
    a_blob_can_be_pushed_again,
    an_empty_blob_can_be_pushed_in_every_way,
    the_type_of_the_body_does_not_matter,
    a_put_of_other_bytes_is_refused,
    a_post_of_other_bytes_is_refused,
    a_put_without_a_digest_is_refused,
    a_session_that_nobody_opened_is_unknown,
    a_session_of_another_repository_is_unknown,
    a_session_ends_with_its_blob,
];

const BYTES: &[u8] = b"a blob that is pushed whole";

async fn post(at: &Ground, bytes: &[u8]) -> Answer {
    let path = format!("blobs/uploads/?digest={}", image::digest(bytes));
    at.send(Method::POST, &path, &[], bytes.to_vec()).await
}

async fn put(at: &Ground, bytes: &[u8]) -> Answer {
    let location = at.start().await;
    at.raw.put(&at.repository, &location, &image::digest(bytes), bytes.to_vec()).await
}

/// OCI distribution 1.1, "POST then PUT": POST MUST be answered with 202 and `Location`.
async fn a_session_is_opened_with_202_and_a_location(at: &Ground) {
    let opened = at.post("blobs/uploads/").await.expect(202);
    let prefix = at.path("blobs/uploads/");
    assert!(opened.header("location").contains(&prefix), "{opened:?}");
}

/// OCI distribution 1.1, "POST then PUT": the location MUST contain a UUID. Docker Registry HTTP API V2,
/// "Starting An Upload": `Docker-Upload-UUID` is the same.
async fn a_location_holds_a_uuid_that_is_in_a_header_too(at: &Ground) {
    let opened = at.post("blobs/uploads/").await.expect(202);
    let uuid = opened.header("docker-upload-uuid");
    let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
    assert!(opened.header("location").contains(uuid), "{opened:?}");
}

/// OCI distribution 1.1, "POST then PUT": the location MAY be relative. It is, so that it is right behind any
/// proxy.
async fn a_location_is_relative_by_default(at: &Ground) {
    let opened = at.post("blobs/uploads/").await.expect(202);
    assert!(opened.header("location").starts_with("/v2/"), "{opened:?}");
    assert!(put(at, BYTES).await.expect(201).header("location").starts_with("/v2/"));
}

/// OCI distribution 1.1, "POST then PUT": the session ID MUST be unique.
async fn two_sessions_are_two(at: &Ground) {
    let (first, second) = (at.start().await, at.start().await);
    assert_ne!(first, second);
    let _ = at.raw.patch(&at.repository, &first, "first").await.expect(202);
    let _ = at.raw.patch(&at.repository, &second, "the second").await.expect(202);
    assert_eq!(at.get(&first).await.expect(204).header("range"), "0-4");
}

/// OCI distribution 1.1, "POST then PUT": PUT with the digest and the bytes MUST be answered with 201.
async fn a_blob_is_pushed_with_post_and_put(at: &Ground) {
    let _ = put(at, BYTES).await.expect(201);
    assert_eq!(at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Single POST": POST with the digest and the bytes MUST be answered with 201, if
/// supported.
async fn a_blob_is_pushed_with_a_single_post(at: &Ground) {
    let _ = post(at, BYTES).await.expect(201);
    assert_eq!(at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "POST then PUT" and "Single POST": 201 MUST have `Location`, a pullable blob URL.
async fn a_pushed_blob_is_at_its_location(at: &Ground) {
    for pushed in [put(at, BYTES).await, post(at, BYTES).await] {
        let pushed = pushed.expect(201);
        assert_eq!(at.get(pushed.header("location")).await.expect(200).body, BYTES);
    }
}

/// Docker Registry HTTP API V2, "Completed Upload": 201 has `Docker-Content-Digest`.
async fn a_pushed_blob_is_named_by_its_digest(at: &Ground) {
    for pushed in [put(at, BYTES).await, post(at, BYTES).await] {
        assert_eq!(pushed.expect(201).header("docker-content-digest"), image::digest(BYTES).to_string());
    }
}

/// OCI distribution 1.1, "Layer Upload De-duplication": who pushes what is there already succeeds too.
async fn a_blob_can_be_pushed_again(at: &Ground) {
    for _ in 0..2 {
        let _ = put(at, BYTES).await.expect(201);
        let _ = post(at, BYTES).await.expect(201);
    }
    assert_eq!(at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(200).body, BYTES);
}

/// OCI distribution, conformance suite (empty blob): a blob of no bytes is pushed like any other.
async fn an_empty_blob_can_be_pushed_in_every_way(at: &Ground) {
    let _ = put(&at.beside("put"), b"").await.expect(201);
    let _ = post(&at.beside("post"), b"").await.expect(201);
    let patched = at.start().await;
    let _ = at.raw.patch(&at.repository, &patched, "").await.expect(202);
    let _ = at.close(&patched, &image::digest(b"")).await.expect(201);
    for at in [&at.beside("put"), &at.beside("post"), at] {
        assert_eq!(at.get(&format!("blobs/{}", image::digest(b""))).await.expect(200).body, "");
    }
}

/// OCI distribution 1.1, "POST then PUT": clients send `application/octet-stream`; some send something else
/// or nothing, and a blob has no type.
async fn the_type_of_the_body_does_not_matter(at: &Ground) {
    for media_type in ["application/octet-stream", "application/vnd.oci.image.layer.v1.tar+gzip"] {
        let digest = image::digest(media_type.as_bytes());
        let path = format!("{}?digest={digest}", at.start().await);
        let headers = [("content-type", media_type)];
        let _ = at.send(Method::PUT, &path, &headers, media_type).await.expect(201);
    }
}

/// OCI distribution 1.1, "Pushing blobs": if the digest is invalid, the registry SHOULD answer 400. "Error
/// Codes": `DIGEST_INVALID`.
async fn a_put_of_other_bytes_is_refused(at: &Ground) {
    let (location, claimed) = (at.start().await, image::digest(b"other bytes"));
    let refused = at.raw.put(&at.repository, &location, &claimed, BYTES).await;
    let _ = refused.expect_error(400, "DIGEST_INVALID");
    for digest in [claimed, image::digest(BYTES)] {
        let _ = at.get(&format!("blobs/{digest}")).await.expect(404);
    }
}

/// OCI distribution 1.1, "Single POST": the digest MUST match; "Pushing blobs": 400 if it does not.
async fn a_post_of_other_bytes_is_refused(at: &Ground) {
    let path = format!("blobs/uploads/?digest={}", image::digest(b"other bytes"));
    let _ = at.send(Method::POST, &path, &[], BYTES).await.expect_error(400, "DIGEST_INVALID");
    let _ = at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(404);
}

/// OCI distribution 1.1, "Pushing a blob in chunks": the closing PUT MUST include the digest of the whole
/// blob.
async fn a_put_without_a_digest_is_refused(at: &Ground) {
    let location = at.start().await;
    let _ = at.send(Method::PUT, &location, &[], BYTES).await.expect_error(400, "DIGEST_INVALID");
}

/// OCI distribution 1.1, "Endpoints" (end-5, end-6, end-13) and "Error Codes": 404 `BLOB_UPLOAD_UNKNOWN`.
async fn a_session_that_nobody_opened_is_unknown(at: &Ground) {
    at.blob(BYTES).await;
    for session in ["3b241101-e2bb-4255-8caf-4136c566a962", "no-uuid"] {
        let location = format!("blobs/uploads/{session}");
        let digest = image::digest(BYTES);
        for (method, path) in [
            (Method::GET, location.clone()),
            (Method::PATCH, location.clone()),
            (Method::PUT, format!("{location}?digest={digest}")),
            (Method::DELETE, location.clone()),
        ] {
            let _ = at.send(method, &path, &[], "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

/// OCI distribution 1.1, "Error Codes": `BLOB_UPLOAD_UNKNOWN` if the session is unknown *to the repository*.
async fn a_session_of_another_repository_is_unknown(at: &Ground) {
    let (other, location) = (at.beside("other"), at.start().await);
    other.blob(BYTES).await;
    let moved = location.replace(&at.path(""), &other.path(""));
    assert_ne!(moved, location);
    let _ = other.get(&moved).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// OCI distribution 1.1, "Pushing a blob in chunks": the session MUST be closed with PUT, and is gone then.
async fn a_session_ends_with_its_blob(at: &Ground) {
    let location = at.start().await;
    let _ = at.raw.put(&at.repository, &location, &image::digest(BYTES), BYTES).await.expect(201);
    let _ = at.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = at.raw.patch(&at.repository, &location, "more").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}
