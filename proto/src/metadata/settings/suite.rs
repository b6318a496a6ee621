//! What every implementation of `RepositorySettings` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use bytes::Bytes;
use oci::{ManifestKind, Need, Needed, Reference, RepositoryName};
use serde_json::json;
use tokio::task::JoinSet;

use super::{RepositoryChange, RepositoryDetails};
use crate::metadata::{
    Actor, More, PageRequest, RepositoryError, Visibility,
    accounts::{AccessQuestion, FactsOf, Role, suite::about},
    reclaim::suite::{image, put},
    repositories::{NewManifest, Viewer, WantedRepositories},
    rules::{RuleSet, RulesOf},
    uploads::suite::world::{World, digest, now, repository},
};

mod deletions;
mod moves;

/// All cases. Old names lead somewhere for 90 days, and deleted manifests are kept for a week.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_repository_is_what_was_created_and_then_changed(&world).await;
    of_many_creators_one_succeeds(&world).await;
    a_repository_is_made_in_a_namespace_that_is_there(&world).await;
    a_created_repository_takes_a_push(&world).await;
    what_hangs_off_a_repository_stays_when_who_may_see_it_changes(&world).await;
    pushes_go_on_while_who_may_see_it_changes(&world).await;
    what_is_pulled_is_counted_and_what_is_looked_at_is_not(&world).await;
    what_is_not_there_cannot_be_changed(&world).await;
    deletions::run(&world).await;
    moves::run(&world).await;
}

async fn create(world: &World, name: &str, visibility: Visibility) -> Result<(), RepositoryError> {
    let actor = Actor::service();
    world.settings.create_repository(&repository(name), visibility, "# Äpp", &actor).await
}

async fn details(world: &World, name: &str) -> RepositoryDetails {
    world.settings.repository(&repository(name)).await.unwrap()
}

async fn show(world: &World, name: &RepositoryName, visibility: Visibility) -> Result<(), RepositoryError> {
    let change = RepositoryChange { visibility: Some(visibility), ..RepositoryChange::default() };
    world.settings.change_repository(name, &change, &Actor::service()).await
}

/// Whether an outsider finds it in the list.
async fn is_shown(world: &World, name: &RepositoryName) -> bool {
    let all = PageRequest { after: None, limit: 1_000 };
    let page =
        world.repositories.repositories(&WantedRepositories::all(Viewer::Outsider, all)).await.unwrap();
    assert_eq!(page.more, More::No);
    page.entries.iter().any(|entry| entry.name == *name)
}

async fn visibility(world: &World, name: &RepositoryName) -> Option<Visibility> {
    let question = AccessQuestion { repositories: vec![name.clone()], ..about(FactsOf::Anonymous) };
    world.accounts.access_facts(&question).await.unwrap().repositories[0].visibility
}

async fn a_repository_is_what_was_created_and_then_changed(world: &World) {
    world.user("se-ann", Role::User).await;
    let created = now(world);
    create(world, "se-ann/app", Visibility::Public).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let expected = RepositoryDetails {
        name: repository("se-ann/app"),
        visibility: Visibility::Public,
        description: "# Äpp".to_owned(),
        created,
        updated: created,
        size_bytes: 0,
        pulls: 0,
        last_pulled: None,
    };
    assert_eq!(details(world, "se-ann/app").await, expected);
    let exists = RepositoryError::RepositoryExists { repository: expected.name.clone() };
    assert_eq!(create(world, "se-ann/app", Visibility::Private).await, Err(exists));
    assert_eq!(details(world, "se-ann/app").await, expected);

    for (text, seen) in [("other", Some(Visibility::Private)), ("", None)] {
        let change = RepositoryChange { visibility: seen, description: Some(text.to_owned()) };
        world.settings.change_repository(&expected.name, &change, &Actor::service()).await.unwrap();
        let (visibility, description) = (Visibility::Private, text.to_owned());
        let changed = RepositoryDetails { visibility, description, ..expected.clone() };
        assert_eq!(details(world, "se-ann/app").await, changed);
    }
}

async fn of_many_creators_one_succeeds(world: &World) {
    world.user("se-race", Role::User).await;
    let mut creators = JoinSet::new();
    for number in 0..16 {
        let world = world.clone();
        let visibility = if number % 2 == 0 { Visibility::Public } else { Visibility::Private };
        creators.spawn(async move { create(&world, "se-race/app", visibility).await });
    }

    let outcomes = creators.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let exists = RepositoryError::RepositoryExists { repository: repository("se-race/app") };
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|error| *error == exists)));
}

async fn a_repository_is_made_in_a_namespace_that_is_there(world: &World) {
    let unknown = RepositoryError::NamespaceUnknown { namespace: "se-nobody".parse().unwrap() };
    assert_eq!(create(world, "se-nobody/app", Visibility::Public).await, Err(unknown));
    create(world, "library/se-app", Visibility::Private).await.unwrap();
}

async fn a_created_repository_takes_a_push(world: &World) {
    let actor = world.user("se-push", Role::User).await;
    create(world, "se-push/app", Visibility::Public).await.unwrap();
    let name = repository("se-push/app");
    let blob = world.push_blob(&name, "se-push", &actor).await;
    world.clock.advance(Duration::from_secs(1));
    put(world, &image(&name, "se-push image", &blob, &["v1"]), &actor).await;

    let found = details(world, "se-push/app").await;
    assert_eq!((found.size_bytes, found.updated), ("se-push".len() as u64, now(world)));
    assert_eq!(found.description, "# Äpp");
    assert_eq!(found.visibility, Visibility::Public);
}

async fn what_hangs_off_a_repository_stays_when_who_may_see_it_changes(world: &World) {
    let actor = world.user("se-move", Role::User).await;
    let name = repository("se-move/app");
    let blob = world.push_blob(&name, "se-move", &actor).await;
    let image = image(&name, "se-move image", &blob, &["v1"]);
    put(world, &image, &actor).await;
    let rules: RuleSet = serde_json::from_value(json!({ "immutable": [{ "tags": "v*" }] })).unwrap();
    let of = RulesOf::Repository(name.clone());
    world.rules.put_rules(&of, Some(&rules), &Actor::service()).await.unwrap();
    let before = details(world, "se-move/app").await;
    world.clock.advance(Duration::from_secs(1));

    for seen in [Visibility::Public, Visibility::Public, Visibility::Private, Visibility::Private] {
        show(world, &name, seen).await.unwrap();

        let expected = RepositoryDetails { visibility: seen, ..before.clone() };
        assert_eq!(details(world, "se-move/app").await, expected);
        assert_eq!(visibility(world, &name).await, Some(seen));
        assert_eq!(is_shown(world, &name).await, seen == Visibility::Public);
        assert_eq!(world.rules.rules(&of).await.unwrap().as_ref(), Some(&rules));
        let found = world.repositories.manifest(&name, &"v1".parse().unwrap()).await.unwrap();
        assert_eq!(found.digest, image.digest);
        assert!(world.location(&name, &blob).await.is_some());
    }
}

async fn pushes_go_on_while_who_may_see_it_changes(world: &World) {
    let actor = world.user("se-busy", Role::User).await;
    let name = repository("se-busy/app");
    let blob = world.push_blob(&name, "se-busy", &actor).await;
    let mut pushes = JoinSet::new();
    for number in 0..12 {
        let (world, actor) = (world.clone(), actor.clone());
        let image = image(&name, &format!("se-busy {number}"), &blob, &[&format!("v{number}")]);
        pushes.spawn(async move { world.repositories.put_manifest(&image, &actor).await });
    }

    for seen in [Visibility::Public, Visibility::Private, Visibility::Public] {
        show(world, &name, seen).await.unwrap();
    }
    for outcome in pushes.join_all().await {
        outcome.unwrap();
    }
    let all = PageRequest { after: None, limit: 100 };
    assert_eq!(world.repositories.tags(&name, &all).await.unwrap().entries.len(), 12);
    assert_eq!(visibility(world, &name).await, Some(Visibility::Public));
}

async fn what_is_pulled_is_counted_and_what_is_looked_at_is_not(world: &World) {
    let actor = world.user("se-pull", Role::User).await;
    let name = repository("se-pull/app");
    let blob = world.push_blob(&name, "se-pull", &actor).await;
    let image = image(&name, "se-pull image", &blob, &["v1"]);
    put(world, &image, &actor).await;
    let child = Need { what: Needed::Manifest, digest: image.digest.clone(), size: 1 };
    let (media_type, digest) = (ManifestKind::OciIndex.media_type(), digest("se-pull index"));
    let (body, needs, tags) =
        (Bytes::from_static(b"se-pull index"), vec![child], vec!["all".parse().unwrap()]);
    put(world, &NewManifest { digest, media_type, body, needs, tags, ..image.clone() }, &actor).await;
    let (tag, index) = ("v1".parse().unwrap(), "all".parse().unwrap());
    let pulled = async || {
        let details = world.settings.repository(&name).await.unwrap();
        (details.pulls, details.last_pulled)
    };

    world.repositories.manifest(&name, &tag).await.unwrap();
    world.repositories.pull(&name, &"v2".parse().unwrap()).await.unwrap_err();
    assert_eq!(pulled().await, (0, None));
    world.clock.advance(Duration::from_secs(1));
    let first = now(world);
    for reference in [&tag, &Reference::Digest(image.digest.clone())] {
        assert_eq!(world.repositories.pull(&name, reference).await.unwrap().digest, image.digest);
    }
    assert_eq!(pulled().await, (2, Some(first)));

    // Whoever pulls an index pulls what it is about, and that counts.
    world.clock.advance(Duration::from_secs(1));
    world.repositories.pull(&name, &index).await.unwrap();
    assert_eq!(pulled().await, (2, Some(now(world))));
}

async fn what_is_not_there_cannot_be_changed(world: &World) {
    world.user("se-none", Role::User).await;
    let name = repository("se-none/app");
    let unknown = RepositoryError::NameUnknown { repository: name.clone() };
    assert_eq!(world.settings.repository(&name).await, Err(unknown.clone()));
    assert_eq!(show(world, &name, Visibility::Public).await, Err(unknown));
    assert_eq!(visibility(world, &name).await, None);
}
