//! The history of a tag in a repository that is busy with others, and what its newest thousand changes leave of it.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use oci::{Digest, EventId, ManifestKind, RepositoryName, Tag};
use proto::{
    auth::Subject,
    metadata::{
        Accounts, Actor, Repositories, Standing, Via,
        accounts::{Account, Role},
        repositories::{Expected, NewManifest, TagHistory, WantedHistory},
    },
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use crate::{
    Service,
    config::Config,
    keys,
    keyspace::{Commit, Mutation, memory::Memory},
};

struct World {
    service: Service,
}

impl World {
    /// A service with one user.
    async fn new() -> Self {
        let config = Config::new("unused".into(), "a secret for grants".into());
        let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(1)));
        let service = Service::found(Arc::new(Memory::new()), &config, clock, random).await.unwrap();
        let (password_hash, role) = ("$argon2id$v=19$…".into(), Role::User);
        let account =
            Account { name: "ann".parse().unwrap(), password_hash, role, standing: Standing::Active };
        service.create_account(&account, &Actor::service()).await.unwrap();
        Self { service }
    }

    async fn push(&self, body: &str, tags: Vec<Tag>) -> Digest {
        let body = Bytes::from(body.to_owned());
        let manifest = NewManifest {
            repository: app(),
            digest: Digest::of_sha256(&body),
            media_type: ManifestKind::OciIndex.media_type(),
            body,
            needs: Vec::new(),
            subject: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            expected: Expected::Anything,
            tags,
        };
        let subject = Subject::User("ann".parse().unwrap());
        let actor = Actor { subject, via: Via::Registry, address: None, credential: None };
        self.service.put_manifest(&manifest, &actor).await.unwrap();
        manifest.digest
    }

    async fn history(&self, tag: &str, after: Option<EventId>) -> TagHistory {
        let wanted = WantedHistory {
            repository: app(),
            tag: tag.parse().unwrap(),
            before: None,
            since: None,
            digest: None,
            after,
            limit: 1_000,
        };
        self.service.tag_history(&wanted).await.unwrap()
    }

    /// Puts members into the history as they are.
    async fn write(&self, members: impl Iterator<Item = String>) {
        let id = self.service.placement(&app()).await.unwrap().unwrap().id;
        let key = keys::history(id);
        let add = |member: String| Mutation::AddMember(key.clone(), member.into());
        self.service.keyspace().commit(Commit::synced().then_all(members.map(add))).await.unwrap();
    }
}

fn app() -> RepositoryName {
    "ann/app".parse().unwrap()
}

fn tags(names: impl Iterator<Item = String>) -> Vec<Tag> {
    names.map(|name| name.parse().unwrap()).collect()
}

fn moved(number: u32, content: &str) -> String {
    let digest = Digest::of_sha256(&number.to_le_bytes());
    format!(
        "7{number:025}\0{{\"kind\":\"tag_moved\",\"tag\":\"other\",\"digest\":\"{digest}\"{content},\
         \"subject\":\"ann\",\"via\":\"registry\"}}"
    )
}

#[tokio::test]
async fn a_call_looks_at_a_bounded_part_of_a_busy_history_and_says_where_to_go_on() {
    let world = World::new().await;
    let digest = world.push("{}", tags(["v1".to_owned()].into_iter())).await;
    let content = ",\"content\":{\"type\":\"application/vnd.oci.image.index.v1+json\",\"size\":2}";
    world.write((0..3_000).map(|number| moved(number, content))).await;

    let (mut found, mut after, mut calls) = (Vec::new(), None, 0);
    loop {
        let page = world.history("v1", after).await;
        found.extend(page.entries.into_iter().map(|event| event.digest));
        calls += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, calls), (vec![digest], 3));
    assert_eq!(world.history("other", None).await.entries.len(), 1_000);
}

#[tokio::test]
async fn what_nobody_can_describe_is_left_out() {
    let world = World::new().await;
    world.push("{}", tags(["other".to_owned()].into_iter())).await;
    world.write([moved(1, "")].into_iter()).await;
    assert_eq!(world.history("other", None).await.entries.len(), 1);
}

#[tokio::test]
async fn a_repository_remembers_its_newest_changes() {
    let world = World::new().await;
    world.push("{}", tags(["v1".to_owned()].into_iter())).await;
    for number in 0..12 {
        let names = (0..100).map(|tag| format!("t{tag}"));
        world.push(&format!("{{}}{number}"), tags(names)).await;
    }

    assert_eq!(world.history("v1", None).await.entries, []);
    let kept = world.history("t0", None).await.entries;
    assert!((8..12).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0].digest, Digest::of_sha256(b"{}11"));
}
