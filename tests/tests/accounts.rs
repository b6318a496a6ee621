//! Who may do what, with real clients: organizations, teams and collaborators; access tokens and robots; rights that
//! end, and passwords that are guessed.

use std::time::{Duration, Instant};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{
    Hub, Topology,
    api::Api,
    docker::Docker,
    hub::Options,
    image,
    raw::{Answer, read},
    tree,
};

/// How long a revocation takes at most, as the README says, and some more for a machine that is busy.
const REVOKED_WITHIN: Duration = Duration::from_secs(20);

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    while !holds().await {
        assert!(began.elapsed() < REVOKED_WITHIN, "{what} has not happened");
        pause.tick().await;
    }
}

/// An organization `acme` of ann's, with a team `devs` that may write to `acme/app`, and bob in it.
async fn acme(hub: &Hub) -> (Api, Api) {
    let (ann, bob) = (Api::new_user(hub, "ann").await, Api::new_user(hub, "bob").await);
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let app = json!({ "name": "acme/app", "visibility": "private" });
    let _ = ann.post("/repositories", app).await.expect(201);
    let _ = ann.put("/organizations/acme/members/bob", json!({ "role": "member" })).await.expect(204);
    let _ = ann.put("/organizations/acme/teams/devs", json!({ "description": "" })).await.expect(204);
    let _ = ann.put("/organizations/acme/teams/devs/members/bob", json!({})).await.expect(204);
    let _ = ann.put("/repositories/acme/app/grants/team:devs", json!({ "level": "write" })).await.expect(204);
    (ann, bob)
}

fn an_image(docker: &Docker, name: &str) {
    let files = docker.scratch("files");
    tree::fill(&files, 7);
    docker.import(&files, name);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn members_may_what_their_teams_may_through_docker(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, bob) = acme(&hub).await;
    let cid = Api::new_user(&hub, "cid").await;
    let docker = Docker::start();
    let registry = hub.registry();
    let app = format!("{registry}/acme/app:v1");
    an_image(&docker, &app);

    docker.login(&registry, bob.user(), bob.secret());
    docker.run(&["push", &app]);
    let other = format!("{registry}/acme/other:v1");
    docker.run(&["tag", &app, &other]);
    let refused = docker.refused(&["push", &other]);
    assert!(refused.contains("denied") || refused.contains("insufficient"), "{refused}");

    docker.login(&registry, cid.user(), cid.secret());
    docker.forget_images();
    let refused = docker.refused(&["pull", &app]);
    assert!(refused.contains("denied") || refused.contains("insufficient"), "{refused}");

    docker.login(&registry, ann.user(), ann.secret());
    docker.run(&["pull", &app]);
    let _ = ann.patch("/repositories/acme/app", json!({ "visibility": "public" })).await.expect(204);
    docker.run(&["logout", &registry]);
    docker.forget_images();
    docker.run(&["pull", &app]);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn docker_logs_in_with_an_access_token_or_as_a_robot(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, _) = acme(&hub).await;
    let docker = Docker::start();
    let registry = hub.registry();
    let app = format!("{registry}/acme/app:v1");
    an_image(&docker, &app);

    let wanted = json!({ "label": "laptop", "actions": ["pull"] });
    let reader = ann.post("/tokens", wanted).await.expect(201).json();
    let robot =
        json!({ "name": "ci", "label": "builds", "actions": ["pull", "push"], "repositories": ["acme/app"] });
    let robot = ann.post("/namespaces/acme/robots", robot).await.expect(201).json();
    let secret = robot["secret"].as_str().unwrap();
    assert!(secret.starts_with("bucket_robot_"), "a scanner finds it");

    docker.login(&registry, "acme+ci", secret);
    docker.run(&["push", &app]);
    let other = format!("{registry}/acme/other:v1");
    docker.run(&["tag", &app, &other]);
    docker.refused(&["push", &other]);

    docker.login(&registry, "ann", reader["secret"].as_str().unwrap());
    docker.refused(&["push", &app]);
    docker.forget_images();
    docker.run(&["pull", &app]);

    let id = robot["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/namespaces/acme/robots/{id}")).await.expect(204);
    let refused = docker.refused(&["login", "-u", "acme+ci", "-p", secret, &registry]);
    assert!(refused.contains("wrong user name or password") || refused.contains("unauthorized"), "{refused}");
}

/// What a token that was given before may still do.
async fn pulls(hub: &Hub, token: &str) -> Answer {
    let request = hub.raw().anonymous(Method::GET, "/v2/acme/app/tags/list").bearer_auth(token);
    read(request.send().await.unwrap()).await
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn what_is_taken_away_ends_tokens_that_were_given_before(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, bob) = acme(&hub).await;
    let scope = "repository:acme/app:pull";
    let before = bob.token(scope).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let anns = ann.token(scope).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let _ = pulls(&hub, &before).await.expect(200);

    let _ = ann.delete("/organizations/acme/teams/devs/members/bob").await.expect(204);

    eventually("the end of the token", async || pulls(&hub, &before).await.status == 401).await;
    let _ = pulls(&hub, &anns).await.expect(200);
    let after = bob.token(scope).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let _ = pulls(&hub, &after).await.expect(401);
}

#[tokio::test]
async fn who_may_not_know_of_a_repository_is_told_what_is_told_of_none() {
    let hub = Hub::start(Topology::OneProcess);
    let (_, bob) = acme(&hub).await;
    let cid = Api::new_user(&hub, "cid").await;

    let hidden = cid.get("/repositories/acme/app").await.expect(404).json();
    let absent = cid.get("/repositories/acme/nothing").await.expect(404).json();
    assert_eq!(hidden["title"], absent["title"]);
    let known = bob.get("/repositories/acme/app").await.expect(200).json();
    assert_eq!(known["visibility"], "private");
    let denied =
        bob.patch("/repositories/acme/app", json!({ "visibility": "public" })).await.expect(403).json();
    assert!(denied["detail"].as_str().unwrap().contains("bob"), "{denied}");
    let anonymous = hub.raw().anonymous(Method::GET, "/api/v1/repositories/acme/app").send().await.unwrap();
    let anonymous = read(anonymous).await.expect(401);
    assert!(anonymous.header("www-authenticate").starts_with("Basic"), "{anonymous:?}");
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_nobody_else() {
    let hub = Hub::start(Topology::OneProcess);
    let ann = Api::new_user(&hub, "ann").await;
    let _ = Api::new_user(&hub, "bob").await;
    let guesser = ann.as_somebody("bob", "not the password of bob");

    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(guesser.token("repository:bob/app:pull").await);
    }

    let throttled = answers.iter().find(|answer| answer.status == 429).expect("it is slowed down");
    let wait: u64 = throttled.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&wait), "{throttled:?}");
    assert!(answers.iter().filter(|answer| answer.status == 401).count() >= 5);
    let _ = ann.token("repository:ann/app:pull").await.expect(200);
}

#[tokio::test]
async fn the_last_owner_and_the_last_administrator_stay() {
    let hub = Hub::start(Topology::OneProcess);
    let (ann, _) = acme(&hub).await;

    let _ = ann.delete("/organizations/acme/members/ann").await.expect(409);
    let _ = Api::administrator(&hub).patch("/users/admin", json!({ "role": "user" })).await.expect(409);
    let _ = ann.put("/organizations/acme/members/bob", json!({ "role": "owner" })).await.expect(204);
    let _ = ann.delete("/organizations/acme/members/ann").await.expect(204);
    // Who is not in it any more is told nothing of it.
    let _ = ann.patch("/organizations/acme", json!({ "display_name": "Acme" })).await.expect(404);
}

#[tokio::test]
async fn sign_up_is_closed_until_it_is_opened() {
    let hub = Hub::start(Topology::OneProcess);
    let account = json!({ "name": "eve", "password": "a password of some length" });
    let sign_up = async |hub: &Hub| {
        let request = hub.raw().anonymous(Method::POST, "/api/v1/users").json(&account);
        read(request.send().await.unwrap()).await
    };
    let _ = sign_up(&hub).await.expect(403);
    // The next one listens where this one did.
    drop(hub);

    let environment = vec![("BUCKET_ACCOUNTS__SIGN_UP".to_owned(), "open".to_owned())];
    let open = Hub::start_with(Topology::OneProcess, Options { environment, ..Options::default() });
    let _ = sign_up(&open).await.expect(201);
    let _ = sign_up(&open).await.expect(409);
    open.raw().push_image("library/base", "v1", &image::noise(1, 1_000)).await;
    let eve = Api::administrator(&open).as_somebody("eve", "a password of some length");
    let granted = eve.token("repository:library/base:pull,push").await.expect(200).json();
    assert!(granted["token"].is_string());
}
