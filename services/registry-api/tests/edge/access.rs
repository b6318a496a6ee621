//! Tokens: which are believed, for how long, and for what.

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Method, header, request::Builder};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::{
    auth::{AuthError, Claims},
    metadata::Standing,
};
use registry_api::config::Config;
use rstest::rstest;
use service_kit::jose::{Algorithm as Kind, KeySet};

use crate::{
    services::When,
    world::{Answer, PULL, PUSH, Signer, World, get, on, put},
};

const TAGS: &str = "/v2/ann/app/tags/list";
const JWKS: &str = "/.well-known/jwks.json";

fn bearing(request: Builder, token: &str) -> Builder {
    request.header(header::AUTHORIZATION, format!("Bearer {token}"))
}

async fn tags_with(world: &World, token: &str) -> Answer {
    world.send_as_it_is(bearing(get(TAGS), token), Body::empty()).await
}

fn challenged(answer: Answer, error: &str) {
    let answer = answer.expect_error(401, "UNAUTHORIZED");
    let expected = format!(
        "Bearer realm=\"http://hub.test:9911/token\",service=\"bucket\",scope=\"{PULL}\",error=\"{error}\""
    );
    assert_eq!(answer.header("www-authenticate"), expected);
}

#[tokio::test]
async fn a_token_is_verified_without_a_call() {
    let world = World::new();
    let answer = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
    assert_eq!(answer.calls, ["tags"]);
}

#[tokio::test]
async fn a_token_allows_what_it_says_and_nothing_else() {
    let world = World::new();
    for scope in ["repository:ann/application:pull", "repository:ann/app:push", "registry:catalog:*"] {
        let answer = world.send(&[scope], get(TAGS), Body::empty()).await;
        assert_eq!(answer.calls, [] as [&str; 0]);
        challenged(answer, "insufficient_scope");
    }
    let detail = world.send(&[PULL], put("/v2/ann/app/manifests/v1"), Body::empty()).await.expect(401).json();
    assert_eq!(
        detail["errors"][0]["detail"],
        serde_json::json!([
            { "Type": "repository", "Name": "ann/app", "Action": "pull" },
            { "Type": "repository", "Name": "ann/app", "Action": "push" },
        ])
    );
}

#[tokio::test]
async fn a_remembered_token_does_not_outlive_itself() {
    let world = World::new();
    let token = world.token(&[PULL]);
    let _ = tags_with(&world, &token).await.expect(200);

    world.pass(299);
    let _ = tags_with(&world, &token).await.expect(200);
    world.pass(1);
    challenged(tags_with(&world, &token).await, "invalid_token");
}

#[tokio::test]
async fn a_token_of_the_next_seconds_is_good_and_one_of_the_next_minute_is_not() {
    let world = World::new();
    let from = |seconds| {
        let claims = world.claims("ann", &[PULL]);
        world.signer.sign(&Claims { nbf: claims.nbf + seconds, ..claims })
    };
    let _ = tags_with(&world, &from(5)).await.expect(200);
    challenged(tags_with(&world, &from(6)).await, "invalid_token");
}

#[tokio::test]
async fn a_token_for_another_registry_or_of_another_issuer_is_not_ours() {
    let world = World::new();
    let claims = || world.claims("ann", &[PULL]);
    let foreign = [
        Claims { aud: "elsewhere".to_owned(), ..claims() },
        Claims { iss: "somebody".to_owned(), ..claims() },
        Claims { sub: "no/name".to_owned(), ..claims() },
    ];
    for claims in foreign {
        challenged(tags_with(&world, &world.signer.sign(&claims)).await, "invalid_token");
    }
}

#[rstest]
#[case(Kind::EdDsa)]
#[case(Kind::Es256)]
#[tokio::test]
async fn only_a_published_key_signs_and_only_in_its_own_way(#[case] kind: Kind) {
    let world = World::without_keys(&Config::default(), Signer::of(kind, "key-1"));
    world.auth.keys.lock().unwrap().push(world.signer.public());
    let claims = world.claims("ann", &[PULL]);
    let key = world.signer.public();
    let named = |algorithm| Header { kid: Some(key.id.0.clone()), ..Header::new(algorithm) };

    // The public key as a secret is the classic confusion.
    let by_secret = EncodingKey::from_secret(&key.public_key.bytes());
    let hs256 = jsonwebtoken::encode(&named(Algorithm::HS256), &claims, &by_secret).unwrap();
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"{}\"}}", key.id.0)),
        URL_SAFE_NO_PAD.encode(serde_json::to_string(&claims).unwrap())
    );
    let strangers = [Kind::EdDsa, Kind::Es256].map(|kind| Signer::of(kind, "key-1").sign(&claims));
    let good = world.token(&[PULL]);
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let other = world.token(&[PUSH]);
    let swapped = format!("{unsigned}.{}", other.rsplit_once('.').unwrap().1);

    let bad = [hs256, none, format!("{unsigned}."), swapped, "a.b.c".to_owned(), "x".to_owned()];
    for token in bad.into_iter().chain(strangers) {
        challenged(tags_with(&world, &token).await, "invalid_token");
    }
    let _ = tags_with(&world, &good).await.expect(200);
}

#[tokio::test]
async fn keys_of_both_kinds_verify_beside_each_other_and_are_published() {
    let world = World::new();
    let next = Signer::of(Kind::Es256, "key-2");
    world.auth.keys.lock().unwrap().push(next.public());
    for token in [world.token(&[PULL]), next.sign(&world.claims("ann", &[PULL]))] {
        let _ = tags_with(&world, &token).await.expect(200);
    }

    let published = world.send_as_it_is(get(JWKS), Body::empty()).await.expect(200);
    assert_eq!(published.header("content-type"), "application/json");
    assert_eq!(published.header("cache-control"), "public, max-age=60");
    let set = KeySet::read(published.body()).unwrap();
    for key in [world.signer.public(), next.public()] {
        assert_eq!(set.find(&key.id.0), Some(&key.public_key));
    }
    let text = String::from_utf8_lossy(published.body());
    assert!(text.contains(r#""alg":"EdDSA""#) && text.contains(r#""alg":"ES256""#), "{text}");
    assert!(!text.contains(r#""d""#), "{text}");
    let refused = world.send_as_it_is(on(Method::POST, JWKS), Body::empty()).await;
    assert_eq!(refused.expect(405).header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn without_keys_none_are_published() {
    let world = World::without_keys(&Config::default(), Signer::new("key-1"));
    let _ = world.send_as_it_is(get(JWKS), Body::empty()).await.expect_error(503, "UNAVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_ends_its_tokens_though_nobody_brings_another() {
    let world = World::new();
    let token = world.token(&[PULL]);
    let _ = tags_with(&world, &token).await.expect(200);
    *world.auth.keys.lock().unwrap() = vec![Signer::new("key-2").public()];

    for _ in 0..2 {
        world.pass(15);
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    }
    challenged(tags_with(&world, &token).await, "invalid_token");
}

#[tokio::test]
async fn a_token_that_is_too_long_is_not_looked_at() {
    let world = World::new();
    let many: Vec<String> = (0..400).map(|n| format!("repository:ann/app-number-{n}:pull,push")).collect();
    let mut scopes: Vec<&str> = many.iter().map(String::as_str).collect();
    scopes.push(PULL);
    let token = world.token(&scopes);
    assert!(token.len() > 16 * 1024);
    challenged(tags_with(&world, &token).await, "invalid_token");
}

#[rstest]
#[case("Basic YW5uOng=", "")]
#[case("Token abc", ",error=\"invalid_token\"")]
#[tokio::test]
async fn other_proofs_are_answered_with_the_challenge(#[case] proof: &str, #[case] error: &str) {
    let world = World::new();
    let request = get("/v2/").header(header::AUTHORIZATION, proof);
    let answer = world.send_as_it_is(request, Body::empty()).await.expect_error(401, "UNAUTHORIZED");
    assert!(answer.header("www-authenticate").ends_with(&format!("service=\"bucket\"{error}")));
}

#[tokio::test]
async fn a_key_that_is_new_is_asked_for_once_and_strangers_cannot_make_us_ask_often() {
    let world = World::new();
    let _ = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
    let next = Signer::new("key-2");
    let token = next.sign(&world.claims("ann", &[PULL]));
    world.auth.keys.lock().unwrap().push(next.public());

    // Asked a moment ago: not again so soon.
    challenged(tags_with(&world, &token).await, "invalid_token");
    world.pass(5);
    let _ = tags_with(&world, &token).await.expect(200);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_ends_the_tokens_that_it_has_signed() {
    let world = World::new();
    let token = world.token(&[PULL]);
    let _ = tags_with(&world, &token).await.expect(200);

    let next = Signer::new("key-2");
    *world.auth.keys.lock().unwrap() = vec![next.public()];
    world.pass(5);
    let _ = tags_with(&world, &next.sign(&world.claims("ann", &[PULL]))).await.expect(200);

    challenged(tags_with(&world, &token).await, "invalid_token");
}

#[tokio::test]
async fn without_keys_the_edge_is_not_ready_and_says_so() {
    let world = World::without_keys(&Config::default(), Signer::new("key-1"));
    assert_eq!(world.process.readiness.missing(), ["keys"]);
    let answer = world.send(&[PULL], get(TAGS), Body::empty()).await.expect_error(503, "UNAVAILABLE");
    assert!(!answer.header("retry-after").is_empty());

    world.auth.keys.lock().unwrap().push(world.signer.public());
    world.pass(1);
    let _ = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
    assert!(world.process.readiness.ready());
}

#[tokio::test]
async fn an_outage_of_auth_ends_no_push_and_no_pull() {
    let world = World::new();
    let _ = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
    world.auth.faults.add("keys", When::Before, AuthError::Unavailable { attempted: "reading".into() });
    world.pass(5);
    let stranger = Signer::new("key-9").sign(&world.claims("ann", &[PULL]));
    challenged(tags_with(&world, &stranger).await, "invalid_token");
    let _ = world.send(&[PULL], get(TAGS), Body::empty()).await.expect(200);
}

#[tokio::test]
async fn an_upload_outlives_the_token_it_was_begun_with_and_nothing_else_does() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let token = world.token(&[PUSH]);
    world.pass(3_600);

    let send = |method, path: &str| world.send_as_it_is(bearing(on(method, path), &token), "some bytes");
    let _ = send(Method::GET, &location).await.expect(204);
    let _ = send(Method::PATCH, &location).await.expect(202);
    challenged(send(Method::GET, TAGS).await, "invalid_token");
    let _ = send(Method::POST, "/v2/ann/app/blobs/uploads/").await.expect_error(401, "UNAUTHORIZED");
    let _ = send(Method::DELETE, &location).await.expect(204);
}

#[tokio::test]
async fn an_upload_is_unknown_to_a_token_that_has_expired_a_day_after_its_beginning() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let token = world.token(&[PUSH]);

    world.pass(24 * 3_600 - 1);
    let send = || world.send_as_it_is(bearing(get(&location), &token), Body::empty());
    let _ = send().await.expect(204);
    world.pass(1);
    let _ = send().await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = world.send(&[PUSH], get(&location), Body::empty()).await.expect(204);
}

#[rstest]
#[case(300)]
#[case(0)]
#[tokio::test]
async fn an_upload_is_unknown_to_anyone_else(#[case] seconds: u64) {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let other = world.signer.sign(&world.claims("bob", &[PUSH]));
    world.pass(seconds);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = world.send_as_it_is(bearing(on(method, &location), &other), "bytes").await;
        let answer = answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(answer.calls, ["session"]);
    }
}

#[tokio::test]
async fn an_upload_in_another_repository_needs_a_token_for_that() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let elsewhere = world.token(&["repository:ann/other:pull,push"]);
    let pull_only = world.token(&[PULL]);
    for token in [elsewhere, pull_only] {
        let request = bearing(get(&location), &token);
        let _ = world.send_as_it_is(request, Body::empty()).await.expect_error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_disabled_account_cannot_go_on_with_its_upload() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    world.uploads.session.lock().unwrap().as_mut().unwrap().standing = Standing::Disabled;
    world.pass(300);
    let token = world.token(&[PUSH]);
    world.pass(300);
    let request = bearing(get(&location), &token);
    let _ = world.send_as_it_is(request, Body::empty()).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn an_upload_of_nobody_in_particular_needs_a_token_that_lives() {
    let world = World::new();
    let token = world.signer.sign(&world.claims("", &[PUSH]));
    let start = bearing(on(Method::POST, "/v2/ann/app/blobs/uploads/"), &token);
    let location = world.send_as_it_is(start, Body::empty()).await.expect(202).header("location").to_owned();

    let status = || world.send_as_it_is(bearing(get(&location), &token), Body::empty());
    let _ = status().await.expect(204);
    world.pass(300);
    let _ = status().await.expect_error(401, "UNAUTHORIZED");
}
