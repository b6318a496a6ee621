//! A hub whose metadata is in a server: everything works as with a file, the keys are those that the project was founded
//! on, and a server that is killed costs time and nothing that was acknowledged.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, RequestBuilder, StatusCode, header};
use rstest::rstest;
use tests::{
    Hub, Topology,
    engine::{Cluster, Engine, Program},
    hub::Options,
    image,
    operator::without_hub,
    raw::{Raw, read},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

const REPOSITORY: &str = "admin/app";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

fn hub_on(server: &Engine, topology: Topology) -> Hub {
    Hub::start_with(topology, Options { metadata: Some(format!("{}/2", server.url())), ..Options::default() })
}

/// What the second database says.
fn asked(server: &Engine, arguments: &[&str]) -> String {
    server.cli(&[&["-n", "2"][..], arguments].concat()).trim().to_owned()
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_hub_keeps_its_metadata_in_redis(#[case] topology: Topology) {
    // given
    let mut server = Engine::start(Program::Redis, "");
    let mut hub = hub_on(&server, topology);

    // when
    let manifest = hub.raw().push_image(REPOSITORY, "v1", b"a layer").await;

    // then: the founding keys are there literally
    assert_eq!(asked(&server, &["type", "@admin"]), "hash");
    let id = asked(&server, &["hget", "@admin$app-", "Id"]);
    assert_eq!(id.len(), 26, "an id of the repository: {id}");
    let content = format!("&{}+", image::digest(b"a layer"));
    assert_eq!(asked(&server, &["hexists", &content, "Size"]), "1");
    assert_eq!(asked(&server, &["hget", &format!("${id}:tag"), "v1"]), image::digest(&manifest).to_string());

    hub.restart();
    let raw = hub.raw();
    assert_eq!(raw.manifest(REPOSITORY, "v1").await.expect(200).body, manifest);
    assert_eq!(raw.blob(REPOSITORY, &image::digest(b"a layer")).await.expect(200).body, "a layer");

    // and: without the server there is 503 for a while
    let request = raw.request(Method::GET, REPOSITORY, &format!("/v2/{REPOSITORY}/manifests/v1")).await;
    server.kill();
    let answer = read(again(&request).send().await.unwrap()).await.expect(503);
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    server.start_again();
    let healed = async {
        while again(&request).send().await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, healed).await.expect("it heals by itself");
    assert_eq!(raw.manifest(REPOSITORY, "v1").await.expect(200).body, manifest);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_hub_keeps_its_metadata_in_a_cluster(#[case] topology: Topology) {
    // given
    let mut servers = Cluster::start();
    let options = Options { metadata: Some(servers.url()), ..Options::default() };
    let hub = Hub::start_with(topology, options);

    // when
    let manifest = hub.raw().push_image(REPOSITORY, "v1", b"a layer").await;

    // then: what is under one name lies together, and each name where its slot is
    let on = |place: usize, arguments: &[&str]| servers.nodes[place].cli(arguments).trim().to_owned();
    let repository = servers.master_of("{@admin$app}-");
    let id = on(repository, &["hget", "{@admin$app}-", "Id"]);
    assert_eq!(id.len(), 26, "an id of the repository: {id}");
    let tags = format!("{{${id}}}:tag");
    let tagged = on(servers.master_of(&tags), &["hget", &tags, "v1"]);
    assert_eq!(tagged, image::digest(&manifest).to_string());

    // and: a master that is killed costs seconds
    let raw = hub.raw();
    let request = raw.request(Method::GET, REPOSITORY, &format!("/v2/{REPOSITORY}/manifests/v1")).await;
    let master = servers.master_of(&tags);
    servers.nodes[master].kill();
    let healed = async {
        while again(&request).send().await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, healed).await.expect("its replica takes over");
    let token = raw.token(&[&format!("repository:{REPOSITORY}:pull,push")]).await;
    let pusher = Pusher { raw: raw.at(raw.base()), token, number: 1 };
    let pushed = async {
        for round in 0.. {
            if pusher.push(round).await.is_some() {
                return;
            }
        }
    };
    timeout(PATIENCE, pushed).await.expect("pushes go on");
    assert_eq!(raw.manifest(REPOSITORY, "v1").await.expect(200).body, manifest);
}

fn again(request: &RequestBuilder) -> RequestBuilder {
    request.try_clone().unwrap()
}

#[test]
fn what_cannot_keep_metadata_is_refused_and_no_password_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().display().to_string();
    let refused = |url: &str| {
        let error = without_hub(&["serve", "--data", &data, "--listen", "127.0.0.1:0", "--metadata", url]);
        let error = error.unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        error
    };

    assert!(refused("redis+cluster://:secret@cache/1").contains("Cluster"));
    assert!(refused("http://:secret@cache").contains("redis://"));
    let forgets = Engine::start(Program::Redis, "appendonly no");
    assert!(refused(&forgets.url()).contains("--volatile"));
}

/// Pushes small images one after the other.
struct Pusher {
    raw: Raw,
    token: String,
    number: usize,
}

impl Pusher {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.raw.anonymous(method, path).bearer_auth(&self.token)
    }

    /// One image of its own. None: something was refused, or broke.
    async fn push(&self, round: usize) -> Option<(String, Vec<u8>)> {
        let (tag, layer) = (format!("c{}-{round}", self.number), format!("{} {round}", self.number));
        let config = br#"{"architecture":"amd64","os":"linux"}"#.to_vec();
        let manifest = image::oci_manifest(&config, &[layer.as_bytes()]);
        for bytes in [config, layer.into_bytes()] {
            self.push_blob(bytes).await?;
        }

        let request = self.request(Method::PUT, &format!("/v2/{REPOSITORY}/manifests/{tag}"));
        let request = request.header(header::CONTENT_TYPE, image::OCI_MANIFEST).body(manifest.clone());
        (request.send().await.ok()?.status() == StatusCode::CREATED).then_some((tag, manifest))
    }

    async fn push_blob(&self, bytes: Vec<u8>) -> Option<()> {
        let started = self.request(Method::POST, &format!("/v2/{REPOSITORY}/blobs/uploads/"));
        let started = read(started.send().await.ok()?).await;
        let location = started.headers.get("location")?.clone();

        let digest = image::digest(&bytes).to_string();
        let finished = self.request(Method::PUT, &location).query(&[("digest", digest)]).body(bytes);
        (finished.send().await.ok()?.status() == StatusCode::CREATED).then_some(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_a_server_killed_again_and_again() {
    // given
    let mut server = Engine::start(Program::Redis, "");
    let hub = hub_on(&server, Topology::OneProcess);
    let raw = hub.raw();
    raw.push_image(REPOSITORY, "first", b"a layer").await;
    let token = raw.token(&[&format!("repository:{REPOSITORY}:pull,push")]).await;
    let (told, mut acknowledged) = watch::channel(0_usize);
    let (told, ended) = (Arc::new(told), Arc::new(AtomicBool::new(false)));

    // when
    let mut clients = JoinSet::new();
    for number in 0..8 {
        let pusher = Pusher { raw: raw.at(raw.base()), token: token.clone(), number };
        let (told, ended) = (told.clone(), ended.clone());
        clients.spawn(async move {
            let mut done = BTreeMap::new();
            for round in 0.. {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                if let Some((tag, manifest)) = pusher.push(round).await {
                    done.insert(tag, manifest);
                    told.send_modify(|count| *count += 1);
                }
            }
            done
        });
    }
    for _ in 0..10 {
        let enough = *acknowledged.borrow() + 8;
        timeout(PATIENCE, acknowledged.wait_for(|count| *count >= enough)).await.unwrap().unwrap();
        server.kill();
        server.start_again();
    }
    ended.store(true, Ordering::Relaxed);

    // then
    let pushed: BTreeMap<_, _> = clients.join_all().await.into_iter().flatten().collect();
    assert!(pushed.len() >= 80, "{} were pushed", pushed.len());
    let path = |tag: &str| format!("/v2/{REPOSITORY}/manifests/{tag}");
    let get = |tag: &str| raw.anonymous(Method::GET, &path(tag)).bearer_auth(&token);
    let healed = async { while get("first").send().await.unwrap().status() != StatusCode::OK {} };
    timeout(PATIENCE, healed).await.unwrap();
    for (tag, manifest) in pushed {
        let answer = read(get(&tag).send().await.unwrap()).await;
        assert_eq!(answer.expect(200).body, manifest, "{tag}");
    }
}
