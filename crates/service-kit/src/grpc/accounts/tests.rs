//! Which tokens are those of a service account.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use http::HeaderValue;
use rstest::rstest;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Accounts, service_token};
use crate::{
    clock::{Clock as _, ManualClock},
    config::GrpcServerConfig,
    grpc::caller::ServiceAccount,
    jose::{Algorithm, KeySet, PrivateKey},
};

const HOUR: Duration = Duration::from_hours(1);

struct World {
    directory: TempDir,
    key: PrivateKey,
    clock: Arc<ManualClock>,
    accounts: Accounts,
}

fn set_of(keys: &[&PrivateKey]) -> Vec<u8> {
    let named = keys.iter().map(|key| (key.public().thumbprint(), *key.public()));
    serde_json::to_vec(&named.collect::<KeySet>()).unwrap()
}

impl World {
    async fn new(algorithm: Algorithm) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(algorithm).unwrap();
        let file = directory.path().join("keys.json");
        fs::write(&file, set_of(&[&key])).unwrap();

        let mut config: GrpcServerConfig =
            toml::from_str("listen = \"127.0.0.1:1\"\nservice_token = \"a-token-of-a-service\"").unwrap();
        config.service_keys_file = Some(file);
        let clock = Arc::new(ManualClock::default());
        let accounts = Accounts::open(&config, clock.clone()).await.unwrap();
        Self { directory, key, clock, accounts }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    fn token(&self) -> String {
        let token = service_token(&self.key, &account(), self.clock.now(), HOUR).unwrap();
        token.expose_secret().to_owned()
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().as_second();
        json!({ "sub": "team-x", "aud": "bucket-grpc", "exp": now + 60, "roles": ["metadata.read"] })
    }

    fn signed(&self, claims: &Value) -> String {
        self.key.signed(&self.key.public().thumbprint(), claims).unwrap()
    }

    fn knows(&self, token: &str) -> bool {
        let shown = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        self.accounts.with_token(&shown).is_some_and(|known| *known == account())
    }
}

fn account() -> ServiceAccount {
    ServiceAccount { name: "team-x".parse().unwrap(), roles: vec!["metadata.read".parse().unwrap()] }
}

#[rstest]
#[case(Algorithm::EdDsa)]
#[case(Algorithm::Es256)]
#[tokio::test]
async fn a_token_is_good_until_its_end(#[case] algorithm: Algorithm) {
    let world = World::new(algorithm).await;
    let token = world.token();
    assert!(world.knows(&token));
    world.clock.advance(HOUR.saturating_sub(Duration::from_secs(1)));
    assert!(world.knows(&token));
    world.clock.advance(Duration::from_secs(1));
    assert!(!world.knows(&token));
}

#[tokio::test]
async fn what_a_token_lacks_or_says_too_much_makes_it_none() {
    let world = World::new(Algorithm::EdDsa).await;
    assert!(world.knows(&world.signed(&world.claims())));
    let with = |name: &str, value: Value| {
        let mut claims = world.claims();
        claims[name] = value;
        world.signed(&claims)
    };
    let without = |name: &str| {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().remove(name);
        world.signed(&claims)
    };

    assert!(world.knows(&with("aud", json!(["other", "bucket-grpc"]))));
    assert!(world.knows(&with("jti", json!("whatever"))));
    for name in ["sub", "aud", "exp", "roles"] {
        assert!(!world.knows(&without(name)), "without {name}");
    }
    let now = world.clock.now().as_second();
    for (name, value) in [
        ("aud", json!("bucket")),
        ("aud", json!([])),
        ("exp", json!(now)),
        ("exp", json!("never")),
        ("nbf", json!(now + 6)),
        ("sub", json!("Team X")),
        ("roles", json!("metadata.read")),
        ("roles", json!(["Metadata Read"])),
        ("repositories", json!(["team/*"])),
    ] {
        assert!(!world.knows(&with(name, value.clone())), "{name}: {value}");
    }
}

#[tokio::test]
async fn only_a_configured_key_signs() {
    let world = World::new(Algorithm::EdDsa).await;
    let stranger = PrivateKey::generate(Algorithm::EdDsa).unwrap();
    let id = world.key.public().thumbprint();

    let forged = stranger.signed(&id, &world.claims()).unwrap();
    let unnamed = stranger.signed(&stranger.public().thumbprint(), &world.claims()).unwrap();
    let (unsigned, _) = forged.rsplit_once('.').unwrap();
    for token in [&forged, &unnamed, &format!("{unsigned}."), "", "a.b.c", &"x".repeat(10_000)] {
        assert!(!world.knows(token), "{token}");
    }
}

#[tokio::test]
async fn keys_are_exchanged_without_a_restart() {
    let world = World::new(Algorithm::EdDsa).await;
    let next = PrivateKey::generate(Algorithm::Es256).unwrap();
    let of_next = service_token(&next, &account(), world.clock.now(), HOUR).unwrap();
    let (old, new) = (world.token(), of_next.expose_secret());
    let look = async |keys: &[u8]| {
        fs::write(world.file(), keys).unwrap();
        world.accounts.keys.as_ref().unwrap().look().await;
        (world.knows(&old), world.knows(new))
    };

    assert_eq!(look(&set_of(&[&world.key, &next])).await, (true, true));
    assert_eq!(look(b"half a fi").await, (true, true));
    assert_eq!(look(&set_of(&[&next])).await, (false, true));
    assert_eq!(look(br#"{"keys":[]}"#).await, (false, false), "nobody has an account any more");
}
