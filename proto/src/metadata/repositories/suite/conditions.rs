//! Tags that are moved or removed only if they are as expected.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::Digest;
use tokio::task::JoinSet;

use super::{all_tags, by_digest, by_tag, found, image, tag, with_image};
use crate::metadata::{
    RepositoryError,
    repositories::{Expected, NewManifest},
    uploads::suite::world::{World, digest},
};

pub(super) async fn run(world: &World) {
    a_tag_moves_only_from_what_is_expected(world).await;
    a_tag_is_removed_only_if_it_names_what_is_expected(world).await;
    of_many_writers_with_one_expectation_one_succeeds(world).await;
}

fn unexpected(text: &str, current: Option<&Digest>) -> RepositoryError {
    RepositoryError::TagUnexpected { tag: tag(text), current: current.cloned() }
}

async fn a_tag_moves_only_from_what_is_expected(world: &World) {
    let (actor, name, blob, old) = with_image(world, "re-cas", &["v1"]).await;
    let new = |expected| NewManifest { expected, ..image(&name, "re-cas 2", &[&blob], &["v1"]) };

    for expected in [Expected::Absent, Expected::Digest(digest("re-cas 2"))] {
        let refused = world.repositories.put_manifest(&new(expected), &actor).await.unwrap_err();
        assert_eq!(refused, unexpected("v1", Some(&old.digest)));
        assert_eq!(found(world, &name, &by_tag("v1")).await.as_ref(), Some(&old.digest));
        assert_eq!(found(world, &name, &by_digest(&digest("re-cas 2"))).await, None, "nothing was stored");
    }
    let expected = Expected::Digest(old.digest.clone());
    world.repositories.put_manifest(&new(expected.clone()), &actor).await.unwrap();
    assert_eq!(found(world, &name, &by_tag("v1")).await, Some(digest("re-cas 2")));

    let absent = NewManifest { tags: vec![tag("v2")], ..new(expected) };
    assert_eq!(world.repositories.put_manifest(&absent, &actor).await.unwrap_err(), unexpected("v2", None));
    let first = NewManifest { tags: vec![tag("v2")], ..new(Expected::Absent) };
    world.repositories.put_manifest(&first, &actor).await.unwrap();
    assert_eq!(all_tags(world, &name, 10).await, ["v1", "v2"]);
}

async fn a_tag_is_removed_only_if_it_names_what_is_expected(world: &World) {
    let (actor, name, _, image) = with_image(world, "re-casdel", &["v1"]).await;
    let repositories = &world.repositories;

    let other = Expected::Digest(digest("re-casdel, another"));
    let refused = repositories.delete_manifest(&name, &by_tag("v1"), &other, &actor).await.unwrap_err();
    assert_eq!(refused, unexpected("v1", Some(&image.digest)));
    assert_eq!(all_tags(world, &name, 10).await, ["v1"]);

    let expected = Expected::Digest(image.digest);
    repositories.delete_manifest(&name, &by_tag("v1"), &expected, &actor).await.unwrap();
    assert_eq!(all_tags(world, &name, 10).await, [""; 0]);
}

async fn of_many_writers_with_one_expectation_one_succeeds(world: &World) {
    let (actor, name, blob, old) = with_image(world, "re-casrace", &["latest"]).await;
    let mut writers = JoinSet::new();
    for number in 0..8 {
        let expected = Expected::Digest(old.digest.clone());
        let new = image(&name, &format!("re-casrace {number}"), &[&blob], &["latest"]);
        let (repositories, actor) = (world.repositories.clone(), actor.clone());
        writers.spawn(async move {
            let new = NewManifest { expected, ..new };
            let written = repositories.put_manifest(&new, &actor).await;
            (new.digest, written)
        });
    }

    let winner = writers.join_all().await.into_iter().filter(|(_, written)| written.is_ok());
    let winner: Vec<Digest> = winner.map(|(digest, _)| digest).collect();
    assert_eq!(found(world, &name, &by_tag("latest")).await.as_slice(), winner.as_slice());
}
