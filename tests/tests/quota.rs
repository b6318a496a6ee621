//! What a namespace may use, met by docker; what is pulled, counted; and tags that stay because somebody pulls them.

use std::{
    fs,
    time::{Duration, Instant},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Topology,
    api::Api,
    docker::Docker,
    hub::{Options, Reclaim},
    image,
    raw::{ADMIN, PASSWORD},
};

/// Long after everything should have happened.
const LIMIT: Duration = Duration::from_mins(1);

/// Asks again and again until the answer is as it should be.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "{what} has not happened");
        pause.tick().await;
    }
}

/// An image whose layer is about as long as it is here: it cannot be compressed.
fn an_image(docker: &Docker, seed: u64, length: usize, name: &str) {
    let files = docker.scratch(&format!("files-{seed}"));
    fs::write(files.join("noise"), image::noise(seed, length)).unwrap();
    docker.import(&files, name);
}

async fn quota(api: &Api, namespace: &str) -> Value {
    api.get(&format!("/namespaces/{namespace}/quota")).await.expect(200).json()
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn docker_is_told_what_does_not_fit_and_what_is_deleted_makes_room(#[case] topology: Topology) {
    let options = Options { reclaim: Reclaim::SoonWithoutUndo, ..Options::default() };
    let hub = Hub::start_with(topology, options);
    let (admin, raw, registry) = (Api::administrator(&hub), hub.raw(), hub.registry());
    let docker = Docker::start();
    docker.login(&registry, ADMIN, PASSWORD);
    let [old, new] = ["v1", "v2"].map(|tag| format!("{registry}/team/app:{tag}"));
    an_image(&docker, 1, 2_000_000, &old);
    an_image(&docker, 2, 2_000_000, &new);

    docker.run(&["push", &old]);
    let said = hub.operator(&["quota", "set", "team", "3MiB"]).unwrap();
    assert_eq!(said, "team uses 1.9 MiB of 3.0 MiB (its own quota)\n");
    let seen = quota(&admin, "team").await;
    assert_eq!((&seen["limit_bytes"], &seen["is_default"]), (&json!(3 << 20), &json!(false)));
    assert!(seen["used_bytes"].as_u64().is_some_and(|used| used > 2_000_000), "{seen}");

    let refused = docker.refused(&["push", &new]);
    let numbers = "team has used 1.9 MiB of 3.0 MiB; this blob of 1.9 MiB does not fit; delete images or ask an \
        administrator for more";
    assert!(refused.contains("denied") && refused.contains(numbers), "{refused}");
    assert_eq!(
        quota(&admin, "team").await["used_bytes"],
        seen["used_bytes"],
        "a refused push counts nothing"
    );

    let pushed = raw.send(Method::HEAD, "team/app", "/v2/team/app/manifests/v1").await.expect(200);
    let digest = pushed.header("docker-content-digest");
    let _ =
        raw.send(Method::DELETE, "team/app", &format!("/v2/team/app/manifests/{digest}")).await.expect(202);
    eventually("room", async || quota(&admin, "team").await["used_bytes"] == 0).await;
    docker.run(&["push", &new]);
    docker.forget_images();
    docker.run(&["pull", &new]);

    let _ = admin.put("/namespaces/team/quota", json!({ "limit_bytes": 0 })).await.expect(204);
    let full = raw.send(Method::POST, "team/app", "/v2/team/app/blobs/uploads/").await;
    let message = full.expect_error(403, "DENIED").json()["errors"][0]["message"].to_string();
    assert!(message.contains("no blob fits any more"), "{message}");
    let said = hub.operator(&["quota", "clear", "team"]).unwrap();
    assert!(said.ends_with("of any number of bytes (the default of the hub)\n"), "{said}");
    raw.push_blob("team/app", b"fits again").await;
}

#[tokio::test]
async fn a_default_holds_for_everybody_who_has_no_quota_of_their_own() {
    let environment = vec![("BUCKET_QUOTA".to_owned(), "1MiB".to_owned())];
    let hub = Hub::start_with(Topology::OneProcess, Options { environment, ..Options::default() });
    let (admin, raw) = (Api::administrator(&hub), hub.raw());
    raw.push_image("team/app", "small", &image::noise(1, 500_000)).await;
    let bob = Api::new_user(&hub, "bob").await;
    let default = json!({ "used_bytes": 0, "limit_bytes": 1 << 20, "is_default": true });
    assert_eq!(quota(&bob, "bob").await, default);
    let _ = bob.put("/namespaces/bob/quota", json!({ "limit_bytes": null })).await.expect(403);
    let _ = bob.get("/namespaces/team/quota").await.expect(404);

    let large = image::noise(2, 700_000);
    let location = raw.start("team/app").await;
    let sent = raw.patch("team/app", &location, large.clone()).await.expect_error(403, "DENIED");
    assert!(sent.json()["errors"][0]["message"].to_string().contains("team has used 488."), "{sent:?}");
    let _ = admin.put("/namespaces/team/quota", json!({ "limit_bytes": null })).await.expect(204);
    raw.push_blob("team/app", &large).await;
    let unknown = hub.operator(&["quota", "set", "nobody", "1GiB"]).unwrap_err();
    assert!(unknown.contains("there is no user or organization nobody"), "{unknown}");
    let wrong = hub.operator(&["quota", "set", "team", "1GB"]).unwrap_err();
    assert!(wrong.contains("unlimited") && wrong.contains("10GiB"), "{wrong}");
}

async fn repository(api: &Api) -> (u64, Value) {
    let found = api.get("/repositories/team/app").await.expect(200).json();
    (found["pulls"].as_u64().unwrap(), found["last_pulled"].clone())
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn pulls_are_counted_and_survive_a_restart(#[case] topology: Topology) {
    let mut hub = Hub::start(topology);
    let (admin, raw, registry) = (Api::administrator(&hub), hub.raw(), hub.registry());
    let docker = Docker::start();
    docker.login(&registry, ADMIN, PASSWORD);
    let name = format!("{registry}/team/app:v1");
    an_image(&docker, 1, 100_000, &name);
    docker.run(&["push", &name]);
    assert_eq!(repository(&admin).await, (0, Value::Null), "a push is no pull");

    docker.forget_images();
    docker.run(&["pull", &name]);
    let (pulls, last) = repository(&admin).await;
    assert_eq!(pulls, 1, "docker has pulled once");
    assert!(last.is_string(), "{last}");
    let path = "/v2/team/app/manifests/v1";
    let _ = raw.send(Method::HEAD, "team/app", path).await.expect(200);
    assert_eq!(repository(&admin).await.0, 1, "who only looks has not pulled");
    let _ = raw.send(Method::GET, "team/app", path).await.expect(200);
    assert_eq!(repository(&admin).await.0, 2);

    hub.restart();
    let admin = Api::administrator(&hub);
    assert_eq!(repository(&admin).await.0, 2, "what was pulled is written when a process ends");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_tag_that_nobody_pulls_goes(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    for tag in ["used", "unused"] {
        raw.push_image("team/app", tag, tag.as_bytes()).await;
    }
    let rules = hub.data().join("rules.toml");
    fs::write(&rules, "[[retain]]\ntags = \"*\"\npulled_within = \"10s\"\n").unwrap();
    let _ = hub.operator(&["rules", "set", "team", rules.to_str().unwrap()]).unwrap();
    let shown = hub.operator(&["rules", "show", "team"]).unwrap();
    assert!(shown.contains("pulled_within = \"10s\""), "{shown}");

    eventually("the end of what nobody pulls", async || {
        let _ = raw.manifest("team/app", "used").await.expect(200);
        let preview = hub.operator(&["rules", "preview", "team/app"]).unwrap();
        preview.starts_with("unused\n1 tags would go, with 1 manifests")
    })
    .await;
    let _ = raw.manifest("team/app", "used").await.expect(200);
    let _ = hub.operator(&["reclaim"]).unwrap();
    let _ = raw.manifest("team/app", "used").await.expect(200);
    let _ = raw.send(Method::HEAD, "team/app", "/v2/team/app/manifests/unused").await.expect(404);
}
