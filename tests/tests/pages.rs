//! The page that a browser sees, on both topologies.

use reqwest::Method;
use tests::{
    Hub, Service, Topology, image,
    raw::{ADMIN, Answer, PASSWORD, Raw, read},
};

async fn page(raw: &Raw, path: &str, password: Option<&str>) -> Answer {
    let request = raw.anonymous(Method::GET, path);
    let request =
        if let Some(password) = password { request.basic_auth(ADMIN, Some(password)) } else { request };
    read(request.send().await.unwrap()).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn the_list_of_repositories_shows_private_ones_to_the_administrator_alone() {
    for (topology, ui) in [(Topology::OneProcess, Service::Bucket), (Topology::FiveServices, Service::Ui)] {
        let hub = Hub::start(topology);
        hub.raw().push_image("team/secret-plan", "v1", &image::noise(1, 3 << 20)).await;
        let browser = Raw::new(&format!("http://{}", ui.listens_at()));

        let outsider = page(&browser, "/", None).await.expect(200);
        assert!(!text(&outsider).contains("secret-plan"), "{topology:?}");
        assert!(outsider.header("content-security-policy").contains("default-src 'none'"));

        let asked = page(&browser, "/sign-in", None).await.expect(401);
        assert!(asked.header("www-authenticate").starts_with("Basic "));
        let _ = page(&browser, "/sign-in", Some("wrong password")).await.expect(401);

        let administrator = page(&browser, "/sign-in", Some(PASSWORD)).await.expect(200);
        assert!(text(&administrator).contains("team/secret-plan"), "{}", text(&administrator));
        assert!(text(&administrator).contains("3.0 MiB"), "{}", text(&administrator));
        assert!(text(&administrator).contains("private"));
    }
}

#[tokio::test]
async fn what_is_public_is_shown_to_everybody() {
    let options = tests::hub::Options {
        environment: vec![("BUCKET_NEW_REPOSITORIES".to_owned(), "public".to_owned())],
        ..Default::default()
    };
    let hub = Hub::start_with(Topology::OneProcess, options);
    let raw = hub.raw();
    let manifest = raw.push_image("team/open", "v1", &image::noise(2, 1_000)).await;

    let outsider = page(&raw, "/", None).await.expect(200);
    assert!(text(&outsider).contains("team/open"));

    let token =
        read(raw.anonymous(Method::GET, "/token?scope=repository:team/open:pull").send().await.unwrap())
            .await;
    let token = token.expect(200).json()["token"].as_str().unwrap().to_owned();
    let pulled =
        raw.anonymous(Method::GET, "/v2/team/open/manifests/v1").bearer_auth(token).send().await.unwrap();
    assert_eq!(read(pulled).await.expect(200).body, manifest);
}

#[tokio::test]
async fn a_page_that_is_not_there_says_so_and_the_edge_keeps_its_paths() {
    let hub = Hub::start(Topology::OneProcess);
    let raw = hub.raw();
    assert!(text(&page(&raw, "/nothing", None).await.expect(404)).contains("<!doctype html>"));
    assert!(
        page(&raw, "/assets/bucket.css", None)
            .await
            .expect(200)
            .header("content-type")
            .starts_with("text/css")
    );
    for path in ["/v1/_ping", "/api/v1/users", "/v2/nothing"] {
        let answer = page(&raw, path, None).await;
        let machines = ["application/json", "application/problem+json"];
        assert!(machines.contains(&answer.header("content-type")), "{path}: {answer:?}");
    }
}
