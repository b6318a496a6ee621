//! The token endpoint: what is read from GET and POST, and what is answered.

use std::net::IpAddr;

use axum::body::Body;
use http::{header, request::Builder};
use oci::Scope;
use proto::auth::{AuthError, TokenRequest};
use rstest::rstest;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::{
    services::When,
    world::{Answer, World, get, post},
};

fn form() -> Builder {
    post("/token").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
}

fn asked(world: &World) -> TokenRequest {
    world.auth.asked.lock().unwrap().pop().unwrap()
}

fn scopes(request: &TokenRequest) -> Vec<String> {
    request.scopes.iter().map(Scope::to_string).collect()
}

async fn with_basic(world: &World, query: &str, basic: &str) -> Answer {
    let request = get(&format!("/token{query}")).header(header::AUTHORIZATION, format!("Basic {basic}"));
    world.send_as_it_is(request, Body::empty()).await
}

#[tokio::test]
async fn nobody_in_particular_gets_a_token_too() {
    let world = World::new();
    let query = "/token?service=bucket&scope=repository%3Aann%2Fapp%3Apull&scope=repository:a:pull+repository:b:push&client_id=x";
    let request = get(query).header("x-forwarded-for", "192.0.2.7");
    let answer = world.send_as_it_is(request, Body::empty()).await.expect(200);

    assert_eq!(
        answer.json(),
        json!({
            "token": "signed",
            "access_token": "signed",
            "expires_in": 300,
            "issued_at": "2026-01-01T00:00:00Z",
        })
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.calls, ["token"]);
    let asked = asked(&world);
    assert!(asked.credentials.is_none());
    assert_eq!(asked.service, "bucket");
    assert_eq!(asked.address, Some("192.0.2.7".parse::<IpAddr>().unwrap()));
    let expected = ["repository:ann/app:pull", "repository:library/a:pull", "repository:library/b:push"];
    assert_eq!(scopes(&asked), expected);
}

#[tokio::test]
async fn a_login_with_basic_is_passed_on() {
    let world = World::new();
    let _ = with_basic(&world, "?account=ann&offline_token=true", "YW5uOmE6Yg==").await.expect(200);
    let given = asked(&world).credentials.unwrap();
    assert_eq!((given.username.as_str(), given.password.expose_secret()), ("ann", "a:b"));
}

#[tokio::test]
async fn a_wrong_password_is_asked_for_again() {
    let world = World::new();
    world.auth.faults.add("token", When::Before, AuthError::WrongCredentials);
    let answer = with_basic(&world, "", "YW5uOmE=").await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"bucket\"");
}

#[rstest]
#[case("Basic %%%")]
#[case("Basic YW5u")]
#[case("Bearer abc")]
#[case("Digest abc")]
#[tokio::test]
async fn a_malformed_login_is_not_nobody_in_particular(#[case] proof: &str) {
    let world = World::new();
    let request = get("/token").header(header::AUTHORIZATION, proof);
    let answer = world.send_as_it_is(request, Body::empty()).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"bucket\"");
    assert!(answer.calls.is_empty());
}

#[tokio::test]
async fn a_form_logs_in_and_is_told_what_it_got() {
    let world = World::new();
    let body = "grant_type=password&username=ann&password=a%26b+c&service=bucket&client_id=containerd\
                &scope=repository:ann/app:pull,push+repository:ann/x:pull&scope=repository:ann/y:pull";
    let answer = world.send_as_it_is(form(), body).await.expect(200);

    let expected = "repository:ann/app:pull,push repository:ann/x:pull repository:ann/y:pull";
    assert_eq!(answer.json()["scope"], expected);
    assert_eq!(answer.json()["access_token"], "signed");
    assert_eq!(answer.header("cache-control"), "no-store");
    let given = asked(&world).credentials.unwrap();
    assert_eq!((given.username.as_str(), given.password.expose_secret()), ("ann", "a&b c"));
}

#[tokio::test]
async fn who_wants_to_come_back_is_given_a_refresh_token() {
    let world = World::new();
    for (query, told) in [("?offline_token=true", json!("refresh")), ("?offline_token=false", json!(null))] {
        let answer = with_basic(&world, query, "YW5uOmE6Yg==").await.expect(200);
        assert_eq!(answer.json()["refresh_token"], told);
    }
    let login = "grant_type=password&username=ann&password=x";
    for (more, told) in [("&access_type=offline", json!("refresh")), ("&access_type=online", json!(null))] {
        let answer = world.send_as_it_is(form(), format!("{login}{more}")).await.expect(200);
        assert_eq!(answer.json()["refresh_token"], told);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn who_comes_back_shows_the_refresh_token_and_keeps_it() {
    let world = World::new();
    let form_of = |more: &str| format!("grant_type=refresh_token&refresh_token=bucket_refresh_1{more}");
    let scope = "&service=bucket&client_id=docker&scope=repository:ann/app:pull";
    let answer = world.send_as_it_is(form(), form_of(scope)).await.expect(200).json();
    assert_eq!(answer["access_token"], "signed");
    assert_eq!(answer["refresh_token"], json!(null));
    let given = asked(&world).credentials.unwrap();
    assert_eq!((given.username.as_str(), given.password.expose_secret()), ("", "bucket_refresh_1"));

    world.auth.faults.add("token", When::Before, AuthError::WrongCredentials);
    let _ = world.send_as_it_is(form(), form_of("")).await.expect_error(401, "UNAUTHORIZED");
}

#[rstest]
#[case("grant_type=refresh_token", "invalid_request")]
#[case("grant_type=authorization_code", "unsupported_grant_type")]
#[case("username=ann&password=x", "invalid_request")]
#[case("grant_type=password&password=x", "invalid_request")]
#[case("grant_type=password&username=ann", "invalid_request")]
#[tokio::test]
async fn a_form_that_cannot_be_granted_is_refused_as_oauth_does(
    #[case] body: &'static str,
    #[case] error: &str,
) {
    let world = World::new();
    let answer = world.send_as_it_is(form(), body).await.expect(400);
    assert_eq!(answer.json()["error"], error);
    assert!(answer.json()["error_description"].as_str().unwrap().len() > 15);
    assert!(answer.calls.is_empty());
}

#[tokio::test]
async fn what_is_no_form_or_too_long_is_refused() {
    let world = World::new();
    let json = post("/token").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(world.send_as_it_is(json, "{}").await.expect(400).json()["error"], "invalid_request");

    let long = format!("grant_type=password&scope={}", "x".repeat(64 * 1024));
    assert_eq!(world.send_as_it_is(form(), long).await.expect(413).json()["error"], "invalid_request");
}

#[tokio::test]
async fn too_many_logins_are_told_when_to_come_back() {
    let world = World::new();
    world.auth.faults.add("token", When::Before, AuthError::Overloaded { retry_after_seconds: 7 });
    let answer = with_basic(&world, "", "YW5uOmE=").await.expect_error(429, "TOOMANYREQUESTS");
    assert_eq!(answer.header("retry-after"), "7");
}

#[tokio::test]
async fn a_token_for_another_registry_is_refused() {
    let world = World::new();
    let error = AuthError::UnknownService { asked: "x".to_owned(), known: "bucket".to_owned() };
    world.auth.faults.add("token", When::Before, error);
    let answer = world.send_as_it_is(get("/token?service=x"), Body::empty()).await;
    let answer = answer.expect_error(400, "UNSUPPORTED");
    assert_eq!(answer.json()["errors"][0]["detail"]["known"], "bucket");
}
