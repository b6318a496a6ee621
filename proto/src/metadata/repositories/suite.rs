//! What every implementation of `Repositories` does, as tests. Each case has a user and names of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::ToSpan as _;
use oci::{Digest, ManifestKind, Need, Needed, Reference, RepositoryName, Tag};

use super::{Expected, Intent, Manifest, NewManifest, RepositoryError};
use crate::metadata::{
    Actor, More, PageRequest,
    accounts::Role,
    uploads::suite::world::{World, digest, locator, now, repository},
};

mod blobs;
mod conditions;
mod history;
mod lists;
mod races;
mod referrers;
mod search;

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_grant_is_for_what_the_repository_links(&world).await;
    quarantine_concerns_only_the_bytes_named(&world).await;
    a_manifest_comes_back_as_it_was_pushed(&world).await;
    missing_references_are_named_and_nothing_is_stored(&world).await;
    many_missing_references_are_named_up_to_a_hundred(&world).await;
    a_manifest_needs_a_namespace(&world).await;
    a_manifest_can_be_pushed_again(&world).await;
    a_moved_tag_names_the_new_manifest_only(&world).await;
    several_tags_move_at_once(&world).await;
    deleting_a_tag_leaves_the_manifest(&world).await;
    deleting_a_manifest_removes_its_tags(&world).await;
    a_manifest_with_very_many_tags_can_be_deleted(&world).await;
    what_an_index_needs_cannot_be_deleted(&world).await;
    what_is_not_there_cannot_be_deleted(&world).await;
    races::run(&world).await;
    blobs::run(&world).await;
    conditions::run(&world).await;
    lists::run(&world).await;
    history::run(&world).await;
    referrers::run(&world).await;
    search::run(&world).await;
}

fn tag(tag: &str) -> Tag {
    tag.parse().unwrap()
}

fn by_tag(text: &str) -> Reference {
    Reference::Tag(tag(text))
}

fn by_digest(digest: &Digest) -> Reference {
    Reference::Digest(digest.clone())
}

fn image(repository: &RepositoryName, body: &str, blobs: &[&Digest], tags: &[&str]) -> NewManifest {
    let need = |blob: &&Digest| Need { digest: (*blob).clone(), size: 1, what: Needed::Blob };
    NewManifest {
        repository: repository.clone(),
        digest: digest(body),
        media_type: ManifestKind::OciManifest.media_type(),
        body: Bytes::from(body.to_owned()),
        needs: blobs.iter().map(need).collect(),
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        tags: tags.iter().map(|text| tag(text)).collect(),
        expected: Expected::Anything,
    }
}

fn index(repository: &RepositoryName, body: &str, children: &[&Digest], tags: &[&str]) -> NewManifest {
    let need = |child: &&Digest| Need { digest: (*child).clone(), size: 1, what: Needed::Manifest };
    let needs = children.iter().map(need).collect();
    let media_type = ManifestKind::OciIndex.media_type();
    NewManifest { media_type, needs, ..image(repository, body, &[], tags) }
}

async fn found(world: &World, name: &RepositoryName, reference: &Reference) -> Option<Digest> {
    match world.repositories.manifest(name, reference).await {
        Ok(manifest) => Some(manifest.digest),
        Err(RepositoryError::ManifestUnknown { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn all_tags(world: &World, name: &RepositoryName, limit: usize) -> Vec<String> {
    let (mut tags, mut after) = (Vec::new(), None);
    loop {
        let page = world.repositories.tags(name, &PageRequest { after, limit }).await.unwrap();
        assert!(page.entries.len() <= limit);
        tags.extend(page.entries.iter().map(Tag::to_string));
        after = page.entries.last().cloned();
        if page.more == More::No {
            return tags;
        }
    }
}

/// A user with a repository that has one blob and an image of it.
async fn with_image(
    world: &World,
    user: &str,
    tags: &[&str],
) -> (Actor, RepositoryName, Digest, NewManifest) {
    let actor = world.user(user, Role::User).await;
    let name = repository(&format!("{user}/app"));
    let blob = world.push_blob(&name, &format!("layer of {user}"), &actor).await;
    let manifest = image(&name, &format!("image of {user}"), &[&blob], tags);
    world.repositories.put_manifest(&manifest, &actor).await.unwrap();
    (actor, name, blob, manifest)
}

async fn a_grant_is_for_what_the_repository_links(world: &World) {
    let actor = world.user("re-grant", Role::User).await;
    let (name, other) = (repository("re-grant/app"), repository("re-grant/other"));
    let blob = world.push_blob(&name, "re-grant", &actor).await;
    world.push_blob(&other, "re-grant, another", &actor).await;

    let grant = world.repositories.blob(&name, &blob, Intent::Read).await.unwrap();
    assert_eq!((&grant.locator, grant.size_bytes), (&locator(&blob, 1), 8));
    assert!(now(world) < grant.expires && grant.expires < now(world) + 2.hours());
    let unknown = RepositoryError::BlobUnknown { repository: other.clone(), digest: blob.clone() };
    assert_eq!(world.repositories.blob(&other, &blob, Intent::Read).await.unwrap_err(), unknown);
    let nowhere = repository("re-grant/nowhere");
    let unknown = RepositoryError::NameUnknown { repository: nowhere.clone() };
    assert_eq!(world.repositories.blob(&nowhere, &blob, Intent::Read).await.unwrap_err(), unknown);
}

async fn quarantine_concerns_only_the_bytes_named(world: &World) {
    let actor = world.user("re-gone", Role::User).await;
    let name = repository("re-gone/app");
    let blob = world.push_blob(&name, "re-gone", &actor).await;

    world.repositories.quarantine(&locator(&blob, 9)).await.unwrap();
    assert_eq!(world.location(&name, &blob).await, Some(locator(&blob, 1)));

    for _ in 0..2 {
        world.repositories.quarantine(&locator(&blob, 1)).await.unwrap();
        assert_eq!(world.location(&name, &blob).await, None);
    }
}

async fn a_manifest_comes_back_as_it_was_pushed(world: &World) {
    let (_, name, _, pushed) = with_image(world, "re-image", &["v1"]).await;
    let NewManifest { digest, media_type, body, .. } = pushed;
    let expected = Manifest { digest: digest.clone(), media_type, body };

    for reference in [by_tag("v1"), by_digest(&digest)] {
        assert_eq!(world.repositories.manifest(&name, &reference).await.unwrap(), expected);
    }
    let unknown = RepositoryError::ManifestUnknown { repository: name.clone(), reference: by_tag("v2") };
    assert_eq!(world.repositories.manifest(&name, &by_tag("v2")).await.unwrap_err(), unknown);
    let nowhere = repository("re-image/nowhere");
    let unknown = RepositoryError::NameUnknown { repository: nowhere.clone() };
    assert_eq!(world.repositories.manifest(&nowhere, &by_tag("v1")).await.unwrap_err(), unknown);
}

async fn missing_references_are_named_and_nothing_is_stored(world: &World) {
    let (actor, name, blob, child) = with_image(world, "re-miss", &["v1"]).await;
    let (no_blob, no_child) = (digest("re-miss, no blob"), digest("re-miss, no child"));

    let lacking = image(&name, "re-miss lacking", &[&no_blob, &blob], &["v1", "v2"]);
    let missing = RepositoryError::ReferencesMissing { missing: vec![no_blob.clone()] };
    assert_eq!(world.repositories.put_manifest(&lacking, &actor).await.unwrap_err(), missing);
    let lacking = index(&name, "re-miss lacking", &[&child.digest, &no_child, &blob], &["v2"]);
    let missing = RepositoryError::ReferencesMissing { missing: vec![no_child, blob.clone()] };
    assert_eq!(world.repositories.put_manifest(&lacking, &actor).await.unwrap_err(), missing);

    assert_eq!(found(world, &name, &by_digest(&lacking.digest)).await, None);
    assert_eq!(all_tags(world, &name, 10).await, ["v1"]);
    assert_eq!(found(world, &name, &by_tag("v1")).await, Some(child.digest));
    let elsewhere = image(&repository("re-miss/empty"), "re-miss", &[&blob], &[]);
    let missing = RepositoryError::ReferencesMissing { missing: vec![blob] };
    assert_eq!(world.repositories.put_manifest(&elsewhere, &actor).await.unwrap_err(), missing);
}

async fn many_missing_references_are_named_up_to_a_hundred(world: &World) {
    let actor = world.user("re-lots", Role::User).await;
    let blobs: Vec<Digest> = (0..150).map(|number| digest(&format!("re-lots {number}"))).collect();
    let lacking = image(&repository("re-lots/app"), "re-lots", &blobs.iter().collect::<Vec<_>>(), &[]);

    let missing = RepositoryError::ReferencesMissing { missing: blobs[..100].to_vec() };
    assert_eq!(world.repositories.put_manifest(&lacking, &actor).await.unwrap_err(), missing);
}

async fn a_manifest_needs_a_namespace(world: &World) {
    let (user, root) =
        (world.user("re-user", Role::User).await, world.user("re-root", Role::Administrator).await);
    let name = repository("re-made/app");
    let empty = index(&name, "re-made", &[], &["v1"]);

    let unknown = RepositoryError::NamespaceUnknown { namespace: name.namespace() };
    assert_eq!(world.repositories.put_manifest(&empty, &user).await.unwrap_err(), unknown);
    world.repositories.put_manifest(&empty, &root).await.unwrap();
    assert_eq!(found(world, &name, &by_tag("v1")).await, Some(empty.digest));
}

async fn a_manifest_can_be_pushed_again(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "re-again", &["v1"]).await;
    for _ in 0..3 {
        world.repositories.put_manifest(&manifest, &actor).await.unwrap();
    }
    let untagged = NewManifest { tags: Vec::new(), ..manifest.clone() };
    world.repositories.put_manifest(&untagged, &actor).await.unwrap();

    assert_eq!(all_tags(world, &name, 10).await, ["v1"]);
    assert_eq!(found(world, &name, &by_tag("v1")).await, Some(manifest.digest));
}

async fn a_moved_tag_names_the_new_manifest_only(world: &World) {
    let (actor, name, blob, old) = with_image(world, "re-move", &["latest", "v1"]).await;
    let new = image(&name, "re-move 2", &[&blob], &["latest"]);
    world.repositories.put_manifest(&new, &actor).await.unwrap();
    assert_eq!(found(world, &name, &by_tag("latest")).await, Some(new.digest.clone()));
    assert_eq!(found(world, &name, &by_tag("v1")).await, Some(old.digest.clone()));

    world
        .repositories
        .delete_manifest(&name, &by_digest(&old.digest), &Expected::Anything, &actor)
        .await
        .unwrap();
    assert_eq!(
        all_tags(world, &name, 10).await,
        ["latest"],
        "only what names the deleted manifest goes with it"
    );
    assert_eq!(found(world, &name, &by_tag("latest")).await, Some(new.digest));
}

async fn several_tags_move_at_once(world: &World) {
    let (_, name, _, manifest) = with_image(world, "re-tags", &["c", "a", "b", "a"]).await;
    assert_eq!(all_tags(world, &name, 10).await, ["a", "b", "c"]);
    for tag in ["a", "b", "c"] {
        assert_eq!(found(world, &name, &by_tag(tag)).await.as_ref(), Some(&manifest.digest));
    }
}

async fn deleting_a_tag_leaves_the_manifest(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "re-untag", &["v1", "v2"]).await;
    world.repositories.delete_manifest(&name, &by_tag("v1"), &Expected::Anything, &actor).await.unwrap();

    assert_eq!(found(world, &name, &by_tag("v1")).await, None);
    assert_eq!(all_tags(world, &name, 10).await, ["v2"]);
    world.repositories.delete_manifest(&name, &by_tag("v2"), &Expected::Anything, &actor).await.unwrap();
    assert_eq!(all_tags(world, &name, 10).await, [""; 0]);
    assert_eq!(found(world, &name, &by_digest(&manifest.digest)).await, Some(manifest.digest));
}

async fn deleting_a_manifest_removes_its_tags(world: &World) {
    let (actor, name, blob, manifest) = with_image(world, "re-delete", &["v1", "v2"]).await;
    let other = image(&name, "re-delete, another", &[&blob], &["v3"]);
    world.repositories.put_manifest(&other, &actor).await.unwrap();
    world
        .repositories
        .delete_manifest(&name, &by_digest(&manifest.digest), &Expected::Anything, &actor)
        .await
        .unwrap();

    assert_eq!(found(world, &name, &by_digest(&manifest.digest)).await, None);
    assert_eq!(all_tags(world, &name, 10).await, ["v3"]);
    assert!(world.location(&name, &blob).await.is_some(), "blobs stay until their grace is over");
    world.repositories.put_manifest(&manifest, &actor).await.unwrap();
    assert_eq!(all_tags(world, &name, 10).await, ["v1", "v2", "v3"]);
}

async fn a_manifest_with_very_many_tags_can_be_deleted(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "re-heavy", &[]).await;
    for hundred in 0..12 {
        let tags: Vec<String> = (0..100).map(|number| format!("t{hundred}-{number}")).collect();
        let tags = tags.iter().map(|text| tag(text)).collect();
        world.repositories.put_manifest(&NewManifest { tags, ..manifest.clone() }, &actor).await.unwrap();
    }
    assert_eq!(all_tags(world, &name, 1_000).await.len(), 1_200);

    world
        .repositories
        .delete_manifest(&name, &by_digest(&manifest.digest), &Expected::Anything, &actor)
        .await
        .unwrap();
    assert_eq!(all_tags(world, &name, 1_000).await, [""; 0]);
    assert_eq!(found(world, &name, &by_digest(&manifest.digest)).await, None);
}

async fn what_an_index_needs_cannot_be_deleted(world: &World) {
    let (actor, name, _, child) = with_image(world, "re-index", &["v1"]).await;
    let parent = index(&name, "re-index, index", &[&child.digest], &["multi"]);
    world.repositories.put_manifest(&parent, &actor).await.unwrap();

    let refused = world
        .repositories
        .delete_manifest(&name, &by_digest(&child.digest), &Expected::Anything, &actor)
        .await
        .unwrap_err();
    let needed = RepositoryError::StillNeeded { digest: child.digest.clone(), parent: parent.digest.clone() };
    assert_eq!(refused, needed);
    assert_eq!(found(world, &name, &by_tag("v1")).await.as_ref(), Some(&child.digest));

    for digest in [&parent.digest, &child.digest] {
        world
            .repositories
            .delete_manifest(&name, &by_digest(digest), &Expected::Anything, &actor)
            .await
            .unwrap();
    }
    assert_eq!(all_tags(world, &name, 10).await, [""; 0]);
}

async fn what_is_not_there_cannot_be_deleted(world: &World) {
    let (actor, name, blob, _) = with_image(world, "re-none", &["v1"]).await;
    for reference in [by_tag("v2"), by_digest(&blob)] {
        let refused = world
            .repositories
            .delete_manifest(&name, &reference, &Expected::Anything, &actor)
            .await
            .unwrap_err();
        assert_eq!(refused, RepositoryError::ManifestUnknown { repository: name.clone(), reference });
    }
    let nowhere = repository("re-none/nowhere");
    let refused = world
        .repositories
        .delete_manifest(&nowhere, &by_tag("v1"), &Expected::Anything, &actor)
        .await
        .unwrap_err();
    assert_eq!(refused, RepositoryError::NameUnknown { repository: nowhere });
}
