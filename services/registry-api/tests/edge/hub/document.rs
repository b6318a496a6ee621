//! The `OpenAPI` document: that it says everything, and that what it says is so.

use axum::body::Body;
use http::Method;
use serde_json::Value;

use crate::world::{World, get, on};

async fn document() -> Value {
    let world = World::new();
    let answer = world.send_as_it_is(get("/api/v1/openapi.json"), Body::empty()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    answer.json()
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        let of_path = item.as_object().unwrap().iter();
        all.extend(of_path.map(|(method, said)| (path.as_str(), method.as_str(), said)));
    }
    all
}

/// All there is under `/api/v1`.
const SERVED: [&str; 77] = [
    "delete /invitations/{id}",
    "delete /namespaces/{namespace}/quota",
    "delete /namespaces/{namespace}/robots/{id}",
    "delete /namespaces/{namespace}/trusts/{id}",
    "delete /organizations/{name}/avatar",
    "delete /organizations/{name}/invitations/{id}",
    "delete /organizations/{name}/members/{user}",
    "delete /organizations/{name}/teams/{team}",
    "delete /organizations/{name}/teams/{team}/members/{user}",
    "delete /repositories/{namespace}/{repository}",
    "delete /repositories/{namespace}/{repository}/grants/{grantee}",
    "delete /repositories/{namespace}/{repository}/tags/{tag}",
    "delete /sessions/current",
    "delete /sessions/{id}",
    "delete /tokens/{id}",
    "delete /user/identities/{id}",
    "delete /users/{name}/avatar",
    "delete /users/{name}/second-factor",
    "get /audit",
    "get /invitations",
    "get /namespaces/{namespace}/audit",
    "get /namespaces/{namespace}/quota",
    "get /namespaces/{namespace}/robots",
    "get /namespaces/{namespace}/trusts",
    "get /openapi.json",
    "get /organizations",
    "get /organizations/{name}",
    "get /organizations/{name}/avatar",
    "get /organizations/{name}/invitations",
    "get /organizations/{name}/members",
    "get /organizations/{name}/teams",
    "get /organizations/{name}/teams/{team}/members",
    "get /providers",
    "get /providers/{name}/callback",
    "get /providers/{name}/login",
    "get /repositories",
    "get /repositories/{namespace}/{repository}",
    "get /repositories/{namespace}/{repository}/grants",
    "get /repositories/{namespace}/{repository}/tags",
    "get /sessions",
    "get /tokens",
    "get /user",
    "get /user/identities",
    "get /user/second-factor",
    "get /users",
    "get /users/{name}",
    "get /users/{name}/avatar",
    "patch /organizations/{name}",
    "patch /repositories/{namespace}/{repository}",
    "patch /users/{name}",
    "post /email/verifications",
    "post /invitations",
    "post /namespaces/{namespace}/robots",
    "post /namespaces/{namespace}/trusts",
    "post /organizations",
    "post /organizations/{name}/invitations",
    "post /password-resets",
    "post /password-resets/redemptions",
    "post /repositories",
    "post /repositories/{namespace}/{repository}/move",
    "post /sessions",
    "post /token-exchanges",
    "post /tokens",
    "post /user/email/verification",
    "post /user/identities",
    "post /user/second-factor",
    "post /user/second-factor/removal",
    "post /users",
    "put /namespaces/{namespace}/quota",
    "put /organizations/{name}/avatar",
    "put /organizations/{name}/members/{user}",
    "put /organizations/{name}/teams/{team}",
    "put /organizations/{name}/teams/{team}/members/{user}",
    "put /repositories/{namespace}/{repository}/grants/{grantee}",
    "put /user/second-factor",
    "put /users/{name}/avatar",
    "put /users/{name}/password",
];

#[tokio::test]
async fn every_operation_is_described_and_no_other() {
    let document = document().await;
    let mut found: Vec<String> = operations(&document)
        .iter()
        .map(|(path, method, _)| format!("{method} {}", path.strip_prefix("/api/v1").unwrap()))
        .collect();
    found.sort();
    assert_eq!(found, SERVED);
}

/// A method is on a path if the path says so in `Allow`: what is routed but not described would show here.
#[tokio::test]
async fn what_is_routed_is_what_is_described() {
    let document = document().await;
    let world = World::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", crate::accounts::ID).replace(['{', '}'], "");
        let answer = world.send_as_it_is(on(Method::TRACE, &path), Body::empty()).await;
        let answer = answer.expect_problem(405, "method-not-allowed");
        let allowed = answer.header("allow").split(',').filter(|method| *method != "HEAD");
        let mut allowed: Vec<String> = allowed.map(str::to_lowercase).collect();
        allowed.sort();
        let mut described: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        described.sort();
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test]
async fn every_operation_says_what_it_takes_and_answers() {
    let document = document().await;
    let mut ids = Vec::new();
    for (path, method, said) in operations(&document) {
        let at = format!("{method} {path}");
        ids.push(said["operationId"].as_str().unwrap());
        assert!(said["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{at}");
        assert_eq!(said["tags"].as_array().unwrap().len(), 1, "{at}");

        for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
            let parameters = said["parameters"].as_array().unwrap();
            let described = parameters.iter().find(|parameter| parameter["name"] == name).expect(&at);
            assert_eq!((&described["in"], &described["required"]), (&"path".into(), &true.into()), "{at}");
        }
        if path.ends_with("openapi.json") {
            continue;
        }
        let mut expected = vec!["400", "401", "403", "404", "429", "500", "503"];
        if said.get("requestBody").is_some() {
            // Nothing needs to be said besides to sign in.
            let required = said["requestBody"]["required"] == true;
            assert_eq!(required, !path.ends_with("/sessions"), "{at}");
            expected.extend(["413", "415", "422"]);
        }
        for status in expected {
            let content = &said["responses"][status]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{at} {status}");
        }
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "two operations have one id");
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_to_a_schema() {
    let document = document().await;
    let mut found = Vec::new();
    references(&document, &mut found);
    found.sort_unstable();
    found.dedup();
    assert!(found.len() > 30, "{found:?}");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let there: Vec<String> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    for reference in &found {
        assert!(there.iter().any(|schema| schema == reference), "{reference} leads nowhere");
    }
}

/// The document repeats grammars that the domain types read: both say the same of these.
#[tokio::test]
async fn names_are_described_as_they_are_read() {
    let document = document().await;
    let world = World::new();
    let long = "x".repeat(65);
    let texts = [
        "a",
        "a1.b_c__d--e",
        "team/app",
        "a/b/c",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "A",
        "a b",
        "",
        "team/*",
        "team/a-*",
        "team/a*",
        "te*m/x",
        "team*",
        "*",
        "a/",
        "team/a..*",
        "team/a__*",
        "team:core",
        "/",
        "/a?b=c#d",
        "//a",
        "/\\a",
        "/a b",
        "a-b",
        "team:",
        "_",
        "v1.0-x",
        ".x",
        long.as_str(),
    ];
    let read = [
        ("AccountName", "POST", "/users", r#"{"password":"good-password","name":TEXT}"#),
        ("NamespaceName", "POST", "/organizations", r#"{"name":TEXT}"#),
        ("RobotLabel", "POST", "/namespaces/devs/robots", r#"{"actions":["pull"],"name":TEXT}"#),
        ("FullRepositoryName", "POST", "/repositories", r#"{"name":TEXT}"#),
        ("ProviderName", "POST", "/user/identities", r#"{"provider":TEXT}"#),
        ("ReturnPath", "POST", "/user/identities", r#"{"provider":"acme","return_to":TEXT}"#),
        ("Pattern", "POST", "/tokens", r#"{"label":"x","actions":["pull"],"repositories":[TEXT]}"#),
    ];
    for (schema, method, path, body) in read {
        let schema = &document["components"]["schemas"][schema];
        let pattern = regex::Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
        let longest = usize::try_from(schema["maxLength"].as_u64().unwrap()).unwrap();
        for text in texts {
            let described = pattern.is_match(text) && text.len() <= longest && !text.is_empty();
            let body = body.replace("TEXT", &Value::from(text).to_string());
            let answer = world.ask(method, path, &body).await;
            assert_eq!(answer.status.is_success(), described, "{path} {text:?}: {answer:?}");
        }
    }
}
