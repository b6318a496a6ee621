//! Lists, page by page.

use rstest::rstest;
use serde_json::{Value, json};

use crate::world::World;

#[rstest]
#[case("", json!(["ann", "bob", "cid"]), Value::Null, "")]
#[case("?n=2", json!(["ann", "bob"]), json!("bob"), "</api/v1/users?n=2&cursor=bob>; rel=\"next\"")]
#[case("?n=2&cursor=bob", json!(["cid"]), Value::Null, "")]
#[case("?cursor=anne&n=1", json!(["bob"]), json!("bob"), "</api/v1/users?n=1&cursor=bob>; rel=\"next\"")]
#[case("?n=3", json!(["ann", "bob", "cid"]), Value::Null, "")]
#[case("?n=1000", json!(["ann", "bob", "cid"]), Value::Null, "")]
#[tokio::test]
async fn a_part_leads_to_the_next(
    #[case] query: &str,
    #[case] names: Value,
    #[case] next: Value,
    #[case] link: &str,
) {
    let world = World::new();
    let answer = world.ask("GET", &format!("/users{query}"), "").await.expect_of_hub(200);
    let listed = answer.json();
    let found: Vec<_> = listed["items"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(Value::from(found), names);
    assert_eq!(listed["next"], next);
    assert_eq!(answer.header("link"), link);
}

#[tokio::test]
async fn the_next_part_is_asked_for_with_the_same_filter() {
    let world = World::new();
    *world.repositories.names.lock().unwrap() =
        ["ann/a", "ann/b/c", "ann/d"].map(|name| name.parse().unwrap()).into();
    let answer = world.ask("GET", "/repositories?n=2&under=ann", "").await.expect_of_hub(200);
    let expected = "</api/v1/repositories?under=ann&n=2&cursor=ann%2Fb%2Fc>; rel=\"next\"";
    assert_eq!(answer.header("link"), expected);

    let next = "/repositories?under=ann&n=2&cursor=ann%2Fb%2Fc";
    let listed = world.ask("GET", next, "").await.expect_of_hub(200).json();
    assert_eq!((&listed["items"][0]["name"], &listed["next"]), (&json!("ann/d"), &Value::Null));
}

#[rstest]
#[case("/users?n=0", "n")]
#[case("/users?n=1001", "n")]
#[case("/users?n=99999999999999999999", "n")]
#[case("/users?n=-1", "n")]
#[case("/users?n=%2B1", "n")]
#[case("/users?n=", "n")]
#[case("/users?n=1&n=2", "n")]
#[case("/users?cursor=Ann", "cursor")]
#[case("/users?cursor=a&cursor=b", "cursor")]
#[case("/repositories?cursor=ann", "cursor")]
#[case("/repositories?under=Ann", "under")]
#[tokio::test]
async fn a_parameter_that_cannot_be_used_is_named(#[case] path: &str, #[case] parameter: &str) {
    let world = World::new();
    let problem = world.ask("GET", path, "").await.expect_problem(400, "parameter-invalid").json();
    assert_eq!(problem["parameter"], parameter);
    assert!(problem["detail"].as_str().unwrap().contains(parameter));
}
