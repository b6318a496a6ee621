//! Each operation: what is asked of auth for it, what is done, and what is answered.

use http::Method;
use oci::Digest;
use proto::{
    auth::{IdentityError, Subject, identities::Reads},
    metadata::{accounts::Role, credentials::Holder, repositories::Reader},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    accounts::{ID, SECRET, credential},
    services::When,
    world::World,
};

fn deeds(world: &World) -> String {
    let deeds = std::mem::take(&mut *world.identities.deeds.lock().unwrap());
    deeds.iter().map(|deed| format!("{deed:?}")).collect::<Vec<_>>().join(" ")
}

fn done(world: &World) -> String {
    let mut done = std::mem::take(&mut *world.accounts.done.lock().unwrap());
    done.append(&mut world.identities.done.lock().unwrap());
    done.join(", ")
}

const AS_ANN: &str = r#"SignedIn ManageAccount("ann")"#;
const DEVS: &str = r#"ManageNamespace("devs")"#;
const APP: &str = r#"ManageRepository("ann/app")"#;

#[rstest]
#[case(
    "PATCH",
    "/users/bob",
    r#"{"email":"b@x"}"#,
    r#"ManageAccount("bob")"#,
    r#"change_user bob Some(("Ann A.", "b@x")) None None by ann"#
)]
#[case(
    "PATCH",
    "/users/bob",
    r#"{"display_name":"Bob","email":null}"#,
    r#"ManageAccount("bob")"#,
    r#"change_user bob Some(("Bob", "ann@example.com")) None None by ann"#
)]
#[case(
    "PATCH",
    "/users/bob",
    r#"{"role":"administrator"}"#,
    r#"ManageAccount("bob") ManageHub"#,
    "change_user bob None Some(Administrator) None by ann"
)]
#[case(
    "PATCH",
    "/users/bob",
    r#"{"standing":"disabled"}"#,
    r#"ManageAccount("bob") ManageHub"#,
    "change_user bob None None Some(Disabled) by ann"
)]
#[case(
    "PUT",
    "/users/bob/password",
    r#"{"new":"another-password"}"#,
    "",
    "change_password bob None another-password"
)]
#[case(
    "PUT",
    "/users/ann/password",
    r#"{"old":"old-password","new":"another-password"}"#,
    "",
    r#"change_password ann Some("old-password") another-password"#
)]
#[case("DELETE", "/sessions/ID", "", AS_ANN, r#"revoke_credential User("ann") ID by ann"#)]
#[case("DELETE", "/tokens/ID", "", AS_ANN, r#"revoke_credential User("ann") ID by ann"#)]
#[case("DELETE", "/namespaces/devs/robots/ID", "", DEVS, r#"revoke_credential Robots("devs") ID by ann"#)]
#[case(
    "PATCH",
    "/organizations/devs",
    r##"{"description":"# We"}"##,
    DEVS,
    r##"describe_organization devs "The Devs" "# We" "" by ann"##
)]
#[case(
    "PATCH",
    "/organizations/devs",
    r#"{"display_name":"D","email":"d@x"}"#,
    DEVS,
    r##"describe_organization devs "D" "# Devs" "d@x" by ann"##
)]
#[case(
    "PUT",
    "/organizations/devs/members/bob",
    r#"{"role":"owner"}"#,
    DEVS,
    "put_member devs bob Owner by ann"
)]
#[case(
    "DELETE",
    "/organizations/devs/members/bob",
    "",
    r#"RemoveMember("devs", "bob")"#,
    "remove_member devs bob by ann"
)]
#[case(
    "PUT",
    "/organizations/devs/teams/core",
    r#"{"description":"Core"}"#,
    DEVS,
    r#"put_team devs core "Core" by ann"#
)]
#[case("PUT", "/organizations/devs/teams/core", "{}", DEVS, r#"put_team devs core "" by ann"#)]
#[case("DELETE", "/organizations/devs/teams/core", "", DEVS, "remove_team devs core by ann")]
#[case(
    "PUT",
    "/organizations/devs/teams/core/members/bob",
    "",
    DEVS,
    "set_team_member devs core bob In by ann"
)]
#[case(
    "DELETE",
    "/organizations/devs/teams/core/members/bob",
    "",
    DEVS,
    "set_team_member devs core bob Out by ann"
)]
#[case(
    "PATCH",
    "/repositories/ann/app",
    r#"{"description":"New"}"#,
    r#"WriteRepository("ann/app")"#,
    r#"change_repository ann/app None Some("New") by ann"#
)]
#[case(
    "PATCH",
    "/repositories/ann/app",
    r#"{"visibility":"public"}"#,
    APP,
    "change_repository ann/app Some(Public) None by ann"
)]
#[case(
    "PATCH",
    "/repositories/ann/app",
    r#"{"visibility":"private","description":""}"#,
    APP,
    r#"change_repository ann/app Some(Private) Some("") by ann"#
)]
#[case("DELETE", "/repositories/ann/app", "", APP, "delete_repository ann/app by ann")]
#[case(
    "PUT",
    "/repositories/ann/app/grants/bob",
    r#"{"level":"write"}"#,
    APP,
    "grant ann/app bob Some(Write) by ann"
)]
#[case(
    "PUT",
    "/repositories/ann/deep%2Fapp/grants/team:core",
    r#"{"level":"admin"}"#,
    r#"ManageRepository("ann/deep/app")"#,
    "grant ann/deep/app team:core Some(Admin) by ann"
)]
#[case("DELETE", "/repositories/ann/app/grants/bob", "", APP, "grant ann/app bob None by ann")]
#[tokio::test]
async fn who_may_is_asked_before_it_is_done(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] asked: &str,
    #[case] expected: &str,
) {
    let world = World::new();
    let path = path.replace("ID", ID);
    let answer = world.ask(method, &path, body).await.expect_of_hub(204);

    assert!(answer.body().is_empty());
    assert_eq!(deeds(&world), asked);
    assert_eq!(done(&world), expected.replace("ID", ID));
}

#[rstest]
#[case("/users", r#"{"name":"bob","password":"good-password"}"#, "", "sign_up bob good-password  User", "/api/v1/users/bob", json!({ "name": "bob" }))]
#[case("/users", r#"{"name":"bob","password":"good-password","email":"b@x","role":"administrator"}"#, "", "sign_up bob good-password b@x Administrator", "/api/v1/users/bob", json!({ "name": "bob" }))]
#[case("/organizations", r#"{"name":"devs"}"#, "CreateOrganization", "create_organization devs ann by ann", "/api/v1/organizations/devs", json!({ "name": "devs" }))]
#[case("/repositories", r#"{"name":"devs/app"}"#, DEVS, r#"create_repository devs/app Private "" by ann"#, "/api/v1/repositories/devs/app", json!({ "name": "devs/app" }))]
#[case("/repositories", r#"{"name":"devs/a/b","visibility":"public","description":"X"}"#, DEVS, r#"create_repository devs/a/b Public "X" by ann"#, "/api/v1/repositories/devs/a%2Fb", json!({ "name": "devs/a/b" }))]
#[case("/sessions", "", "", "sign_in None", "/api/v1/sessions/current", json!({ "secret": SECRET, "expires": "2026-01-01T00:00:00Z" }))]
#[tokio::test]
async fn what_is_made_says_where_it_is(
    #[case] path: &str,
    #[case] body: &str,
    #[case] asked: &str,
    #[case] expected: &str,
    #[case] location: &str,
    #[case] document: Value,
) {
    let world = World::new();
    let answer = world.ask("POST", path, body).await.expect_of_hub(201);

    assert_eq!(deeds(&world), asked);
    assert_eq!(done(&world), expected);
    assert_eq!(answer.header("location"), location);
    assert_eq!(answer.json(), document);
}

#[rstest]
#[case("/tokens", r#"{"label":"ci","actions":["pull","push","pull"],"repositories":["ann/app","ann/x-*"],"expires":"2030-01-01T00:00:00Z"}"#,
    r#"issue None "ci" ["ann/app", "ann/x-*"] {Pull, Push} Some("2030-01-01T00:00:00Z")"#, None)]
#[case("/tokens", r#"{"label":"","actions":["manage"]}"#, r#"issue None "" [] {Manage} None"#, None)]
#[case(
    "/namespaces/devs/robots",
    r#"{"name":"ci","actions":["pull"]}"#,
    r#"issue Some("devs+ci") "" [] {Pull} None"#,
    Some("devs+ci")
)]
#[tokio::test]
async fn a_credential_is_made_by_auth_and_answered_with_its_secret(
    #[case] path: &str,
    #[case] body: &str,
    #[case] expected: &str,
    #[case] name: Option<&str>,
) {
    let world = World::new();
    let answer = world.ask("POST", path, body).await.expect_of_hub(201);

    assert_eq!(done(&world), expected);
    assert_eq!(answer.header("location"), format!("/api/v1{path}/{ID}"));
    let issued = answer.json();
    assert_eq!((&issued["secret"], &issued["id"]), (&SECRET.into(), &ID.into()));
    assert_eq!(issued.get("name"), name.map(Value::from).as_ref());
}

#[rstest]
#[case("/user", "SignedIn", "name", "ann")]
#[case("/users/bob", r#"ManageAccount("bob")"#, "email", "ann@example.com")]
#[case("/users/bob", r#"ManageAccount("bob")"#, "role", "user")]
#[case("/organizations/devs", r#"SeeNamespace("devs")"#, "display_name", "The Devs")]
#[case("/repositories/ann/app", r#"ReadRepository("ann/app")"#, "visibility", "private")]
#[case("/repositories/ann/deep%2Fapp", r#"ReadRepository("ann/deep/app")"#, "name", "ann/deep/app")]
#[tokio::test]
async fn what_is_asked_for_is_answered_to_who_may_see_it(
    #[case] path: &str,
    #[case] asked: &str,
    #[case] member: &str,
    #[case] value: &str,
) {
    let world = World::new();
    let answer = world.ask("GET", path, "").await.expect_of_hub(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()[member], value);
    assert_eq!(deeds(&world), asked);
}

#[rstest]
#[case("/users", "ManageHub", "name", json!(["ann", "bob", "cid"]))]
#[case("/tokens", AS_ANN, "label", json!(["ci"]))]
#[case("/sessions", AS_ANN, "kind", json!(["session", "client"]))]
#[case("/namespaces/devs/robots", DEVS, "label", json!(["ci", "ci", "ci"]))]
#[case("/organizations", "SignedIn", "name", json!(["devs", "ops"]))]
#[case("/organizations/devs/members", r#"SeeNamespace("devs")"#, "role", json!(["member", "member"]))]
#[case("/organizations/devs/teams", r#"SeeNamespace("devs")"#, "name", json!(["core"]))]
#[case("/organizations/devs/teams/core/members", r#"SeeNamespace("devs")"#, "name", json!(["ann", "bob"]))]
#[case("/repositories/ann/app/tags", r#"ReadRepository("ann/app")"#, "name", json!(["v1"]))]
#[case("/repositories/ann/app/grants", APP, "grantee", json!(["bob", "team:core"]))]
#[tokio::test]
async fn a_list_is_answered_to_who_may_see_it(
    #[case] path: &str,
    #[case] asked: &str,
    #[case] member: &str,
    #[case] values: Value,
) {
    let world = World::new();
    // Sessions are in the same list, and are no access tokens.
    let ann = || "ann".parse().unwrap();
    let client = Holder::Offline { user: ann(), through: None };
    let holders = [Holder::User(ann()), Holder::Session(ann()), client];
    *world.accounts.kept.lock().unwrap() = holders.map(credential).into();
    *world.repositories.tags.lock().unwrap() = vec!["v1".parse().unwrap()];

    let listed = world.ask("GET", path, "").await.expect_of_hub(200).json();
    let found: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item[member].clone()).collect();
    assert_eq!(Value::from(found), values);
    assert_eq!(listed["next"], Value::Null);
    assert_eq!(deeds(&world), asked);
}

#[tokio::test]
async fn repositories_are_listed_as_who_asks_may_read_them() {
    let world = World::new();
    let asked = async |query: &str| {
        let _ = world.ask("GET", &format!("/repositories{query}"), "").await.expect_of_hub(200);
        world.repositories.wanted_searches.lock().unwrap().pop().unwrap()
    };
    let wanted = asked("?under=ann&query=Pro%20xy&n=7").await;
    assert_eq!(deeds(&world), "SignedIn");
    assert_eq!(
        (wanted.reader, wanted.under),
        (Reader::User("ann".parse().unwrap()), Some("ann".parse().unwrap()))
    );
    assert_eq!((wanted.query, wanted.limit), (Some("Pro xy".parse().unwrap()), 7));

    let cursor = "~001ARZ3NDEKTSV4RRFFQ69G5FAV6e67";
    assert_eq!(asked(&format!("?cursor={cursor}")).await.after, Some(cursor.parse().unwrap()));

    let within = vec!["crew/*".to_owned().try_into().unwrap()];
    *world.identities.reads.lock().unwrap() = Reads::Within(within.clone());
    *world.identities.role.lock().unwrap() = Role::Administrator;
    let wanted = asked("").await;
    assert_eq!((wanted.reader, wanted.within, wanted.query), (Reader::Administrator, within, None));

    *world.identities.role.lock().unwrap() = Role::User;
    *world.identities.subject.lock().unwrap() = Subject::Robot("crew+ci".parse().unwrap());
    assert_eq!(asked("").await.reader, Reader::Robot("crew".parse().unwrap()));

    *world.identities.reads.lock().unwrap() = Reads::Public;
    assert_eq!(asked("").await.reader, Reader::Outsider);

    world.identities.faults.add("authorize", When::Before, IdentityError::WrongCredentials);
    let _ = world.ask("GET", "/repositories", "").await.expect_problem(401, "wrong-credentials");
}

#[tokio::test]
async fn deleting_a_tag_asks_for_the_right_to_delete() {
    let world = World::new();
    let answer = world.ask("DELETE", "/repositories/ann/app/tags/v1", "").await.expect_of_hub(204);
    assert_eq!(deeds(&world), r#"DeleteFromRepository("ann/app")"#);
    assert_eq!(answer.calls, ["delete_manifest"]);
    // What a tag cannot be is no digest either.
    let path = format!("/repositories/ann/app/tags/{}", Digest::of_sha256(b"x"));
    let _ = world.ask("DELETE", &path, "").await.expect_problem(400, "path-invalid");
}

#[tokio::test]
async fn head_is_answered_like_get() {
    let world = World::new();
    let answer = world.ask(Method::HEAD.as_str(), "/user", "").await.expect_of_hub(200);
    assert!(answer.body().is_empty());
}
