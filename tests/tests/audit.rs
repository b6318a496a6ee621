//! The audit log: who did what, to what and from where, through every door; who sees which; and how long it gets.
//! Members who leave, and robots of whoever is let in no more.

use oci::Digest;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Topology,
    api::Api,
    hub::Options,
    image,
    raw::{Answer, read},
};

/// Where somebody else is, as a proxy on this machine says it.
const ELSEWHERE: &str = "203.0.113.9";

async fn entries(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200).json()["items"].as_array().unwrap().clone()
}

/// What was done, the oldest first.
async fn actions(api: &Api, path: &str) -> Vec<String> {
    let entries = entries(api, path).await;
    entries.iter().rev().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

/// Ann's organization `acme` with bob in it, who is in no team; and cid, who is a stranger.
async fn acme(hub: &Hub) -> [Api; 3] {
    let (ann, bob) = (Api::new_user(hub, "ann").await, Api::new_user(hub, "bob").await);
    let cid = Api::new_user(hub, "cid").await;
    let _ = ann.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let _ = ann.put("/organizations/acme/members/bob", json!({ "role": "member" })).await.expect(204);
    [ann, bob, cid]
}

async fn answered(request: RequestBuilder) -> Answer {
    read(request.send().await.unwrap()).await
}

/// A request of the management API that comes from elsewhere, with a secret.
async fn from_elsewhere(hub: &Hub, method: Method, path: &str, secret: &str, body: Value) -> Answer {
    let request = hub.raw().anonymous(method, &format!("/api/v1{path}"));
    answered(request.header("x-forwarded-for", ELSEWHERE).bearer_auth(secret).json(&body)).await
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn it_says_who_did_what_from_where_and_by_which_secret(#[case] topology: Topology) {
    let mut hub = Hub::start(topology);
    let [ann, _, _] = acme(&hub).await;
    let wanted = json!({ "label": "terraform", "actions": ["pull", "push", "delete", "manage"] });
    let token = ann.post("/tokens", wanted).await.expect(201).json();
    let (secret, id) = (token["secret"].as_str().unwrap(), &token["id"]);
    let team = json!({ "description": "" });
    let _ =
        from_elsewhere(&hub, Method::PUT, "/organizations/acme/teams/devs", secret, team).await.expect(204);

    let made = entries(&ann, "/namespaces/acme/audit").await.remove(0);
    assert_eq!(made["action"], "team.put");
    let actor = json!({ "name": "ann", "via": "api", "address": ELSEWHERE, "credential": id });
    assert_eq!(made["actor"], actor);
    assert_eq!(made["target"], json!({ "namespace": "acme", "team": "devs" }));
    assert_eq!(
        actions(&ann, "/namespaces/acme/audit").await,
        ["organization.create", "member.put", "team.put"]
    );

    let own = entries(&ann, "/namespaces/ann/audit").await;
    assert_eq!((&own[0]["action"], &own[0]["actor"]["credential"]), (&json!("token.create"), &Value::Null));
    let target = json!({ "namespace": "ann", "user": "ann", "credential": id, "label": "terraform" });
    assert_eq!(own[0]["target"], target);
    assert_eq!((&own[1]["action"], &own[1]["actor"]["name"]), (&json!("user.create"), &json!("admin")));
    let all = ann.get("/namespaces/ann/audit").await.expect(200).body;
    assert!(!String::from_utf8_lossy(&all).contains(secret), "a secret is in the log");

    // What was acknowledged is there, whatever becomes of the processes.
    hub.restart();
    let ann = Api::administrator(&hub).as_somebody(ann.user(), ann.secret());
    assert_eq!(
        actions(&ann, "/namespaces/acme/audit").await,
        ["organization.create", "member.put", "team.put"]
    );
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn what_is_deleted_through_the_registry_is_in_it_and_what_is_pushed_is_not(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let [ann, _, _] = acme(&hub).await;
    let manifest = hub.raw().push_image("acme/app", "v1", &image::noise(3, 1_000)).await;
    hub.raw().push_image("acme/app", "v2", &image::noise(3, 1_000)).await;
    let digest: Digest = image::digest(&manifest);

    let token = ann.token("repository:acme/app:pull,push,delete").await.expect(200).json();
    let delete = async |reference: &str| {
        let request = hub.raw().anonymous(Method::DELETE, &format!("/v2/acme/app/manifests/{reference}"));
        answered(request.bearer_auth(token["token"].as_str().unwrap())).await.expect(202)
    };
    let _ = delete("v1").await;
    let _ = delete(&digest.to_string()).await;
    hub.operator(&["restore", &format!("acme/app@{digest}")]).unwrap();
    let _ = ann.delete("/repositories/acme/app/tags/v2").await.expect(204);

    let found = entries(&ann, "/namespaces/acme/audit?n=5").await;
    let said: Vec<_> = found.iter().map(|entry| (&entry["action"], &entry["actor"]["via"])).collect();
    let [deleted, restored, whole, tag, made] =
        ["tag.delete", "manifest.restore", "manifest.delete", "tag.delete", "repository.create"]
            .map(Value::from);
    let [api, operator, registry] = ["api", "operator", "registry"].map(Value::from);
    let expected = [
        (&deleted, &api),
        (&restored, &operator),
        (&whole, &registry),
        (&tag, &registry),
        (&made, &registry),
    ];
    assert_eq!(said, expected);
    let of_tag =
        json!({ "namespace": "acme", "repository": "acme/app", "tag": "v1", "digest": digest.to_string() });
    assert_eq!((&found[3]["target"], &found[3]["actor"]["name"]), (&of_tag, &json!("ann")));
    assert_eq!(found[4]["actor"]["name"], "admin", "whose push made it");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn owners_see_theirs_administrators_all_and_others_nothing(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let [ann, bob, cid] = acme(&hub).await;
    let admin = Api::administrator(&hub);

    for (who, path, status) in [
        (&ann, "/namespaces/acme/audit", 200_u16),
        (&ann, "/namespaces/ann/audit", 200),
        (&ann, "/namespaces/bob/audit", 404),
        (&ann, "/audit", 403),
        (&bob, "/namespaces/acme/audit", 403),
        (&cid, "/namespaces/acme/audit", 404),
        (&cid, "/namespaces/nobody/audit", 404),
        (&admin, "/namespaces/acme/audit", 200),
        (&admin, "/namespaces/nobody/audit", 404),
        (&admin, "/audit", 200),
    ] {
        let answer = who.get(path).await;
        assert_eq!(answer.status, status, "{} at {path}: {answer:?}", who.user());
    }
    let nobody = hub.raw().anonymous(Method::GET, "/api/v1/audit");
    let _ = answered(nobody).await.expect(401);

    let reader = json!({ "label": "reader", "actions": ["pull", "push", "delete"] });
    let reader = ann.post("/tokens", reader).await.expect(201).json();
    let limited = ann.as_somebody("ann", reader["secret"].as_str().unwrap());
    let _ = limited.get("/namespaces/acme/audit").await.expect(403);
    let robot = json!({ "name": "ci", "label": "builds", "actions": ["pull"] });
    let robot = ann.post("/namespaces/acme/robots", robot).await.expect(201).json();
    let robot = ann.as_somebody("acme+ci", robot["secret"].as_str().unwrap());
    let _ = robot.get("/namespaces/acme/audit").await.expect(404);

    let of_admin = actions(&admin, "/audit?n=1000").await;
    for action in ["signing_key.create", "user.create", "organization.create", "member.put", "robot.create"] {
        assert!(of_admin.iter().any(|found| found == action), "{action} is not in {of_admin:?}");
    }
    let by_ann = entries(&admin, "/audit?actor=ann&action=member").await;
    assert_eq!(by_ann.len(), 1);
    assert_eq!(by_ann[0]["target"]["user"], "bob");
}

#[tokio::test]
async fn it_is_read_page_by_page_and_by_time() {
    let hub = Hub::start(Topology::OneProcess);
    let [ann, _, _] = acme(&hub).await;
    for number in 0..7 {
        let path = format!("/organizations/acme/teams/team-{number}");
        let _ = ann.put(&path, json!({ "description": "" })).await.expect(204);
    }

    let mut path = Some("/namespaces/acme/audit?action=team&n=3".to_owned());
    let mut teams = Vec::new();
    while let Some(next) = path {
        let answer = ann.get(&next).await.expect(200);
        let listed = answer.json();
        let items = listed["items"].as_array().unwrap();
        teams.extend(items.iter().map(|entry| entry["target"]["team"].as_str().unwrap().to_owned()));
        let link = answer.header("link").split(['<', '>']).nth(1);
        path = link.map(|link| link.strip_prefix("/api/v1").unwrap().to_owned());
        assert_eq!(path.is_none(), listed["next"].is_null());
    }
    assert_eq!(teams, (0..7).rev().map(|number| format!("team-{number}")).collect::<Vec<_>>());

    let all = entries(&ann, "/namespaces/acme/audit").await;
    let third = all[2]["time"].as_str().unwrap();
    let since = entries(&ann, &format!("/namespaces/acme/audit?since={third}")).await;
    let before = entries(&ann, &format!("/namespaces/acme/audit?before={third}")).await;
    assert_eq!(since.len() + before.len(), all.len());
    assert!(since.len() >= 3 && since.contains(&all[2]) && !before.contains(&all[2]));
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn operators_read_it_and_are_in_it(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let [ann, _, _] = acme(&hub).await;
    hub.operator(&["user", "disable", "ann"]).unwrap();

    let printed = hub.operator(&["audit", "--namespace", "ann", "--since", "1h", "--json"]).unwrap();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["action"], &lines[0]["via"]), (&json!("user.disable"), &json!("operator")));
    assert_eq!(lines.last().unwrap()["action"], "user.create");
    let printed = hub.operator(&["audit", "--action", "member.put", "--actor", ann.user()]).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.contains("acme user=bob to=member"), "{printed}");
    let unknown = hub.operator(&["audit", "--namespace", "nobody"]).unwrap_err();
    assert!(unknown.contains("nobody"), "{unknown}");
}

#[tokio::test]
async fn it_is_bounded_in_number() {
    let environment = vec![("BUCKET_AUDIT__ENTRIES".to_owned(), "128".to_owned())];
    let hub = Hub::start_with(Topology::OneProcess, Options { environment, ..Options::default() });
    let [ann, _, _] = acme(&hub).await;
    for _ in 0..900 {
        let _ = ann.patch("/organizations/acme", json!({ "display_name": "Acme" })).await.expect(204);
    }

    let left = entries(&ann, "/namespaces/acme/audit?n=1000").await;
    assert!(left.len() < 700, "{} entries of about 128", left.len());
    assert_eq!(left[0]["action"], "organization.describe");
    let first = actions(&ann, "/namespaces/acme/audit?action=organization.create").await;
    assert!(first.is_empty(), "the oldest went first");
    assert_eq!(actions(&ann, "/namespaces/ann/audit").await, ["user.create"], "others keep theirs");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn members_leave_by_themselves_and_the_last_owner_does_not(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let [ann, bob, cid] = acme(&hub).await;
    let _ = ann.put("/organizations/acme/members/cid", json!({ "role": "member" })).await.expect(204);

    let _ = bob.delete("/organizations/acme/members/cid").await.expect(403);
    let _ = bob.delete("/organizations/acme/members/bob").await.expect(204);
    let _ = bob.get("/organizations/acme/members").await.expect(404);
    let _ = bob.delete("/organizations/acme/members/bob").await.expect(404);
    let _ = ann.delete("/organizations/acme/members/ann").await.expect(409);
    let reader = json!({ "label": "reader", "actions": ["pull"] });
    let reader = cid.post("/tokens", reader).await.expect(201).json();
    let reader = cid.as_somebody("cid", reader["secret"].as_str().unwrap());
    let _ = reader.delete("/organizations/acme/members/cid").await.expect(403);

    let left = entries(&ann, "/namespaces/acme/audit").await.remove(0);
    assert_eq!((&left["action"], &left["actor"]["name"]), (&json!("member.remove"), &json!("bob")));
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn robots_of_a_disabled_user_are_let_in_no_more(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let robot = json!({ "name": "ci", "label": "builds", "actions": ["pull", "push"] });
    let robot = ann.post("/namespaces/ann/robots", robot).await.expect(201).json();
    let robot = ann.as_somebody("ann+ci", robot["secret"].as_str().unwrap());
    let _ = robot.token("repository:ann/app:pull,push").await.expect(200);

    let admin = Api::administrator(&hub);
    let _ = admin.patch("/users/ann", json!({ "standing": "disabled" })).await.expect(204);
    let _ = robot.token("repository:ann/app:pull,push").await.expect(401);
    let _ = admin.patch("/users/ann", json!({ "standing": "active" })).await.expect(204);
    let _ = robot.token("repository:ann/app:pull,push").await.expect(200);
}
