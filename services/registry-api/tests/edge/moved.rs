//! Repositories that are asked for by a name that they had before.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use oci::Digest;
use proto::metadata::{
    RepositoryError, UploadError,
    credentials::{Revocation, Revoked},
};
use rstest::rstest;
use serde_json::json;
use service_kit::clock::Clock as _;

use crate::{
    services::When,
    world::{PULL, PUSH, World, get, on, post, put},
};

const NEW: &str = "repository:team/tool:pull";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn moved() -> RepositoryError {
    RepositoryError::Moved { repository: "ann/app".parse().unwrap(), to: "team/tool".parse().unwrap() }
}

fn world(call: &'static str) -> World {
    let world = World::new();
    *world.repositories.tags.lock().unwrap() = vec!["v1".parse().unwrap(), "v2".parse().unwrap()];
    world.repositories.faults.add(call, When::Before, moved());
    world
}

#[tokio::test]
async fn what_is_read_by_the_old_name_is_answered_by_the_new_one() {
    let world = world("tags");
    let page = get("/v2/ann/app/tags/list?n=1");
    let answer = world.send(&[PULL, NEW], page, Body::empty()).await.expect(200);
    assert_eq!(answer.json(), json!({ "name": "team/tool", "tags": ["v1"] }));
    assert_eq!(answer.header("link"), "</v2/team/tool/tags/list?n=1&last=v1>; rel=\"next\"");
    assert_eq!(answer.calls, ["tags", "tags"]);
}

#[tokio::test]
async fn every_read_follows() {
    let digest = Digest::of_sha256(b"layer");
    for (calls, path, expected) in [
        (["pull", "manifest"], "/v2/ann/app/manifests/v1".to_owned(), 404),
        (["blob"; 2], format!("/v2/ann/app/blobs/{digest}"), 200),
        (["referrers"; 2], format!("/v2/ann/app/referrers/{digest}"), 200),
        (["tag_history"; 2], "/v2/ann/app/_oci/tag-history/v1".to_owned(), 200),
    ] {
        for (method, call) in [Method::GET, Method::HEAD].into_iter().zip(calls) {
            let world = world(call);
            let _ = world.blob(b"layer");
            let answer = world.send(&[PULL, NEW], on(method, &path), Body::empty()).await.expect(expected);
            assert_eq!(answer.calls.iter().filter(|called| **called == call).count(), 2, "{path}");
        }
    }
}

#[rstest]
#[case(&[PULL])]
#[case(&[PUSH, "repository:team/tool:push"])]
#[tokio::test]
async fn who_may_not_pull_by_the_new_name_is_told_of_no_repository(#[case] scopes: &[&str]) {
    let world = world("tags");
    let answer = world.send(scopes, get("/v2/ann/app/tags/list"), Body::empty()).await;
    let answer = answer.expect_error(404, "NAME_UNKNOWN");
    assert!(!answer.json().to_string().contains("tool"), "{answer:?}");
    assert_eq!(answer.calls, ["tags"]);
}

#[tokio::test]
async fn a_name_that_leads_on_and_on_leads_nowhere() {
    let world = world("tags");
    world.repositories.faults.add("tags", When::Before, moved());
    let answer = world.send(&[PULL, NEW], get("/v2/ann/app/tags/list"), Body::empty()).await;
    let _ = answer.expect_error(404, "NAME_UNKNOWN");
}

#[rstest]
#[case(&[PUSH, NEW], "is called team/tool now")]
#[case(&[PUSH], "still leads to a repository that was called so")]
#[tokio::test]
async fn a_push_to_the_old_name_is_refused_and_says_as_much_as_may_be_known(
    #[case] scopes: &[&str],
    #[case] said: &str,
) {
    let world = world("put_manifest");
    let body = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": Digest::of_sha256(b"{}") } });
    let request = put("/v2/ann/app/manifests/v1").header("content-type", MANIFEST);
    let answer = world.send(scopes, request, body.to_string()).await.expect_error(403, "DENIED");
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains(said), "{answer:?}");

    let (repository, to) = ("ann/app".parse().unwrap(), "team/tool".parse().unwrap());
    world.uploads.faults.add("start", When::Before, UploadError::Moved { repository, to });
    let answer = world.send(scopes, post("/v2/ann/app/blobs/uploads/"), Body::empty()).await;
    let answer = answer.expect_error(403, "DENIED");
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains(said), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_for_a_repository_that_was_revoked_ends_whoever_has_it() {
    let world = World::new();
    let bearing = async |subject: &str, scopes: &[&str]| {
        let token = world.signer.sign(&world.claims(subject, scopes));
        let request = get("/v2/ann/app/tags/list").header("authorization", format!("Bearer {token}"));
        world.send_as_it_is(request, Body::empty()).await
    };
    let id = format!("{:026}", 1).parse().unwrap();
    let what = Revoked::Repository("team/tool".parse().unwrap());
    let at = world.clock.now();
    world.identities.revoked.lock().unwrap().push(Revocation { id, at, what });
    tokio::time::sleep(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;

    for subject in ["ann", ""] {
        let _ = bearing(subject, &[PULL]).await.expect(200);
        let _ = bearing(subject, &[PULL, NEW]).await.expect_error(401, "UNAUTHORIZED");
    }
    world.pass(1);
    let _ = bearing("", &[PULL, NEW]).await.expect(200);
}
