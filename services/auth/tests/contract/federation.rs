//! The suite of federation on this service, in process and across gRPC; and what only this service promises: how often
//! it asks others, what it does without them, and when what it has given ends.

use std::{sync::Arc, time::Duration};

use auth::{Service, config::Config};
use proto::{
    auth::{
        Auth as _, Credentials, Federation, Identities as _, IdentityError, Offline, TokenRequest,
        federation::{
            self, FederationClient, FlowOutcome, FlowPurpose, ReturnedFlow, WantedFlow, WantedTrust,
            Workload,
            suite::{Elsewhere, Harness},
        },
        identities::{Asker, Deed},
    },
    metadata::{
        Standing, Via,
        credentials::{Holder, Limits, Permission},
        proofs::SecondFactor,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use service_kit::{clock::Clock as _, grpc::in_memory};

use crate::{
    administrator_of, config,
    issuer::{Issuer, Key},
    memory::MemoryMetadata,
    service_with,
};

struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
    administrator: SecretString,
    elsewhere: Arc<Mouth>,
}

/// The issuer of people and workloads, and its key.
struct Mouth {
    issuer: Issuer,
    key: Key,
    metadata: Arc<MemoryMetadata>,
}

impl Mouth {
    fn completed(&self, claims: Value, audience: Option<&str>) -> Value {
        let now = self.metadata.clock.now().as_second();
        let mut all = json!({ "iss": self.issuer.url, "exp": now + 300, "iat": now });
        if let Some(audience) = audience {
            all["aud"] = audience.into();
        }
        let (Value::Object(all_fields), Value::Object(given)) = (&mut all, claims) else { unreachable!() };
        all_fields.extend(given);
        all
    }
}

impl Elsewhere for Mouth {
    fn gives(&self, code: &str, claims: Value) {
        self.issuer.give(code, self.key.sign(&self.completed(claims, Some("hub"))));
    }

    fn workload(&self, claims: Value) -> SecretString {
        self.key.sign(&self.completed(claims, None)).into()
    }

    fn issuer(&self) -> String {
        self.issuer.url.clone()
    }
}

fn configured(issuer: &str) -> Config {
    let provider = |text: String| toml::from_str(&text).unwrap();
    let acme = format!(
        "name = 'acme'\nlabel = 'Acme'\nissuer = '{issuer}'\nclient_id = 'hub'\nclient_secret = 's'\nsign_up = 'create'"
    );
    let corp = format!(
        "name = 'corp'\nissuer = '{issuer}'\nclient_id = 'hub'\nrequired_claims = {{ groups = 'devs' }}"
    );
    let workloads = toml::from_str(&format!("issuer = '{issuer}'")).unwrap();
    Config { providers: vec![provider(acme), provider(corp)], workload_issuers: vec![workloads], ..config() }
}

async fn world() -> World {
    let (metadata, issuer) = (Arc::<MemoryMetadata>::default(), Issuer::start().await);
    let key = issuer.new_key("1");
    let service = service_with(&metadata, &configured(&issuer.url));
    let administrator = administrator_of(&service, &metadata).await;
    let elsewhere = Arc::new(Mouth { issuer, key, metadata: metadata.clone() });
    World { metadata, service, administrator, elsewhere }
}

async fn harness(over: impl AsyncFnOnce(Arc<dyn Federation>) -> Arc<dyn Federation>) -> Harness {
    let World { metadata, service, administrator, elsewhere } = world().await;
    Harness {
        federation: over(Arc::new(service.clone())).await,
        identities: Arc::new(service),
        kept: metadata,
        elsewhere,
        username: "admin".into(),
        password: administrator,
    }
}

#[tokio::test]
async fn federation_in_process() {
    federation::suite::run(harness(async |federation| federation).await).await;
}

#[tokio::test]
async fn federation_across_grpc() {
    let over = async |federation: Arc<dyn Federation>| {
        let channel = in_memory(move |routes| federation::server::add_to(routes, federation)).await;
        Arc::new(FederationClient::new(channel, Duration::from_secs(10))) as Arc<dyn Federation>
    };
    federation::suite::run(harness(over).await).await;
}

fn nobody() -> Asker {
    Asker { credentials: None, address: "192.0.2.1".parse().ok(), via: Via::Api }
}

fn as_who(username: &str, secret: &SecretString) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: secret.clone() };
    Asker { credentials: Some(credentials), address: None, via: Via::Api }
}

fn parameter(url: &str, name: &str) -> String {
    let found = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap().to_owned()
}

impl World {
    async fn begin(&self) -> Result<ReturnedFlow, IdentityError> {
        let wanted = WantedFlow {
            provider: "acme".parse().unwrap(),
            purpose: FlowPurpose::SignIn,
            redirect_uri: "https://hub.example.com/back".to_owned(),
            return_to: federation::ReturnPath::default(),
            password: None,
        };
        let begun = self.service.begin(&nobody(), &wanted).await?;
        let (nonce, state) = (parameter(&begun.url, "nonce"), parameter(&begun.url, "state"));
        self.elsewhere.gives(&state, json!({ "sub": "1", "nonce": nonce, "preferred_username": "ann" }));
        Ok(ReturnedFlow {
            provider: wanted.provider,
            sealed: begun.sealed,
            answer: Ok(state.as_str().into()),
            state,
            issuer: Some(self.elsewhere.issuer()),
            address: "192.0.2.1".parse().ok(),
        })
    }

    async fn sign_in(&self) -> Result<SecretString, IdentityError> {
        let finished = self.service.finish(&self.begin().await?).await?;
        match finished.outcome {
            FlowOutcome::SignedIn(_, issued) => Ok(issued.secret),
            FlowOutcome::Linked(_) => unreachable!(),
        }
    }

    async fn trust(&self) {
        let trust = json!({ "issuer": self.elsewhere.issuer(), "audience": "hub", "claims": { "sub": "x" } });
        let wanted = WantedTrust {
            robot: "open+ci".parse().unwrap(),
            label: "deploys".to_owned(),
            trust: serde_json::from_value(trust).unwrap(),
            limits: Limits { repositories: Vec::new(), actions: [Permission::Pull].into() },
        };
        self.service.trust(&as_who("admin", &self.administrator), &wanted).await.unwrap();
    }

    async fn exchange(&self, token: SecretString) -> Result<SecretString, IdentityError> {
        let address = "192.0.2.1".parse().ok();
        let workload = Workload { robot: "open+ci".parse().unwrap(), token, address };
        Ok(self.service.exchange(&workload).await?.secret)
    }

    fn token(&self) -> SecretString {
        self.elsewhere.workload(json!({ "aud": "hub", "sub": "x" }))
    }

    fn reads(&self) -> usize {
        self.elsewhere.issuer.reads()
    }
}

#[tokio::test]
async fn a_code_is_asked_for_with_the_secret_and_what_only_this_flow_knows() {
    let world = world().await;
    world.sign_in().await.unwrap();
    let asked = world.elsewhere.issuer.asked();
    assert_eq!(asked.len(), 1);
    let asked = asked[0].as_str();
    assert!(
        asked.to_lowercase().contains("authorization: basic ahViOnM=".to_lowercase().as_str()),
        "{asked}"
    );
    for part in ["grant_type=authorization_code", "code_verifier=", "redirect_uri=https%3A%2F%2Fhub."] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!asked.contains("client_secret"), "{asked}");
}

#[tokio::test]
async fn a_name_that_only_userinfo_says_is_read_there() {
    let world = world().await;
    world.elsewhere.issuer.say(json!({ "sub": "7", "preferred_username": "cid" }));
    for (sub, known) in [("7", true), ("8", false)] {
        let returned = world.begin().await.unwrap();
        let nonce = nonce_given(&world, &returned);
        world.elsewhere.gives(&returned.state, json!({ "sub": sub, "nonce": nonce }));
        let finished = world.service.finish(&returned).await;
        match finished.map(|finished| finished.outcome) {
            Ok(FlowOutcome::SignedIn(user, _)) => assert!(known && user.as_str() == "cid"),
            Err(IdentityError::LinkNeeded { .. }) => assert!(!known, "it is said of another"),
            other => panic!("{other:?}"),
        }
    }
}

/// The nonce of the token that was put into the provider's mouth for this flow.
fn nonce_given(world: &World, returned: &ReturnedFlow) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = world.elsewhere.issuer.given(&returned.state);
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["nonce"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_disabled_user_stays_out() {
    let world = world().await;
    world.sign_in().await.unwrap();
    let ann = "ann".parse().unwrap();
    world.metadata.state().accounts.get_mut(&ann).unwrap().standing = Standing::Disabled;
    let refused = world.sign_in().await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::Forbidden { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_provider_vouches_for_who_has_a_second_factor_too() {
    let world = world().await;
    world.sign_in().await.unwrap();
    let factor = SecondFactor { sealed_secret: b"sealed".to_vec().into() };
    world.metadata.state().proofs.entry("ann".parse().unwrap()).or_default().active = Some(factor);
    let session = world.sign_in().await.unwrap();
    world.service.authorize(&as_who("ann", &session), &Deed::SignedIn).await.unwrap();
}

#[tokio::test]
async fn a_flow_lasts_ten_minutes() {
    let world = world().await;
    let (early, late) = (world.begin().await.unwrap(), world.begin().await.unwrap());
    world.metadata.clock.advance(Duration::from_mins(4));
    world.service.finish(&early).await.unwrap();
    world.metadata.clock.advance(Duration::from_mins(6));
    let late = world.service.finish(&late).await.map(|_| ());
    assert!(matches!(late, Err(IdentityError::FlowInvalid { .. })), "{late:?}");
}

#[tokio::test]
async fn another_replica_finishes_what_one_has_begun_and_one_with_another_secret_does_not() {
    let world = world().await;
    let returned = world.begin().await.unwrap();
    let configured = configured(&world.elsewhere.issuer());
    let foreign = Config { key_secret: "another secret of many".into(), ..configured.clone() };
    let foreign = service_with(&world.metadata, &foreign).finish(&returned).await.map(|_| ());
    assert!(matches!(foreign, Err(IdentityError::FlowInvalid { .. })), "{foreign:?}");
    service_with(&world.metadata, &configured).finish(&returned).await.unwrap();
}

#[tokio::test]
async fn keys_are_read_once_an_hour_and_again_for_one_that_is_new_but_not_for_each_stranger() {
    let world = world().await;
    world.trust().await;
    for _ in 0..20 {
        world.exchange(world.token()).await.unwrap();
    }
    assert_eq!(world.reads(), 1);

    // A key that it publishes only now.
    let (new, claims) = (world.elsewhere.issuer.new_key("2"), json!({ "aud": "hub", "sub": "x" }));
    let token = || SecretString::from(new.sign(&world.elsewhere.completed(claims.clone(), None)));
    let refused = world.exchange(token()).await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::WorkloadRefused { .. })), "it was asked a moment ago");
    world.metadata.clock.advance(Duration::from_secs(10));
    world.exchange(token()).await.unwrap();
    assert_eq!(world.reads(), 2);

    let strange = Issuer::start().await.new_key("3");
    let token = || SecretString::from(strange.sign(&world.elsewhere.completed(claims.clone(), None)));
    world.metadata.clock.advance(Duration::from_secs(10));
    for _ in 0..20 {
        world.exchange(token()).await.unwrap_err();
    }
    assert_eq!(world.reads(), 3);
    world.metadata.clock.advance(Duration::from_hours(1));
    world.exchange(world.token()).await.unwrap();
    assert_eq!(world.reads(), 4);
}

#[tokio::test]
async fn who_shows_wrong_tokens_again_and_again_waits() {
    let world = world().await;
    world.trust().await;
    let mut refused = 0;
    for number in 0..100 {
        match world.exchange(format!("wrong {number}").as_str().into()).await {
            Err(IdentityError::WorkloadRefused { .. }) => refused += 1,
            Err(IdentityError::Throttled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, 50);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_missed_when_nothing_is_known_of_it() {
    let world = world().await;
    world.trust().await;
    world.exchange(world.token()).await.unwrap();

    world.elsewhere.issuer.stop();
    world.metadata.clock.advance(Duration::from_hours(2));
    world.exchange(world.token()).await.unwrap();
    world.metadata.clock.advance(Duration::from_hours(24));
    let missed = world.exchange(world.token()).await.map(|_| ());
    assert!(matches!(missed, Err(IdentityError::Unavailable { .. })), "{missed:?}");

    let fresh = service_with(&world.metadata, &configured(&world.elsewhere.issuer()));
    let wanted = WantedFlow {
        provider: "acme".parse().unwrap(),
        purpose: FlowPurpose::SignIn,
        redirect_uri: "https://hub.example.com/back".to_owned(),
        return_to: federation::ReturnPath::default(),
        password: None,
    };
    let missed = fresh.begin(&nobody(), &wanted).await.map(|_| ());
    assert!(matches!(missed, Err(IdentityError::Unavailable { .. })), "{missed:?}");
}

#[tokio::test]
async fn the_secret_of_a_workload_ends_after_an_hour_and_with_its_trust() {
    let world = world().await;
    world.trust().await;
    let secret = world.exchange(world.token()).await.unwrap();
    let pull = Deed::ReadRepository("open/app".parse().unwrap());
    let may = async |secret: &SecretString| {
        world.service.authorize(&as_who("open+ci", secret), &pull).await.map(|_| ())
    };
    assert_eq!(may(&secret).await, Ok(()));
    let request = TokenRequest {
        credentials: as_who("open+ci", &secret).credentials,
        service: "bucket".to_owned(),
        scopes: Vec::new(),
        address: None,
        offline: Offline::Not,
    };
    assert_eq!(world.service.token(request).await.unwrap().subject.to_string(), "open+ci");

    world.metadata.clock.advance(Duration::from_secs(3_599));
    assert_eq!(may(&secret).await, Ok(()));
    world.metadata.clock.advance(Duration::from_secs(1));
    assert_eq!(may(&secret).await, Err(IdentityError::WrongCredentials));

    let secret = world.exchange(world.token()).await.unwrap();
    let trusts = |holder: &Holder| matches!(holder, Holder::Robot(_));
    world.metadata.state().credentials.retain(|(_, kept)| !trusts(&kept.holder));
    assert_eq!(may(&secret).await, Err(IdentityError::WrongCredentials));
    let refused = world.exchange(world.token()).await.map(|_| ());
    assert!(matches!(refused, Err(IdentityError::WorkloadRefused { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_stands_for_a_trust_in_metadata_is_no_secret() {
    let world = world().await;
    world.trust().await;
    let kept = world.metadata.state().credentials.clone();
    let (hash, credential) = kept.iter().find(|(_, kept)| kept.trust.is_some()).unwrap();
    let hex = hash.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    for guess in [hex.clone(), format!("bucket_workload_{hex}"), format!("bucket_robot_{hex}")] {
        let may = world.service.authorize(&as_who("open+ci", &guess.as_str().into()), &Deed::SignedIn).await;
        assert_eq!(may.map(|_| ()), Err(IdentityError::WrongCredentials), "{guess}");
    }
    assert!(!credential.id.to_string().is_empty() && !world.administrator.expose_secret().is_empty());
}
