//! Is this a registry, and how does one log in?

use reqwest::Method;
use tests::raw::{ADMIN, Answer, PASSWORD};

use crate::{
    ground::{Ground, answer},
    requirement::requirements,
};

requirements![
    the_base_answers_200,
    the_base_has_the_header_that_docker_looks_for,
    who_has_no_token_is_told_where_to_get_one,
    the_challenge_names_what_the_token_must_allow,
    a_token_that_is_none_is_called_invalid,
    a_token_for_less_is_called_insufficient,
    the_answer_of_the_token_endpoint_has_all_its_fields,
    a_token_allows_less_than_asked_rather_than_nothing,
    a_wrong_password_is_refused,
];

/// The parameters of a Bearer challenge, as they are written.
fn challenge(refused: &Answer) -> &str {
    refused.header("www-authenticate").strip_prefix("Bearer ").unwrap_or_else(|| panic!("{refused:?}"))
}

fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let (_, value) = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{challenge}"));
    value.split_once('"').unwrap().0
}

/// OCI distribution 1.1, "Determining Support": a registry that implements the specification MUST answer GET
/// /v2/ with 200.
async fn the_base_answers_200(at: &Ground) {
    let _ = at.get("/v2/").await.expect(200);
    let _ = at.head("/v2/").await.expect(200);
}

/// OCI distribution 1.1, "Legacy Docker support HTTP headers": `Docker-Distribution-API-Version:
/// registry/2.0`, with 200 and with 401.
async fn the_base_has_the_header_that_docker_looks_for(at: &Ground) {
    let welcome = at.get("/v2/").await.expect(200);
    let refused = answer(at.raw.anonymous(Method::GET, "/v2/")).await.expect(401);
    for answer in [welcome, refused] {
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
}

/// Docker token authentication, "How to authenticate": 401 has `WWW-Authenticate: Bearer realm=…,service=…`,
/// and what is had from there is let in.
async fn who_has_no_token_is_told_where_to_get_one(at: &Ground) {
    let refused = answer(at.raw.anonymous(Method::GET, "/v2/")).await.expect_error(401, "UNAUTHORIZED");
    let challenge = challenge(&refused);
    let realm = format!("{}?service={}", parameter(challenge, "realm"), parameter(challenge, "service"));

    let login = at.raw.anonymous(Method::GET, &realm).basic_auth(ADMIN, Some(PASSWORD));
    let token = answer(login).await.expect(200).json()["token"].as_str().unwrap().to_owned();

    let _ = answer(at.raw.anonymous(Method::GET, "/v2/").bearer_auth(token)).await.expect(200);
}

/// Docker token authentication, "Token scope": the challenge names `repository:<name>:<actions>` of the
/// request.
async fn the_challenge_names_what_the_token_must_allow(at: &Ground) {
    for (method, path, actions) in [
        (Method::GET, "tags/list", "pull"),
        (Method::POST, "blobs/uploads/", "pull,push"),
        (Method::DELETE, "manifests/v1", "delete"),
    ] {
        let refused = answer(at.raw.anonymous(method, &at.path(path))).await.expect(401);
        let scope = parameter(challenge(&refused), "scope").to_owned();
        assert_eq!(scope, format!("repository:{}:{actions}", at.repository));
    }
}

/// RFC 6750, section 3.1: a token that is malformed, expired or revoked is answered with 401 and
/// `error="invalid_token"`.
async fn a_token_that_is_none_is_called_invalid(at: &Ground) {
    let request = at.raw.anonymous(Method::GET, "/v2/").bearer_auth("a.b.c");
    let refused = answer(request).await.expect_error(401, "UNAUTHORIZED");
    assert_eq!(parameter(challenge(&refused), "error"), "invalid_token");
}

/// RFC 6750, section 3.1, with Docker's 401 instead of 403, so that the client fetches another token: a token
/// that does not allow the request is answered with `error="insufficient_scope"`.
async fn a_token_for_less_is_called_insufficient(at: &Ground) {
    let token = at.raw.token(&[&format!("repository:{}:pull", at.repository)]).await;
    let request = at.raw.anonymous(Method::POST, &at.path("blobs/uploads/")).bearer_auth(token);
    let refused = answer(request).await.expect(401);
    assert_eq!(parameter(challenge(&refused), "error"), "insufficient_scope");
}

/// Docker token authentication, "Token response fields": `token` and `access_token` are the same,
/// `expires_in` is never below 60 seconds, and there is `issued_at`.
async fn the_answer_of_the_token_endpoint_has_all_its_fields(at: &Ground) {
    let login = at.raw.anonymous(Method::GET, "/token?service=bucket").basic_auth(ADMIN, Some(PASSWORD));
    let fields = answer(login).await.expect(200).json();
    assert!(fields["token"].is_string() && fields["token"] == fields["access_token"], "{fields}");
    assert!(fields["expires_in"].as_u64().unwrap() >= 60, "{fields}");
    assert!(fields["issued_at"].as_str().unwrap().contains('T'), "{fields}");
}

/// Docker token authentication, "Requesting a token": if the client may do less than it asks for, that is not
/// an error; the token is for what it may do.
async fn a_token_allows_less_than_asked_rather_than_nothing(at: &Ground) {
    let scope = format!("repository:{}:pull,push", at.repository);
    let asked = at.raw.anonymous(Method::GET, "/token").query(&[("service", "bucket"), ("scope", &scope)]);
    let token = answer(asked).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let request = at.raw.anonymous(Method::POST, &at.path("blobs/uploads/")).bearer_auth(token);
    let _ = answer(request).await.expect_error(401, "UNAUTHORIZED");
}

/// Docker token authentication, "Requesting a token": credentials that are wrong are answered with 401.
async fn a_wrong_password_is_refused(at: &Ground) {
    let login = at.raw.anonymous(Method::GET, "/token?service=bucket").basic_auth(ADMIN, Some("wrong"));
    let _ = answer(login).await.expect_error(401, "UNAUTHORIZED");
}
