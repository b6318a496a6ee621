//! Repositories that are called otherwise, or deleted, over the management API.

use proto::{
    auth::{IdentityError, identities::Deed},
    metadata::RepositoryError,
};
use rstest::rstest;
use serde_json::json;

use crate::{services::When, world::World};

fn deeds(world: &World) -> String {
    let deeds = std::mem::take(&mut *world.identities.deeds.lock().unwrap());
    deeds.iter().map(|deed| format!("{deed:?}")).collect::<Vec<_>>().join(" ")
}

fn done(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.accounts.done.lock().unwrap())
}

fn moved() -> RepositoryError {
    let name = |text: &str| text.parse().unwrap();
    RepositoryError::Moved { repository: name("ann/app"), to: name("devs/tools/app") }
}

#[rstest]
#[case("ann/tool", r#"ManageRepository("ann/app")"#)]
#[case("devs/app", r#"ManageRepository("ann/app") ManageNamespace("devs")"#)]
#[tokio::test]
async fn a_transfer_needs_the_namespace_too(#[case] to: &str, #[case] asked: &str) {
    let world = World::new();
    let body = json!({ "name": to }).to_string();
    let answer = world.ask("POST", "/repositories/ann/app/move", &body).await.expect_of_hub(200);
    assert_eq!(answer.json(), json!({ "name": to }));
    assert_eq!(answer.header("location"), format!("/api/v1/repositories/{to}"));
    assert_eq!(deeds(&world), asked);
    assert_eq!(done(&world), [format!("move_repository ann/app {to} by ann")]);
}

#[tokio::test]
async fn who_does_not_manage_the_namespace_transfers_nothing() {
    let world = World::new();
    let hidden = IdentityError::Hidden { what: "user or organization devs".to_owned() };
    world.identities.refused.lock().unwrap().push((Deed::ManageNamespace("devs".parse().unwrap()), hidden));
    let body = r#"{"name":"devs/app"}"#;
    let _ = world.ask("POST", "/repositories/ann/app/move", body).await.expect_problem(404, "not-found");
    assert!(done(&world).is_empty());
}

#[rstest]
#[case("move_repository", RepositoryError::RepositoryExists { repository: "ann/b".parse().unwrap() }, 409, "repository-exists")]
#[case("move_repository", RepositoryError::QuotaExceeded { namespace: "team".parse().unwrap(), used_bytes: 1, limit_bytes: 2, size_bytes: 3 }, 403, "quota-exceeded")]
#[case("move_repository", RepositoryError::NameLeadsElsewhere { repository: "ann/b".parse().unwrap() }, 409, "name-leads-elsewhere")]
#[case("move_repository", RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() }, 404, "name-unknown")]
#[case("move_repository", moved(), 404, "name-unknown")]
#[case("change_repository", moved(), 404, "name-unknown")]
#[case("delete_repository", moved(), 404, "name-unknown")]
#[case("delete_repository", RepositoryError::Unavailable { attempted: "writing".into() }, 503, "unavailable")]
#[tokio::test]
async fn what_is_refused_never_says_where_an_old_name_leads(
    #[case] call: &'static str,
    #[case] error: RepositoryError,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    world.accounts.repository_faults.add(call, When::Before, error);
    let (method, path, body) = match call {
        "move_repository" => ("POST", "/repositories/ann/app/move", r#"{"name":"ann/b"}"#),
        "change_repository" => ("PATCH", "/repositories/ann/app", r#"{"description":""}"#),
        _ => ("DELETE", "/repositories/ann/app", ""),
    };
    let answer = world.ask(method, path, body).await.expect_problem(status, kind);
    assert!(!answer.json().to_string().contains("tools"), "{answer:?}");
}

#[tokio::test]
async fn who_deletes_again_after_a_lost_answer_hears_the_same() {
    let world = World::new();
    let gone = RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() };
    world.accounts.repository_faults.add("delete_repository", When::Before, gone);
    let _ = world.ask("DELETE", "/repositories/ann/app", "").await.expect_of_hub(204);
}

#[tokio::test]
async fn by_an_old_name_the_answer_says_where_it_is_to_who_may_know() {
    let world = World::new();
    world.accounts.repository_faults.add("repository", When::Before, moved());
    let answer = world.ask("GET", "/repositories/ann/app", "").await.expect_of_hub(308);
    assert_eq!(answer.header("location"), "/api/v1/repositories/devs/tools%2Fapp");
    assert_eq!(answer.json(), json!({ "name": "devs/tools/app" }));
    assert_eq!(deeds(&world), r#"ReadRepository("ann/app") ReadRepository("devs/tools/app")"#);
}

#[rstest]
#[case(IdentityError::Hidden { what: "repository devs/tools/app".to_owned() })]
#[case(IdentityError::SignInNeeded { missing: "pull from devs/tools/app".to_owned() })]
#[tokio::test]
async fn who_may_not_know_is_told_that_there_is_nothing(#[case] refusal: IdentityError) {
    let world = World::new();
    world.accounts.repository_faults.add("repository", When::Before, moved());
    // The old name is in a namespace of their own, so that they may ask.
    let read = Deed::ReadRepository("devs/tools/app".parse().unwrap());
    world.identities.refused.lock().unwrap().push((read, refusal));
    let answer = world.ask("GET", "/repositories/ann/app", "").await.expect_problem(404, "name-unknown");
    assert!(!answer.json().to_string().contains("tools"), "{answer:?}");
}
