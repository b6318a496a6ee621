//! Repositories that are deleted: gone at once, and what they held by and by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use oci::{Digest, Reference};
use tokio::task::JoinSet;

use super::{
    create, details, is_shown,
    moves::{moved, pushed, rename, told, unknown},
    show, visibility,
};
use crate::metadata::{
    Actor, More, RepositoryError, UploadError, Visibility,
    accounts::Role,
    organizations::{Grantee, Level},
    reclaim::suite::{image, put},
    repositories::Expected,
    uploads::{
        Mount, Mounted,
        suite::world::{World, digest, link_of, repository},
    },
};

const HOUR: Duration = Duration::from_hours(1);

pub(super) async fn run(world: &World) {
    a_deleted_repository_is_gone_at_once(world).await;
    its_name_is_free(world).await;
    what_it_alone_held_goes_and_what_others_hold_stays(world).await;
    nothing_that_it_had_is_found_in_the_next_of_its_name(world).await;
    an_upload_that_was_begun_before_makes_no_repository(world).await;
    old_names_of_it_lead_nowhere(world).await;
    pushes_meanwhile_are_lost_with_it_or_make_the_next(world).await;
}

async fn delete(world: &World, name: &str) -> Result<(), RepositoryError> {
    world.settings.delete_repository(&repository(name), &Actor::service()).await
}

/// Removes all that is deleted; answers how many repositories left nothing.
async fn purge(world: &World) -> u64 {
    let mut repositories = 0;
    loop {
        let purged = world.reclaim.purge().await.unwrap();
        repositories += purged.repositories;
        if purged.more == More::No {
            return repositories;
        }
    }
}

async fn has_bytes(world: &World, digest: &Digest) -> bool {
    world.clock.advance(HOUR);
    while world.reclaim.reap().await.unwrap().more == More::Yes {}
    world.reclaim.why(digest, None).await.unwrap().locator.is_some()
}

async fn a_deleted_repository_is_gone_at_once(world: &World) {
    let actor = world.user("dl-ann", Role::User).await;
    let (image, blob) = pushed(world, "dl-ann/app", &actor).await;
    let name = repository("dl-ann/app");
    show(world, &name, Visibility::Public).await.unwrap();

    delete(world, "dl-ann/app").await.unwrap();

    assert!(told(world, "dl-ann/app").await);
    let unknown = unknown("dl-ann/app");
    assert_eq!(world.settings.repository(&name).await, Err(unknown.clone()));
    let by_digest = Reference::Digest(image.digest.clone());
    assert_eq!(world.repositories.manifest(&name, &by_digest).await, Err(unknown.clone()));
    assert_eq!(world.location(&name, &blob).await, None);
    assert_eq!(visibility(world, &name).await, None);
    assert!(!is_shown(world, &name).await);
    let gone = world.repositories.delete_manifest(&name, &by_digest, &Expected::Anything, &actor).await;
    assert_eq!(gone, Err(unknown.clone()));
    assert_eq!(delete(world, "dl-ann/app").await, Err(unknown));
    assert_eq!(purge(world).await, 1);
    assert_eq!(purge(world).await, 0);
}

async fn its_name_is_free(world: &World) {
    let actor = world.user("dl-free", Role::User).await;
    pushed(world, "dl-free/app", &actor).await;
    delete(world, "dl-free/app").await.unwrap();
    let (image, blob) = pushed(world, "dl-free/app", &actor).await;

    for _ in 0..2 {
        let name = repository("dl-free/app");
        let found = world.repositories.manifest(&name, &"v1".parse().unwrap()).await.unwrap();
        assert_eq!(found.digest, image.digest);
        assert!(world.location(&name, &blob).await.is_some());
        purge(world).await;
        assert!(has_bytes(world, &blob).await);
    }
}

async fn what_it_alone_held_goes_and_what_others_hold_stays(world: &World) {
    let actor = world.user("dl-share", Role::User).await;
    let (_, alone) = pushed(world, "dl-share/app", &actor).await;
    let name = repository("dl-share/app");
    let shared = world.push_blob(&name, "dl-share: shared", &actor).await;
    let unused = world.push_blob(&name, "dl-share: unused", &actor).await;
    let mount =
        Mount { repository: repository("dl-share/b"), digest: shared.clone(), from: vec![name.clone()] };
    assert_eq!(world.uploads.mount(&mount, &actor).await.unwrap(), Mounted::Linked);
    let thrown = image(&name, "dl-share: deleted", &alone, &["old"]);
    put(world, &thrown, &actor).await;
    let digest = Reference::Digest(thrown.digest.clone());
    world.repositories.delete_manifest(&name, &digest, &Expected::Anything, &actor).await.unwrap();
    for number in 0..250 {
        let tags = [format!("a{number}"), format!("b{number}")];
        let tags = [tags[0].as_str(), tags[1].as_str()];
        put(world, &image(&name, &format!("dl-share: image {number}"), &alone, &tags), &actor).await;
    }

    delete(world, "dl-share/app").await.unwrap();
    purge(world).await;
    assert!(!has_bytes(world, &alone).await && !has_bytes(world, &unused).await);
    assert!(has_bytes(world, &shared).await);
    assert!(world.location(&repository("dl-share/b"), &shared).await.is_some());
    let why = world.reclaim.why(&thrown.digest, None).await.unwrap();
    assert!(why.keepers.is_empty(), "{why:?}");
}

async fn nothing_that_it_had_is_found_in_the_next_of_its_name(world: &World) {
    let actor = world.user("dl-next", Role::User).await;
    world.user("dl-next-b", Role::User).await;
    let (image, blob) = pushed(world, "dl-next/app", &actor).await;
    let (name, friend) = (repository("dl-next/app"), Grantee::User("dl-next-b".parse().unwrap()));
    world.organizations.grant(&name, &friend, Some(Level::Admin), &actor).await.unwrap();
    delete(world, "dl-next/app").await.unwrap();
    create(world, "dl-next/app", Visibility::Private).await.unwrap();

    assert_eq!(world.organizations.grants(&name).await.unwrap(), []);
    assert_eq!(world.location(&name, &blob).await, None);
    let by_digest = Reference::Digest(image.digest.clone());
    let missing = world.repositories.manifest(&name, &by_digest).await.unwrap_err();
    assert!(matches!(missing, RepositoryError::ManifestUnknown { .. }), "{missing}");
    assert_eq!(purge(world).await, 1);
    assert_eq!(details(world, "dl-next/app").await.size_bytes, 0);
}

async fn an_upload_that_was_begun_before_makes_no_repository(world: &World) {
    let actor = world.user("dl-up", Role::User).await;
    pushed(world, "dl-up/app", &actor).await;
    let content = digest("dl-up: late");
    let session = world.uploads.start(&repository("dl-up/app"), &actor).await.unwrap();
    let held = world.uploads.hold(&session.address, &content).await.unwrap();
    delete(world, "dl-up/app").await.unwrap();

    let refused = world.uploads.link(&link_of(&held, &content, 4), &actor).await;
    assert_eq!(refused, Err(UploadError::UploadUnknown { session: session.address.session }));
    assert_eq!(visibility(world, &repository("dl-up/app")).await, None);
}

async fn old_names_of_it_lead_nowhere(world: &World) {
    let actor = world.user("dl-old", Role::User).await;
    pushed(world, "dl-old/app", &actor).await;
    rename(world, "dl-old/app", "dl-old/tool").await.unwrap();
    assert_eq!(delete(world, "dl-old/app").await, Err(moved("dl-old/app", "dl-old/tool")));
    delete(world, "dl-old/tool").await.unwrap();
    for name in ["dl-old/app", "dl-old/tool"] {
        assert_eq!(world.settings.repository(&repository(name)).await, Err(unknown(name)));
        pushed(world, name, &actor).await;
    }
}

async fn pushes_meanwhile_are_lost_with_it_or_make_the_next(world: &World) {
    let actor = world.user("dl-busy", Role::User).await;
    let (_, blob) = pushed(world, "dl-busy/app", &actor).await;
    let name = repository("dl-busy/app");
    let mut pushes = JoinSet::new();
    for number in 0..12 {
        let (world, actor) = (world.clone(), actor.clone());
        let image = image(&name, &format!("dl-busy {number}"), &blob, &[&format!("p{number}")]);
        pushes.spawn(async move { world.repositories.put_manifest(&image, &actor).await });
    }
    delete(world, "dl-busy/app").await.unwrap();
    for outcome in pushes.join_all().await {
        // In the next repository its layer is missing.
        let missing = |error: &RepositoryError| matches!(error, RepositoryError::ReferencesMissing { .. });
        assert!(outcome.as_ref().err().is_none_or(missing), "{outcome:?}");
    }
    assert_eq!(world.settings.repository(&name).await, Err(unknown("dl-busy/app")));
    assert!(purge(world).await >= 1);
    assert!(!has_bytes(world, &blob).await);
}
