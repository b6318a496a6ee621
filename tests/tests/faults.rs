//! Every service is killed, as by `kill -9`, at every step of a push. Started again, it has all that was
//! acknowledged, serves nothing by halves, and a client that tries again succeeds.

use bytes::Bytes;
use futures_util::stream;
use oci::Digest;
use reqwest::{Body, Method, RequestBuilder, StatusCode, header};
use tests::{
    Hub, Service, Topology, image,
    raw::{ADMIN, Answer, PASSWORD, Raw, read},
};

const EDGE: [&str; 7] = [
    "edge.start.stored",
    "edge.append.stored",
    "edge.append.recorded",
    "edge.finish.held",
    "edge.finish.published",
    "edge.finish.linked",
    "edge.manifest.stored",
];
const BLOB: [&str; 5] = [
    "blob.append.body",
    "blob.append.written",
    "blob.publish.before",
    "blob.publish.after",
    "blob.discard.before",
];
const METADATA: [&str; 14] = [
    "metadata.start.before",
    "metadata.start.after",
    "metadata.advance.before",
    "metadata.advance.after",
    "metadata.hold.before",
    "metadata.hold.after",
    "metadata.link.before",
    "metadata.link.after",
    "metadata.put_manifest.before",
    "metadata.put_manifest.after",
    // Around the durable commit of the engine itself: of the link, and of the one after it.
    "metadata.commit.before:4",
    "metadata.commit.after:4",
    "metadata.commit.before:5",
    "metadata.commit.after:5",
];
const REPOSITORY: &str = "team/app";

/// The push did not come to its end: the connection broke, or the answer was an error.
#[derive(Debug)]
struct Broken;

/// What a push has been told.
#[derive(Debug, Default)]
struct Acknowledged {
    session: Option<String>,
    offset: Option<usize>,
    layer: bool,
    config: bool,
}

/// An image of its own for each kill.
struct Push {
    layer: Vec<u8>,
    config: Vec<u8>,
    tag: String,
}

impl Push {
    fn new(seed: u64) -> Self {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","seed":{seed}}}"#).into_bytes();
        Self { layer: image::noise(seed, 3 << 20), config, tag: format!("v{seed}") }
    }

    fn layer_digest(&self) -> Digest {
        image::digest(&self.layer)
    }

    fn manifest(&self) -> Vec<u8> {
        image::oci_manifest(&self.config, &[&self.layer])
    }

    /// Pushes as docker does, until something breaks.
    async fn run(&self, edge: &str, told: &mut Acknowledged) -> Result<(), Broken> {
        let client = Client::login(edge).await?;
        let location = client.start().await?;
        told.session = Some(location.clone());
        let _ = ok(client.request(Method::PATCH, &location).body(streamed(&self.layer))).await?;
        told.offset = Some(self.layer.len());
        client.finish(&location, &self.layer_digest(), Vec::new()).await?;
        told.layer = true;

        let location = client.start().await?;
        client.finish(&location, &image::digest(&self.config), self.config.clone()).await?;
        told.config = true;
        client.tag(&self.tag, self.manifest()).await
    }

    /// Goes on with what the broken push had been told.
    async fn go_on(&self, edge: &str, told: &Acknowledged) {
        let client = Client::login(edge).await.unwrap();
        let (Some(location), false) = (&told.session, told.layer) else { return };
        let status = sent(client.request(Method::GET, location)).await.unwrap();

        if status.status == StatusCode::NOT_FOUND {
            // Only the end of an upload ends its session: then the blob is there.
            assert!(
                client.has(&self.layer_digest()).await,
                "an acknowledged session is gone, and no blob is there"
            );
            return;
        }
        let received = received(&status.expect(204));
        assert!(
            told.offset.is_none_or(|offset| received == offset),
            "told {told:?}, but {received} are there"
        );
        if received < self.layer.len() {
            let range = format!("{received}-{}", self.layer.len() - 1);
            let rest = self.layer[received..].to_vec();
            let request =
                client.request(Method::PATCH, location).header(header::CONTENT_RANGE, range).body(rest);
            let _ = ok(request).await.unwrap();
        }
        client.finish(location, &self.layer_digest(), Vec::new()).await.unwrap();
    }

    /// Pushes again like docker: what is there is not sent twice.
    async fn again(&self, edge: &str, told: &Acknowledged) {
        let client = Client::login(edge).await.unwrap();
        for (bytes, acknowledged) in [(&self.layer, told.layer), (&self.config, told.config)] {
            let digest = image::digest(bytes);
            let there = client.has(&digest).await;
            assert!(there || !acknowledged, "an acknowledged blob is gone: {told:?}");
            if !there {
                let location = client.start().await.unwrap();
                client.finish(&location, &digest, bytes.clone()).await.unwrap();
            }
        }
        client.tag(&self.tag, self.manifest()).await.unwrap();
    }

    /// Pulls it and compares.
    async fn check(&self, raw: &Raw) {
        assert_eq!(raw.manifest(REPOSITORY, &self.tag).await.expect(200).body, self.manifest());
        assert_eq!(raw.blob(REPOSITORY, &self.layer_digest()).await.expect(200).body, self.layer);
    }
}

/// A client that takes a broken connection for an answer.
struct Client {
    raw: Raw,
    token: String,
}

impl Client {
    async fn login(edge: &str) -> Result<Self, Broken> {
        let raw = Raw::new(edge);
        let path = format!("/token?scope=repository:{REPOSITORY}:pull,push");
        let answer = ok(raw.anonymous(Method::GET, &path).basic_auth(ADMIN, Some(PASSWORD))).await?;
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Ok(Self { raw, token })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.raw.anonymous(method, path).bearer_auth(&self.token)
    }

    async fn start(&self) -> Result<String, Broken> {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/");
        Ok(ok(self.request(Method::POST, &path)).await?.header("location").to_owned())
    }

    async fn finish(&self, location: &str, digest: &Digest, last: Vec<u8>) -> Result<(), Broken> {
        let request = self.request(Method::PUT, location).query(&[("digest", digest.to_string())]);
        ok(request.body(last)).await.map(drop)
    }

    async fn tag(&self, tag: &str, manifest: Vec<u8>) -> Result<(), Broken> {
        let request = self.request(Method::PUT, &format!("/v2/{REPOSITORY}/manifests/{tag}"));
        ok(request.header(header::CONTENT_TYPE, image::OCI_MANIFEST).body(manifest)).await.map(drop)
    }

    async fn has(&self, digest: &Digest) -> bool {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        sent(self.request(Method::HEAD, &path)).await.unwrap().status == StatusCode::OK
    }
}

async fn sent(request: RequestBuilder) -> Result<Answer, Broken> {
    match request.send().await {
        Ok(response) => Ok(read(response).await),
        Err(_) => Err(Broken),
    }
}

async fn ok(request: RequestBuilder) -> Result<Answer, Broken> {
    let answer = sent(request).await?;
    if answer.status.is_success() { Ok(answer) } else { Err(Broken) }
}

/// Without a length, in pieces, as docker sends a layer.
fn streamed(bytes: &[u8]) -> Body {
    let pieces: Vec<_> =
        bytes.chunks(64 << 10).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    Body::wrap_stream(stream::iter(pieces))
}

fn received(status: &Answer) -> usize {
    let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
    // An upload without bytes says 0-0, and so does one with a single byte; ours have none or many.
    if last == 0 { 0 } else { last + 1 }
}

async fn survives(hub: &mut Hub, service: Service, failpoint: &str, seed: u64) {
    hub.kill(service);
    hub.start_to_fail(service, failpoint);
    let edge = format!("http://{}", hub.edges()[0]);
    let push = Push::new(seed);

    let mut told = Acknowledged::default();
    assert!(push.run(&edge, &mut told).await.is_err(), "{failpoint}: the push was not disturbed");
    hub.wait_for_death(service);
    hub.start_service(service);

    let half = hub.raw().blob(REPOSITORY, &push.layer_digest()).await;
    match half.status {
        StatusCode::NOT_FOUND => {}
        _ => assert_eq!(half.expect(200).body, push.layer, "{failpoint}: half a blob was served"),
    }
    push.go_on(&edge, &told).await;
    push.again(&edge, &told).await;
    push.check(&hub.raw()).await;
}

async fn survive(hub: &mut Hub, services: &[(Service, &[&str])]) {
    let before = Push::new(1_000);
    before.run(&format!("http://{}", hub.edges()[0]), &mut Acknowledged::default()).await.unwrap();

    let mut seed = 0;
    for (service, failpoints) in services {
        for failpoint in *failpoints {
            seed += 1;
            survives(hub, *service, failpoint, seed).await;
        }
    }
    for raw in hub.raws() {
        before.check(&raw).await;
    }
}

#[tokio::test]
async fn an_edge_or_a_blob_replica_killed_at_any_step_loses_nothing() {
    let mut hub = Hub::start(Topology::FiveServices);
    survive(&mut hub, &[(Service::Edge1, &EDGE), (Service::Blob1, &BLOB)]).await;
}

#[tokio::test]
async fn metadata_killed_at_any_step_loses_nothing() {
    let mut hub = Hub::start(Topology::FiveServices);
    survive(&mut hub, &[(Service::Metadata, &METADATA)]).await;
}

#[tokio::test]
async fn one_process_killed_at_any_step_loses_nothing() {
    let mut hub = Hub::start(Topology::OneProcess);
    let all = [(Service::Bucket, &EDGE[..]), (Service::Bucket, &BLOB), (Service::Bucket, &METADATA)];
    survive(&mut hub, &all).await;
}

#[tokio::test]
async fn auth_can_be_killed_and_those_who_have_a_token_go_on() {
    let mut hub = Hub::start(Topology::FiveServices);
    let edge = format!("http://{}", hub.edges()[0]);
    let push = Push::new(1);
    let client = Client::login(&edge).await.unwrap();

    hub.kill(Service::Auth);
    assert!(Client::login(&edge).await.is_err());
    let location = client.start().await.unwrap();
    client.finish(&location, &push.layer_digest(), push.layer.clone()).await.unwrap();

    hub.start_service(Service::Auth);
    push.again(&edge, &Acknowledged { layer: true, ..Acknowledged::default() }).await;
    push.check(&hub.raw()).await;
}

#[tokio::test]
async fn a_mount_can_be_repeated_after_metadata_was_killed() {
    let mut hub = Hub::start(Topology::FiveServices);
    for (seed, failpoint) in (0..).zip(["metadata.mount.before", "metadata.mount.after"]) {
        let raw = hub.raw();
        let bytes = image::noise(seed, 50_000);
        let digest = raw.push_blob("team/from", &bytes).await;
        let token = raw.token(&["repository:team/into:pull,push", "repository:team/from:pull"]).await;
        let path = format!("/v2/team/into/blobs/uploads/?mount={digest}&from=team/from");
        let mount = || ok(raw.anonymous(Method::POST, &path).bearer_auth(&token));

        hub.kill(Service::Metadata);
        hub.start_to_fail(Service::Metadata, failpoint);
        assert!(mount().await.is_err(), "{failpoint}: the mount was not disturbed");
        hub.wait_for_death(Service::Metadata);
        hub.start_service(Service::Metadata);

        assert_eq!(mount().await.unwrap().status, StatusCode::CREATED, "{failpoint}");
        assert_eq!(raw.blob("team/into", &digest).await.expect(200).body, bytes);
    }
}
