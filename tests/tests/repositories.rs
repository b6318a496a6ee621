//! Repositories that are renamed, transferred and deleted, with real clients: what is found by which name, and by whom.

use std::{
    fs,
    time::{Duration, Instant},
};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{
    Hub, Service, Topology,
    api::Api,
    docker::Docker,
    hub::{Options, Reclaim},
    image,
    raw::{Answer, read},
    tree,
};

/// Long after everything should have happened.
const LIMIT: Duration = Duration::from_mins(1);

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    while !holds().await {
        assert!(began.elapsed() < LIMIT, "{what} has not happened");
        pause.tick().await;
    }
}

async fn rename(api: &Api, from: &str, to: &str) -> Answer {
    api.post(&format!("/repositories/{from}/move"), json!({ "name": to })).await
}

/// What somebody is told of a tag list, by a token of their own.
async fn tags(hub: &Hub, api: &Api, name: &str) -> Answer {
    let token = api.token(&format!("repository:{name}:pull")).await.expect(200).json();
    bearing(hub, token["token"].as_str().unwrap(), name).await
}

async fn bearing(hub: &Hub, token: &str, name: &str) -> Answer {
    let request = hub.raw().anonymous(Method::GET, &format!("/v2/{name}/tags/list")).bearer_auth(token);
    read(request.send().await.unwrap()).await
}

fn files(hub: &Hub) -> usize {
    let (mut found, mut directories) = (0, vec![hub.data().join("blobs").join("blobs")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                directories.push(entry.path());
            } else {
                found += 1;
            }
        }
    }
    found
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn docker_pulls_by_every_name_that_a_repository_had(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, cid) = (Api::new_user(&hub, "ann").await, Api::new_user(&hub, "cid").await);
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let docker = Docker::start();
    let edges = hub.edges();
    let (registry, last) = (hub.registry(), edges[edges.len() - 1].to_string());
    let app = format!("{registry}/ann/app:v1");
    tree::fill(&docker.scratch("files"), 7);
    docker.import(&docker.scratch("files"), &app);
    let id = docker.image_id(&app);
    docker.login(&registry, ann.user(), ann.secret());
    docker.login(&last, ann.user(), ann.secret());
    docker.run(&["push", &app]);

    let _ = rename(&ann, "ann/app", "ann/tool").await.expect(200);
    let pulled = |name: &str| {
        docker.forget_images();
        let image = format!("{last}/{name}:v1");
        docker.run(&["pull", &image]);
        assert_eq!(docker.image_id(&image), id, "{name}");
    };
    pulled("ann/tool");
    pulled("ann/app");
    docker.run(&["tag", &format!("{last}/ann/app:v1"), &app]);
    let refused = docker.refused(&["push", &app]);
    assert!(refused.contains("ann/tool"), "it says where to push: {refused}");
    let found = ann.get("/repositories/ann/app").await.expect(308);
    assert_eq!(found.header("location"), "/api/v1/repositories/ann/tool");

    let _ = rename(&cid, "ann/tool", "cid/tool").await.expect(404);
    let _ = rename(&ann, "ann/tool", "cid/tool").await.expect(404);
    let _ = rename(&ann, "ann/tool", "acme/tool").await.expect(200);
    for name in ["acme/tool", "ann/tool", "ann/app"] {
        pulled(name);
    }

    docker.login(&registry, cid.user(), cid.secret());
    docker.forget_images();
    for name in ["acme/tool", "ann/app"] {
        let refused = docker.refused(&["pull", &format!("{registry}/{name}:v1")]);
        assert!(!refused.contains("called"), "{refused}");
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn an_old_name_of_a_private_repository_is_as_absent_as_any(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, cid) = (Api::new_user(&hub, "ann").await, Api::new_user(&hub, "cid").await);
    let _ = ann.post("/repositories", json!({ "name": "ann/app" })).await.expect(201);
    let _ = rename(&ann, "ann/app", "ann/tool").await.expect(200);

    let shown = |answer: &Answer| {
        let text = String::from_utf8_lossy(&answer.body).replace("ann/nothing", "ann/app");
        let end = text.find("request_id").unwrap_or(text.len());
        (answer.status, text[..end].to_owned())
    };
    for somebody in [&cid, &cid.as_somebody("", "")] {
        if somebody.user().is_empty() {
            let ask = async |name: &str| {
                let path = format!("/api/v1/repositories/ann/{name}");
                shown(&read(hub.raw().anonymous(Method::GET, &path).send().await.unwrap()).await)
            };
            assert_eq!(ask("app").await, ask("nothing").await);
            continue;
        }
        let [old, none] = ["ann/app", "ann/nothing"];
        assert_eq!(shown(&tags(&hub, somebody, old).await), shown(&tags(&hub, somebody, none).await));
        let (old, none) = (format!("/repositories/{old}"), format!("/repositories/{none}"));
        assert_eq!(shown(&somebody.get(&old).await), shown(&somebody.get(&none).await));
        let [old, none] = [somebody.delete(&old).await, somebody.delete(&none).await];
        assert_eq!(shown(&old), shown(&none));
    }

    // Once everybody may see it, everybody is led to it.
    let _ = ann.patch("/repositories/ann/tool", json!({ "visibility": "public" })).await.expect(204);
    let found = tags(&hub, &cid, "ann/app").await.expect(200).json();
    assert_eq!(found["name"], "ann/tool");
    let anonymous = hub.raw().anonymous(Method::GET, "/token").query(&[("scope", "repository:ann/app:pull")]);
    let anonymous = read(anonymous.send().await.unwrap()).await.expect(200).json();
    let token = anonymous["token"].as_str().unwrap();
    let _ = bearing(&hub, token, "ann/app").await.expect(200);

    // And not any more, also by tokens that were given before.
    let _ = ann.patch("/repositories/ann/tool", json!({ "visibility": "private" })).await.expect(204);
    eventually("the end of the token", async || bearing(&hub, token, "ann/app").await.status == 401).await;
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_deleted_repository_is_gone_and_its_bytes_come_back(#[case] topology: Topology) {
    let options = Options { reclaim: Reclaim::SoonWithoutUndo, ..Options::default() };
    let hub = Hub::start_with(topology, options);
    let (raw, admin) = (hub.raw(), Api::administrator(&hub));
    let (alone, shared) = (image::noise(1, 300_000), image::noise(2, 300_000));
    raw.push_image("team/app", "v1", &alone).await;
    raw.push_image("team/app", "v2", &shared).await;
    raw.push_image("team/other", "v1", &shared).await;
    let before = files(&hub);

    let _ = admin.delete("/repositories/team/app").await.expect(204);
    let _ = raw.manifest("team/app", "v1").await.expect_error(404, "NAME_UNKNOWN");
    let _ = admin.delete("/repositories/team/app").await.expect(204);
    let anew = image::noise(3, 300_000);
    raw.push_image("team/app", "v1", &anew).await;

    eventually("the deletion of the bytes", async || files(&hub) == before).await;
    let _ = raw.manifest("team/app", "v1").await.expect(200);
    let _ = raw.manifest("team/app", "v2").await.expect_error(404, "MANIFEST_UNKNOWN");
    let _ = raw.blob("team/app", &image::digest(&alone)).await.expect(404);
    assert_eq!(raw.blob("team/app", &image::digest(&anew)).await.expect(200).body, anew);
    assert_eq!(raw.blob("team/other", &image::digest(&shared)).await.expect(200).body, shared);
}

#[rstest]
#[case("metadata.delete_repository.after")]
#[case("metadata.purge.before")]
#[case("metadata.purge.after")]
#[case("metadata.purged.after")]
#[tokio::test]
async fn a_deletion_is_finished_by_who_comes_after(#[case] failpoint: &str) {
    let options = Options { reclaim: Reclaim::SoonWithoutUndo, ..Options::default() };
    let mut hub = Hub::start_with(Topology::FiveServices, options);
    let (raw, admin) = (hub.raw(), Api::administrator(&hub));
    raw.push_image("team/other", "v1", &image::noise(2, 1_000)).await;
    let before = files(&hub);
    raw.push_image("team/app", "v1", &image::noise(1, 300_000)).await;

    hub.kill(Service::Metadata);
    hub.start_to_fail(Service::Metadata, failpoint);
    let _either_way = admin.delete("/repositories/team/app").await;
    hub.wait_for_death(Service::Metadata);
    hub.start_service(Service::Metadata);

    eventually("the deletion of the bytes", async || files(&hub) == before).await;
    eventually("the end of the repository", async || raw.manifest("team/app", "v1").await.status == 404)
        .await;
    let _ = raw.manifest("team/other", "v1").await.expect(200);
}
