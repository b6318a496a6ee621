//! Blobs that are in the registry already need not be sent again.

use reqwest::Method;
use tests::{image, raw::Answer};

use crate::{
    ground::{Ground, answer},
    requirement::requirements,
};

requirements![
    a_blob_is_mounted_from_another_repository,
    a_mounted_blob_is_at_its_location,
    a_blob_is_mounted_without_a_source,
    a_blob_that_is_not_there_begins_an_upload_instead,
    a_blob_that_may_not_be_read_begins_an_upload_instead,
    an_upload_instead_of_a_mount_can_be_finished,
    a_mounted_blob_outlives_its_source,
];

const BYTES: &[u8] = b"a blob that others have";

/// POST for a mount into the repository, by a client that may pull from `source` too.
async fn mount(at: &Ground, source: &Ground, from: &str) -> Answer {
    let scopes = [format!("repository:{}:pull,push", at.repository), pull(source)];
    let token = at.raw.token(&[&*scopes[0], &*scopes[1]]).await;
    let path = format!("blobs/uploads/?mount={}{from}", image::digest(BYTES));
    answer(at.raw.anonymous(Method::POST, &at.path(&path)).bearer_auth(token)).await
}

fn pull(source: &Ground) -> String {
    format!("repository:{}:pull", source.repository)
}

fn from(source: &Ground) -> String {
    format!("&from={}", source.repository)
}

#[track_caller]
fn is_upload(at: &Ground, answer: Answer) -> String {
    let answer = answer.expect(202);
    assert!(answer.header("location").contains(&at.path("blobs/uploads/")), "{answer:?}");
    answer.header("location").to_owned()
}

/// OCI distribution 1.1, "Mounting a blob from another repository": a successful mount MUST be answered with
/// 201.
async fn a_blob_is_mounted_from_another_repository(at: &Ground) {
    let source = at.beside("source");
    source.blob(BYTES).await;
    let mounted = mount(at, &source, &from(&source)).await.expect(201);
    assert_eq!(mounted.header("docker-content-digest"), image::digest(BYTES).to_string());
}

/// OCI distribution 1.1, "Mounting a blob from another repository": 201 MUST have `Location`, from which the
/// blob can be pulled.
async fn a_mounted_blob_is_at_its_location(at: &Ground) {
    let source = at.beside("source");
    source.blob(BYTES).await;
    let mounted = mount(at, &source, &from(&source)).await.expect(201);
    assert!(mounted.header("location").contains(&at.path("blobs/")), "{mounted:?}");
    assert_eq!(at.get(mounted.header("location")).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Mounting a blob from another repository": the registry MAY treat `from` as
/// optional, and look for the blob where the client may read.
async fn a_blob_is_mounted_without_a_source(at: &Ground) {
    let source = at.beside("source");
    source.blob(BYTES).await;
    let _ = mount(at, &source, "").await.expect(201);
    assert_eq!(at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Mounting a blob from another repository": a registry that cannot mount SHOULD
/// answer 202, as to a POST that opens a session.
async fn a_blob_that_is_not_there_begins_an_upload_instead(at: &Ground) {
    let source = at.beside("source");
    is_upload(at, mount(at, &source, &from(&source)).await);
    source.blob(b"something else").await;
    is_upload(at, mount(at, &source, &from(&source)).await);
    is_upload(at, mount(at, &source, "").await);
}

/// OCI distribution 1.1, "Mounting a blob from another repository": 202 also if the client may not read
/// there, which says nothing about what is there.
async fn a_blob_that_may_not_be_read_begins_an_upload_instead(at: &Ground) {
    let source = at.beside("source");
    source.blob(BYTES).await;
    is_upload(at, mount(at, &at.beside("other"), &from(&source)).await);
    is_upload(at, mount(at, &at.beside("other"), "").await);
    let _ = at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(404);
}

/// OCI distribution 1.1, "Mounting a blob from another repository": the client SHOULD go on with the upload.
async fn an_upload_instead_of_a_mount_can_be_finished(at: &Ground) {
    let location = is_upload(at, mount(at, &at.beside("source"), "").await);
    let _ = at.raw.put(&at.repository, &location, &image::digest(BYTES), BYTES).await.expect(201);
    assert_eq!(at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Deleting Blobs": a blob is deleted from a repository, not from those that have
/// mounted it.
async fn a_mounted_blob_outlives_its_source(at: &Ground) {
    let source = at.beside("source");
    let path = source.blob(BYTES).await;
    let _ = mount(at, &source, &from(&source)).await.expect(201);
    let _ = source.delete(&path).await.expect(202);
    assert_eq!(at.get(&path).await.expect(200).body, BYTES);
}
