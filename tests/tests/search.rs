//! Looking for repositories over HTTP, on both topologies: everybody finds what they may read, and nothing else.

use rstest::rstest;
use serde_json::json;
use tests::{Hub, Topology, api::Api};

async fn make(api: &Api, name: &str, visibility: &str, description: &str) {
    let body = json!({ "name": name, "visibility": visibility, "description": description });
    let _ = api.post("/repositories", body).await.expect(201);
}

/// The names of all pages.
async fn found(api: &Api, query: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/repositories?n=2{query}{cursor}")).await.expect(200).json();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
            None => return names,
        }
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn everybody_finds_what_they_may_read(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, bob) = (Api::new_user(&hub, "ann").await, Api::new_user(&hub, "bob").await);
    let admin = Api::administrator(&hub);
    make(&ann, "ann/nginx-proxy", "private", "").await;
    make(&ann, "ann/web", "public", "An nginx with **a proxy**.").await;
    make(&ann, "ann/nginx", "public", "").await;
    make(&bob, "bob/nginx", "private", "").await;
    make(&admin, "library/nginx", "public", "").await;

    let public = ["library/nginx", "ann/nginx", "ann/web"];
    let of_ann = ["library/nginx", "ann/nginx", "ann/nginx-proxy", "ann/web"];
    assert_eq!(found(&ann, "&query=NGIN").await, of_ann);
    assert_eq!(found(&bob, "&query=nginx").await, ["library/nginx", "ann/nginx", "bob/nginx", "ann/web"]);
    assert_eq!(found(&admin, "&query=nginx&under=bob").await, ["bob/nginx"]);
    assert_eq!(found(&bob, "&query=nginx%20pro").await, ["ann/web"]);
    assert_eq!(found(&bob, "").await, ["ann/nginx", "ann/web", "bob/nginx", "library/nginx"]);
    let body = reqwest::get(format!("{}/api/v1/repositories?query=nginx", hub.raw().base())).await.unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&body.bytes().await.unwrap()).unwrap();
    let names: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, public);
    assert_eq!(listed["items"][2]["summary"], "An nginx with **a proxy**.");

    let granted = ann.put("/repositories/ann/nginx-proxy/grants/bob", json!({ "level": "read" })).await;
    let _ = granted.expect(204);
    assert_eq!(found(&bob, "&query=nginx%20pro").await, ["ann/nginx-proxy", "ann/web"]);

    let wanted = json!({ "label": "ci", "actions": ["pull"], "repositories": ["ann/web"] });
    let token = ann.post("/tokens", wanted).await.expect(201).json();
    let limited = ann.as_somebody("ann", token["secret"].as_str().unwrap());
    assert_eq!(found(&limited, "&query=nginx").await, public);

    let hidden = ann.patch("/repositories/ann/nginx", json!({ "visibility": "private" })).await;
    let _ = hidden.expect(204);
    let _ = ann.delete("/repositories/ann/web").await.expect(204);
    assert_eq!(found(&bob, "&query=nginx").await, ["library/nginx", "bob/nginx", "ann/nginx-proxy"]);
}
