//! Several clients at once, and clients that go away.

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{Body, Method, StatusCode, header};
use tests::{
    Hub, Service, Topology, image,
    raw::{Answer, Raw, read},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn of_two_writers_at_one_offset_on_two_replicas_one_counts() {
    let hub = Hub::start(Topology::FiveServices);
    let raws = hub.raws();
    for round in 0..4 {
        let location = raws[0].start("team/app").await;
        let bytes =
            [image::noise(2 * round, LARGER_THAN_BUFFERS), image::noise(2 * round + 1, LARGER_THAN_BUFFERS)];
        let (feed_one, one) = fed(&raws[0], &location).await;
        let (feed_two, two) = fed(&raws[1], &location).await;

        // Once so much has gone, both edges have read the session at offset 0 and pass bytes on.
        tokio::join!(feed(&feed_one, &bytes[0]), feed(&feed_two, &bytes[1]));
        drop((feed_one, feed_two));
        let (one, two) = (one.await.unwrap(), two.await.unwrap());

        let (winner, refused) = match (one.status.as_u16(), two.status.as_u16()) {
            (202, 416) => (0, two),
            (416, 202) => (1, one),
            other => panic!("{other:?}"),
        };
        assert!(refused.header("location").contains("/blobs/uploads/"), "{refused:?}");
        assert!(!refused.header("docker-upload-uuid").is_empty(), "{refused:?}");
        assert_eq!(refused.header("range"), format!("0-{}", LARGER_THAN_BUFFERS - 1));

        let [right, wrong] = [winner, 1 - winner].map(|writer: usize| image::digest(&bytes[writer]));
        let _ = raws[1].put("team/app", &location, &wrong, "").await.expect_error(400, "DIGEST_INVALID");
        let _ = raws[0].put("team/app", &location, &right, "").await.expect(201);
        assert_eq!(raws[1].blob("team/app", &right).await.expect(200).body, bytes[winner]);
        let _ = raws[1].blob("team/app", &wrong).await.expect_error(404, "BLOB_UNKNOWN");
    }
}

/// More than the sockets and the clients between a test and a service hold: when it is sent, it is being read.
const LARGER_THAN_BUFFERS: usize = 24 << 20;

type Feed = tokio::sync::mpsc::Sender<Result<Bytes, std::io::Error>>;

/// Begins a PATCH whose body is fed from here.
async fn fed(raw: &Raw, location: &str) -> (Feed, tokio::task::JoinHandle<Answer>) {
    let (feed, pieces) = tokio::sync::mpsc::channel(1);
    let body = Body::wrap_stream(futures_util::stream::unfold(pieces, async |mut pieces| {
        pieces.recv().await.map(|piece| (piece, pieces))
    }));
    let request = raw.request(Method::PATCH, "team/app", location).await.body(body);
    (feed, tokio::spawn(async move { read(request.send().await.unwrap()).await }))
}

async fn feed(feed: &Feed, bytes: &[u8]) {
    for piece in bytes.chunks(256 << 10) {
        feed.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
    }
}

#[tokio::test]
async fn many_push_one_blob_and_many_tags_at_once() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let hub = Hub::start(topology);
        let raws = hub.raws();
        let layer = image::noise(1, 1 << 20);

        let pushes = (0..16).map(|number| {
            let raw = &raws[number % raws.len()];
            let (layer, tag) = (&layer, format!("v{number:02}"));
            async move { raw.push_image("team/app", &tag, layer).await }
        });
        join_all(pushes).await;

        let tags = raws[0].send(Method::GET, "team/app", "/v2/team/app/tags/list").await.expect(200);
        assert_eq!(tags.json()["tags"].as_array().unwrap().len(), 16, "{topology:?}");
        assert_eq!(raws[0].blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
    }
}

#[tokio::test]
async fn what_arrived_of_a_patch_that_was_cut_short_is_kept() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(1, 2 << 20);
        let location = raw.start("team/app").await;

        cut_short(&raw, &location, &bytes[..1 << 20], bytes.len()).await;

        // The answer to the next request waits for nothing, so ask until the flushed bytes are recorded.
        let mut received = 0;
        for _ in 0..1_000 {
            let status = raw.send(Method::GET, "team/app", &location).await.expect(204);
            received = status.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap();
            if received > 0 {
                break;
            }
        }
        assert_eq!(received + 1, 1 << 20, "{topology:?}");
        let _ = raw.patch("team/app", &location, bytes[1 << 20..].to_vec()).await.expect(202);
        let digest = image::digest(&bytes);
        let _ = raw.put("team/app", &location, &digest, "").await.expect(201);
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, bytes);
    }
}

/// Announces `length` bytes, sends fewer, and closes its side of the connection.
async fn cut_short(raw: &Raw, location: &str, bytes: &[u8], length: usize) {
    let host = raw.base().strip_prefix("http://").unwrap();
    let token = raw.token(&["repository:team/app:pull,push"]).await;
    let path = location.strip_prefix(raw.base()).unwrap_or(location);
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    connection.shutdown().await.unwrap();
    // To its end, so that what was sent has been read by then.
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
}

#[tokio::test]
async fn a_chunk_out_of_order_is_refused_and_the_session_lives_on() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(1, 300_000);
        let location = raw.start("team/app").await;
        let _ = raw.patch("team/app", &location, bytes[..100_000].to_vec()).await.expect(202);

        for range in ["200000-299999", "0-99999", "99999-199999"] {
            let request = raw.request(Method::PATCH, "team/app", &location).await;
            let request = request.header(header::CONTENT_RANGE, range).body(bytes[..100_000].to_vec());
            let refused = read(request.send().await.unwrap()).await.expect(416);
            assert_eq!(refused.header("range"), "0-99999");
            assert!(refused.header("location").contains("/blobs/uploads/"));
        }
        let _ = raw.patch("team/app", &location, bytes[100_000..200_000].to_vec()).await.expect(202);
        let digest = image::digest(&bytes);
        let _ = raw.put("team/app", &location, &digest, bytes[200_000..].to_vec()).await.expect(201);
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, bytes);
    }
}

#[tokio::test]
async fn more_requests_than_the_hub_takes_are_told_to_come_back() {
    let options = tests::hub::Options {
        environment: vec![("BUCKET_HTTP__MAX_IN_FLIGHT".to_owned(), "1".to_owned())],
        ..Default::default()
    };
    let hub = Hub::start_with(Topology::OneProcess, options);
    let raw = hub.raw();
    let location = raw.start("team/app").await;

    // A body that is fed from here holds the only place until it ends.
    let (feed, patch) = fed(&raw, &location).await;
    feed.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    feed.send(Ok(Bytes::from_static(b"second"))).await.unwrap();

    let mut refused = read(raw.anonymous(Method::GET, "/v2/").send().await.unwrap()).await;
    while refused.status == StatusCode::UNAUTHORIZED {
        // Let in before the upload was.
        refused = read(raw.anonymous(Method::GET, "/v2/").send().await.unwrap()).await;
    }
    let refused = refused.expect_error(503, "UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), "1");

    drop(feed);
    let _ = patch.await.unwrap().expect(202);
    let _ = read(raw.anonymous(Method::GET, "/v2/").send().await.unwrap()).await.expect(401);
}

#[tokio::test]
async fn any_service_may_be_killed_while_a_body_flows() {
    let mut hub = Hub::start(Topology::FiveServices);
    for (seed, service) in (0..).zip([Service::Edge1, Service::Blob1, Service::Metadata, Service::Auth]) {
        let layer = image::noise(seed, LARGER_THAN_BUFFERS);
        let location = hub.raw().start("team/app").await;
        let (pieces, patch) = fed(&hub.raw(), &location).await;
        feed(&pieces, &layer).await;

        hub.kill(service);
        drop(pieces);
        // A broken connection, an error, or success where the killed one was not needed any more.
        let _ = patch.await;
        hub.start_service(service);

        let raw = hub.raw();
        let half = raw.blob("team/app", &image::digest(&layer)).await;
        assert_eq!(half.status, StatusCode::NOT_FOUND, "{service:?}");
        let manifest = raw.push_image("team/app", "v1", &layer).await;
        assert_eq!(raw.manifest("team/app", "v1").await.expect(200).body, manifest);
        assert_eq!(raw.blob("team/app", &image::digest(&layer)).await.expect(200).body, layer, "{service:?}");
    }
}
