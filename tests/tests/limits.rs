//! What a client may take: time, and bytes of heads and manifests. Who takes more is told so at once, and nobody
//! waits for who has fallen silent.

use std::time::{Duration, Instant};

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tests::{
    Hub, Topology,
    hub::Options,
    image,
    raw::{Answer, Raw},
    wire::{Asked, Wire},
};

/// Much longer than the hub's patience here, much shorter than by default.
const SOON: Duration = Duration::from_secs(4);

/// A hub whose edges wait for a second.
fn impatient(topology: Topology) -> Hub {
    let second = |name: &str| (name.to_owned(), "1s".to_owned());
    let edges = ["BUCKET_HTTP__BODY_IDLE_TIMEOUT", "BUCKET_HTTP__HEADER_TIMEOUT"].map(second).to_vec();
    Hub::start_with(topology, Options { edges, ..Options::default() })
}

async fn connected(hub: &Hub) -> Wire {
    Wire::connect(hub.edges()[0]).await
}

/// The head of a request with a token for all that may be done to `team/app`, up to the empty line.
async fn head(raw: &Raw, method: &str, path: &str) -> String {
    let token = raw.token(&["repository:team/app:pull,push,delete"]).await;
    format!("{method} {path} HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer {token}\r\n")
}

async fn manifest_head(raw: &Raw) -> String {
    head(raw, "PUT", "/v2/team/app/manifests/v1").await + &format!("Content-Type: {}\r\n", image::OCI_INDEX)
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn who_falls_silent_is_answered_and_given_up(#[case] topology: Topology) {
    let hub = impatient(topology);
    let raw = hub.raw();
    let upload = raw.start("team/app").await;
    let patch = head(&raw, "PATCH", &upload).await;
    let put = manifest_head(&raw).await;

    for (head, code) in [(patch, "BLOB_UPLOAD_INVALID"), (put, "MANIFEST_INVALID")] {
        for framing in ["Content-Length: 100\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"] {
            let (mut wire, began) = (connected(&hub).await, Instant::now());
            let _ = wire.exchange(format!("{head}{framing}").as_bytes()).await.expect_error(400, code);
            assert!(wire.read.to_end().await.is_empty());
            assert!(began.elapsed() < SOON, "given up after {:?}", began.elapsed());
        }
    }
    let kept = raw.send(Method::GET, "team/app", &upload).await.expect(204);
    assert_eq!(kept.header("range"), "0-3", "what came before the silence is kept");
}

#[rstest]
#[case::nothing("")]
#[case::part_of_a_line("GET /v2/ HT")]
#[case::part_of_a_header("GET /v2/ HTTP/1.1\r\nHost: a\r\nX-")]
#[case::part_of_a_second_request("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\nGET /v2/ HT")]
#[case::no_request_of_http_2("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
#[tokio::test]
async fn heads_that_do_not_come_are_not_waited_for(#[case] begun: &str) {
    let hub = Hub::start_with(
        Topology::OneProcess,
        Options {
            edges: ["HEADER", "KEEP_ALIVE"]
                .map(|name| (format!("BUCKET_HTTP__{name}_TIMEOUT"), "1s".to_owned()))
                .to_vec(),
            ..Options::default()
        },
    );
    let (mut wire, began) = (connected(&hub).await, Instant::now());
    wire.send(begun.as_bytes()).await;
    wire.read.to_end().await;
    assert!(began.elapsed() < SOON, "closed after {:?}", began.elapsed());
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_length_that_is_not_that_of_the_body_is_an_error(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    let upload = raw.start("team/app").await;
    let patch = head(&raw, "PATCH", &upload).await;

    let cut =
        connected(&hub).await.exchange_last(format!("{patch}Content-Length: 9\r\n\r\nabc").as_bytes()).await;
    let cut = String::from_utf8(cut).unwrap();
    assert!(cut.starts_with("HTTP/1.1 400 ") && cut.contains("BLOB_UPLOAD_INVALID"), "{cut}");
    let kept = raw.send(Method::GET, "team/app", &upload).await.expect(204);
    assert_eq!(kept.header("range"), "0-2");

    // What is behind the body is another request, and none.
    let mut wire = connected(&hub).await;
    let _ =
        wire.exchange(format!("{patch}Content-Length: 1\r\n\r\nabc\r\n\r\n").as_bytes()).await.expect(202);
    let _ = wire.read.next(Asked::Whole).await.expect("an answer").expect(400);
    assert!(wire.read.to_end().await.is_empty());
    let kept = raw.send(Method::GET, "team/app", &upload).await.expect(204);
    assert_eq!(kept.header("range"), "0-3");
}

#[tokio::test]
async fn a_request_with_two_framings_ends_its_connection() {
    let hub = Hub::start(Topology::OneProcess);
    let put = manifest_head(&hub.raw()).await;
    for framing in
        ["Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 2"]
    {
        let mut wire = connected(&hub).await;
        let smuggling = format!("{put}{framing}\r\n\r\n0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
        let _ = wire.exchange(smuggling.as_bytes()).await.expect(400);
        assert!(wire.read.to_end().await.is_empty(), "the second request was answered");
    }
    let twice = format!("{put}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ");
    assert_eq!(connected(&hub).await.exchange(twice.as_bytes()).await.status, 400);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_manifest_that_is_too_long_is_refused_before_it_has_come(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let put = manifest_head(&hub.raw()).await;

    let announced = format!("{put}Content-Length: {}\r\n", 1 << 30);
    for more in ["\r\n", "Expect: 100-continue\r\n\r\n"] {
        let answer = connected(&hub).await.exchange(format!("{announced}{more}").as_bytes()).await;
        let answer = answer.expect_error(413, "MANIFEST_INVALID");
        assert_eq!(answer.json()["errors"][0]["detail"]["limit_bytes"], 4 << 20);
    }

    // A chunk that does not end, of which one byte more comes than a manifest may have.
    let streamed =
        format!("{put}Transfer-Encoding: chunked\r\n\r\n40000000\r\n{}", " ".repeat((4 << 20) + 1));
    let mut wire = connected(&hub).await;
    let _ = wire.exchange(streamed.as_bytes()).await.expect_error(413, "MANIFEST_INVALID");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn headers_that_are_too_many_or_too_long_are_refused_in_words(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let mut wire = connected(&hub).await;
    let many = "X: y\r\n".repeat(101);
    let long = format!("X: {}\r\n", "x".repeat(70_000));
    let token = format!("Authorization: Bearer {}\r\n", "x".repeat(200_000));
    for headers in [many, long, token] {
        let request = format!("GET /v2/ HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let answer = wire.exchange(request.as_bytes()).await.expect_error(431, "UNSUPPORTED");
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
    // Nobody reads on from here, so the answer may be lost with the connection.
    let endless = format!("GET /v2/ HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1 << 20));
    let mut wire = connected(&hub).await;
    wire.send(endless.as_bytes()).await;
    let answer = wire.read.next(Asked::Whole).await;
    assert!(answer.is_none_or(|answer| answer.status == 431));

    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        let request = format!("GET /v2/ HTTP/1.1\r\n{hosts}\r\n");
        let _ = connected(&hub).await.exchange(request.as_bytes()).await.expect_error(400, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn paths_and_queries_may_be_anything_and_are_read_as_what_they_are() {
    let hub = Hub::start(Topology::OneProcess);
    let raw = hub.raw();
    raw.push_image("team/app", "v1", b"layer").await;
    for raw_path in [&b"/v2/team/app\0/tags/list"[..], b"/v2/team/\xff\xfe/tags/list"] {
        let request = [b"GET ", raw_path, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(connected(&hub).await.exchange(&request).await.status, 400);
    }
    for (path, status, code) in [
        ("/v2/team/app%00/tags/list", 400, "NAME_INVALID"),
        ("/v2/team/%ff%fe/tags/list", 404, "UNSUPPORTED"),
        ("/v2/team%2f..%2fapp/tags/list", 400, "NAME_INVALID"),
    ] {
        let request = head(&raw, "GET", path).await + "\r\n";
        let _ = connected(&hub).await.exchange(request.as_bytes()).await.expect_error(status, code);
    }
    let many = format!("/v2/team/app/tags/list?{}n=5", "a=1&".repeat(10_000));
    let request = head(&raw, "GET", &many).await + "\r\n";
    let listed = connected(&hub).await.exchange(request.as_bytes()).await.expect(200);
    assert_eq!(listed.json()["tags"], json!(["v1"]));
}

async fn refused(raw: &Raw, media_type: &str, body: &str) -> Answer {
    raw.put_manifest("team/app", "v1", media_type, body.as_bytes())
        .await
        .expect_error(400, "MANIFEST_INVALID")
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn no_manifest_is_too_strange_to_be_refused(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let raw = hub.raw();
    let good = raw.push_image("team/app", "good", b"layer").await;
    let (good, child) = (String::from_utf8(good).unwrap(), image::digest(b"child"));

    // An index cannot hold its own digest: what claims to has another.
    let itself = json!({ "mediaType": image::OCI_INDEX, "digest": child, "size": 1 });
    let index = json!({ "schemaVersion": 2, "manifests": [itself] }).to_string();
    let put = raw.put_manifest("team/app", &child.to_string(), image::OCI_INDEX, index.as_bytes()).await;
    let _ = put.expect_error(400, "DIGEST_INVALID");

    let entry = format!(r#"{{"mediaType":"a/b","size":1,"digest":"{child}"}}"#);
    let entries =
        |count: usize| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![&*entry; count].join(","));
    let told = refused(&raw, image::OCI_INDEX, &entries(30_000)).await;
    assert!(told.json()["errors"][0]["message"].as_str().unwrap().contains("10000"), "{told:?}");
    let huge = raw.put_manifest("team/app", "v1", image::OCI_INDEX, entries(100_000).as_bytes()).await;
    let _ = huge.expect_error(413, "MANIFEST_INVALID");

    let deep = format!(r#"{{"schemaVersion":2,"layers":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    refused(&raw, image::OCI_MANIFEST, &deep).await;
    refused(&raw, image::OCI_MANIFEST, &good.replacen('{', r#"{"layers":[],"#, 1)).await;
    for size in ["-1", "18446744073709551616", "1e30", "\"7\""] {
        refused(&raw, image::OCI_MANIFEST, &good.replace("\"size\":5", &format!("\"size\":{size}"))).await;
    }
}

/// The sizes in a manifest are its author's: what is counted here comes from what was pushed.
#[tokio::test]
async fn sizes_that_add_up_to_more_than_a_number_holds_do_no_harm() {
    let hub = Hub::start(Topology::OneProcess);
    let raw = hub.raw();
    let good = raw.push_image("team/app", "good", b"layer").await;
    let mut vast: serde_json::Value = serde_json::from_slice(&good).unwrap();
    vast["config"]["size"] = json!(u64::MAX);
    vast["layers"][0]["size"] = json!(u64::MAX);
    let vast = vast.to_string();

    let put = raw.put_manifest("team/app", "vast", image::OCI_MANIFEST, vast.as_bytes()).await;
    let digest = put.expect(201).header("docker-content-digest").to_owned();
    assert_eq!(raw.manifest("team/app", "vast").await.expect(200).body, vast);
    let path = format!("/v2/team/app/manifests/{digest}");
    let _ = raw.send(Method::DELETE, "team/app", &path).await.expect(202);
    assert_eq!(raw.manifest("team/app", "good").await.expect(200).body, good);
}
