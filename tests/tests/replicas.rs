//! Two replicas of the blob service behind the same edges: one is killed or told to end while images are pushed and
//! pulled. What was acknowledged is there, and whoever tries again succeeds.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode, header};
use tests::{Hub, Service, Topology, hub::Options, image, raw::Raw};
use tokio::sync::watch;

const REPOSITORY: &str = "team/app";
const LAYER_BYTES: usize = 2 << 20;

/// How often a client tries. Each try has a new connection to its edge and may meet the other replica.
const TRIES: usize = 8;

/// A hub whose edges call both replicas, each of which has a cache of its own.
fn hub(drain_delay: &str) -> Hub {
    let url = |service: Service| format!("\"http://{}\"", service.listens_at());
    let urls = format!("[{}, {}]", url(Service::Blob1), url(Service::Blob2));
    let options = Options {
        edges: vec![("BUCKET_BLOB__URLS".to_owned(), urls)],
        ports: vec![("BUCKET_GRPC__DRAIN_DELAY".to_owned(), drain_delay.to_owned())],
        cache_bytes: Some(64 << 20),
        ..Options::default()
    };
    Hub::start_with(Topology::FiveServices, options)
}

/// What did not come to a good end, in the words of the hub.
#[derive(Debug)]
struct Failed(String);

/// A client with a token that lasts for the test.
struct Client {
    raw: Raw,
    token: String,
}

impl Client {
    async fn login(raw: &Raw) -> Self {
        let token = raw.token(&[&format!("repository:{REPOSITORY}:pull,push")]).await;
        Self { raw: raw.clone(), token }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<(StatusCode, Bytes, String), Failed> {
        let kind =
            if path.contains("/manifests/") { image::OCI_MANIFEST } else { "application/octet-stream" };
        let request = self.raw.anonymous(method, path).bearer_auth(&self.token);
        let request = request.header(header::CONTENT_TYPE, kind).body(body);
        let answer = request.send().await.map_err(|error| Failed(format!("no answer: {error}")))?;
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| Failed(format!("half an answer: {error}")))?;
        Ok((status, body, location.unwrap_or_default()))
    }

    /// An answer that is no success is a clean one: it says what is wrong, and that it passes.
    async fn succeed(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<(Bytes, String), Failed> {
        let (status, body, location) = self.send(method, path, body).await?;
        if status.is_success() {
            return Ok((body, location));
        }
        let said = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {said}");
        assert!(said.contains("UNAVAILABLE"), "{path}: {said}");
        Err(Failed(said))
    }

    async fn push_blob(&self, bytes: &[u8]) -> Result<(), Failed> {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
        let (_, location) = self.succeed(Method::POST, &path, "").await?;
        let query = if location.contains('?') { '&' } else { '?' };
        let path = format!("{location}{query}digest={}", image::digest(bytes));
        self.succeed(Method::PUT, &path, bytes.to_vec()).await.map(drop)
    }

    async fn push(&self, image: &Image) -> Result<(), Failed> {
        self.push_blob(&image.config).await?;
        self.push_blob(&image.layer).await?;
        let path = format!("/v2/{REPOSITORY}/manifests/{}", image.tag);
        self.succeed(Method::PUT, &path, image.manifest()).await.map(drop)
    }

    async fn pull(&self, image: &Image) -> Result<(), Failed> {
        let path = format!("/v2/{REPOSITORY}/manifests/{}", image.tag);
        let (manifest, _) = self.succeed(Method::GET, &path, "").await?;
        assert_eq!(manifest, image.manifest(), "{}", image.tag);
        for bytes in [&image.config, &image.layer] {
            let path = format!("/v2/{REPOSITORY}/blobs/{}", image::digest(bytes));
            let (found, _) = self.succeed(Method::GET, &path, "").await?;
            assert!(found == *bytes, "{}: other bytes came", image.tag);
        }
        Ok(())
    }
}

/// An image of its own for each client.
struct Image {
    tag: String,
    config: Vec<u8>,
    layer: Vec<u8>,
}

impl Image {
    fn new(number: u64) -> Self {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","number":{number}}}"#).into_bytes();
        Self { tag: format!("v{number}"), config, layer: image::noise(number, LAYER_BYTES) }
    }

    fn manifest(&self) -> Vec<u8> {
        image::oci_manifest(&self.config, &[&self.layer])
    }
}

/// Tries until it succeeds; what failed before is what was said.
async fn tried<F>(attempt: impl Fn() -> F) -> Vec<Failed>
where
    F: Future<Output = Result<(), Failed>>,
{
    let mut failures = Vec::new();
    while failures.len() < TRIES {
        match attempt().await {
            Ok(()) => return failures,
            Err(failed) => failures.push(failed),
        }
    }
    let said: Vec<&str> = failures.iter().map(|Failed(said)| said.as_str()).collect();
    panic!("{TRIES} tries have failed: {said:?}");
}

#[tokio::test]
async fn a_replica_killed_amid_pushes_and_pulls_loses_nothing() {
    let mut hub = hub("0s");
    let raws = hub.raws();
    let clients = join_all(raws.iter().map(Client::login)).await;
    let images: Vec<Image> = (0..16).map(Image::new).collect();
    let [there, new] = [&images[..8], &images[8..]];
    for image in there {
        clients[0].push(image).await.unwrap();
    }

    let done = watch::Sender::new(0_usize);
    let work = images.iter().enumerate().map(|(number, image)| {
        let (client, done) = (&clients[number % clients.len()], &done);
        async move {
            let failures = if number < 8 {
                tried(|| client.pull(image)).await
            } else {
                tried(|| client.push(image)).await
            };
            done.send_modify(|done| *done += 1);
            failures
        }
    });
    // Some have come to their end, and the others are in the midst of it.
    let killing = async {
        done.subscribe().wait_for(|done| *done >= 4).await.map(drop).unwrap();
        hub.kill(Service::Blob2);
    };
    let (failures, ()) = tokio::join!(join_all(work), killing);
    println!("what was to be done again: {failures:?}");

    // Nothing that was acknowledged is gone: with one replica, and when the other is there again.
    for image in there.iter().chain(new) {
        tried(|| clients[1].pull(image)).await;
    }
    hub.start_service(Service::Blob2);
    for (number, image) in images.iter().enumerate() {
        tried(|| clients[number % 2].pull(image)).await;
    }
}

#[tokio::test]
async fn a_replica_that_is_told_to_end_is_missed_by_nobody() {
    let mut hub = hub("2s");
    let client = Client::login(&hub.raw()).await;
    let images: Vec<Image> = (0..8).map(Image::new).collect();
    for image in &images[..4] {
        client.push(image).await.unwrap();
    }

    let id =
        rustix::process::Pid::from_raw(i32::try_from(hub.process(Service::Blob2).id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let mut pulls = 0;
    while hub.process(Service::Blob2).is_alive() {
        client.pull(&images[pulls % 4]).await.unwrap();
        pulls += 1;
    }
    for image in &images[4..] {
        client.push(image).await.unwrap();
        client.pull(image).await.unwrap();
    }

    assert!(pulls > 4, "{pulls} pulls while it ended");
}

#[tokio::test]
async fn an_edge_that_is_told_to_end_says_so_and_goes_on_for_a_while() {
    let options =
        Options { edges: vec![("BUCKET_DRAIN_DELAY".to_owned(), "4s".to_owned())], ..Options::default() };
    let mut hub = Hub::start_with(Topology::FiveServices, options);
    let client = Client::login(&hub.raw()).await;
    let image = Image::new(1);
    client.push(&image).await.unwrap();

    let id =
        rustix::process::Pid::from_raw(i32::try_from(hub.process(Service::Edge1).id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let probe = format!("http://{}/readyz", Service::Edge1.admin_at());
    while reqwest::get(&probe).await.unwrap().status() == StatusCode::OK {}

    // Who has not heard of it is served: also on a connection of its own.
    client.pull(&image).await.unwrap();
    Client::login(&hub.raw()).await.pull(&image).await.unwrap();
    assert!(hub.process(Service::Edge1).wait_for_end().success());
}

/// How many blobs each replica has been asked for.
async fn opened(hub: &Hub) -> BTreeMap<Service, u64> {
    let mut counts = BTreeMap::new();
    for service in [Service::Blob1, Service::Blob2] {
        let metrics = hub.metrics(service).await;
        let lines = metrics.lines().filter(|line| {
            line.starts_with("rpc_server_calls_total{") && line.contains(r#"rpc_method="Open""#)
        });
        let sum = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        counts.insert(service, sum);
    }
    counts
}

#[tokio::test]
async fn one_blob_is_read_at_one_replica_whichever_edge_is_asked() {
    let hub = hub("0s");
    let clients = join_all(hub.raws().iter().map(Client::login)).await;
    let blobs: Vec<Vec<u8>> = (0..24).map(|number| image::noise(number, 10_000)).collect();
    for blob in &blobs {
        clients[0].push_blob(blob).await.unwrap();
    }

    let mut both = [0, 0];
    let mut before = opened(&hub).await;
    for blob in &blobs {
        let path = format!("/v2/{REPOSITORY}/blobs/{}", image::digest(blob));
        for client in [&clients[0], &clients[1], &clients[0]] {
            let (found, _) = client.succeed(Method::GET, &path, "").await.unwrap();
            assert!(found == *blob, "other bytes came");
        }
        let after = opened(&hub).await;
        let more: Vec<u64> = after.iter().map(|(service, count)| count - before[service]).collect();
        assert!(more == [3, 0] || more == [0, 3], "one blob was read here and there: {more:?}");
        both = [both[0] + more[0], both[1] + more[1]];
        before = after;
    }

    assert!(both[0] > 0 && both[1] > 0, "one replica reads all: {both:?}");
}
