//! Quotas, counted pulls and pictures in the management API.

use axum::body::Body;
use http::{Method, header};
use oci::Digest;
use proto::{auth::IdentityError, metadata::RepositoryError};
use rstest::rstest;
use serde_json::json;

use crate::{
    services::When,
    world::{Answer, World, get, on},
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...";
const LOGIN: &str = "Basic YW5uOnNlY3JldC1wYXNzd29yZA==";

fn deeds(world: &World) -> String {
    let deeds = std::mem::take(&mut *world.identities.deeds.lock().unwrap());
    deeds.iter().map(|deed| format!("{deed:?}")).collect::<Vec<_>>().join(" ")
}

fn done(world: &World) -> String {
    std::mem::take(&mut *world.usage.done.lock().unwrap()).join(", ")
}

#[tokio::test]
async fn an_administrator_gives_a_quota_and_members_see_it() {
    let world = World::new();
    let quota = async || world.ask("GET", "/namespaces/devs/quota", "").await.expect_of_hub(200).json();
    assert_eq!(quota().await, json!({ "used_bytes": 17, "limit_bytes": 100, "is_default": true }));
    assert_eq!(deeds(&world), r#"SeeNamespace("devs")"#);

    for (body, own, limit) in [
        (r#"{"limit_bytes":10737418240}"#, "Bytes(10737418240)", json!(10_737_418_240_u64)),
        (r#"{"limit_bytes":null}"#, "Unlimited", json!(null)),
    ] {
        let _ = world.ask("PUT", "/namespaces/devs/quota", body).await.expect_of_hub(204);
        assert_eq!(
            (deeds(&world), done(&world)),
            ("ManageHub".to_owned(), format!("put_quota devs Some({own}) by ann"))
        );
        let expected = json!({ "used_bytes": 17, "limit_bytes": limit, "is_default": false });
        assert_eq!(quota().await, expected);
        deeds(&world);
    }
    let _ = world.ask("DELETE", "/namespaces/devs/quota", "").await.expect_of_hub(204);
    assert_eq!(
        (deeds(&world), done(&world)),
        ("ManageHub".to_owned(), "put_quota devs None by ann".to_owned())
    );
}

#[rstest]
#[case("{}", "limit_bytes")]
#[case(r#"{"limit_bytes":-1}"#, "limit_bytes")]
#[case(r#"{"limit_bytes":"10GiB"}"#, "limit_bytes")]
#[case(r#"{"limit_bytes":1,"unlimited":true}"#, "unlimited")]
#[tokio::test]
async fn a_quota_that_is_not_said_clearly_is_refused(#[case] body: &str, #[case] field: &str) {
    let world = World::new();
    let answer = world.ask("PUT", "/namespaces/devs/quota", body).await;
    assert_eq!(answer.expect_problem(422, "field-invalid").json()["field"], field);
    assert_eq!(done(&world), "");
}

#[tokio::test]
async fn who_may_not_changes_no_quota() {
    let world = World::new();
    let forbidden =
        || IdentityError::Forbidden { subject: "ann".to_owned(), missing: "manage this hub".to_owned() };
    for (method, body) in [("PUT", r#"{"limit_bytes":null}"#), ("DELETE", "")] {
        world.identities.faults.add("authorize", When::Before, forbidden());
        let _ = world.ask(method, "/namespaces/devs/quota", body).await.expect_problem(403, "forbidden");
    }
    assert_eq!(done(&world), "");
    let unknown = RepositoryError::NamespaceUnknown { namespace: "devs".parse().unwrap() };
    world.usage.faults.add("quota", When::Before, unknown);
    let _ = world.ask("GET", "/namespaces/devs/quota", "").await.expect_problem(404, "namespace-unknown");
}

#[tokio::test]
async fn a_repository_says_how_often_it_was_pulled() {
    let world = World::new();
    let found = world.ask("GET", "/repositories/ann/app", "").await.expect_of_hub(200).json();
    assert_eq!((&found["pulls"], &found["last_pulled"]), (&json!(3), &json!(null)));
}

async fn put(world: &World, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = on(Method::PUT, &format!("/api/v1{path}")).header(header::AUTHORIZATION, LOGIN);
    world.send_as_it_is(request.header(header::CONTENT_TYPE, kind), body.into()).await
}

#[rstest]
#[case("/users/bob/avatar", r#"ManageAccount("bob")"#, "User bob")]
#[case("/organizations/devs/avatar", r#"ManageNamespace("devs")"#, "Organization devs")]
#[tokio::test]
async fn a_picture_is_put_by_who_may_and_seen_by_all(
    #[case] path: &str,
    #[case] deed: &str,
    #[case] of: &str,
) {
    let world = World::new();
    let see = async |known: &str| {
        let request = get(&format!("/api/v1{path}")).header(header::IF_NONE_MATCH, known);
        world.send_as_it_is(request, Body::empty()).await
    };
    let _ = see("").await.expect_problem(404, "no-picture");

    let _ = put(&world, path, "image/png", PNG).await.expect_of_hub(204);
    assert_eq!((deeds(&world).as_str(), done(&world)), (deed, format!("put_avatar {of} Some(Png) by ann")));
    let seen = see("").await;
    assert_eq!((seen.status.as_u16(), &seen.body()[..]), (200, PNG));
    let etag = format!("\"{}\"", Digest::of_sha256(PNG));
    for (name, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, max-age=300"),
        ("etag", etag.as_str()),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    let known = see(&etag).await;
    assert_eq!((known.status.as_u16(), known.body().len(), known.header("etag")), (304, 0, etag.as_str()));
    assert_eq!(deeds(&world), "", "nobody is asked who they are");

    let _ = world.ask("DELETE", path, "").await.expect_of_hub(204);
    assert_eq!((deeds(&world).as_str(), done(&world)), (deed, format!("put_avatar {of} None by ann")));
    let _ = see("").await.expect_problem(404, "no-picture");
}

#[tokio::test]
async fn what_is_no_picture_is_refused() {
    let world = World::new();
    for body in [&b""[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a..."] {
        let answer = put(&world, "/users/bob/avatar", "application/octet-stream", body).await;
        let _ = answer.expect_problem(422, "field-invalid");
    }
    let mut large = PNG.to_vec();
    large.resize((256 << 10) + 1, 0);
    let _ = put(&world, "/users/bob/avatar", "image/png", large).await.expect_problem(413, "body-too-long");
    let svg = put(&world, "/users/bob/avatar", "image/svg+xml", PNG).await;
    let _ = svg.expect_problem(415, "picture-type");
    assert_eq!(done(&world), "");
}
