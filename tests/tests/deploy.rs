//! The nginx configuration that the project ships, in a real nginx with TLS in front of a real hub. nginx has
//! one upstream, the first edge: with five services only the registry is behind it, with one process the UI too.

use reqwest::{Client, Method, redirect::Policy};
use rstest::rstest;
use tests::{
    Hub, Service, Topology,
    docker::Docker,
    image,
    nginx::Nginx,
    raw::{ADMIN, PASSWORD, Raw, read},
    tree,
};

fn raw(nginx: &Nginx) -> Raw {
    Raw::trusting(&format!("https://{}", nginx.registry()), &nginx.certificate())
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_pushes_and_pulls_through_nginx_with_tls(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start(hub.edges()[0]);
    let registry = nginx.registry();
    let docker = Docker::start_trusting(&[(&registry, &nginx.certificate())]);
    let context = docker.scratch("context");
    let content = tree::fill_buildable(&context, 10);
    let image = format!("{registry}/team/app:v1");
    docker.build(&context, &image);
    let id = docker.image_id(&image);

    let wrong = docker.refused(&["login", "-u", ADMIN, "-p", "not the password", &registry]);
    assert!(wrong.contains("unauthorized"), "{wrong}");
    docker.login(&registry, ADMIN, PASSWORD);
    docker.run(&["push", &image]);
    docker.forget_images();
    docker.run(&["pull", &image]);

    assert_eq!(docker.image_id(&image), id);
    let exported = docker.scratch("exported");
    docker.export(&image, &exported);
    tree::assert_same(&content, &exported);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn the_hub_names_itself_as_clients_of_nginx_know_it(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let nginx = Nginx::start(hub.edges()[0]);
    let raw = raw(&nginx);

    let challenged = read(raw.anonymous(Method::GET, "/v2/").send().await.unwrap()).await;
    let challenged = challenged.expect_error(401, "UNAUTHORIZED");
    let challenge = challenged.header("www-authenticate");
    assert!(challenge.contains(&format!("realm=\"https://{}/token\"", nginx.registry())), "{challenge}");

    let bytes = image::noise(11, 3 << 20);
    let location = raw.start("team/app").await;
    assert_ours(&location, &nginx);
    let patched = raw.patch("team/app", &location, bytes[..1 << 20].to_vec()).await.expect(202);
    assert_ours(patched.header("location"), &nginx);
    let digest = image::digest(&bytes);
    let put =
        raw.put("team/app", patched.header("location"), &digest, bytes[1 << 20..].to_vec()).await.expect(201);
    assert_ours(put.header("location"), &nginx);
    assert_eq!(raw.send(Method::GET, "team/app", put.header("location")).await.expect(200).body, bytes);
}

/// `Location` is a path, or a whole URL that leads through nginx.
#[track_caller]
fn assert_ours(location: &str, nginx: &Nginx) {
    let outside = format!("https://{}/v2/", nginx.registry());
    assert!(location.starts_with("/v2/") || location.starts_with(&outside), "Location: {location}");
}

#[tokio::test]
async fn a_blob_comes_back_uncompressed_and_in_ranges_through_nginx() {
    let hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let raw = raw(&nginx);
    // It would compress well, and looks like what nginx likes to compress.
    let bytes = vec![b' '; 2 << 20];
    let digest = raw.push_blob("team/app", &bytes).await;

    let request = raw.request(Method::GET, "team/app", &format!("/v2/team/app/blobs/{digest}")).await;
    let request = request.header("accept-encoding", "gzip, zstd");
    let whole = read(request.try_clone().unwrap().send().await.unwrap()).await.expect(200);
    assert_eq!(whole.header("content-encoding"), "");
    assert_eq!(whole.header("content-length"), bytes.len().to_string());
    assert_eq!(whole.header("docker-content-digest"), digest.to_string());
    assert_eq!(whole.body, bytes);
    let part = read(request.header("range", "bytes=5-1000004").send().await.unwrap()).await.expect(206);
    assert_eq!(part.body.len(), 1_000_000);
}

#[tokio::test]
async fn nginx_speaks_json_when_the_hub_is_gone_and_recovers_with_it() {
    let mut hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let raw = raw(&nginx);
    raw.push_image("team/app", "v1", b"a layer").await;

    hub.kill(Service::Bucket);
    for path in ["/v2/", "/token", "/v2/team/app/manifests/v1", "/"] {
        let answer = read(raw.anonymous(Method::GET, path).send().await.unwrap()).await;
        let answer = answer.expect_error(502, "UNAVAILABLE");
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    }

    hub.start_service(Service::Bucket);
    let _ = raw.manifest("team/app", "v1").await.expect(200);
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_to() {
    let hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let client = Client::builder().redirect(Policy::none()).build().unwrap();

    let plain = format!("http://{}/v2/team/app/tags/list?n=5", nginx.plain());
    for method in [Method::GET, Method::POST] {
        let moved = read(client.request(method, &plain).send().await.unwrap()).await.expect(308);
        assert_eq!(
            moved.header("location"),
            format!("https://{}/v2/team/app/tags/list?n=5", nginx.registry())
        );
    }

    let mistaken = client.get(format!("http://{}/v2/", nginx.registry()));
    let _ = read(mistaken.send().await.unwrap()).await.expect_error(400, "UNSUPPORTED");
}

#[tokio::test]
async fn a_browser_at_nginx_sees_the_hub() {
    let hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let raw = raw(&nginx);
    raw.push_image("team/app", "v1", b"a layer").await;

    let request = raw.anonymous(Method::GET, "/").header("accept", "text/html");
    let page = read(request.basic_auth(ADMIN, Some(PASSWORD)).send().await.unwrap()).await.expect(200);

    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    let text = String::from_utf8_lossy(&page.body);
    assert!(text.to_lowercase().contains("<!doctype html>") && text.contains("team/app"), "{text}");
}

#[tokio::test]
async fn an_upload_that_is_refused_early_sees_why_and_not_an_error_of_nginx() {
    let hub = Hub::start(Topology::OneProcess);
    let nginx = Nginx::start(hub.edges()[0]);
    let raw = raw(&nginx);
    let bytes = image::noise(15, 8 << 20);
    let path = format!("/v2/team/app/blobs/uploads/?digest={}", image::digest(&bytes));

    // Again and again: without care it is a race, which the answer loses now and then.
    for _ in 0..10 {
        let request = raw.anonymous(Method::POST, &path).body(bytes.clone());
        let _ = read(request.send().await.unwrap()).await.expect_error(401, "UNAUTHORIZED");
    }
}
