//! How errors of other services reach a client: status, code, advice, and nothing that is ours alone.

use axum::body::Body;
use http_body_util::BodyExt as _;
use oci::Digest;
use proto::{
    blob::{BlobError, GrantRefused},
    metadata::{RepositoryError, UploadError},
};
use rstest::rstest;
use serde_json::Value;
use service_kit::{http::Refusal, request_id};

use crate::{
    services::{When, session_id},
    world::{PULL, PUSH, World, get, on, post},
};

#[rstest]
#[case(RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() }, 404, "NAME_UNKNOWN")]
#[case(RepositoryError::Unavailable { attempted: "storing".into() }, 503, "UNAVAILABLE")]
#[case(RepositoryError::NoSpace { attempted: "storing".into() }, 503, "UNAVAILABLE")]
#[case(RepositoryError::Conflict { attempted: "storing".into() }, 503, "UNAVAILABLE")]
#[case(RepositoryError::Damaged { what: "key of secret shape".to_owned() }, 500, "UNKNOWN")]
#[tokio::test(start_paused = true)]
async fn an_error_of_repositories_has_its_code(
    #[case] error: RepositoryError,
    #[case] status: u16,
    #[case] code: &str,
) {
    let world = World::new();
    for _ in 0..3 {
        world.repositories.faults.add("tags", When::Before, error.clone());
    }
    let answer = world.send(&[PULL], get("/v2/ann/app/tags/list"), Body::empty()).await;
    let answer = answer.expect_error(status, code);
    assert_eq!(status == 503, !answer.header("retry-after").is_empty());
    assert!(!answer.json().to_string().contains("secret shape"));
}

#[rstest]
#[case(UploadError::NamespaceUnknown { namespace: "ann".parse().unwrap() }, 404, "NAME_UNKNOWN")]
#[case(UploadError::NoSpace { attempted: "starting".into() }, 503, "UNAVAILABLE")]
#[case(UploadError::Damaged { what: "key of secret shape".to_owned() }, 500, "UNKNOWN")]
#[case(UploadError::TooManyParts { limit: 10_000 }, 400, "BLOB_UPLOAD_INVALID")]
#[tokio::test]
async fn an_error_of_uploads_has_its_code(
    #[case] error: UploadError,
    #[case] status: u16,
    #[case] code: &str,
) {
    let world = World::new();
    world.uploads.faults.add("start", When::Before, error);
    let answer = world.send(&[PUSH], post("/v2/ann/app/blobs/uploads/"), Body::empty()).await;
    let answer = answer.expect_error(status, code);
    assert_eq!(status == 503, !answer.header("retry-after").is_empty());
    assert!(!answer.json().to_string().contains("secret shape"));
}

#[rstest]
#[case(BlobError::TooLong { expected_bytes: 3 }, 400, "SIZE_INVALID")]
#[case(BlobError::NoSpace { attempted: "writing".into() }, 503, "UNAVAILABLE")]
#[case(BlobError::PartMissing { session: session_id(), offset: 0 }, 404, "BLOB_UPLOAD_UNKNOWN")]
#[tokio::test]
async fn an_error_of_blobs_has_its_code(#[case] error: BlobError, #[case] status: u16, #[case] code: &str) {
    let world = World::new();
    let location = world.open_upload(b"").await;
    world.blobs.faults.add("append", When::Before, error);
    let answer = world.send(&[PUSH], on(http::Method::PATCH, &location), "x").await;
    let answer = answer.expect_error(status, code);
    assert_eq!(status == 503, !answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn what_only_an_operator_can_heal_stays_in_the_log() {
    let world = World::new();
    let digest = world.blob(b"0123456789");
    world.blobs.faults.add("open", When::Before, BlobError::GrantRefused { why: GrantRefused::Forged });
    let path = format!("/v2/ann/app/blobs/{digest}");
    let request = world.send(&[PULL], get(&path), Body::empty());
    let id = request_id::RequestId::parse("r-17").unwrap();
    let answer = request_id::CURRENT.scope(id, request).await.expect_error(500, "UNKNOWN");

    assert_eq!(answer.json()["errors"][0]["detail"], serde_json::json!({ "request_id": "r-17" }));
    assert!(!answer.json().to_string().contains("grant"));
}

#[tokio::test]
async fn an_error_that_a_client_caused_names_the_request_too() {
    let world = World::new();
    let digest = Digest::of_sha256(b"x");
    let path = format!("/v2/ann/app/blobs/{digest}");
    let request = world.send(&[PULL], get(&path), Body::empty());
    let id = request_id::RequestId::parse("r-18").unwrap();
    let answer = request_id::CURRENT.scope(id, request).await.expect_error(404, "BLOB_UNKNOWN");
    let detail = answer.json()["errors"][0]["detail"].clone();
    assert_eq!((&detail["request_id"], &detail["repository"]), (&"r-18".into(), &"ann/app".into()));
}

#[rstest]
#[case(Refusal::Overloaded, "UNAVAILABLE")]
#[case(Refusal::TooManyFromAddress, "TOOMANYREQUESTS")]
#[case(Refusal::HeadersTooLong, "UNSUPPORTED")]
#[case(Refusal::NoOneHost, "UNSUPPORTED")]
#[case(Refusal::Panicked, "UNKNOWN")]
#[tokio::test]
async fn a_request_that_no_handler_answers_gets_the_body_of_the_specification(
    #[case] refusal: Refusal,
    #[case] code: &str,
) {
    let (parts, body) = registry_api::refusal(refusal).into_parts();
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.headers["docker-distribution-api-version"], "registry/2.0");
    let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["errors"][0]["code"], code);
}
