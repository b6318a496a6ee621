//! Deleting blobs: only what no manifest needs, and only here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use service_kit::clock::Clock as _;
use tokio::task::JoinSet;

use super::{Expected, by_digest, image, with_image};
use crate::metadata::{
    RepositoryError,
    accounts::Role,
    uploads::suite::world::{World, digest, repository},
};

pub(super) async fn run(world: &World) {
    a_blob_that_nothing_needs_is_deleted_here_only(world).await;
    a_blob_that_a_manifest_needs_stays(world).await;
    a_blob_that_is_not_there_cannot_be_deleted(world).await;
    a_deleted_blob_can_be_pushed_again(world).await;
    a_push_and_a_delete_of_its_blob_leave_no_manifest_without_it(world).await;
}

async fn a_blob_that_nothing_needs_is_deleted_here_only(world: &World) {
    let actor = world.user("re-unlink", Role::User).await;
    let (name, other) = (repository("re-unlink/app"), repository("re-unlink/other"));
    let blob = world.push_blob(&name, "re-unlink", &actor).await;
    world.push_blob(&other, "re-unlink", &actor).await;

    world.repositories.delete_blob(&name, &blob, &actor).await.unwrap();

    assert_eq!(world.location(&name, &blob).await, None);
    assert!(world.location(&other, &blob).await.is_some(), "another repository has a link of its own");
    let unknown = RepositoryError::BlobUnknown { repository: name.clone(), digest: blob.clone() };
    assert_eq!(world.repositories.delete_blob(&name, &blob, &actor).await.unwrap_err(), unknown);
    let lacking = image(&name, "image of re-unlink", &[&blob], &["v1"]);
    let missing = RepositoryError::ReferencesMissing { missing: vec![blob] };
    assert_eq!(world.repositories.put_manifest(&lacking, &actor).await.unwrap_err(), missing);
}

async fn a_blob_that_a_manifest_needs_stays(world: &World) {
    let (actor, name, blob, manifest) = with_image(world, "re-inuse", &["v1"]).await;

    let refused = world.repositories.delete_blob(&name, &blob, &actor).await.unwrap_err();
    let needed = RepositoryError::BlobNeeded { digest: blob.clone(), manifest: manifest.digest.clone() };
    assert_eq!(refused, needed);
    assert!(world.location(&name, &blob).await.is_some());

    world
        .repositories
        .delete_manifest(&name, &by_digest(&manifest.digest), &Expected::Anything, &actor)
        .await
        .unwrap();
    let until = world.clock.now() + Duration::from_hours(7 * 24);
    let kept = RepositoryError::BlobRestorable { digest: blob.clone(), manifest: manifest.digest, until };
    assert_eq!(world.repositories.delete_blob(&name, &blob, &actor).await.unwrap_err(), kept);
    assert!(world.location(&name, &blob).await.is_some());
}

async fn a_blob_that_is_not_there_cannot_be_deleted(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "re-noblob", &[]).await;
    for absent in [digest("re-noblob, never pushed"), manifest.digest] {
        let unknown = RepositoryError::BlobUnknown { repository: name.clone(), digest: absent.clone() };
        assert_eq!(world.repositories.delete_blob(&name, &absent, &actor).await.unwrap_err(), unknown);
    }
    let nowhere = repository("re-noblob/nowhere");
    let unknown = RepositoryError::NameUnknown { repository: nowhere.clone() };
    assert_eq!(world.repositories.delete_blob(&nowhere, &digest("x"), &actor).await.unwrap_err(), unknown);
}

async fn a_deleted_blob_can_be_pushed_again(world: &World) {
    let actor = world.user("re-relink", Role::User).await;
    let name = repository("re-relink/app");
    for _ in 0..2 {
        let blob = world.push_blob(&name, "re-relink", &actor).await;
        assert!(world.location(&name, &blob).await.is_some());
        world.repositories.delete_blob(&name, &blob, &actor).await.unwrap();
    }
}

async fn a_push_and_a_delete_of_its_blob_leave_no_manifest_without_it(world: &World) {
    let actor = world.user("re-tear", Role::User).await;
    let name = repository("re-tear/app");
    for number in 0..10 {
        let blob = world.push_blob(&name, &format!("re-tear {number}"), &actor).await;
        let manifest = image(&name, &format!("image of re-tear {number}"), &[&blob], &["latest"]);
        let mut both = JoinSet::new();
        let (repositories, by) = (world.repositories.clone(), actor.clone());
        both.spawn(async move { repositories.put_manifest(&manifest, &by).await.is_ok() });
        let (repositories, by, of, digest) =
            (world.repositories.clone(), actor.clone(), name.clone(), blob.clone());
        both.spawn(async move { repositories.delete_blob(&of, &digest, &by).await.is_ok() });

        let done = both.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(done, 1, "whoever is second is refused");
    }
}
