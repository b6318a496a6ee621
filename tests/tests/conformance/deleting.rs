//! Tags, manifests and blobs go when they are told to.

use reqwest::Method;
use tests::image;

use crate::{ground::Ground, requirement::requirements};

requirements![
    a_tag_is_deleted_alone,
    a_tag_that_is_not_as_expected_is_not_deleted,
    a_manifest_is_deleted_with_all_its_tags,
    a_manifest_that_is_deleted_can_be_pushed_again,
    a_manifest_that_an_index_lists_is_not_deleted,
    a_manifest_of_another_repository_stays,
    a_blob_is_deleted,
    a_blob_that_a_manifest_needs_is_not_deleted,
    a_blob_that_is_deleted_can_be_pushed_again,
    what_is_not_there_cannot_be_deleted,
    nothing_can_be_deleted_from_a_repository_that_is_not_there,
    nothing_is_deleted_twice,
];

async fn retag(at: &Ground, tag: &str, manifest: &[u8]) {
    let _ = at.put_manifest(tag, image::OCI_MANIFEST, manifest).await.expect(201);
}

fn by_digest(manifest: &[u8]) -> String {
    format!("manifests/{}", image::digest(manifest))
}

/// OCI distribution 1.1, "Deleting tags": 202, and 404 to GET of the tag afterwards. Nothing else goes.
async fn a_tag_is_deleted_alone(at: &Ground) {
    let manifest = at.image("v1").await;
    retag(at, "v2", &manifest).await;
    let _ = at.delete("manifests/v1").await.expect(202);
    let _ = at.get("manifests/v1").await.expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(at.get("manifests/v2").await.expect(200).body, manifest);
    assert_eq!(at.get(&by_digest(&manifest)).await.expect(200).body, manifest);
}

/// RFC 9110, section 13.1.1: `If-Match` with another tag than the current is false, which is answered with
/// 412.
async fn a_tag_that_is_not_as_expected_is_not_deleted(at: &Ground) {
    let (manifest, other) = (at.image("v1").await, at.image("other").await);
    for (expected, status) in [(&other, 412), (&manifest, 202)] {
        assert_eq!(at.get("manifests/v1").await.expect(200).body, manifest);
        let condition = format!("\"{}\"", image::digest(expected));
        let _ = at.send(Method::DELETE, "manifests/v1", &[("if-match", &condition)], "").await.expect(status);
    }
    let _ = at.get("manifests/v1").await.expect(404);
}

/// OCI distribution 1.1, "Deleting Manifests": 202, and 404 to GET of the digest and of any tag pointing to
/// it afterwards.
async fn a_manifest_is_deleted_with_all_its_tags(at: &Ground) {
    let (manifest, other) = (at.image("v1").await, at.image("other").await);
    retag(at, "v2", &manifest).await;
    let _ = at.delete(&by_digest(&manifest)).await.expect(202);
    for path in [by_digest(&manifest), "manifests/v1".to_owned(), "manifests/v2".to_owned()] {
        let _ = at.get(&path).await.expect_error(404, "MANIFEST_UNKNOWN");
        let _ = at.head(&path).await.expect(404);
    }
    assert_eq!(at.get("manifests/other").await.expect(200).body, other);
}

/// OCI distribution 1.1, "Pushing Manifests": whether it was there before does not matter.
async fn a_manifest_that_is_deleted_can_be_pushed_again(at: &Ground) {
    let manifest = at.image("v1").await;
    let _ = at.delete(&by_digest(&manifest)).await.expect(202);
    assert_eq!(at.image("v1").await, manifest);
    assert_eq!(at.get("manifests/v1").await.expect(200).body, manifest);
}

/// OCI distribution 1.1, "Deleting Manifests": deletion that is not allowed MUST be answered with 400 or 405;
/// here of what would break an index.
async fn a_manifest_that_an_index_lists_is_not_deleted(at: &Ground) {
    let child = at.image("child").await;
    let _ = at.put_manifest("all", image::OCI_INDEX, &image::oci_index(&[&child])).await.expect(201);
    let refused = at.delete(&by_digest(&child)).await.expect_error(405, "DENIED");
    assert!(!refused.header("allow").is_empty(), "{refused:?}");
    assert_eq!(at.get(&by_digest(&child)).await.expect(200).body, child);
}

/// OCI distribution 1.1, "Deleting Manifests": `<name>` is the repository from which the manifest is deleted.
async fn a_manifest_of_another_repository_stays(at: &Ground) {
    let other = at.beside("other");
    let manifest = at.image("v1").await;
    assert_eq!(other.image("v1").await, manifest);
    let _ = at.delete(&by_digest(&manifest)).await.expect(202);
    assert_eq!(other.get("manifests/v1").await.expect(200).body, manifest);
}

/// OCI distribution 1.1, "Deleting Blobs": 202, and it is not there any more.
async fn a_blob_is_deleted(at: &Ground) {
    let (path, kept) = (at.blob(b"to be deleted").await, at.blob(b"kept").await);
    let _ = at.delete(&path).await.expect(202);
    let _ = at.get(&path).await.expect_error(404, "BLOB_UNKNOWN");
    let _ = at.head(&path).await.expect(404);
    assert_eq!(at.get(&kept).await.expect(200).body, "kept");
}

/// OCI distribution 1.1, "Deleting Blobs": deletion that is not allowed MUST be answered with 400 or 405;
/// here of what would break an image.
async fn a_blob_that_a_manifest_needs_is_not_deleted(at: &Ground) {
    at.image("v1").await;
    let path = format!("blobs/{}", image::digest(b"v1"));
    let refused = at.delete(&path).await.expect_error(405, "DENIED");
    assert!(!refused.header("allow").is_empty(), "{refused:?}");
    assert_eq!(at.get(&path).await.expect(200).body, "v1");
}

/// OCI distribution 1.1, "Pushing blobs": whether it was there before does not matter.
async fn a_blob_that_is_deleted_can_be_pushed_again(at: &Ground) {
    let path = at.blob(b"again").await;
    let _ = at.delete(&path).await.expect(202);
    assert_eq!(at.blob(b"again").await, path);
    assert_eq!(at.get(&path).await.expect(200).body, "again");
}

/// OCI distribution 1.1, "Deleting Blobs": 404 if it is not found; "Endpoints" (end-9): the same of manifests
/// and tags.
async fn what_is_not_there_cannot_be_deleted(at: &Ground) {
    at.image("v1").await;
    let digest = image::digest(b"nothing");
    for (path, code) in [
        ("manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("manifests/{digest}"), "MANIFEST_UNKNOWN"),
        (format!("blobs/{digest}"), "BLOB_UNKNOWN"),
    ] {
        let _ = at.delete(&path).await.expect_error(404, code);
    }
}

/// OCI distribution 1.1, "Deleting Manifests": if the repository does not exist, the answer MUST be 404.
async fn nothing_can_be_deleted_from_a_repository_that_is_not_there(at: &Ground) {
    let digest = image::digest(b"nothing");
    for path in ["manifests/v1".to_owned(), format!("manifests/{digest}"), format!("blobs/{digest}")] {
        let _ = at.delete(&path).await.expect(404);
    }
}

/// OCI distribution 1.1, "Endpoints" (end-9, end-10): what has been deleted is not found.
async fn nothing_is_deleted_twice(at: &Ground) {
    at.image("v2").await;
    let paths = [by_digest(&at.image("v1").await), "manifests/v2".to_owned(), at.blob(b"blob").await];
    for path in paths {
        let _ = at.delete(&path).await.expect(202);
        let _ = at.delete(&path).await.expect(404);
    }
}
