//! Which method on which path is answered, by what, and what it needs.

use axum::body::Body;
use http::Method;
use rstest::rstest;

use crate::world::{PULL, World, get, on, post};

const DIGEST: &str = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
const SESSION: &str = "3b241101-e2bb-4255-8caf-4136c566a962";

#[rstest]
#[case("GET", "/v2/", "")]
#[case("HEAD", "/v2/", "")]
#[case("GET", "/v2", "")]
#[case("GET", "/v2/_catalog", "registry:catalog:*")]
#[case("GET", "/v2/ann/app/tags/list", "repository:ann/app:pull")]
#[case("GET", "/v2/_oci/ext/discover", "")]
#[case("GET", "/v2/ann/app/_oci/ext/discover", "repository:ann/app:pull")]
#[case("GET", "/v2/_oci/repositories", "")]
#[case("GET", "/v2/ann/_oci/repositories", "")]
#[case("GET", "/v2/ann/app/_oci/tag-history/v1", "repository:ann/app:pull")]
#[case("GET", "/v2/ann/app/blobs/DIGEST", "repository:ann/app:pull")]
#[case("HEAD", "/v2/ann/app/blobs/DIGEST", "repository:ann/app:pull")]
#[case("GET", "/v2/ann/app/manifests/v1", "repository:ann/app:pull")]
#[case("HEAD", "/v2/ann/app/manifests/DIGEST", "repository:ann/app:pull")]
#[case("GET", "/v2/ann/app/referrers/DIGEST", "repository:ann/app:pull")]
#[case("PUT", "/v2/ann/app/manifests/v1", "repository:ann/app:pull,push")]
#[case("DELETE", "/v2/ann/app/manifests/v1", "repository:ann/app:delete")]
#[case("DELETE", "/v2/ann/app/blobs/DIGEST", "repository:ann/app:delete")]
#[case("POST", "/v2/ann/app/blobs/uploads/", "repository:ann/app:pull,push")]
#[case("POST", "/v2/ann/app/blobs/uploads", "repository:ann/app:pull,push")]
#[case("GET", "/v2/ann/app/blobs/uploads/SESSION", "repository:ann/app:pull,push")]
#[case("PATCH", "/v2/ann/app/blobs/uploads/SESSION", "repository:ann/app:pull,push")]
#[case("PUT", "/v2/ann/app/blobs/uploads/SESSION", "repository:ann/app:pull,push")]
#[case("DELETE", "/v2/ann/app/blobs/uploads/SESSION", "repository:ann/app:pull,push")]
#[case("GET", "/v2/alpine/tags/list", "repository:library/alpine:pull")]
#[case("GET", "/v2/a%6En/app/manifests/v1", "repository:ann/app:pull")]
#[tokio::test]
async fn nobody_in_particular_is_told_which_token_to_get(
    #[case] method: &str,
    #[case] path: &str,
    #[case] scope: &str,
) {
    let world = World::new();
    let path = path.replace("DIGEST", DIGEST).replace("SESSION", SESSION);

    let answer = world.send_as_it_is(on(method.parse().unwrap(), &path), Body::empty()).await.expect(401);

    let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
    let expected = format!("Bearer realm=\"http://hub.test:9911/token\",service=\"bucket\"{scope}");
    assert_eq!(answer.header("www-authenticate"), expected);
    assert!(answer.calls.is_empty(), "{:?}", answer.calls);
}

#[rstest]
#[case("POST", "/v2/", "GET, HEAD")]
#[case("POST", "/v2/ann/app/blobs/DIGEST", "GET, HEAD, DELETE")]
#[case("PUT", "/v2/ann/app/tags/list", "GET, HEAD")]
#[case("PUT", "/v2/_oci/ext/discover", "GET, HEAD")]
#[case("POST", "/v2/ann/_oci/repositories", "GET, HEAD")]
#[case("DELETE", "/v2/ann/app/_oci/tag-history/v1", "GET, HEAD")]
#[case("GET", "/v2/ann/app/blobs/uploads/", "POST")]
#[case("POST", "/v2/ann/app/manifests/v1", "GET, HEAD, PUT, DELETE")]
#[case("POST", "/v2/ann/app/blobs/uploads/SESSION", "GET, HEAD, PATCH, PUT, DELETE")]
#[case("OPTIONS", "/v2/_catalog", "GET, HEAD")]
#[case("DELETE", "/token", "GET, POST")]
#[tokio::test]
async fn what_is_not_possible_names_what_is(#[case] method: &str, #[case] path: &str, #[case] allow: &str) {
    let world = World::new();
    let path = path.replace("DIGEST", DIGEST).replace("SESSION", SESSION);
    let answer = world.send_as_it_is(on(method.parse().unwrap(), &path), Body::empty()).await;
    let answer = answer.expect_error(405, "UNSUPPORTED");
    assert_eq!(answer.header("allow"), allow);
}

#[rstest]
#[case("/v2/nothing", 404, "UNSUPPORTED")]
#[case("/v2/ann/app/referrers/sha256:abc", 400, "DIGEST_INVALID")]
#[case("/v2/ann/app/referrers/latest", 400, "DIGEST_INVALID")]
#[case("/v1/_ping", 404, "UNSUPPORTED")]
#[case("/elsewhere", 404, "UNSUPPORTED")]
#[case("/v2/Ann/app/tags/list", 400, "NAME_INVALID")]
#[case("/v2/ann/app/blobs/sha256:abc", 400, "DIGEST_INVALID")]
#[case("/v2/ann/app/manifests/-tag", 400, "TAG_INVALID")]
#[case("/v2/ann/app/_oci/tag-history/-tag", 400, "TAG_INVALID")]
#[case("/v2/Ann/_oci/ext/discover", 400, "NAME_INVALID")]
#[case("/v2/_oci/ext/nothing", 404, "UNSUPPORTED")]
#[case("/v2/Ann/_oci/repositories", 400, "NAME_INVALID")]
#[case("/v2/_oci/tag-history/v1", 404, "UNSUPPORTED")]
#[case("/v2/ann/app/manifests/md5:abc", 400, "DIGEST_INVALID")]
#[case("/v2/ann/app/blobs/uploads/17", 404, "BLOB_UPLOAD_UNKNOWN")]
#[tokio::test]
async fn a_path_that_leads_nowhere_says_why(#[case] path: &str, #[case] status: u16, #[case] code: &str) {
    let world = World::new();
    let path = path.replace("DIGEST", DIGEST);
    let answer = world.send_as_it_is(get(&path), Body::empty()).await.expect_error(status, code);
    assert!(answer.calls.is_empty());
}

#[tokio::test]
async fn the_base_answers_a_token_with_an_empty_object() {
    let world = World::new();
    let answer = world.send(&[], get("/v2/"), Body::empty()).await.expect(200);
    assert_eq!(answer.json(), serde_json::json!({}));
}

/// distribution-spec, `extensions/_oci.md`: name, url and endpoints are required of each extension.
#[tokio::test]
async fn the_extensions_that_are_served_are_discovered_and_no_others() {
    let world = World::new();
    let mut found = Vec::new();
    for path in ["/v2/_oci/ext/discover", "/v2/ann/app/_oci/ext/discover"] {
        let answer = world.send(&[PULL], get(path), Body::empty()).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(answer.calls.is_empty(), "{:?}", answer.calls);
        for extension in answer.json()["extensions"].as_array().unwrap() {
            assert!(extension["url"].as_str().unwrap().starts_with("https://"), "{extension}");
            assert!(!extension["description"].as_str().unwrap().is_empty(), "{extension}");
            let endpoints = extension["endpoints"].as_array().unwrap().clone();
            let named = |path: serde_json::Value| {
                format!("{} {}", extension["name"].as_str().unwrap(), path.as_str().unwrap())
            };
            found.extend(endpoints.into_iter().map(named));
        }
    }
    assert_eq!(
        found,
        [
            "_oci /v2/_oci/ext/discover",
            "_oci /v2/_oci/repositories",
            "_catalog /v2/_catalog",
            "_oci /v2/ann/app/_oci/ext/discover",
            "_oci /v2/ann/app/_oci/tag-history/<tag>",
            "_oci /v2/ann/app/_oci/repositories",
        ]
    );

    for endpoint in found {
        let (_, path) = endpoint.split_once(' ').unwrap();
        let scopes = [PULL, "registry:catalog:*"];
        let _ = world.send(&scopes, get(&path.replace("<tag>", "v1")), Body::empty()).await.expect(200);
    }
}

#[tokio::test]
async fn urls_are_those_of_the_configuration_or_of_the_trusted_proxy() {
    let behind_a_proxy = |request: http::request::Builder| {
        request.header("x-forwarded-proto", "https").header("x-forwarded-host", "hub.example.com")
    };
    let uploads = || post("/v2/ann/app/blobs/uploads/");
    let push = ["repository:ann/app:pull,push"];

    let world = World::new();
    let answer = world.send_as_it_is(behind_a_proxy(get("/v2/")), Body::empty()).await.expect(401);
    assert!(answer.header("www-authenticate").contains("realm=\"https://hub.example.com/token\""));
    let answer = world.send(&push, behind_a_proxy(uploads()), Body::empty()).await.expect(202);
    assert_eq!(answer.header("location"), format!("/v2/ann/app/blobs/uploads/{SESSION}"));

    let world = World::with(&toml::from_str("external_url = 'https://other.example.com'").unwrap());
    let answer = world.send_as_it_is(behind_a_proxy(get("/v2/")), Body::empty()).await.expect(401);
    assert!(answer.header("www-authenticate").contains("realm=\"https://other.example.com/token\""));
    let answer = world.send(&push, uploads(), Body::empty()).await.expect(202);
    let expected = format!("https://other.example.com/v2/ann/app/blobs/uploads/{SESSION}");
    assert_eq!(answer.header("location"), expected);
}

#[test]
fn an_unknown_key_of_the_configuration_is_named() {
    let error = toml::from_str::<registry_api::config::Config>("external_uri = 'x'").unwrap_err();
    assert!(error.message().contains("external_uri") && error.message().contains("external_url"), "{error}");
}

#[tokio::test]
async fn methods_that_nobody_knows_are_refused() {
    let world = World::new();
    let method = Method::from_bytes(b"BREW").unwrap();
    let _ = world.send_as_it_is(on(method, "/v2/"), Body::empty()).await.expect_error(405, "UNSUPPORTED");
}
