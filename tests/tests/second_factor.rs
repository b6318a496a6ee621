//! Second factors with real clients: what the password alone opens, what an access token opens, and the way back.

use std::time::{SystemTime, UNIX_EPOCH};

use rstest::rstest;
use serde_json::{Value, json};
use tests::{Hub, Topology, api::Api, docker::Docker};

/// The code of a time step: 0 is that of now, 1 the next one, which is good already.
fn code(secret: &str, step: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(now + 30 * step).to_string()
}

fn text(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap_or_else(|| panic!("no {field} in {document}")).to_owned()
}

/// Makes a second factor for somebody; answers its secret and the recovery codes.
async fn protect(api: &Api) -> (String, Vec<String>) {
    let started =
        api.post("/user/second-factor", json!({ "password": api.secret() })).await.expect(200).json();
    let secret = text(&started, "secret");
    assert!(text(&started, "url").starts_with("otpauth://totp/"), "{started}");
    let finished =
        api.put("/user/second-factor", json!({ "code": code(&secret, 0) })).await.expect(200).json();
    let codes = finished["recovery_codes"].as_array().unwrap().iter();
    (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}

fn kind(answer: &Value) -> &str {
    answer["type"].as_str().unwrap().strip_prefix("urn:bucket:problem:").unwrap()
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn docker_logs_in_with_an_access_token_and_not_with_the_password(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let docker = Docker::start();
    let registry = hub.registry();
    docker.login(&registry, "ann", ann.secret());
    let wanted = json!({ "label": "laptop", "actions": ["pull", "push"] });
    let token = text(&ann.post("/tokens", wanted).await.expect(201).json(), "secret");
    let _ = protect(&ann).await;

    let refused = docker.refused(&["login", "-u", "ann", "-p", ann.secret(), &registry]);
    assert!(refused.contains("second factor") && refused.contains("access token"), "{refused}");
    let refused = docker.refused(&["login", "-u", "ann", "-p", "wrong", &registry]);
    assert!(!refused.contains("second factor"), "{refused}");
    docker.login(&registry, "ann", &token);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn signing_in_takes_a_code_once(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let before = ann.post("/sessions", json!({})).await.expect(201).json();
    let before = ann.as_somebody("", &text(&before, "secret"));
    let (secret, recovery) = protect(&ann).await;

    let _ = before.get("/user").await.expect(401);
    assert_eq!(kind(&ann.get("/user").await.expect(401).json()), "access-token-needed");
    assert_eq!(kind(&ann.post("/sessions", json!({})).await.expect(401).json()), "second-factor-needed");
    let guess = ann.as_somebody("ann", "wrong");
    let right = json!({ "code": code(&secret, 1) });
    assert_eq!(kind(&guess.post("/sessions", right.clone()).await.expect(401).json()), "wrong-credentials");

    let session = ann.post("/sessions", right.clone()).await.expect(201).json();
    let session = ann.as_somebody("", &text(&session, "secret"));
    assert_eq!(kind(&ann.post("/sessions", right).await.expect(401).json()), "wrong-code");
    let user = session.get("/user").await.expect(200).json();
    assert_eq!(user["second_factor"], true);

    let by_recovery = json!({ "code": recovery[0] });
    let _ = ann.post("/sessions", by_recovery.clone()).await.expect(201);
    assert_eq!(kind(&ann.post("/sessions", by_recovery).await.expect(401).json()), "wrong-code");
    let left = session.get("/user/second-factor").await.expect(200).json();
    assert_eq!(left, json!({ "active": true, "recovery_codes": 9 }));

    let removal = json!({ "password": ann.secret(), "code": recovery[1] });
    let _ = session.post("/user/second-factor/removal", removal).await.expect(204);
    let _ = ann.get("/user").await.expect(200);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn who_has_lost_everything_is_helped(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (ann, bob) = (Api::new_user(&hub, "ann").await, Api::new_user(&hub, "bob").await);
    let (_, _) = (protect(&ann).await, protect(&bob).await);

    let said = hub.operator(&["user", "reset-second-factor", "ann"]).unwrap();
    assert!(said.contains("no second factor"), "{said}");
    let _ = ann.get("/user").await.expect(200);
    let _ = ann.delete("/users/bob/second-factor").await.expect(403);
    let _ = Api::administrator(&hub).delete("/users/bob/second-factor").await.expect(204);
    let _ = bob.get("/user").await.expect(200);
    let unknown = hub.operator(&["user", "reset-second-factor", "nobody"]).unwrap_err();
    assert!(unknown.contains("there is no user nobody"), "{unknown}");
}

#[tokio::test]
async fn a_second_factor_outlives_a_restart() {
    let mut hub = Hub::start(Topology::OneProcess);
    let ann = Api::new_user(&hub, "ann").await;
    let (secret, _) = protect(&ann).await;
    hub.restart();
    let ann = Api::administrator(&hub).as_somebody(ann.user(), ann.secret());
    let _ = ann.post("/sessions", json!({ "code": code(&secret, 1) })).await.expect(201);
}
