//! What every implementation of `Integrity` does, as tests. What is damaged is planted in the service's own tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::{Reference, RepositoryName};

use super::{Checked, Counts, Kind, Mending, Outcome};
use crate::metadata::{
    Actor,
    accounts::Role,
    audit::{Action, WantedEntries},
    reclaim::suite::{image, put},
    repositories::Expected,
    uploads::{
        Link,
        suite::world::{World, digest, link_of, locator, repository},
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    what_is_used_as_it_should_be_agrees(&world).await;
    bytes_that_are_gone_are_named_and_left(&world).await;
    a_cursor_of_another_release_begins_anew(&world).await;
}

/// All that a walk finds.
async fn walked(world: &World, mending: Mending) -> Checked {
    let mut all = Checked::default();
    loop {
        let step = world.integrity.check(all.next.as_deref(), mending, &Actor::operator()).await.unwrap();
        all.findings.extend(step.findings);
        all.counts.add(&step.counts);
        all.next = step.next;
        if all.next.is_none() {
            return all;
        }
    }
}

async fn repairs(world: &World) -> usize {
    let wanted = WantedEntries { limit: 1_000, ..WantedEntries::default() };
    let entries = world.audit.audit_entries(&wanted).await.unwrap().entries;
    entries.iter().filter(|entry| entry.action.as_str() == Action::MetadataRepair.name()).count()
}

async fn an_image(world: &World, name: &RepositoryName, content: &str, actor: &Actor) {
    let blob = world.push_blob(name, content, actor).await;
    put(world, &image(name, &format!("image of {content}"), &blob, &["v1"]), actor).await;
}

async fn what_is_used_as_it_should_be_agrees(world: &World) {
    let before = walked(world, Mending::Report).await.counts;
    let actor = world.user("ig-ann", Role::User).await;
    let name = repository("ig-ann/app");
    an_image(world, &name, "ig, one", &actor).await;
    world.push_blob(&name, "ig, unused", &actor).await;
    let deleted = image(&name, "ig, deleted", &world.push_blob(&name, "ig, two", &actor).await, &["v2"]);
    put(world, &deleted, &actor).await;
    let reference = Reference::Digest(deleted.digest);
    world.repositories.delete_manifest(&name, &reference, &Expected::Anything, &actor).await.unwrap();
    let _open = world.uploads.start(&name, &actor).await.unwrap();

    for mending in [Mending::Report, Mending::Repair] {
        let checked = walked(world, mending).await;
        assert_eq!(checked.findings, []);
        let Counts { repositories, tags, manifests, blobs, users, organizations } = checked.counts;
        assert_eq!(repositories - before.repositories, 1);
        assert_eq!((tags - before.tags, manifests - before.manifests, blobs - before.blobs), (1, 2, 3));
        assert_eq!((users - before.users, organizations), (1, before.organizations));
    }
    assert_eq!(repairs(world).await, 0, "nothing was changed");
}

async fn bytes_that_are_gone_are_named_and_left(world: &World) {
    let actor = world.user("ig-bob", Role::User).await;
    let name = repository("ig-bob/app");
    an_image(world, &name, "ig, gone", &actor).await;
    let blob = digest("ig, gone");
    let place = world.location(&name, &blob).await.unwrap();
    world.repositories.quarantine(&place).await.unwrap();

    for mending in [Mending::Report, Mending::Repair] {
        let findings = walked(world, mending).await.findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        let subject = format!("{name}@{blob}");
        assert_eq!((findings[0].kind, &findings[0].subject), (Kind::BlobWithoutBytes, &subject));
        assert_eq!(findings[0].outcome, Outcome::Unmendable);
    }

    // A generation never comes back: the next push brings another one.
    let session = world.uploads.start(&name, &actor).await.unwrap();
    let held = world.uploads.hold(&session.address, &blob).await.unwrap();
    let size_bytes = "ig, gone".len() as u64;
    let link = Link { locator: locator(&blob, 2), ..link_of(&held, &blob, size_bytes) };
    world.uploads.link(&link, &actor).await.unwrap();
    assert_eq!(walked(world, Mending::Report).await.findings, []);
}

async fn a_cursor_of_another_release_begins_anew(world: &World) {
    let all = walked(world, Mending::Report).await.counts;
    let mut checked =
        world.integrity.check(Some("another release's"), Mending::Report, &Actor::operator()).await.unwrap();
    while let Some(next) = checked.next.take() {
        let step = world.integrity.check(Some(&next), Mending::Report, &Actor::operator()).await.unwrap();
        checked.counts.add(&step.counts);
        checked.next = step.next;
    }
    assert_eq!(checked.counts, all);
}
