//! Providers, identities, trusts and exchanges: where browsers go and what they keep, and what is asked of whom.

use async_trait::async_trait;
use axum::body::Body;
use http::header;
use jiff::Timestamp;
use oci::AccountName;
use proto::{
    auth::{
        Federation, IdentityError,
        federation::{
            BegunFlow, ExchangedSecret, FinishedFlow, FlowOutcome, FlowPurpose, Provider, ReturnedFlow,
            WantedFlow, WantedTrust, Workload,
        },
        identities::{Asker, IssuedCredential},
    },
    metadata::{
        AccountError, Actor, FederatedIdentities,
        accounts::Account,
        credentials::{Credential, Holder},
        federation::{ForeignIdentity, IdentityId, LinkedIdentity, NewIdentity},
    },
};
use registry_api::config::Config;
use rstest::rstest;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    accounts::{FakeAccounts, FakeIdentities, ID, SECRET, credential},
    services::When,
    world::{World, get, post},
};

fn identity() -> LinkedIdentity {
    let (issuer, subject) = ("https://id.example.com".parse().unwrap(), "248289761001".parse().unwrap());
    let identity = ForeignIdentity { issuer, subject };
    LinkedIdentity { identity, label: "Ann".to_owned(), linked: Timestamp::UNIX_EPOCH }
}

#[async_trait]
impl Federation for FakeIdentities {
    async fn providers(&self) -> Result<Vec<Provider>, IdentityError> {
        self.faults.check("providers", When::Before)?;
        Ok(vec![Provider { name: "acme".parse().unwrap(), label: "Acme".to_owned() }])
    }

    async fn begin(&self, asker: &Asker, wanted: &WantedFlow) -> Result<BegunFlow, IdentityError> {
        self.begin("begin", asker)?;
        let WantedFlow { provider, purpose, redirect_uri, return_to, password } = wanted;
        let password = password.as_ref().map(|password| format!(" {}", password.expose_secret()));
        let password = password.unwrap_or_default();
        self.done(format!("begin {provider} {purpose:?} {redirect_uri} {return_to}{password}"));
        let url = "https://id.example.com/auth?state=s".to_owned();
        Ok(BegunFlow { url, sealed: "sealed-flow".into(), lifetime: std::time::Duration::from_mins(10) })
    }

    async fn finish(&self, returned: &ReturnedFlow) -> Result<FinishedFlow, IdentityError> {
        self.faults.check("finish", When::Before)?;
        let ReturnedFlow { provider, sealed, state, answer, issuer, address } = returned;
        let (sealed, answer) = (sealed.expose_secret(), answer.as_ref().map(ExposeSecret::expose_secret));
        self.done(format!("finish {provider} {sealed:?} {state:?} {answer:?} {issuer:?} {address:?}"));
        let ann: AccountName = "ann".parse().unwrap();
        let outcome = if state == "link" {
            FlowOutcome::Linked(ann)
        } else {
            let credential = credential(Holder::Session(ann.clone()));
            FlowOutcome::SignedIn(ann, Box::new(IssuedCredential { secret: SECRET.into(), credential }))
        };
        Ok(FinishedFlow { return_to: "/x".parse().unwrap(), outcome })
    }

    async fn trust(&self, asker: &Asker, wanted: &WantedTrust) -> Result<Credential, IdentityError> {
        self.begin("trust", asker)?;
        let WantedTrust { robot, label, trust, limits } = wanted;
        let actions = &limits.actions;
        self.done(format!("trust {robot} {label:?} {} {} {actions:?}", trust.issuer, trust.audience));
        Ok(Credential { trust: Some(trust.clone()), ..credential(Holder::Robot(robot.clone())) })
    }

    async fn exchange(&self, workload: &Workload) -> Result<ExchangedSecret, IdentityError> {
        self.faults.check("exchange", When::Before)?;
        let Workload { robot, token, address } = workload;
        self.done(format!("exchange {robot} {} {address:?}", token.expose_secret()));
        Ok(ExchangedSecret { secret: SECRET.into(), expires: Timestamp::UNIX_EPOCH })
    }
}

#[async_trait]
impl FederatedIdentities for FakeAccounts {
    async fn identity_user(&self, _: &IdentityId) -> Result<Option<AccountName>, AccountError> {
        Ok(None)
    }

    async fn create_federated_account(
        &self,
        _: &Account,
        _: &NewIdentity,
        _: &Actor,
    ) -> Result<(), AccountError> {
        Ok(())
    }

    async fn link_identity(&self, _: &AccountName, _: &NewIdentity, _: &Actor) -> Result<(), AccountError> {
        Ok(())
    }

    async fn identities(&self, _: &AccountName) -> Result<Vec<LinkedIdentity>, AccountError> {
        Ok(vec![identity()])
    }

    async fn unlink_identity(
        &self,
        user: &AccountName,
        id: &IdentityId,
        actor: &Actor,
    ) -> Result<(), AccountError> {
        self.write("unlink_identity", &format!("{user} {id}"), actor)
    }
}

fn done(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.identities.done.lock().unwrap())
}

#[tokio::test]
async fn providers_are_told_to_everybody() {
    let world = World::new();
    let answer = world.send_as_it_is(get("/api/v1/providers"), Body::empty()).await.expect_of_hub(200);
    assert_eq!(answer.json()["items"], json!([{ "name": "acme", "label": "Acme" }]));
}

#[tokio::test]
async fn a_browser_is_sent_to_the_provider_and_keeps_what_it_began_with() {
    let world = World::new();
    let request = get("/api/v1/providers/acme/login?return_to=/repositories%3Fx=1");
    let answer = world.send_as_it_is(request, Body::empty()).await.expect_of_hub(302);

    assert_eq!(answer.header("location"), "https://id.example.com/auth?state=s");
    let cookie = "bucket_flow=sealed-flow; Path=/api/v1/providers; Max-Age=600; HttpOnly; SameSite=Lax";
    assert_eq!(answer.header("set-cookie"), cookie);
    let back = "http://hub.test:9911/api/v1/providers/acme/callback";
    assert_eq!(done(&world), [format!("begin acme SignIn {back} /repositories?x=1")]);
}

#[tokio::test]
async fn where_clients_come_over_https_so_do_cookies() {
    let external_url = Some("https://hub.example.com".parse().unwrap());
    let world = World::with(&Config { external_url, ..Config::default() });
    let request = get("/api/v1/providers/acme/login");
    let answer = world.send_as_it_is(request, Body::empty()).await.expect_of_hub(302);
    assert!(answer.header("set-cookie").ends_with("; SameSite=Lax; Secure"));
    let back = "https://hub.example.com/api/v1/providers/acme/callback";
    assert_eq!(done(&world), [format!("begin acme SignIn {back} /")]);
}

#[rstest]
#[case("/api/v1/providers/acme/login?return_to=https://eve.example.com", "parameter-invalid")]
#[case("/api/v1/providers/acme/login?return_to=//eve.example.com", "parameter-invalid")]
#[case("/api/v1/providers/acme/login?return_to=/%5Ceve.example.com", "parameter-invalid")]
#[case("/api/v1/providers/acme/login?return_to=/a&return_to=/b", "parameter-invalid")]
#[case("/api/v1/providers/acme/callback?state=a&state=b", "parameter-invalid")]
#[case("/api/v1/providers/Acme/login", "path-invalid")]
#[tokio::test]
async fn no_browser_is_sent_elsewhere(#[case] path: &str, #[case] kind: &str) {
    let world = World::new();
    let answer = world.send_as_it_is(get(path), Body::empty()).await.expect_problem(400, kind);
    assert_eq!((answer.header("location"), answer.header("set-cookie")), ("", ""));
    assert!(done(&world).is_empty());
}

#[tokio::test]
async fn who_comes_back_is_answered_a_session_once_and_forgets_the_way() {
    let world = World::new();
    let request = get("/api/v1/providers/acme/callback?code=c%2B1&state=s&iss=https://id.example.com")
        .header(header::COOKIE, "other=1; bucket_flow=sealed-flow")
        .header(header::COOKIE, "more=2");
    let answer = world.send_as_it_is(request, Body::empty()).await.expect_of_hub(200);

    assert_eq!(
        answer.json(),
        json!({ "user": "ann", "return_to": "/x", "session": { "secret": SECRET, "expires": null } })
    );
    let forgotten = "bucket_flow=; Path=/api/v1/providers; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(answer.header("set-cookie"), forgotten);
    let expected =
        r#"finish acme "sealed-flow" "s" Ok("c+1") Some("https://id.example.com") Some(127.0.0.1)"#;
    assert_eq!(done(&world), [expected]);

    let linked = get("/api/v1/providers/acme/callback?code=c&state=link");
    let linked = world.send_as_it_is(linked, Body::empty()).await.expect_of_hub(200);
    assert_eq!(linked.json(), json!({ "user": "ann", "return_to": "/x" }));
    let denied = get("/api/v1/providers/acme/callback?error=access_denied&state=s&code=c");
    let _ = world.send_as_it_is(denied, Body::empty()).await.expect_of_hub(200);
    let expected = r#"finish acme "" "s" Err("access_denied") None Some(127.0.0.1)"#;
    assert_eq!(done(&world)[1], expected, "who keeps nothing brings nothing");
}

#[rstest]
#[case(IdentityError::ProviderUnknown { provider: "acme".parse().unwrap() }, 404, "provider-unknown")]
#[case(IdentityError::FlowInvalid { why: "late".into() }, 400, "flow-invalid")]
#[case(IdentityError::ProviderRefused { provider: "acme".parse().unwrap(), why: "no".to_owned() }, 403, "provider-refused")]
#[case(IdentityError::LinkNeeded { provider: "acme".parse().unwrap(), why: "no".to_owned() }, 403, "link-needed")]
#[case(IdentityError::IdentityTaken, 409, "identity-taken")]
#[case(IdentityError::Unavailable { attempted: "asking".into() }, 503, "unavailable")]
#[tokio::test]
async fn what_a_provider_does_not_do_is_told(
    #[case] error: IdentityError,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let world = World::new();
    world.identities.faults.add("finish", When::Before, error);
    let request = get("/api/v1/providers/acme/callback?code=c&state=s");
    let _ = world.send_as_it_is(request, Body::empty()).await.expect_problem(status, kind);
}

#[tokio::test]
async fn identities_are_seen_linked_and_unlinked_by_their_user() {
    let world = World::new();
    let listed = world.ask("GET", "/user/identities", "").await.expect_of_hub(200).json();
    let id = identity().identity.id().to_string();
    assert_eq!(listed["items"][0]["id"], id);
    assert_eq!(listed["items"][0]["subject"], "248289761001");

    let body = r#"{"provider":"acme","return_to":"/settings","password":"of ann"}"#;
    let answer = world.ask("POST", "/user/identities", body).await.expect_of_hub(200);
    assert_eq!(answer.json(), json!({ "url": "https://id.example.com/auth?state=s" }));
    assert!(answer.header("set-cookie").starts_with("bucket_flow=sealed-flow; "));
    let back = "http://hub.test:9911/api/v1/providers/acme/callback";
    assert_eq!(done(&world), [format!("begin acme {:?} {back} /settings of ann", FlowPurpose::Link)]);
    let bad = world.ask("POST", "/user/identities", r#"{"provider":"acme","return_to":"//x"}"#).await;
    assert_eq!(bad.expect_problem(422, "field-invalid").json()["field"], "return_to");

    let path = format!("/user/identities/{id}");
    let _ = world.ask("DELETE", &path, "").await.expect_of_hub(204);
    assert_eq!(*world.accounts.done.lock().unwrap(), [format!("unlink_identity ann {id} by ann")]);
    let unknown = AccountError::IdentityUnknown { id: id.parse().unwrap() };
    world.accounts.faults.add("unlink_identity", When::Before, unknown);
    let _ = world.ask("DELETE", &path, "").await.expect_of_hub(204);
    let last = AccountError::LastWayIn { user: "ann".parse().unwrap() };
    world.accounts.faults.add("unlink_identity", When::Before, last);
    let _ = world.ask("DELETE", &path, "").await.expect_problem(409, "last-way-in");
    let _ = world.ask("DELETE", "/user/identities/00", "").await.expect_problem(400, "path-invalid");
}

const TRUST: &str = r#"{"name":"ci","issuer":"https://ci.example.com","audience":"hub","actions":["pull"],
    "claims":{"sub":"repo:acme/*"}}"#;

#[tokio::test]
async fn a_trust_is_a_robot_without_a_secret() {
    let world = World::new();
    let answer = world.ask("POST", "/namespaces/devs/trusts", TRUST).await.expect_of_hub(201);
    assert_eq!(answer.header("location"), format!("/api/v1/namespaces/devs/trusts/{ID}"));
    let made = answer.json();
    assert_eq!((&made["name"], &made["issuer"]), (&json!("devs+ci"), &json!("https://ci.example.com")));
    assert_eq!(made["claims"], json!({ "sub": "repo:acme/*" }));
    assert!(made.get("secret").is_none());
    assert_eq!(done(&world), [r#"trust devs+ci "ci" https://ci.example.com hub {Pull}"#]);

    let robot = || credential(Holder::Robot("devs+ci".parse().unwrap()));
    let trust = json!({ "issuer": "https://ci.example.com", "audience": "hub", "claims": { "sub": "x" } });
    let trusted = Credential { trust: serde_json::from_value(trust).unwrap(), ..robot() };
    *world.accounts.kept.lock().unwrap() = vec![robot(), trusted];
    for (path, listed) in [("robots", "issuer"), ("trusts", "secret")] {
        let items = world.ask("GET", &format!("/namespaces/devs/{path}"), "").await.expect_of_hub(200).json();
        assert_eq!(items["items"].as_array().unwrap().len(), 1, "{path}");
        assert!(items["items"][0].get(listed).is_none(), "{path}");
    }
    let path = format!("/namespaces/devs/trusts/{ID}");
    let _ = world.ask("DELETE", &path, "").await.expect_of_hub(204);
}

#[rstest]
#[case(json!({ "issuer": "http://ci.example.com" }), "issuer")]
#[case(json!({ "issuer": "ci" }), "issuer")]
#[case(json!({ "audience": "" }), "audience")]
#[case(json!({ "claims": {} }), "claims")]
#[case(json!({ "claims": { "sub": "*" } }), "claims.sub")]
#[case(json!({ "claims": { "iss": "x" } }), "claims")]
#[case(json!({ "claims": { "sub": 5 } }), "claims.sub")]
#[case(json!({ "name": "A" }), "name")]
#[case(json!({ "actions": [] }), "actions")]
#[case(json!({ "expires": null }), "expires")]
#[tokio::test]
async fn a_trust_that_takes_too_much_says_where(#[case] change: serde_json::Value, #[case] field: &str) {
    let world = World::new();
    let mut body: serde_json::Value = serde_json::from_str(TRUST).unwrap();
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let answer = world.ask("POST", "/namespaces/devs/trusts", &body.to_string()).await;
    let problem = answer.expect_problem(422, "field-invalid").json();
    assert_eq!(problem["field"], field, "{problem}");
    assert!(done(&world).is_empty());
}

#[tokio::test]
async fn a_workload_exchanges_its_token_without_another_login() {
    let world = World::new();
    let send = async || {
        let request = post("/api/v1/token-exchanges").header(header::CONTENT_TYPE, "application/json");
        world.send_as_it_is(request, r#"{"robot":"devs+ci","token":"a.b.c"}"#).await
    };
    let answer = send().await.expect_of_hub(200);
    assert_eq!(
        answer.json(),
        json!({ "username": "devs+ci", "secret": SECRET, "expires": "1970-01-01T00:00:00Z" })
    );
    assert_eq!(done(&world), ["exchange devs+ci a.b.c Some(127.0.0.1)"]);

    let refused = IdentityError::WorkloadRefused { why: "it has expired".into() };
    world.identities.faults.add("exchange", When::Before, refused);
    let refused = send().await.expect_problem(401, "workload-refused");
    assert!(refused.json()["detail"].as_str().unwrap().contains("it has expired"));
    assert!(!String::from_utf8_lossy(refused.body()).contains("a.b.c"));
}
