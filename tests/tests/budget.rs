//! What a user does costs no more calls between services than ARCHITECTURE.md §4 allows. Each service counts
//! the calls that it answered; tokens are fetched before anything is counted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, header};
use tests::{
    Hub, Service, Topology, image,
    raw::{ADMIN, Answer, PASSWORD, Raw, read},
};

/// Each action is done so often: what is counted late, after its answer, is counted before the next ones'.
const TIMES: u64 = 4;

/// What is not done for anybody in particular: edges read the keys from time to time, and auth reads them.
const IN_THE_BACKGROUND: [&str; 2] = ["AuthService/Keys", "AccountService/SigningKeys"];

/// A hub with one user, who is logged in.
struct World {
    hub: Hub,
    raw: Raw,
    token: String,
}

impl World {
    async fn new() -> Self {
        let hub = Hub::start(Topology::FiveServices);
        let raw = hub.raw();
        let token =
            raw.token(&["repository:team/app:pull,push,delete", "repository:team/from:pull,push"]).await;
        // The first request connects, makes the repositories and remembers the token.
        raw.push_image("team/app", "v1", b"a layer").await;
        raw.push_blob("team/from", b"a layer to mount").await;
        Self { hub, raw, token }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.raw.anonymous(method, path).bearer_auth(&self.token)
    }

    async fn send(&self, request: RequestBuilder, status: u16) -> Answer {
        read(request.send().await.unwrap()).await.expect(status)
    }

    async fn start(&self) -> String {
        let answer = self.send(self.request(Method::POST, "/v2/team/app/blobs/uploads/"), 202).await;
        answer.header("location").to_owned()
    }

    /// Does `action` a few times and checks that each made exactly so many calls.
    async fn costs(&self, what: &str, calls: u64, action: impl AsyncFn(u64)) {
        let before = self.calls().await;
        for time in 0..TIMES {
            action(time).await;
        }
        let made = self.calls_since(&before, calls * TIMES).await;
        let sum: u64 = made.values().sum();
        assert_eq!(
            sum,
            calls * TIMES,
            "{what}, {TIMES} times, is to make {calls} calls each and made {made:#?}"
        );
    }

    /// What was called since, once it is so much or time is up: an answer may arrive before its call is counted.
    async fn calls_since(&self, before: &BTreeMap<String, u64>, expected: u64) -> BTreeMap<String, u64> {
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            let mut made = self.calls().await;
            for (method, count) in &mut made {
                *count -= before.get(method).copied().unwrap_or_default();
            }
            made.retain(|_, count| *count > 0);
            if made.values().sum::<u64>() >= expected || Instant::now() > until {
                return made;
            }
        }
    }

    /// How often each method of each service has been called.
    async fn calls(&self) -> BTreeMap<String, u64> {
        let mut calls = BTreeMap::new();
        for service in self.hub.services().iter().filter(|service| service.is_grpc()) {
            for (method, count) in counted(&self.hub.metrics(*service).await) {
                *calls.entry(format!("{service:?}: {method}")).or_default() += count;
            }
        }
        calls
    }
}

/// The calls in a text of Prometheus' format, by `Service/Method` without the package.
fn counted(metrics: &str) -> Vec<(String, u64)> {
    let ours = |line: &str| {
        let (labels, count) = line.strip_prefix("rpc_server_calls_total{")?.rsplit_once("} ")?;
        let service = label(labels, "rpc_service")?.strip_prefix("bucket.v1.")?.to_owned();
        let method = format!("{service}/{}", label(labels, "rpc_method")?);
        let count: u64 = count.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        (!IN_THE_BACKGROUND.contains(&method.as_str())).then_some((method, count))
    };
    metrics.lines().filter_map(ours).collect()
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = labels.split_once(&format!("{name}=\""))?;
    Some(value.split_once('"')?.0)
}

#[test]
fn calls_are_read_from_what_prometheus_reads() {
    let text = "# TYPE rpc_server_calls_total counter\n\
        rpc_server_calls_total{code=\"Ok\",rpc_method=\"Open\",rpc_service=\"bucket.v1.BlobService\"} 12\n\
        rpc_server_calls_total{code=\"Ok\",rpc_method=\"Check\",rpc_service=\"grpc.health.v1.Health\"} 3\n\
        rpc_server_calls_total{code=\"Ok\",rpc_method=\"Keys\",rpc_service=\"bucket.v1.AuthService\"} 3\n\
        rpc_server_duration_seconds_count{rpc_method=\"Open\",rpc_service=\"bucket.v1.BlobService\"} 12\n";
    assert_eq!(counted(text), [("BlobService/Open".to_owned(), 12)]);
}

#[tokio::test]
async fn a_push_of_a_blob_stays_within_its_budget() {
    let world = World::new().await;
    let world = &world;

    world
        .costs("starting an upload", 1, async |_| {
            world.start().await;
        })
        .await;

    let location = &world.start().await;
    world
        .costs("a PATCH", 3, async |_| {
            world.send(world.request(Method::PATCH, location).body("a chunk"), 202).await;
        })
        .await;
    world
        .costs("the status of an upload", 1, async |_| {
            world.send(world.request(Method::GET, location), 204).await;
        })
        .await;
}

#[tokio::test]
async fn the_end_of_an_upload_stays_within_its_budget() {
    let world = World::new().await;
    let world = &world;
    let blob = |seed: u64| image::noise(seed, 100_000);

    let open = &[world.start().await, world.start().await, world.start().await, world.start().await];
    for (location, seed) in open.iter().zip(0..) {
        world.send(world.request(Method::PATCH, location).body(blob(seed)), 202).await;
    }
    world
        .costs("the PUT that ends an upload", 4, async |time| {
            let location = &open[usize::try_from(time).unwrap()];
            let digest = [("digest", image::digest(&blob(time)).to_string())];
            world.send(world.request(Method::PUT, location).query(&digest), 201).await;
        })
        .await;

    let open = &[world.start().await, world.start().await, world.start().await, world.start().await];
    world
        .costs("a PUT with all the bytes", 4, async |time| {
            let bytes = blob(100 + time);
            let location = &open[usize::try_from(time).unwrap()];
            let digest = [("digest", image::digest(&bytes).to_string())];
            world.send(world.request(Method::PUT, location).query(&digest).body(bytes), 201).await;
        })
        .await;
    world
        .costs("a POST with all the bytes", 5, async |time| {
            let bytes = blob(200 + time);
            let path = format!("/v2/team/app/blobs/uploads/?digest={}", image::digest(&bytes));
            world.send(world.request(Method::POST, &path).body(bytes), 201).await;
        })
        .await;
    let unneeded = &["1", "2", "3", "4"].map(|text| format!("unneeded {text}").into_bytes());
    for blob in unneeded {
        world.raw.push_blob("team/app", blob).await;
    }
    world
        .costs("the deletion of a blob", 1, async |time| {
            let digest = image::digest(&unneeded[usize::try_from(time).unwrap()]);
            world.send(world.request(Method::DELETE, &format!("/v2/team/app/blobs/{digest}")), 202).await;
        })
        .await;
    let mount =
        &format!("/v2/team/app/blobs/uploads/?mount={}&from=team/from", image::digest(b"a layer to mount"));
    world
        .costs("a mount", 1, async |_| {
            world.send(world.request(Method::POST, mount), 201).await;
        })
        .await;
}

#[tokio::test]
async fn a_pull_and_a_manifest_stay_within_their_budget() {
    let world = World::new().await;
    let world = &world;
    let layer = image::noise(5, 3_000_000);
    let manifest = &world.raw.push_image("team/app", "v2", &layer).await;
    let blob = &format!("/v2/team/app/blobs/{}", image::digest(&layer));
    let by_digest = &format!("/v2/team/app/manifests/{}", image::digest(manifest));
    let by_tag = "/v2/team/app/manifests/v2";
    let referrers = &format!("/v2/team/app/referrers/{}", image::digest(manifest));

    for (what, calls, method, path) in [
        ("HEAD of a blob", 1, Method::HEAD, blob.as_str()),
        ("GET of a blob", 2, Method::GET, blob),
        ("GET of a manifest by tag", 1, Method::GET, by_tag),
        ("GET of a manifest by digest", 1, Method::GET, by_digest),
        ("HEAD of a manifest", 1, Method::HEAD, by_tag),
        ("a list of referrers", 1, Method::GET, referrers),
        ("a list of tags", 1, Method::GET, "/v2/team/app/tags/list"),
        ("the history of a tag", 1, Method::GET, "/v2/team/app/_oci/tag-history/v2"),
        ("a list of repositories", 1, Method::GET, "/v2/team/_oci/repositories"),
        ("the extensions", 0, Method::GET, "/v2/team/app/_oci/ext/discover"),
        ("the question whether this is a registry", 0, Method::GET, "/v2/"),
    ] {
        world
            .costs(what, calls, async |_| {
                world.send(world.request(method.clone(), path), 200).await;
            })
            .await;
    }
    world
        .costs("a range of a blob", 2, async |_| {
            world.send(world.request(Method::GET, blob).header(header::RANGE, "bytes=10-20"), 206).await;
        })
        .await;
    world
        .costs("a manifest", 1, async |time| {
            let path = format!("/v2/team/app/manifests/t{time}");
            let request = world.request(Method::PUT, &path).header(header::CONTENT_TYPE, image::OCI_MANIFEST);
            world.send(request.body(manifest.clone()), 201).await;
        })
        .await;
    world
        .costs("a token", 2, async |_| {
            let scope = [("service", "bucket"), ("scope", "repository:team/app:pull")];
            let request = world.raw.anonymous(Method::GET, "/token").query(&scope);
            world.send(request.basic_auth(ADMIN, Some(PASSWORD)), 200).await;
        })
        .await;
}

#[tokio::test]
async fn every_call_is_counted_where_it_is_answered() {
    let world = World::new().await;
    for service in [Service::Metadata, Service::Auth, Service::Blob1] {
        let counted = counted(&world.hub.metrics(service).await);
        assert!(!counted.is_empty(), "{service:?} has counted nothing, though an image was pushed");
    }
}
