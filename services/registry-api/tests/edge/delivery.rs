//! Who brings a blob to its client: whom the edge believes to be a proxy of ours, and whom it sends to the store.

use axum::body::Body;
use http::{Method, header};
use oci::Digest;
use registry_api::config::{Config, RedirectConfig};
use rstest::rstest;
use service_kit::http::TrustedProxies;

use crate::world::{Answer, PULL, World, get, on};

const TEN: &[u8] = b"0123456789";
const FILE: &str = "blobs/sha256/84/84d8-01ARZ3NDEKTSV4RRFFQ69G5FAV";
const URL: &str = "https://store.example/images/84d8?X-Amz-Expires=900&X-Amz-Signature=abc";
const OFFER: &str = "x-bucket-handoff";

fn networks(texts: &[&str]) -> TrustedProxies {
    TrustedProxies(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn world(redirect: RedirectConfig, trusted: &[&str]) -> (World, String) {
    let config = Config { redirect, trusted_proxies: networks(trusted), ..Config::default() };
    let world = World::with(&config);
    *world.blobs.hands_off_to.lock().unwrap() = Some(FILE.parse().unwrap());
    *world.blobs.redirects_to.lock().unwrap() = Some(URL.parse().unwrap());
    let path = format!("/v2/ann/app/blobs/{}", world.blob(TEN));
    (world, path)
}

async fn pulled(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(get(path), |request, (name, value)| request.header(*name, *value));
    world.send(&[PULL], request, Body::empty()).await
}

#[rstest]
#[case("file", "/_bucket/file/")]
#[case("replica", "/_bucket/replica/")]
#[tokio::test]
async fn a_proxy_of_ours_is_told_where_the_blob_is(#[case] offer: &str, #[case] root: &str) {
    let (world, path) = world(RedirectConfig::Off, &["127.0.0.0/8"]);
    let digest = Digest::of_sha256(TEN);

    let answer = pulled(&world, &path, &[(OFFER, offer)]).await.expect(200);

    assert_eq!(answer.header("x-accel-redirect"), format!("{root}{FILE}"));
    assert!(answer.body().is_empty());
    assert_eq!(answer.header("etag"), format!("\"{digest}\""));
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("x-bucket-cache-control"), "private, max-age=31536000, immutable");
    // nginx would keep these, also in an error of its own.
    assert_eq!((answer.header("cache-control"), answer.header("accept-ranges")), ("", ""));
    assert_eq!(answer.calls, ["blob", "open"]);
}

#[rstest]
#[case::a_stranger(&["192.0.2.0/24"], "file")]
#[case::nobody_is_trusted(&[], "file")]
#[case::a_proxy_that_does_not_want_it(&["127.0.0.0/8"], "")]
#[case::something_unknown(&["127.0.0.0/8"], "yes")]
#[tokio::test]
async fn others_get_the_bytes(#[case] trusted: &[&str], #[case] offer: &str) {
    let (world, path) = world(RedirectConfig::Off, trusted);
    let answer = pulled(&world, &path, &[(OFFER, offer)]).await.expect(200);
    assert_eq!(answer.body(), TEN);
    assert_eq!(answer.header("x-accel-redirect"), "");
    assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
}

#[tokio::test]
async fn a_plain_range_is_handed_off_and_an_odd_one_is_not() {
    let (world, path) = world(RedirectConfig::Off, &["127.0.0.0/8"]);
    let plain = pulled(&world, &path, &[(OFFER, "file"), ("range", "bytes=2-4")]).await.expect(200);
    assert_eq!(plain.header("x-accel-redirect"), format!("/_bucket/file/{FILE}"));
    assert_eq!(plain.header("x-bucket-accept-ranges"), "bytes");

    let odd = pulled(&world, &path, &[(OFFER, "file"), ("range", "bytes=0-1,4-5")]).await.expect(200);
    assert_eq!(odd.body(), TEN);
    let stale = [(OFFER, "file"), ("range", "bytes=2-4"), ("if-range", "\"other\"")];
    assert_eq!(pulled(&world, &path, &stale).await.expect(200).body(), TEN);
}

#[tokio::test]
async fn what_is_decided_here_is_not_handed_off() {
    let (world, path) = world(RedirectConfig::On, &["127.0.0.0/8"]);
    let has = format!("\"{}\"", Digest::of_sha256(TEN));
    let answer = pulled(&world, &path, &[(OFFER, "file"), ("if-none-match", &has)]).await.expect(304);
    assert_eq!(answer.header("x-accel-redirect"), "");
    let answer = pulled(&world, &path, &[(OFFER, "file"), ("range", "bytes=10-")]).await;
    assert_eq!(answer.expect_error(416, "RANGE_INVALID").header("x-accel-redirect"), "");

    let request = on(Method::HEAD, &path).header(OFFER, "file");
    let head = world.send(&[PULL], request, Body::empty()).await.expect(200);
    assert_eq!((head.header("content-length"), head.header("x-accel-redirect")), ("10", ""));
    assert_eq!(head.calls, ["blob"]);
}

#[rstest]
#[case::on(RedirectConfig::On, "198.51.100.7", 307)]
#[case::off(RedirectConfig::Off, "198.51.100.7", 200)]
#[case::inside(RedirectConfig::Networks(networks(&["10.0.0.0/8"])), "10.1.2.3", 307)]
#[case::outside(RedirectConfig::Networks(networks(&["10.0.0.0/8"])), "198.51.100.7", 200)]
#[tokio::test]
async fn a_client_is_sent_to_the_store_by_its_network(
    #[case] redirect: RedirectConfig,
    #[case] client: &str,
    #[case] status: u16,
) {
    let (world, path) = world(redirect, &["127.0.0.0/8"]);

    let answer = pulled(&world, &path, &[("x-forwarded-for", client)]).await.expect(status);

    assert_eq!(answer.header("location"), if status == 307 { URL } else { "" });
    assert_eq!(answer.body().is_empty(), status == 307);
}

#[tokio::test]
async fn a_network_is_not_believed_of_a_stranger() {
    let (world, path) = world(RedirectConfig::Networks(networks(&["10.0.0.0/8"])), &[]);
    let answer = pulled(&world, &path, &[("x-forwarded-for", "10.1.2.3")]).await.expect(200);
    assert_eq!(answer.body(), TEN);
}

#[tokio::test]
async fn a_redirect_carries_nothing_of_ours() {
    let (world, path) = world(RedirectConfig::On, &[]);
    let token = world.token(&[PULL]);
    let request =
        get(&format!("{path}?token={token}")).header(header::AUTHORIZATION, format!("Bearer {token}"));

    let answer = world.send_as_it_is(request, Body::empty()).await.expect(307);

    assert_eq!(answer.header("location"), URL);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!format!("{:?}", answer.headers).contains(&token), "{answer:?}");
    assert!(answer.body().is_empty());
}
