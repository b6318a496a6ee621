//! Blobs and manifests under digests of every algorithm.

use oci::{Algorithm, Digest};
use reqwest::Method;
use serde_json::json;
use tests::image;

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_blob_of_sha512_can_be_announced,
    a_blob_of_sha512_need_not_be_announced,
    an_announced_algorithm_is_no_promise,
    a_blob_of_sha512_is_answered_with_the_digest_that_was_used,
    a_wrong_digest_of_sha512_is_refused,
    an_algorithm_that_is_not_supported_is_refused,
    a_digest_that_is_malformed_is_refused,
    a_manifest_of_sha512_is_had_by_the_digest_that_was_used,
    a_manifest_may_name_blobs_by_sha512,
];

const BYTES: &[u8] = b"content with a long digest";

fn sha512() -> Digest {
    Digest::of(Algorithm::Sha512, BYTES)
}

/// OCI distribution main, "Pushing a blob in chunks" (end-4c): POST SHOULD include `digest-algorithm`, and
/// the blob has a digest of that algorithm then.
async fn a_blob_of_sha512_can_be_announced(at: &Ground) {
    let opened = at.post("blobs/uploads/?digest-algorithm=sha512").await.expect(202);
    let location = opened.header("location");
    let _ = at.chunk(location, "0-4", &BYTES[..5]).await.expect(202);
    let pushed = at.raw.put(&at.repository, location, &sha512(), &BYTES[5..]).await.expect(201);
    assert_eq!(at.get(pushed.header("location")).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Pushing blobs", and the conformance suite, which does not announce it: the digest
/// of the PUT says the algorithm, in chunks, as a stream, with PUT and POST alone.
async fn a_blob_of_sha512_need_not_be_announced(at: &Ground) {
    let digest = sha512();
    let chunked = at.start().await;
    let _ = at.chunk(&chunked, "0-4", &BYTES[..5]).await.expect(202);
    let _ = at.chunk(&chunked, &format!("5-{}", BYTES.len() - 1), &BYTES[5..]).await.expect(202);
    let streamed = at.start().await;
    let _ = at.raw.patch(&at.repository, &streamed, BYTES).await.expect(202);

    let put = at.start().await;
    let post = format!("blobs/uploads/?digest={digest}");
    for pushed in [
        at.close(&chunked, &digest).await,
        at.close(&streamed, &digest).await,
        at.raw.put(&at.repository, &put, &digest, BYTES).await,
        at.send(Method::POST, &post, &[], BYTES).await,
    ] {
        assert_eq!(at.get(pushed.expect(201).header("location")).await.expect(200).body, BYTES);
    }
}

/// OCI distribution main, "Pushing a blob in chunks": `digest-algorithm` says what the registry *should* use;
/// the digest of the PUT decides.
async fn an_announced_algorithm_is_no_promise(at: &Ground) {
    let opened = at.post("blobs/uploads/?digest-algorithm=sha512").await.expect(202);
    let pushed = at.raw.put(&at.repository, opened.header("location"), &image::digest(BYTES), BYTES).await;
    assert_eq!(pushed.expect(201).header("docker-content-digest"), image::digest(BYTES).to_string());
}

/// OCI distribution main, "Pulling blobs": `Docker-Content-Digest` MUST be a digest of the body; it is the
/// one that the client used.
async fn a_blob_of_sha512_is_answered_with_the_digest_that_was_used(at: &Ground) {
    let digest = sha512().to_string();
    let path = format!("blobs/uploads/?digest={digest}");
    let pushed = at.send(Method::POST, &path, &[], BYTES).await.expect(201);
    let path = format!("blobs/{digest}");
    for answer in [pushed, at.get(&path).await.expect(200), at.head(&path).await.expect(200)] {
        assert_eq!(answer.header("docker-content-digest"), digest);
    }
}

/// OCI distribution 1.1, "Pushing blobs": if the digest is invalid, the registry SHOULD answer 400.
async fn a_wrong_digest_of_sha512_is_refused(at: &Ground) {
    let location = at.start().await;
    let refused = at.raw.put(&at.repository, &location, &sha512(), "other bytes").await;
    let _ = refused.expect_error(400, "DIGEST_INVALID");
}

/// OCI distribution 1.1, "Pushing blobs": a digest of an unsupported algorithm SHOULD be answered with 400.
/// Main, end-4c: an announced one too.
async fn an_algorithm_that_is_not_supported_is_refused(at: &Ground) {
    let location = at.start().await;
    let md5 = "md5:d41d8cd98f00b204e9800998ecf8427e";
    let put = at.send(Method::PUT, &format!("{location}?digest={md5}"), &[], BYTES).await;
    let _ = put.expect_error(400, "DIGEST_INVALID");
    for query in [format!("digest={md5}"), "digest-algorithm=md5".to_owned(), format!("mount={md5}")] {
        let post = at.post(&format!("blobs/uploads/?{query}")).await;
        let _ = post.expect_error(400, "DIGEST_INVALID");
    }
}

/// OCI distribution 1.1, "Pushing blobs" and "Endpoints": a digest that is none is answered with 400
/// `DIGEST_INVALID`.
async fn a_digest_that_is_malformed_is_refused(at: &Ground) {
    let location = at.start().await;
    for digest in ["sha256:abc", "sha256", "", "sha256:"] {
        let put = at.send(Method::PUT, &format!("{location}?digest={digest}"), &[], BYTES).await;
        let _ = put.expect_error(400, "DIGEST_INVALID");
    }
    let _ = at.get("blobs/sha256:abc").await.expect_error(400, "DIGEST_INVALID");
    let _ = at.get("manifests/sha256:abc").await.expect_error(400, "DIGEST_INVALID");
}

/// OCI distribution main, "Pushing Manifests": `Docker-Content-Digest` MUST be equal to the digest that the
/// client gave.
async fn a_manifest_of_sha512_is_had_by_the_digest_that_was_used(at: &Ground) {
    let manifest = at.image("v1").await;
    let digest = Digest::of(Algorithm::Sha512, &manifest).to_string();
    let put = at.put_manifest(&digest, image::OCI_MANIFEST, &manifest).await.expect(201);
    assert_eq!(put.header("docker-content-digest"), digest);
    let found = at.get(put.header("location")).await.expect(200);
    assert_eq!((found.header("docker-content-digest"), &found.body[..]), (&*digest, &manifest[..]));
}

/// OCI image 1.1, "Digests": a descriptor may use any registered algorithm, so that a manifest can name a
/// blob by sha512.
async fn a_manifest_may_name_blobs_by_sha512(at: &Ground) {
    let path = format!("blobs/uploads/?digest={}", sha512());
    let _ = at.send(Method::POST, &path, &[], BYTES).await.expect(201);
    let blob = json!({ "mediaType": "application/x-content", "digest": sha512(), "size": BYTES.len() });
    at.put_image(&json!({ "schemaVersion": 2, "config": blob, "layers": [blob] })).await;
}
