//! Many writers of one repository at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::Digest;
use tokio::task::JoinSet;

use super::{Expected, RepositoryError, all_tags, by_digest, by_tag, found, image, with_image};
use crate::metadata::{
    accounts::Role,
    uploads::suite::world::{World, digest, repository},
};

pub(super) async fn run(world: &World) {
    concurrent_pushes_of_one_tag_leave_one(world).await;
    concurrent_pushes_that_share_layers_all_succeed(world).await;
    a_push_and_a_delete_leave_no_tag_without_its_manifest(world).await;
}

async fn concurrent_pushes_of_one_tag_leave_one(world: &World) {
    let (actor, name, blob, _) = with_image(world, "re-race", &[]).await;
    let mut pushes = JoinSet::new();
    for number in 0..8 {
        let manifest = image(&name, &format!("re-race {number}"), &[&blob], &["latest"]);
        let (repositories, actor) = (world.repositories.clone(), actor.clone());
        pushes.spawn(async move { repositories.put_manifest(&manifest, &actor).await });
    }
    for outcome in pushes.join_all().await {
        outcome.unwrap();
    }

    let winner = found(world, &name, &by_tag("latest")).await.unwrap();
    for number in 0..8 {
        let digest = digest(&format!("re-race {number}"));
        world
            .repositories
            .delete_manifest(&name, &by_digest(&digest), &Expected::Anything, &actor)
            .await
            .unwrap();
        let named = found(world, &name, &by_digest(&winner)).await.is_some();
        assert_eq!(all_tags(world, &name, 10).await.len(), usize::from(named));
    }
}

async fn concurrent_pushes_that_share_layers_all_succeed(world: &World) {
    let actor = world.user("re-share", Role::User).await;
    let name = repository("re-share/app");
    let mut layers = Vec::new();
    for number in 0..5 {
        layers.push(world.push_blob(&name, &format!("re-share layer {number}"), &actor).await);
    }

    let mut pushes = JoinSet::new();
    for number in 0..32 {
        let tag = format!("v{number}");
        let layers: Vec<&Digest> = layers.iter().collect();
        let manifest = image(&name, &format!("re-share {number}"), &layers, &[&tag]);
        let (repositories, actor) = (world.repositories.clone(), actor.clone());
        pushes.spawn(async move { repositories.put_manifest(&manifest, &actor).await });
    }
    for outcome in pushes.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(all_tags(world, &name, 10).await.len(), 32);
}

async fn a_push_and_a_delete_leave_no_tag_without_its_manifest(world: &World) {
    let (actor, name, blob, _) = with_image(world, "re-both", &[]).await;
    let manifest = image(&name, "re-both contended", &[&blob], &["latest"]);
    let contended = manifest.digest.clone();
    let mut both = JoinSet::new();
    for _ in 0..10 {
        let (repositories, by, manifest) = (world.repositories.clone(), actor.clone(), manifest.clone());
        both.spawn(async move { repositories.put_manifest(&manifest, &by).await.unwrap() });
        let (repositories, by, name) = (world.repositories.clone(), actor.clone(), name.clone());
        let reference = by_digest(&contended);
        both.spawn(async move {
            match repositories.delete_manifest(&name, &reference, &Expected::Anything, &by).await {
                Ok(()) | Err(RepositoryError::ManifestUnknown { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        });
    }
    both.join_all().await;

    for text in all_tags(world, &name, 10).await {
        let named = found(world, &name, &by_tag(&text)).await.expect("a listed tag names a manifest");
        assert_eq!(found(world, &name, &by_digest(&named)).await, Some(named));
    }
}
