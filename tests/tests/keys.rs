//! The keys that sign the registry's tokens, exchanged while clients are at work; tokens of both kinds, verified by what
//! is published; and clients that come back without the password.

use std::time::{Duration, Instant};

use proto::auth::Claims;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use service_kit::jose::{self, Algorithm, KeySet};
use tests::{
    Hub, Topology,
    api::Api,
    docker::Docker,
    hub::Options,
    raw::{ADMIN, Answer, PASSWORD, read},
    tree,
};

/// How long tokens of a removed key still count at most, as the README says, and some more for a busy machine.
const ENDED_WITHIN: Duration = Duration::from_secs(45);

const SCOPE: &str = "repository:team/app:pull";

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let (began, mut pause) = (Instant::now(), tokio::time::interval(Duration::from_millis(200)));
    while !holds().await {
        assert!(began.elapsed() < ENDED_WITHIN, "{what} has not happened");
        pause.tick().await;
    }
}

/// What an edge publishes.
async fn published(hub: &Hub, edge: usize) -> KeySet {
    let request = hub.raws()[edge].anonymous(Method::GET, "/.well-known/jwks.json");
    let answer = read(request.send().await.unwrap()).await.expect(200);
    KeySet::read(&answer.body).unwrap()
}

fn named(token: &str) -> String {
    jose::named_key(token).unwrap()
}

/// What `token` is good for at each edge.
async fn used(hub: &Hub, token: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for raw in hub.raws() {
        let request = raw.anonymous(Method::GET, "/v2/team/app/tags/list").bearer_auth(token);
        statuses.push(read(request.send().await.unwrap()).await.status.as_u16());
    }
    statuses
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn another_key_takes_over_while_docker_pushes_and_nobody_notices(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    let first = named(&raw.token(&[SCOPE]).await);
    let location = raw.start("team/app").await;
    let (docker, registry) = (Docker::start(), hub.registry());
    docker.login(&registry, ADMIN, PASSWORD);
    let files = docker.scratch("files");

    let printed = hub.operator(&["keys", "rotate", "--announce", "30s"]).unwrap();
    let next = printed.split(' ').next().unwrap().to_owned();
    assert_ne!(next, first);
    let (mut pushes, mut old) = (0_u64, raw.token(&[SCOPE]).await);
    while named(&old) == first {
        tree::fill(&files, pushes);
        let image = format!("{registry}/team/app:v{pushes}");
        docker.import(&files, &image);
        docker.run(&["push", &image]);
        pushes += 1;
        let token = raw.token(&[SCOPE]).await;
        if named(&token) != first {
            break;
        }
        assert!(used(&hub, &token).await.iter().all(|status| *status == 200));
        old = token;
    }
    assert!(pushes > 1, "docker has pushed {pushes} images");

    let new = raw.token(&[SCOPE]).await;
    assert_eq!(named(&new), next, "the one that was announced");
    for token in [&old, &new] {
        assert!(used(&hub, token).await.iter().all(|status| *status == 200));
    }
    docker.run(&["push", &format!("{registry}/team/app:v0")]);
    let upload = raw.put("team/app", &location, &tests::image::digest(b"late"), b"late".to_vec()).await;
    let _ = upload.expect(201);
    for edge in 0..hub.edges().len() {
        let keys = published(&hub, edge).await;
        assert!(keys.find(&first).is_some() && keys.find(&next).is_some(), "both are told");
    }
    let listed = hub.operator(&["keys", "list"]).unwrap();
    assert!(listed.contains(&format!("{first} EdDSA verifies")), "{listed}");
    assert!(listed.contains(&format!("{next} EdDSA signs")), "{listed}");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn what_a_leaked_key_has_signed_ends_within_seconds(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    raw.push_image("team/app", "v1", b"a layer").await;
    let old = raw.token(&[SCOPE]).await;
    assert!(used(&hub, &old).await.iter().all(|status| *status == 200));

    let printed = hub.operator(&["keys", "rotate", "--now"]).unwrap();
    let next = printed.split(' ').next().unwrap().to_owned();

    eventually("the end of the token", async || used(&hub, &old).await.iter().all(|status| *status == 401))
        .await;
    let new = raw.token(&[SCOPE]).await;
    assert_eq!(named(&new), next);
    assert!(used(&hub, &new).await.iter().all(|status| *status == 200));
    assert!(published(&hub, 0).await.find(&named(&old)).is_none());
    assert_eq!(hub.operator(&["keys", "list"]).unwrap().lines().count(), 1);
    raw.push_image("team/app", "v2", b"another layer").await;
}

#[rstest]
#[case::one_process(Topology::OneProcess, "BUCKET_KEYS__ALGORITHM")]
#[case::five_services(Topology::FiveServices, "BUCKET_AUTH__KEYS__ALGORITHM")]
#[tokio::test]
async fn tokens_of_es256_are_verified_by_what_is_published(#[case] topology: Topology, #[case] key: &str) {
    let algorithm = vec![(key.to_owned(), "es256".to_owned())];
    let options = match topology {
        Topology::OneProcess => Options { edges: algorithm, ..Options::default() },
        Topology::FiveServices => Options { auth: algorithm, ..Options::default() },
    };
    let hub = Hub::start_with(topology, options);
    hub.raw().push_image("team/app", "v1", b"a layer").await;
    let token = hub.raw().token(&[SCOPE]).await;
    assert!(used(&hub, &token).await.iter().all(|status| *status == 200));

    let keys = published(&hub, 0).await;
    let key = keys.find(&named(&token)).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Es256);
    assert_eq!(key.thumbprint(), named(&token));
    let claims: Claims = key.verified(&token).unwrap();
    assert_eq!((claims.sub.as_str(), claims.aud.as_str()), (ADMIN, "bucket"));
    assert_eq!(claims.access[0].name, "team/app");

    let docker = Docker::start();
    docker.login(&hub.registry(), ADMIN, PASSWORD);
    let name = format!("{}/team/tool:v1", hub.registry());
    docker.import(&docker.scratch("content"), &name);
    docker.run(&["push", &name]);
    docker.run(&["pull", &name]);
}

async fn form(hub: &Hub, fields: &[(&str, &str)]) -> Answer {
    let request = hub.raw().anonymous(Method::POST, "/token").form(fields);
    read(request.send().await.unwrap()).await
}

/// The clients that ann is logged in with.
async fn clients(ann: &Api) -> Vec<Value> {
    let all = ann.get("/sessions").await.expect(200).json()["items"].as_array().unwrap().clone();
    all.into_iter().filter(|session| session["kind"] == "client").collect()
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn docker_keeps_no_password_and_is_logged_out_from_afar(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let (docker, registry) = (Docker::start(), hub.registry());
    let image = format!("{registry}/ann/app:v1");
    let files = docker.scratch("files");
    tree::fill(&files, 5);
    docker.import(&files, &image);

    docker.login(&registry, "ann", ann.secret());
    let kept: Value = serde_json::from_str(&docker.kept_logins()).unwrap();
    let login = &kept["auths"][&registry];
    assert!(login["identitytoken"].as_str().unwrap().starts_with("bucket_refresh_"), "{kept}");
    docker.run(&["push", &image]);
    docker.run(&["pull", &image]);
    let logged_in = clients(&ann).await;
    assert_eq!(logged_in.len(), 1);

    let id = logged_in[0]["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/sessions/{id}")).await.expect(204);
    let refused = docker.refused(&["push", &image]);
    assert!(refused.contains("unauthorized") || refused.contains("wrong user name"), "{refused}");

    docker.login(&registry, "ann", ann.secret());
    docker.run(&["push", &image]);
    let new = json!({ "old": ann.secret(), "new": "another long password" });
    let _ = ann.put("/users/ann/password", new).await.expect(204);
    docker.refused(&["push", &image]);
    assert_eq!(clients(&ann.as_somebody("ann", "another long password")).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_client_that_logs_in_as_containerd_does_comes_back_within_the_limits_of_its_access_token() {
    let hub = Hub::start(Topology::FiveServices);
    let ann = Api::new_user(&hub, "ann").await;
    let wanted = json!({ "label": "laptop", "actions": ["pull"], "repositories": ["ann/*"] });
    let access_token = ann.post("/tokens", wanted).await.expect(201).json();
    let scope = ("scope", "repository:ann/app:pull,push repository:bob/app:pull");
    let common = [("service", "bucket"), ("client_id", "containerd"), scope];

    let login = [("grant_type", "password"), ("access_type", "offline"), ("username", "ann")];
    let password = [("password", access_token["secret"].as_str().unwrap())];
    let answer = form(&hub, &[&login[..], &password, &common].concat()).await.expect(200).json();
    assert_eq!(answer["scope"], "repository:ann/app:pull");
    let refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();

    let shown = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let comes_back = async || form(&hub, &[&shown[..], &common].concat()).await;
    let answer = comes_back().await.expect(200).json();
    assert_eq!(answer["scope"], "repository:ann/app:pull");
    assert!(answer["access_token"].is_string() && answer["expires_in"].as_u64().unwrap() >= 60);

    let id = access_token["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/tokens/{id}")).await.expect(204);
    let _ = comes_back().await.expect(401);
    let forged = form(&hub, &[("grant_type", "refresh_token"), ("refresh_token", "bucket_refresh_0")]).await;
    let _ = forged.expect(401);
}
