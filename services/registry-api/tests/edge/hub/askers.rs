//! Who asks: what is made of `Authorization`, and what auth is told.

use axum::body::Body;
use http::{Method, header};
use oci::RobotName;
use proto::auth::Subject;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use crate::{
    accounts::ID,
    world::{Answer, World, get, on},
};

const USER: &str = "/api/v1/user";

async fn presenting(world: &World, method: Method, path: &str, proof: &str) -> Answer {
    let request =
        on(method, path).header(header::AUTHORIZATION, proof).header("x-forwarded-for", "192.0.2.7");
    world.send_as_it_is(request, Body::empty()).await
}

#[rstest]
#[case("Basic YW5uOmE6Yg==", Some(("ann", "a:b")))]
#[case("Basic YW5uOmJ1Y2tldF9wYXRfeA==", Some(("ann", "bucket_pat_x")))]
#[case("Bearer bucket_pat_x", Some(("", "bucket_pat_x")))]
#[case("bearer  bucket_session_x", Some(("", "bucket_session_x")))]
#[tokio::test]
async fn auth_is_told_what_was_presented_and_from_where(
    #[case] proof: &str,
    #[case] expected: Option<(&str, &str)>,
) {
    let world = World::new();
    let _ = presenting(&world, Method::GET, USER, proof).await.expect_of_hub(200);
    let asker = world.identities.askers.lock().unwrap().pop().unwrap();
    let given = asker.credentials.as_ref();
    assert_eq!(given.map(|given| (given.username.as_str(), given.password.expose_secret())), expected);
    assert_eq!(asker.address, Some("192.0.2.7".parse().unwrap()));
}

#[tokio::test]
async fn nobody_in_particular_is_passed_on_too() {
    let world = World::new();
    let _ = world.send_as_it_is(get(USER), Body::empty()).await.expect_of_hub(200);
    assert!(world.identities.askers.lock().unwrap()[0].credentials.is_none());
}

#[rstest]
#[case("Bearer eyJhbGciOiJFZERTQSJ9.e30.x", "foreign-bearer", "bucket_")]
#[case("Bearer x", "foreign-bearer", "Basic")]
#[case("Basic %%%", "malformed-login", "name:password")]
#[case("Digest x", "malformed-login", "Basic")]
#[tokio::test]
async fn what_cannot_be_a_login_is_refused_and_told_what_to_use(
    #[case] proof: &str,
    #[case] kind: &str,
    #[case] advice: &str,
) {
    let world = World::new();
    let answer = presenting(&world, Method::GET, USER, proof).await.expect_problem(401, kind);
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"bucket\"");
    assert!(answer.json()["detail"].as_str().unwrap().contains(advice), "{answer:?}");
    assert!(world.identities.askers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_robot_has_no_account() {
    let world = World::new();
    let robot: RobotName = "devs+ci".parse().unwrap();
    *world.identities.subject.lock().unwrap() = Subject::Robot(robot);
    for path in ["/user", "/tokens", "/organizations"] {
        let _ = world.ask("GET", path, "").await.expect_problem(403, "no-user");
    }
}

#[tokio::test]
async fn signing_in_takes_a_name_and_a_password() {
    let world = World::new();
    let nobody = on(Method::POST, "/api/v1/sessions");
    let _ = world.send_as_it_is(nobody, Body::empty()).await.expect_problem(401, "no-password");
    let answer = presenting(&world, Method::POST, "/api/v1/sessions", "Bearer bucket_pat_x").await;
    let _ = answer.expect_problem(401, "no-password");
}

#[tokio::test]
async fn a_session_is_ended_by_its_own_secret_and_nothing_else_is() {
    let world = World::new();
    let path = "/api/v1/sessions/current";
    for other in ["Bearer bucket_pat_x", "Basic YW5uOmE6Yg=="] {
        let _ = presenting(&world, Method::DELETE, path, other).await.expect_problem(404, "no-session");
    }
    assert!(world.accounts.done.lock().unwrap().is_empty());

    let _ = presenting(&world, Method::DELETE, path, "Bearer bucket_session_x").await.expect_of_hub(204);
    let expected = format!("revoke_credential User(\"ann\") {ID} by ann");
    assert_eq!(*world.accounts.done.lock().unwrap(), [expected]);
}
