//! What is refused, and how a client is told (RFC 9457).

use axum::body::Body;
use http::{Method, header};
use oci::Digest;
use proto::{
    auth::IdentityError,
    metadata::{AccountError, RepositoryError},
};
use rstest::rstest;
use serde_json::json;
use service_kit::request_id;

use crate::{
    accounts::ID,
    services::When,
    world::{World, get, on},
};

fn s(text: &str) -> String {
    text.to_owned()
}

#[rstest]
#[case(IdentityError::WrongCredentials, 401, "wrong-credentials")]
#[case(IdentityError::SignInNeeded { missing: s("manage the hub") }, 401, "sign-in-needed")]
#[case(IdentityError::Hidden { what: s("repository ann/app") }, 404, "not-found")]
#[case(IdentityError::Forbidden { subject: s("ann"), missing: s("manage the hub") }, 403, "forbidden")]
#[case(IdentityError::Throttled { retry_after_seconds: 17 }, 429, "throttled")]
#[case(IdentityError::Overloaded { retry_after_seconds: 3 }, 429, "overloaded")]
#[case(IdentityError::Unavailable { attempted: "asking".into() }, 503, "unavailable")]
#[tokio::test(start_paused = true)]
async fn who_may_not_is_told_why(#[case] error: IdentityError, #[case] status: u16, #[case] kind: &str) {
    let world = World::new();
    for _ in 0..3 {
        world.identities.faults.add("authorize", When::Before, error.clone());
    }
    let answer = world.ask("GET", "/users", "").await.expect_problem(status, kind);

    let challenge = if status == 401 { "Basic realm=\"bucket\"" } else { "" };
    assert_eq!(answer.header("www-authenticate"), challenge);
    let retry = match error {
        IdentityError::Throttled { retry_after_seconds: 17 } => "17",
        IdentityError::Overloaded { .. } => "3",
        IdentityError::Unavailable { .. } => "2",
        _ => "",
    };
    assert_eq!(answer.header("retry-after"), retry);
    if status == 403 {
        assert_eq!(answer.json()["missing"], "manage the hub");
    }
}

#[rstest]
#[case("sign_up", IdentityError::SignUpClosed, 403, "sign-up-closed")]
#[case("sign_up", IdentityError::NameTaken { name: s("bob") }, 409, "name-taken")]
#[case("sign_up", IdentityError::NameReserved { name: s("bob") }, 409, "name-reserved")]
#[case("sign_up", IdentityError::PasswordRefused { why: s("too short") }, 422, "password-refused")]
#[case("change_password", IdentityError::AccountUnknown { name: "bob".parse().unwrap() }, 404, "account-unknown")]
#[case("issue_credential", IdentityError::CredentialExists { name: "a+b".parse().unwrap() }, 409, "credential-exists")]
#[case("issue_credential", IdentityError::CredentialRefused { why: s("it has ended") }, 422, "credential-refused")]
#[case("issue_credential", IdentityError::TooMany { limit: 200 }, 409, "too-many")]
#[tokio::test]
async fn what_auth_does_not_do_is_told(
    #[case] call: &'static str,
    #[case] error: IdentityError,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    world.identities.faults.add(call, When::Before, error);
    let (method, path, body) = match call {
        "sign_up" => ("POST", "/users", r#"{"name":"bob","password":"good-password"}"#),
        "change_password" => ("PUT", "/users/bob/password", r#"{"new":"good-password"}"#),
        _ => ("POST", "/tokens", r#"{"label":"ci","actions":["pull"]}"#),
    };
    let _ = world.ask(method, path, body).await.expect_problem(status, kind);
}

#[rstest]
#[case(AccountError::OrganizationUnknown { name: "devs".parse().unwrap() }, 404, "organization-unknown")]
#[case(AccountError::AccountUnknown { name: "bob".parse().unwrap() }, 404, "account-unknown")]
#[case(AccountError::LastOwner { organization: "devs".parse().unwrap(), user: "bob".parse().unwrap() }, 409, "last-owner")]
#[case(AccountError::LastAdministrator { user: "bob".parse().unwrap() }, 409, "last-administrator")]
#[case(AccountError::NameTaken { name: "devs".parse().unwrap() }, 409, "name-taken")]
#[case(AccountError::TooMany { what: s("teams"), limit: 500 }, 409, "too-many")]
#[case(AccountError::Conflict { attempted: "writing".into() }, 503, "conflict")]
#[case(AccountError::NoSpace { attempted: "writing".into() }, 503, "no-space")]
#[case(AccountError::Unavailable { attempted: "writing".into() }, 503, "unavailable")]
#[tokio::test(start_paused = true)]
async fn an_error_of_accounts_is_a_problem_with_its_fields(
    #[case] error: AccountError,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    for _ in 0..3 {
        world.accounts.faults.add("put_member", When::Before, error.clone());
    }
    let answer = world.ask("PUT", "/organizations/devs/members/bob", r#"{"role":"member"}"#).await;
    let answer = answer.expect_problem(status, kind);
    assert_eq!(status == 503, answer.header("retry-after") == "2");
    if kind == "last-owner" {
        let problem = answer.json();
        assert_eq!((&problem["organization"], &problem["user"]), (&json!("devs"), &json!("bob")));
    }
}

#[rstest]
#[case("create_repository", RepositoryError::RepositoryExists { repository: "ann/app".parse().unwrap() }, 409, "repository-exists")]
#[case("create_repository", RepositoryError::NamespaceUnknown { namespace: "ann".parse().unwrap() }, 404, "namespace-unknown")]
#[case("create_repository", RepositoryError::Unavailable { attempted: "writing".into() }, 503, "unavailable")]
#[case("repository", RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() }, 404, "name-unknown")]
#[tokio::test]
async fn an_error_of_repositories_is_a_problem(
    #[case] call: &'static str,
    #[case] error: RepositoryError,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    world.accounts.repository_faults.add(call, When::Before, error);
    let (method, path, body) = match call {
        "repository" => ("GET", "/repositories/ann/app", ""),
        _ => ("POST", "/repositories", r#"{"name":"ann/app"}"#),
    };
    let _ = world.ask(method, path, body).await.expect_problem(status, kind);
}

#[tokio::test]
async fn an_immutable_tag_is_a_conflict() {
    let world = World::new();
    let error = RepositoryError::TagImmutable {
        tag: "v1".parse().unwrap(),
        current: Digest::of_sha256(b"x"),
        rule: "v*".parse().unwrap(),
    };
    world.repositories.faults.add("delete_manifest", When::Before, error);
    let answer = world.ask("DELETE", "/repositories/ann/app/tags/v1", "").await;
    let _ = answer.expect_problem(409, "tag-immutable");
}

#[tokio::test]
async fn what_only_an_operator_can_heal_stays_in_the_log() {
    let world = World::new();
    let damaged = AccountError::Damaged { what: s("key of secret shape") };
    world.accounts.faults.add("user", When::Before, damaged);
    let id = request_id::RequestId::parse("r-17").unwrap();
    let answer = request_id::CURRENT.scope(id, world.ask("GET", "/user", "")).await;
    let problem = answer.expect_problem(500, "internal").json();
    assert_eq!(problem["request_id"], "r-17");
    assert!(!problem.to_string().contains("secret shape"));
}

#[rstest]
#[case("/sessions/ID", "revoke_credential", AccountError::CredentialUnknown { id: ID.parse().unwrap() })]
#[case("/tokens/ID", "revoke_credential", AccountError::CredentialUnknown { id: ID.parse().unwrap() })]
#[case("/namespaces/devs/robots/ID", "revoke_credential", AccountError::CredentialUnknown { id: ID.parse().unwrap() })]
#[case("/organizations/devs/members/bob", "remove_member", AccountError::MemberUnknown { organization: "devs".parse().unwrap(), user: "bob".parse().unwrap() })]
#[case("/organizations/devs/teams/core", "remove_team", AccountError::TeamUnknown { organization: "devs".parse().unwrap(), team: "core".parse().unwrap() })]
#[case("/organizations/devs/teams/core/members/bob", "set_team_member", AccountError::MemberUnknown { organization: "devs".parse().unwrap(), user: "bob".parse().unwrap() })]
#[tokio::test]
async fn deleting_again_is_answered_like_the_first_time(
    #[case] path: &str,
    #[case] call: &'static str,
    #[case] error: AccountError,
) {
    let world = World::new();
    world.accounts.faults.add(call, When::Before, error);
    let _ = world.ask("DELETE", &path.replace("ID", ID), "").await.expect_of_hub(204);
    // What it would be in must be there.
    let error = AccountError::OrganizationUnknown { name: "devs".parse().unwrap() };
    world.accounts.faults.add(call, When::Before, error);
    let answer = world.ask("DELETE", &path.replace("ID", ID), "").await;
    let _ = answer.expect_problem(404, "organization-unknown");
}

#[rstest]
#[case("/users/nobody", "account-unknown")]
#[case("/organizations/nobody", "organization-unknown")]
#[tokio::test]
async fn what_is_not_there_is_named(#[case] path: &str, #[case] kind: &str) {
    let world = World::new();
    let problem = world.ask("GET", path, "").await.expect_problem(404, kind).json();
    assert_eq!(problem["name"], "nobody");
    let _ = world.ask("PATCH", path, "{}").await.expect_problem(404, kind);
}

#[rstest]
#[case("{", 400, "no-json", None)]
#[case("", 400, "no-json", None)]
#[case("{} x", 400, "no-json", None)]
#[case("[]", 422, "field-invalid", Some(""))]
#[case("null", 422, "field-invalid", Some(""))]
#[case(r#"{"colour":"red"}"#, 422, "field-invalid", Some("colour"))]
#[case(r#"{"email":5}"#, 422, "field-invalid", Some("email"))]
#[case(r#"{"email":"x"}"#, 422, "field-invalid", Some("email"))]
#[case(r#"{"role":"king"}"#, 422, "field-invalid", Some("role"))]
#[case(r#"{"display_name":"a\nb"}"#, 422, "field-invalid", Some("display_name"))]
#[case(r#"{"email":"a@x","email":"b@x"}"#, 422, "field-invalid", Some("email"))]
#[tokio::test]
async fn a_body_that_cannot_be_used_says_where(
    #[case] body: &'static str,
    #[case] status: u16,
    #[case] kind: &str,
    #[case] field: Option<&str>,
) {
    let world = World::new();
    let request = on(Method::PATCH, "/api/v1/users/bob")
        .header(header::AUTHORIZATION, "Bearer bucket_pat_x")
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    let problem = world.send_as_it_is(request, body).await.expect_problem(status, kind).json();
    assert_eq!(problem.get("field").and_then(|field| field.as_str()), field, "{problem}");
    assert!(world.accounts.done.lock().unwrap().is_empty());
}

#[rstest]
#[case("POST", "/tokens", json!({ "label": "x".repeat(101), "actions": ["pull"] }), "label")]
#[case("POST", "/tokens", json!({ "label": "x", "actions": [] }), "actions")]
#[case("POST", "/tokens", json!({ "label": "x", "actions": ["fly"] }), "actions[0]")]
#[case("POST", "/tokens", json!({ "label": "x", "actions": ["pull"], "repositories": ["ann*"] }), "repositories")]
#[case("POST", "/tokens", json!({ "label": "x", "actions": ["pull"], "repositories": vec!["ann/*"; 33] }), "repositories")]
#[case("POST", "/tokens", json!({ "label": "x", "actions": ["pull"], "expires": "soon" }), "expires")]
#[case("POST", "/namespaces/devs/robots", json!({ "name": "C", "actions": ["pull"] }), "name")]
#[case("PUT", "/users/bob/password", json!({ "old": "x" }), "new")]
#[case("POST", "/users", json!({ "name": "Bob", "password": "good-password" }), "name")]
#[case("POST", "/users", json!({ "name": "bob", "password": 5 }), "password")]
#[case("PATCH", "/users/bob", json!({ "email": format!("{}@x", "a".repeat(253)) }), "email")]
#[case("PATCH", "/users/bob", json!({ "display_name": "x".repeat(101) }), "display_name")]
#[case("POST", "/organizations", json!({ "name": "a/b" }), "name")]
#[case("PATCH", "/organizations/devs", json!({ "description": "x".repeat(10_001) }), "description")]
#[case("PUT", "/organizations/devs/teams/core", json!({ "description": "x".repeat(10_001) }), "description")]
#[case("POST", "/repositories", json!({ "name": "alpine" }), "name")]
#[case("PATCH", "/repositories/ann/app", json!({ "description": "x".repeat(25_001) }), "description")]
#[case("PUT", "/repositories/ann/app/grants/bob", json!({ "level": "god" }), "level")]
#[tokio::test]
async fn a_field_that_cannot_be_used_is_named(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: serde_json::Value,
    #[case] field: &str,
) {
    let world = World::new();
    let problem =
        world.ask(method, path, &body.to_string()).await.expect_problem(422, "field-invalid").json();
    assert_eq!(problem["field"], field, "{problem}");
    assert!(
        world.accounts.done.lock().unwrap().is_empty() && world.identities.done.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_body_is_json_and_not_long() {
    let world = World::new();
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let request = on(Method::POST, "/api/v1/organizations").header(header::CONTENT_TYPE, media_type);
        let _ = world.send_as_it_is(request, r#"{"name":"devs"}"#).await.expect_problem(415, "media-type");
    }
    let untyped = on(Method::POST, "/api/v1/organizations");
    let _ = world.send_as_it_is(untyped, "{}").await.expect_problem(415, "media-type");

    let long = format!("{{{}}}", " ".repeat(256 << 10));
    let problem = world.ask("PATCH", "/users/bob", &long).await.expect_problem(413, "body-too-long").json();
    assert_eq!(problem["limit_bytes"], 256 << 10);
}

#[rstest]
#[case("/users/Ann")]
#[case("/tokens/17")]
#[case("/sessions/17")]
#[case("/organizations/a%2Fb")]
#[case("/organizations/devs/members/B")]
#[case("/repositories/ann/App")]
#[case("/repositories/ann/app/grants/team:A")]
#[case("/repositories/ann/app/tags/-x")]
#[case("/users/%FF")]
#[tokio::test]
async fn a_name_in_the_path_that_cannot_be_one_is_refused_whatever_is_asked(#[case] path: &str) {
    let world = World::new();
    let method = ["/tokens", "/sessions", "/organizations/devs/members", "/repositories/ann/app/"];
    let method = if method.iter().any(|start| path.starts_with(start)) { "DELETE" } else { "GET" };
    let _ = world.ask(method, path, "").await.expect_problem(400, "path-invalid");
}

#[tokio::test]
async fn a_name_that_is_too_long_as_a_whole_is_that_of_nothing() {
    let world = World::new();
    let path = format!("/repositories/ann/{}", "x".repeat(200));
    let _ = world.ask("GET", &path, "").await.expect_problem(404, "not-found");
}

#[rstest]
#[case("/api")]
#[case("/api/")]
#[case("/api/v1")]
#[case("/api/v2/users")]
#[case("/api/v1/users/")]
#[case("/api/v1/nothing")]
#[case("/api/v1/repositories/ann/deep/app")]
#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_problem_too(#[case] path: &str) {
    let world = World::new();
    let problem = world.send_as_it_is(get(path), Body::empty()).await.expect_problem(404, "not-found").json();
    assert_eq!(problem["path"], path);
}

#[rstest]
#[case("DELETE", "/users", "GET,HEAD,POST")]
#[case("POST", "/users/bob", "GET,HEAD,PATCH")]
#[case("GET", "/sessions/current", "DELETE")]
#[case("OPTIONS", "/repositories/ann/app/grants/bob", "PUT,DELETE")]
#[tokio::test]
async fn a_method_that_is_not_possible_names_those_that_are(
    #[case] method: &str,
    #[case] path: &str,
    #[case] allow: &str,
) {
    let world = World::new();
    let answer = world.ask(method, path, "").await.expect_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), allow);
}

#[tokio::test]
async fn what_a_client_sent_is_told_back_in_short() {
    let world = World::new();
    let path = format!("/users/{}", "X".repeat(5_000));
    let answer = world.ask("GET", &path, "").await.expect_problem(400, "path-invalid");
    assert!(answer.body().len() < 1_000, "{}", answer.body().len());
}
