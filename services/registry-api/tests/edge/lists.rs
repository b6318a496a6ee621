//! Tags and the catalog, page by page.

use axum::body::Body;
use proto::metadata::repositories::Viewer;
use rstest::rstest;
use serde_json::json;

use crate::world::{PULL, World, get};

const TAGS: &str = "/v2/ann/app/tags/list";

fn world() -> World {
    let world = World::new();
    *world.repositories.tags.lock().unwrap() = ["a", "b", "c", "d"].map(|tag| tag.parse().unwrap()).into();
    *world.repositories.names.lock().unwrap() =
        ["ann/app", "bob/x", "library/y"].map(|name| name.parse().unwrap()).into();
    world
}

#[rstest]
#[case("", &["a", "b", "c", "d"], "")]
#[case("?n=2", &["a", "b"], "</v2/ann/app/tags/list?n=2&last=b>; rel=\"next\"")]
#[case("?n=2&last=b", &["c", "d"], "")]
#[case("?last=bb", &["c", "d"], "")]
#[case("?n=0", &[], "")]
#[case("?n=4", &["a", "b", "c", "d"], "")]
#[case("?n=5000&last=", &["a", "b", "c", "d"], "")]
#[tokio::test]
async fn a_page_of_tags_links_to_the_next(#[case] query: &str, #[case] tags: &[&str], #[case] link: &str) {
    let world = world();
    let answer = world.send(&[PULL], get(&format!("{TAGS}{query}")), Body::empty()).await.expect(200);
    assert_eq!(answer.json(), json!({ "name": "ann/app", "tags": tags }));
    assert_eq!(answer.header("link"), link);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[rstest]
#[case("?n=x", "PAGINATION_NUMBER_INVALID")]
#[case("?n=-1", "PAGINATION_NUMBER_INVALID")]
#[case("?n=", "PAGINATION_NUMBER_INVALID")]
#[case("?last=%2F", "TAG_INVALID")]
#[tokio::test]
async fn a_page_that_is_none_is_refused(#[case] query: &str, #[case] code: &str) {
    let world = world();
    let answer = world.send(&[PULL], get(&format!("{TAGS}{query}")), Body::empty()).await;
    let _ = answer.expect_error(400, code);
}

#[tokio::test]
async fn the_catalog_is_listed_for_administrators() {
    let world = world();
    let page = |query: &str| get(&format!("/v2/_catalog{query}"));
    let admin = ["registry:catalog:*"];

    let first = world.send(&admin, page("?n=2"), Body::empty()).await.expect(200);
    assert_eq!(first.json(), json!({ "repositories": ["ann/app", "bob/x"] }));
    assert_eq!(first.header("link"), "</v2/_catalog?n=2&last=bob%2Fx>; rel=\"next\"");

    let last = world.send(&admin, page("?n=2&last=bob%2Fx"), Body::empty()).await.expect(200);
    assert_eq!(last.json(), json!({ "repositories": ["library/y"] }));
    assert_eq!(last.header("link"), "");

    let _ = world.send(&[PULL], page(""), Body::empty()).await.expect_error(401, "UNAUTHORIZED");
    let rest = world.send(&admin, page("?n=1000&last=ann%2Fapp"), Body::empty()).await.expect(200);
    assert_eq!(rest.json(), json!({ "repositories": ["bob/x", "library/y"] }));
    let none = world.send(&admin, page("?n=0"), Body::empty()).await.expect(200);
    assert_eq!((none.json(), none.header("link")), (json!({ "repositories": [] }), ""));
    for query in ["?n=1001", "?n=99999999999999999999999"] {
        let answer = world.send(&admin, page(query), Body::empty()).await;
        let _ = answer.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }

    let _ = world.send(&admin, page("?last=A"), Body::empty()).await.expect_error(400, "NAME_INVALID");
}

/// distribution-spec, draft #611: "the response body MUST be a JSON array of repository objects".
#[tokio::test]
async fn repositories_under_a_path_are_an_array_of_objects_with_a_link_to_the_next() {
    let world = world();
    let admin = ["registry:catalog:*"];
    let page = |path: &str| get(&format!("/v2/{path}"));

    let first = world.send(&admin, page("_oci/repositories?n=2"), Body::empty()).await.expect(200);
    assert_eq!(first.json(), json!([{ "name": "ann/app" }, { "name": "bob/x" }]));
    assert_eq!(first.header("link"), "</v2/_oci/repositories?n=2&last=bob%2Fx>; rel=\"next\"");
    assert_eq!(
        (first.header("content-type"), first.calls.as_slice()),
        ("application/json", ["repositories"].as_slice())
    );
    let last =
        world.send(&admin, page("_oci/repositories?n=2&last=bob%2Fx"), Body::empty()).await.expect(200);
    assert_eq!((last.json(), last.header("link")), (json!([{ "name": "library/y" }]), ""));

    let under = world.send(&admin, page("ann/_oci/repositories"), Body::empty()).await.expect(200);
    assert_eq!(under.json(), json!([{ "name": "ann/app" }]));
    let itself = world.send(&admin, page("ann/app/_oci/repositories"), Body::empty()).await.expect(200);
    assert_eq!(itself.json(), json!([{ "name": "ann/app" }]));
    for nothing in ["an/_oci/repositories", "_oci/repositories?n=0"] {
        let answer = world.send(&admin, page(nothing), Body::empty()).await.expect(200);
        assert_eq!((answer.json(), answer.header("link")), (json!([]), ""));
    }
    // Who asks for more than a page may have gets a page, and a Link where it ends.
    let _ = world.send(&admin, page("_oci/repositories?n=5000"), Body::empty()).await.expect(200);
    let wanted = world.repositories.wanted_repositories.lock().unwrap().pop().unwrap();
    assert_eq!(wanted.page.limit, 1_000);
    let answer = world.send(&admin, page("_oci/repositories?n=x"), Body::empty()).await;
    let _ = answer.expect_error(400, "PAGINATION_NUMBER_INVALID");
}

#[tokio::test]
async fn nobody_learns_of_repositories_that_their_token_does_not_cover() {
    let world = world();
    let asked = async |scopes: &[&str], path: &str| {
        let answer = world.send(scopes, get(path), Body::empty()).await.expect(200);
        (answer.json(), world.repositories.wanted_repositories.lock().unwrap().pop().unwrap())
    };
    let (all, below) = ("/v2/_oci/repositories", "/v2/bob/_oci/repositories");

    let (listed, wanted) = asked(&[], all).await;
    assert_eq!((listed, wanted.viewer, wanted.also), (json!([]), Viewer::Outsider, vec![]));
    let (listed, wanted) = asked(&[PULL, "repository:bob/x:push", "repository:library/y:pull"], all).await;
    assert_eq!(listed, json!([{ "name": "ann/app" }, { "name": "library/y" }]));
    assert_eq!(wanted.viewer, Viewer::Outsider);
    let (listed, wanted) = asked(&[PULL, "repository:bob/x:pull"], below).await;
    assert_eq!(listed, json!([{ "name": "bob/x" }]));
    assert_eq!(wanted.also, ["bob/x".parse().unwrap()]);

    let claims = world.claims("ann", &["registry:catalog:*", PULL]);
    let token = world.signer.sign(&claims);
    world.pass(300);
    let expired = get(all).header("authorization", format!("Bearer {token}"));
    let _ = world.send_as_it_is(expired, Body::empty()).await.expect_error(401, "UNAUTHORIZED");
}
