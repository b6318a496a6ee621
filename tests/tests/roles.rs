//! What each role may do with a private repository of an organization, as docker and skopeo find out.

use std::{collections::BTreeMap, fmt, path::Path};

use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Topology,
    api::Api,
    docker::Docker,
    image,
    raw::{ADMIN, PASSWORD},
    skopeo, tree,
};

const REPOSITORY: &str = "acme/app";

/// Somebody, and what the policy lets them do.
struct Somebody {
    is: &'static str,
    login: Option<(String, String)>,
    may: May,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Nothing,
    Pull,
    PullAndPush,
}

impl fmt::Debug for Somebody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.is)
    }
}

impl Somebody {
    fn named(is: &'static str, user: &str, secret: &str, may: May) -> Self {
        Self { is, login: Some((user.to_owned(), secret.to_owned())), may }
    }

    fn user(is: &'static str, api: &Api, may: May) -> Self {
        Self::named(is, api.user(), api.secret(), may)
    }

    fn made(is: &'static str, user: &str, credential: &Value, may: May) -> Self {
        Self::named(is, user, credential["secret"].as_str().unwrap(), may)
    }

    fn login(&self) -> Option<(&str, &str)> {
        self.login.as_ref().map(|(user, secret)| (user.as_str(), secret.as_str()))
    }
}

/// Everybody there can be at an organization with a private repository.
async fn everybody(hub: &Hub) -> Vec<Somebody> {
    let mut users = BTreeMap::new();
    for name in ["owner", "member", "reader", "writer", "leader", "guest", "visitor", "stranger"] {
        users.insert(name, Api::new_user(hub, name).await);
    }
    let owner = &users["owner"];
    let _ = owner.post("/organizations", json!({ "name": "acme" })).await.expect(201);
    let _ =
        owner.post("/repositories", json!({ "name": REPOSITORY, "visibility": "private" })).await.expect(201);
    let _ = owner.put("/organizations/acme/members/member", json!({ "role": "member" })).await.expect(204);
    for (team, user, level) in
        [("readers", "reader", "read"), ("writers", "writer", "write"), ("leaders", "leader", "admin")]
    {
        let members = format!("/organizations/acme/teams/{team}/members/{user}");
        let grant = format!("/repositories/{REPOSITORY}/grants/team:{team}");
        let member = format!("/organizations/acme/members/{user}");
        let _ = owner.put(&member, json!({ "role": "member" })).await.expect(204);
        let _ = owner
            .put(&format!("/organizations/acme/teams/{team}"), json!({ "description": "" }))
            .await
            .expect(204);
        let _ = owner.put(&members, json!({})).await.expect(204);
        let _ = owner.put(&grant, json!({ "level": level })).await.expect(204);
    }
    for (user, level) in [("guest", "write"), ("visitor", "read")] {
        let grant = format!("/repositories/{REPOSITORY}/grants/{user}");
        let _ = owner.put(&grant, json!({ "level": level })).await.expect(204);
    }

    let mut all = vec![
        Somebody::named("the administrator", ADMIN, PASSWORD, May::PullAndPush),
        Somebody::user("an owner", owner, May::PullAndPush),
        Somebody::user("a member without a team", &users["member"], May::Nothing),
        Somebody::user("a member of a team that reads", &users["reader"], May::Pull),
        Somebody::user("a member of a team that writes", &users["writer"], May::PullAndPush),
        Somebody::user("a member of a team that administers", &users["leader"], May::PullAndPush),
        Somebody::user("a collaborator who writes", &users["guest"], May::PullAndPush),
        Somebody::user("a collaborator who reads", &users["visitor"], May::Pull),
        Somebody::user("a stranger", &users["stranger"], May::Nothing),
        Somebody { is: "nobody in particular", login: None, may: May::Nothing },
    ];
    all.extend(machines(owner, &users["writer"]).await);
    all
}

/// Access tokens and robots: they may what they are limited to of what their owner may.
async fn machines(owner: &Api, writer: &Api) -> Vec<Somebody> {
    let token = json!({ "label": "laptop", "actions": ["pull"] });
    let reads = writer.post("/tokens", token).await.expect(201).json();
    let token = json!({ "label": "elsewhere", "actions": ["pull", "push"], "repositories": ["acme/other"] });
    let elsewhere = writer.post("/tokens", token).await.expect(201).json();
    let robot = |name: &str, actions: Value| json!({ "name": name, "label": name, "actions": actions });
    let deploys = owner.post("/namespaces/acme/robots", robot("deploy", json!(["pull"]))).await.expect(201);
    let builds =
        owner.post("/namespaces/acme/robots", robot("build", json!(["pull", "push"]))).await.expect(201);
    vec![
        Somebody::made("an access token that pulls", writer.user(), &reads, May::Pull),
        Somebody::made("an access token for another repository", writer.user(), &elsewhere, May::Nothing),
        Somebody::made("a robot that pulls", "acme+deploy", &deploys.json(), May::Pull),
        Somebody::made("a robot that pushes", "acme+build", &builds.json(), May::PullAndPush),
    ]
}

fn assert_done(what: &str, who: &Somebody, done: Result<String, String>, allowed: bool) {
    match done {
        Ok(printed) => assert!(allowed, "{who:?} could {what}:\n{printed}"),
        Err(printed) => {
            assert!(!allowed, "{who:?} could not {what}:\n{printed}");
            let said = ["denied", "unauthorized", "authentication required", "insufficient"];
            assert!(said.iter().any(|word| printed.contains(word)), "{who:?} is told:\n{printed}");
        }
    }
}

fn write_image(directory: &Path) {
    let layer = image::noise(7, 1 << 12);
    let rootfs = json!({ "type": "layers", "diff_ids": [image::digest(&layer).to_string()] });
    let config = json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs });
    let config = config.to_string().into_bytes();
    let manifest = image::oci_manifest(&config, &[&layer]);
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    std::fs::write(directory.join("manifest.json"), &manifest).unwrap();
    for blob in [&layer, &config] {
        std::fs::write(directory.join(image::digest(blob).hex()), blob).unwrap();
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn each_may_what_the_policy_says_through_skopeo(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let everybody = everybody(&hub).await;
    let scratch = tempfile::tempdir().unwrap();
    let image = format!("dir:{}", scratch.path().join("image").display());
    write_image(&scratch.path().join("image"));
    let repository = format!("docker://{}/{REPOSITORY}", hub.registry());
    skopeo::copy(&image, &format!("{repository}:base"));

    for (number, who) in everybody.iter().enumerate() {
        let to = format!("dir:{}", scratch.path().join(format!("pulled-{number}")).display());
        let pulled = skopeo::try_copy(who.login(), &format!("{repository}:base"), &to);
        assert_done("pull", who, pulled, who.may != May::Nothing);
        let pushed = skopeo::try_copy(who.login(), &image, &format!("{repository}:v{number}"));
        assert_done("push", who, pushed, who.may == May::PullAndPush);
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn each_may_what_the_policy_says_through_docker(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let everybody = everybody(&hub).await;
    let docker = Docker::start();
    let registry = hub.registry();
    let base = format!("{registry}/{REPOSITORY}:base");
    let files = docker.scratch("files");
    tree::fill(&files, 7);
    docker.import(&files, &base);
    docker.login(&registry, ADMIN, PASSWORD);
    docker.run(&["push", &base]);

    for (number, who) in everybody.iter().enumerate() {
        match who.login() {
            Some((user, secret)) => docker.login(&registry, user, secret),
            None => drop(docker.run(&["logout", &registry])),
        }
        assert_done("pull", who, docker.attempt(&["pull", &base]), who.may != May::Nothing);
        let image = format!("{registry}/{REPOSITORY}:v{number}");
        docker.run(&["tag", &base, &image]);
        assert_done("push", who, docker.attempt(&["push", &image]), who.may == May::PullAndPush);
    }
}
