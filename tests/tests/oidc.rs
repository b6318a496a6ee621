//! OpenID Connect with a real provider: people sign in and link identities with a browser, workloads log docker in with
//! their own tokens and no stored secret.

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Topology,
    api::Api,
    docker::Docker,
    hub::{Federation, Options},
    image,
    provider::{Browser, Provider},
    raw::{Answer, read},
    tree,
};

const AUDIENCE: &str = "https://hub.example.com";

fn hub(topology: Topology) -> Hub {
    let issuer = Provider::issuer();
    let client =
        format!("issuer = \"{issuer}\"\nclient_id = \"hub\"\nclient_secret = \"the secret of the hub\"\n");
    let acme = format!("name = \"acme\"\nlabel = \"Acme\"\nsign_up = \"create\"\n{client}");
    let corp = format!(
        "name = \"corp\"\nscopes = [\"profile\", \"groups\"]\nrequired_claims = {{ groups = \"devs\" }}\n{client}"
    );
    let federation = Federation {
        providers: vec![acme, corp],
        workload_issuers: vec![format!("issuer = \"{issuer}\"\n")],
    };
    Hub::start_with(topology, Options { federation, ..Options::default() })
}

fn login(hub: &Hub, provider: &str) -> String {
    format!("http://{}/api/v1/providers/{provider}/login?return_to=/repositories", hub.registry())
}

/// Signs in with a browser.
async fn sign_in(hub: &Hub, browser: &mut Browser, provider: &str, who: &str) -> Answer {
    let back = browser.sign_in_at(&login(hub, provider), who).await;
    browser.load(&back).await
}

fn session(hub: &Hub, answer: &Value) -> Api {
    let secret = answer["session"]["secret"].as_str().unwrap();
    assert!(secret.starts_with("bucket_session_"), "{answer}");
    Api::administrator(hub).as_somebody(answer["user"].as_str().unwrap(), secret)
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn the_first_sign_in_makes_a_user_and_the_next_finds_it(#[case] topology: Topology) {
    let _provider = Provider::start();
    let hub = hub(topology);
    let listed = read(hub.raw().anonymous(Method::GET, "/api/v1/providers").send().await.unwrap()).await;
    assert_eq!(listed.expect(200).json()["items"][0], json!({ "name": "acme", "label": "Acme" }));

    let mut browser = Browser::new();
    let first = sign_in(&hub, &mut browser, "acme", "17.Ann").await.expect(200);
    assert_eq!(first.header("cache-control"), "no-store");
    let first = first.json();
    assert_eq!((&first["user"], &first["return_to"]), (&json!("ann"), &json!("/repositories")));
    assert_eq!(browser.cookie("bucket_flow"), None, "it is forgotten");
    let ann = session(&hub, &first);
    assert_eq!(ann.get("/user").await.expect(200).json()["name"], "ann");

    let second = sign_in(&hub, &mut Browser::new(), "acme", "17.Bob").await.expect(200).json();
    assert_eq!(second["user"], "ann", "its subject is who it is");
    let third = sign_in(&hub, &mut Browser::new(), "acme", "18.bob").await.expect(200).json();
    assert_eq!(third["user"], "bob");

    // Without a password docker logs in with an access token, and with no guess.
    let token = ann.post("/tokens", json!({ "label": "laptop", "actions": ["pull", "push"] })).await;
    let token = token.expect(201).json()["secret"].as_str().unwrap().to_owned();
    let docker = Docker::start();
    docker.login(&hub.registry(), "ann", &token);
    docker.refused(&["login", "-u", "ann", "-p", "!", &hub.registry()]);
}

#[tokio::test]
async fn a_sign_in_is_finished_in_the_browser_that_began_it_and_once() {
    let _provider = Provider::start();
    let hub = hub(Topology::OneProcess);
    let (mut ann, mut eve) = (Browser::new(), Browser::new());
    let back = ann.sign_in_at(&login(&hub, "acme"), "17.ann").await;

    // Who gets hold of the address cannot use it, whether they have begun a way of their own or not.
    let refused = eve.load(&back).await.expect(400).json();
    assert_eq!(refused["type"], "urn:bucket:problem:flow-invalid");
    let _ = eve.load(&login(&hub, "acme")).await.expect(302);
    let _ = eve.load(&back).await.expect(400);
    // Nor is a victim signed in as somebody else by an address with another's code.
    let eves = eve.sign_in_at(&login(&hub, "acme"), "66.eve").await;
    let _ = ann.load(&eves).await.expect(400);

    let kept = ann.cookie("bucket_flow").unwrap().to_owned();
    let changed = format!("{}x{}", &kept[..40], &kept[41..]);
    ann.take_cookie("bucket_flow", &changed);
    let _ = ann.load(&back).await.expect(400);
    ann.take_cookie("bucket_flow", &kept);
    let state = back.replace("state=", "state=x");
    let _ = ann.load(&state).await.expect(400);
    let _ = ann.load(&back).await.expect(200);

    // With the cookie again: the provider takes no code twice.
    ann.take_cookie("bucket_flow", &kept);
    let again = ann.load(&back).await.expect(403).json();
    assert_eq!(again["type"], "urn:bucket:problem:provider-refused");

    // A code of one way in another: the provider compares what only its own browser's hub knows.
    let code = |url: &str| url.split(['?', '&']).find(|pair| pair.starts_with("code=")).unwrap().to_owned();
    let mut bob = Browser::new();
    let bobs = bob.sign_in_at(&login(&hub, "acme"), "18.bob").await;
    let eves = eve.sign_in_at(&login(&hub, "acme"), "66.eve").await;
    let mixed = eves.replace(&code(&eves), &code(&bobs));
    let _ = eve.load(&mixed).await.expect(403);
    let _ = bob.load(&login(&hub, "nobody")).await.expect(404);
    let elsewhere = login(&hub, "acme").replace("/repositories", "//eve.example.com");
    let _ = bob.load(&elsewhere).await.expect(400);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_name_that_somebody_has_is_linked_and_not_taken_over(#[case] topology: Topology) {
    let _provider = Provider::start();
    let hub = hub(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let taken = sign_in(&hub, &mut Browser::new(), "acme", "17.ann").await.expect(403).json();
    assert_eq!(taken["type"], "urn:bucket:problem:link-needed");
    assert!(taken["detail"].as_str().unwrap().contains("link the identity"), "{taken}");
    let none_made = sign_in(&hub, &mut Browser::new(), "corp", "17.new.devs").await.expect(403).json();
    assert_eq!(none_made["type"], "urn:bucket:problem:link-needed");

    let begun = ann.post("/sessions", json!({})).await.expect(201).json();
    let password = ann.secret().to_owned();
    let ann = ann.as_somebody("ann", begun["secret"].as_str().unwrap());
    let mut browser = Browser::new();
    let link = async |api: &Api, browser: &mut Browser, who: &str| {
        let wanted = json!({ "provider": "corp", "return_to": "/me", "password": password });
        let begun = api.post("/user/identities", wanted).await;
        browser.keep_from(&begun);
        let url = begun.expect(200).json()["url"].as_str().unwrap().to_owned();
        let back = browser.sign_in_at(&url, who).await;
        browser.load(&back).await
    };
    let wanted = json!({ "provider": "corp", "password": "not hers at all" });
    let _ = ann.post("/user/identities", wanted).await.expect(401);
    let outsider = link(&ann, &mut Browser::new(), "17.ann.ops").await.expect(403).json();
    assert_eq!(outsider["type"], "urn:bucket:problem:provider-refused");
    let linked = link(&ann, &mut browser, "17.ann.devs").await.expect(200).json();
    assert_eq!(linked, json!({ "user": "ann", "return_to": "/me" }));

    // The one issuer has one word for her, through whichever provider it is asked.
    for provider in ["acme", "corp"] {
        let found = sign_in(&hub, &mut Browser::new(), provider, "17.ann.devs").await.expect(200).json();
        assert_eq!(found["user"], "ann");
    }
    let bob = sign_in(&hub, &mut Browser::new(), "acme", "18.bob").await.expect(200).json();
    let bob = session(&hub, &bob);
    let taken = link(&bob, &mut Browser::new(), "17.ann.devs").await.expect(409).json();
    assert_eq!(taken["type"], "urn:bucket:problem:identity-taken");

    let listed = ann.get("/user/identities").await.expect(200).json();
    assert_eq!(listed["items"][0]["subject"], "17");
    let id = listed["items"][0]["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/user/identities/{id}")).await.expect(204);
    let gone = sign_in(&hub, &mut Browser::new(), "acme", "17.ann").await.expect(403).json();
    assert_eq!(gone["type"], "urn:bucket:problem:link-needed");
    let bobs = bob.get("/user/identities").await.expect(200).json();
    let last = format!("/user/identities/{}", bobs["items"][0]["id"].as_str().unwrap());
    let last = bob.delete(&last).await.expect(409).json();
    assert_eq!(last["type"], "urn:bucket:problem:last-way-in", "bob has no password");
}

#[tokio::test]
async fn a_disabled_user_stays_out_and_an_absent_provider_is_told_of() {
    let mut provider = Provider::start();
    let hub = hub(Topology::OneProcess);
    let first = sign_in(&hub, &mut Browser::new(), "acme", "17.ann").await.expect(200).json();
    let ann = session(&hub, &first);
    let disabled = json!({ "standing": "disabled" });
    let _ = Api::administrator(&hub).patch("/users/ann", disabled).await.expect(204);

    let out = sign_in(&hub, &mut Browser::new(), "acme", "17.ann").await.expect(403).json();
    assert_eq!(out["type"], "urn:bucket:problem:forbidden");
    let _ = ann.get("/user").await.expect(401);

    let mut browser = Browser::new();
    let back = browser.sign_in_at(&login(&hub, "acme"), "18.bob").await;
    provider.kill();
    let absent = browser.load(&back).await.expect(503);
    assert!(!absent.header("retry-after").is_empty());
    hub.raw().push_image("library/base", "v1", &image::noise(1, 1_000)).await;
}

async fn exchange(hub: &Hub, robot: &str, token: &str) -> Answer {
    let request = hub.raw().anonymous(Method::POST, "/api/v1/token-exchanges");
    let request = request.json(&json!({ "robot": robot, "token": token }));
    read(request.send().await.unwrap()).await
}

fn trust() -> Value {
    json!({
        "name": "deploy", "issuer": Provider::issuer(), "audience": AUDIENCE,
        "claims": { "client_id": "build-*", "scope": "push" },
        "repositories": ["acme/app"], "actions": ["pull", "push"],
    })
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_workload_pushes_with_docker_by_its_own_token(#[case] topology: Topology) {
    let provider = Provider::start();
    let hub = hub(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let made = ann.post("/namespaces/acme/trusts", trust()).await.expect(201).json();
    assert_eq!((&made["name"], made.get("secret")), (&json!("acme+deploy"), None));

    let token = provider.workload_token(AUDIENCE).await;
    let given = exchange(&hub, "acme+deploy", &token).await.expect(200);
    assert_eq!(given.header("cache-control"), "no-store");
    let given = given.json();
    let (user, secret) = (given["username"].as_str().unwrap(), given["secret"].as_str().unwrap());

    let (docker, registry) = (Docker::start(), hub.registry());
    let files = docker.scratch("files");
    tree::fill(&files, 7);
    let app = format!("{registry}/acme/app:v1");
    docker.import(&files, &app);
    docker.login(&registry, user, secret);
    docker.run(&["push", &app]);
    let other = format!("{registry}/acme/other:v1");
    docker.run(&["tag", &app, &other]);
    docker.refused(&["push", &other]);
    docker.forget_images();
    docker.run(&["pull", &app]);

    // With the trust all that was given for it ends.
    let robot = ann.as_somebody(user, secret);
    let scope = "repository:acme/app:pull";
    let before = robot.token(scope).await.expect(200).json()["token"].as_str().unwrap().to_owned();
    let listed = ann.get("/namespaces/acme/trusts").await.expect(200).json();
    assert_eq!(listed["items"][0]["id"], made["id"]);
    let id = made["id"].as_str().unwrap();
    let _ = ann.delete(&format!("/namespaces/acme/trusts/{id}")).await.expect(204);
    let _ = robot.token(scope).await.expect(401);
    let _ = exchange(&hub, "acme+deploy", &token).await.expect(401);
    ends(&hub, &before).await;
}

/// Waits until a token that was given before is refused, as it is within seconds.
async fn ends(hub: &Hub, token: &str) {
    let began = std::time::Instant::now();
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        let request = hub.raw().anonymous(Method::GET, "/v2/acme/app/tags/list").bearer_auth(token);
        if read(request.send().await.unwrap()).await.status == 401 {
            return;
        }
        assert!(began.elapsed().as_secs() < 20, "the token goes on");
        pause.tick().await;
    }
}

#[tokio::test]
async fn a_token_that_no_trust_is_about_is_worth_nothing() {
    let provider = Provider::start();
    let hub = hub(Topology::OneProcess);
    let ann = Api::new_user(&hub, "ann").await;
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let _ = ann.post("/namespaces/acme/trusts", trust()).await.expect(201);
    let other = json!({ "client_id": "build-18" });
    let mut other_claim = trust();
    (other_claim["name"], other_claim["claims"]) = ("other".into(), other);
    let _ = ann.post("/namespaces/acme/trusts", other_claim).await.expect(201);
    let mut foreign = trust();
    (foreign["name"], foreign["issuer"]) = ("foreign".into(), "https://ci.example.com".into());
    let refused = ann.post("/namespaces/acme/trusts", foreign).await.expect(422).json();
    assert!(refused["detail"].as_str().unwrap().contains("workload_issuers"), "{refused}");

    let good = provider.workload_token(AUDIENCE).await;
    let _ = exchange(&hub, "acme+deploy", &good).await.expect(200);
    let elsewhere = provider.workload_token("https://elsewhere.example.com").await;
    let parts: Vec<&str> = good.split('.').collect();
    // {"alg":"none"}, and the claims as they are; and a signature with one character changed.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let mut signature = parts[2].to_owned();
    signature.replace_range(10..11, if &signature[10..11] == "A" { "B" } else { "A" });
    let forged = format!("{}.{}.{signature}", parts[0], parts[1]);
    // {"alg":"RS256","kid":"x"}.{"iss":"https://ci.example.com"}
    let stranger = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJodHRwczovL2NpLmV4YW1wbGUuY29tIn0.AAAA";
    for (robot, token) in [
        ("acme+deploy", elsewhere.as_str()),
        ("acme+other", &good),
        ("acme+nobody", &good),
        ("nobody+deploy", &good),
        ("acme+deploy", &none),
        ("acme+deploy", &forged),
        ("acme+deploy", stranger),
        ("acme+deploy", "no token"),
    ] {
        let refused = exchange(&hub, robot, token).await.expect(401).json();
        assert_eq!(refused["type"], "urn:bucket:problem:workload-refused", "{robot} {token}");
    }
    // A token of a workload is no password, nor a bearer of this API.
    let _ = ann.as_somebody("acme+deploy", &good).token("repository:acme/app:pull").await.expect(401);
}
