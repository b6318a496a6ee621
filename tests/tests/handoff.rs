//! Layers that a real nginx, with the configuration that the project ships, sends without the hub: from the directory
//! of the store or from a replica of the blob service. Clients must see no difference.

use std::{fs, path::PathBuf};

use oci::Digest;
use reqwest::Method;
use rstest::rstest;
use tests::{
    Hub, Service, Topology,
    docker::Docker,
    image,
    nginx::{Layers, Nginx},
    raw::{ADMIN, Answer, PASSWORD, Raw, read},
    tree,
};

const SIZE: usize = 3 << 20;

/// The service whose metrics count what was delivered through nginx.
fn edge(hub: &Hub) -> Service {
    *hub.services().iter().find(|service| service.is_edge()).unwrap()
}

fn store(hub: &Hub) -> PathBuf {
    hub.data().join("blobs")
}

fn files(hub: &Hub) -> Layers {
    Layers::Directory(store(hub))
}

fn replica(_: &Hub) -> Layers {
    Layers::Replica(Service::Blob1.handoff_at())
}

fn raw(nginx: &Nginx) -> Raw {
    Raw::trusting(&format!("https://{}", nginx.registry()), &nginx.certificate())
}

/// How many blobs were delivered so.
async fn delivered(hub: &Hub, by: &str) -> u64 {
    let metrics = hub.metrics(edge(hub)).await;
    let label = format!("by=\"{by}\"");
    let lines =
        metrics.lines().filter(|line| line.starts_with("blob_deliveries_total{") && line.contains(&label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Sends a request for the blob with these headers.
async fn asked(raw: &Raw, method: &Method, digest: &Digest, headers: &[(&str, String)]) -> Answer {
    let path = format!("/v2/team/app/blobs/{digest}");
    let request = raw.request(method.clone(), "team/app", &path).await;
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    read(request.send().await.unwrap()).await
}

/// What must be the same whoever sends it.
fn comparable(mut answer: Answer) -> Answer {
    assert!(!answer.header("x-request-id").is_empty(), "{:?}", answer.headers);
    for volatile in ["date", "server", "connection", "keep-alive", "x-request-id"] {
        answer.headers.remove(volatile);
    }
    // An error has the id of its request, which nginx makes longer.
    if answer.status.is_client_error() {
        answer.headers.remove("content-length");
        answer.body = answer.code().into();
    }
    answer
}

/// A request: its method, its headers, and whether nginx sends the bytes of its answer.
type Request = (Method, Vec<(&'static str, String)>, Sender);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Nginx,
    Hub,
    /// There are no bytes.
    Nobody,
}

fn requests(digest: &Digest) -> Vec<Request> {
    let (same, other) = (format!("\"{digest}\""), "\"other\"".to_owned());
    let range = |text: &str| ("range", text.to_owned());
    vec![
        (Method::GET, vec![], Sender::Nginx),
        (Method::GET, vec![range("bytes=0-0")], Sender::Nginx),
        (Method::GET, vec![range("bytes=0-99999")], Sender::Nginx),
        (Method::GET, vec![range("bytes=1000000-2000000")], Sender::Nginx),
        (Method::GET, vec![range("bytes=3000000-")], Sender::Nginx),
        (Method::GET, vec![range("bytes=3000000-99999999")], Sender::Nginx),
        (Method::GET, vec![range("bytes=-5")], Sender::Nginx),
        (Method::GET, vec![range("bytes=-99999999")], Sender::Nginx),
        (Method::GET, vec![range("bytes=1-2"), ("if-range", same.clone())], Sender::Nginx),
        (Method::GET, vec![("if-none-match", other.clone())], Sender::Nginx),
        (Method::GET, vec![range("bytes=1-2"), ("if-range", other)], Sender::Hub),
        (Method::GET, vec![range("bytes=0-1,5-6")], Sender::Hub),
        (Method::GET, vec![range("bytes=4-2")], Sender::Hub),
        (Method::GET, vec![("if-match", same.clone())], Sender::Hub),
        (Method::GET, vec![("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT".to_owned())], Sender::Hub),
        (Method::GET, vec![range("bytes=99999999-")], Sender::Nobody),
        (Method::GET, vec![("if-none-match", same.clone())], Sender::Nobody),
        (Method::GET, vec![range("bytes=1-2"), ("if-none-match", same)], Sender::Nobody),
        (Method::HEAD, vec![], Sender::Nobody),
        (Method::HEAD, vec![range("bytes=1-2")], Sender::Nobody),
    ]
}

#[rstest]
#[case::files_of_one_process(Topology::OneProcess, files)]
#[case::files_of_five_services(Topology::FiveServices, files)]
#[case::replicas(Topology::FiveServices, replica)]
#[tokio::test]
async fn what_nginx_sends_is_what_the_hub_would_send(
    #[case] topology: Topology,
    #[case] layers: fn(&Hub) -> Layers,
) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start_with(hub.edges()[0], &layers(&hub));
    let (through, direct) = (raw(&nginx), hub.raw());
    let bytes = image::noise(21, SIZE);
    let digest = direct.push_blob("team/app", &bytes).await;

    let (mut by_nginx, mut by_hub) = (0, 0);
    for (method, headers, sender) in requests(&digest) {
        let streamed = comparable(asked(&direct, &method, &digest, &headers).await);
        let handed_off = comparable(asked(&through, &method, &digest, &headers).await);

        assert_eq!(handed_off.status, streamed.status, "{method} {headers:?}");
        assert_eq!(handed_off.headers, streamed.headers, "{method} {headers:?}");
        assert!(handed_off.body == streamed.body, "{method} {headers:?} has other bytes");
        match sender {
            Sender::Nginx => (by_nginx, by_hub) = (by_nginx + 1, by_hub + 1),
            Sender::Hub => by_hub += 2,
            Sender::Nobody => {}
        }
    }

    // Had nginx not found the bytes, the hub would have been asked again.
    assert_eq!(delivered(&hub, "handoff").await, by_nginx);
    assert_eq!(delivered(&hub, "stream").await, by_hub);
    assert_eq!(asked(&through, &Method::GET, &digest, &[]).await.expect(200).body, bytes);
}

#[tokio::test]
async fn what_nginx_cannot_read_comes_from_the_hub() {
    let hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let through = raw(&nginx);
    let bytes = image::noise(22, SIZE);
    let digest = through.push_blob("team/app", &bytes).await;

    let whole = asked(&through, &Method::GET, &digest, &[]).await.expect(200);
    let range = [("range", "bytes=7-1000006".to_owned())];
    let part = asked(&through, &Method::GET, &digest, &range).await.expect(206);

    assert!(whole.body == bytes);
    assert!(part.body == bytes[7..1_000_007]);
    for answer in [whole, part] {
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
    }
    assert_eq!((delivered(&hub, "handoff").await, delivered(&hub, "stream").await), (2, 2));
}

#[rstest]
#[case::files(Topology::OneProcess, files)]
#[case::replicas(Topology::FiveServices, replica)]
#[tokio::test]
async fn a_layer_that_is_gone_is_unknown_and_can_be_pushed_again(
    #[case] topology: Topology,
    #[case] layers: fn(&Hub) -> Layers,
) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start_with(hub.edges()[0], &layers(&hub));
    let through = raw(&nginx);
    let bytes = image::noise(23, SIZE);
    let digest = through.push_blob("team/app", &bytes).await;
    let files = files_of(&hub, &digest);
    assert_eq!(files.len(), 1);
    fs::remove_file(&files[0]).unwrap();

    let gone = asked(&through, &Method::GET, &digest, &[]).await.expect_error(404, "BLOB_UNKNOWN");
    assert_eq!(gone.header("cache-control"), "");

    let _ = through.push_blob("team/app", &bytes).await;
    assert!(asked(&through, &Method::GET, &digest, &[]).await.expect(200).body == bytes);
}

fn files_of(hub: &Hub, digest: &Digest) -> Vec<PathBuf> {
    let directory = store(hub).join("blobs/sha256").join(&digest.hex()[..2]);
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(digest.hex())).collect()
}

#[rstest]
#[case::files(Topology::OneProcess, files)]
#[case::replicas(Topology::FiveServices, replica)]
#[tokio::test]
async fn nobody_gets_at_the_bytes_from_outside(
    #[case] topology: Topology,
    #[case] layers: fn(&Hub) -> Layers,
) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start_with(hub.edges()[0], &layers(&hub));
    let through = raw(&nginx);
    let bytes = image::noise(24, SIZE);
    let digest = through.push_blob("team/app", &bytes).await;
    let files = files_of(&hub, &digest);
    let file = files[0].strip_prefix(store(&hub)).unwrap().display();

    for path in [
        format!("/_bucket/file/{file}"),
        format!("/_bucket//file/{file}"),
        "/_bucket/file/bucket-store".to_owned(),
        "/_bucket/file/..%2fmetadata/metadata.redb".to_owned(),
        "/_bucket/replica/disk".to_owned(),
        "/_bucket/".to_owned(),
    ] {
        let answer = read(through.anonymous(Method::GET, &path).send().await.unwrap()).await.expect(404);
        assert_eq!(answer.header("x-accel-redirect"), "", "{path}");
    }
    let disguised = through.anonymous(Method::GET, &format!("/v2/..%2f_bucket/file/{file}"));
    let disguised = read(disguised.send().await.unwrap()).await;
    assert!(disguised.status.is_client_error() && disguised.body != bytes, "{disguised:?}");
    // Nor does a client choose what nginx is told.
    for offer in ["file", "replica", "x"] {
        let answer = asked(&through, &Method::GET, &digest, &[("x-bucket-handoff", offer.to_owned())]).await;
        assert!(answer.expect(200).body == bytes, "{offer}");
    }
    assert_eq!(delivered(&hub, "handoff").await, 3);
}

#[tokio::test]
async fn the_handoff_port_gives_nothing_to_who_was_sent_by_nobody() {
    let hub = Hub::start(Topology::FiveServices);
    let digest = hub.raw().push_blob("team/app", &image::noise(25, SIZE)).await;
    let port = Raw::new(&format!("http://{}", Service::Blob1.handoff_at()));

    let locator = format!("/handoff/disk/{digest}+/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    let mac = "0".repeat(64);
    for (path, status) in [
        (locator.clone(), 403),
        (format!("{locator}?repository=team/app&size={SIZE}&expires=4102444800000&mac={mac}"), 403),
        ("/handoff/blobs/sha256/00/x".to_owned(), 403),
        ("/".to_owned(), 404),
    ] {
        let answer = read(port.anonymous(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

#[rstest]
#[case::files_of_one_process(Topology::OneProcess, files)]
#[case::replicas(Topology::FiveServices, replica)]
#[tokio::test]
async fn docker_pulls_what_nginx_sends(#[case] topology: Topology, #[case] layers: fn(&Hub) -> Layers) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start_with(hub.edges()[0], &layers(&hub));
    let registry = nginx.registry();
    let docker = Docker::start_trusting(&[(&registry, &nginx.certificate())]);
    let content = docker.scratch("content");
    tree::fill(&content, 26);
    let image = format!("{registry}/team/app:v1");
    docker.import(&content, &image);
    docker.login(&registry, ADMIN, PASSWORD);
    docker.run(&["push", &image]);
    docker.forget_images();

    docker.run(&["pull", &image]);

    let exported = docker.scratch("exported");
    docker.export(&image, &exported);
    tree::assert_same(&content, &exported);
    assert_eq!(delivered(&hub, "handoff").await, 1);
}
