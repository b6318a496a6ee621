//! What must be so after every schedule (docs/KEYS.md §5, as a user sees it), and that nothing is left over.

use std::time::Duration;

use oci::{Reference, RepositoryName, Tag};
use proto::metadata::{
    Actor, Integrity as _, PageRequest, Reclaim as _, Repositories as _, Rules as _,
    integrity::{Kind, Mending},
    repositories::Expected,
    rules::RulesOf,
};

use crate::{
    people::{IMAGES, LAYERS, image_digest, layers_of, read, repositories},
    scheduler::{Mortal, Task},
    world::{World, digest, layer},
};

const DAY: Duration = Duration::from_hours(24);

/// Everybody has gone: what is there is whole, stays whole while all that is not needed goes, and goes when it is
/// deleted.
pub(crate) fn afterwards(world: World) -> Task {
    let work = Box::pin(async move {
        whole(&world, "after the schedule").await;
        for _ in 0..6 {
            sweep(&world, 2 * DAY).await;
        }
        whole(&world, "after sweeping").await;
        agreeing(&world).await;
        tagged(&world).await;

        delete_all(&world).await;
        for _ in 0..8 {
            sweep(&world, 4 * DAY).await;
        }
        empty(&world).await;
    });
    Task { name: "afterwards".to_owned(), mortal: Mortal::No, work }
}

async fn sweep(world: &World, later: Duration) {
    world.clock.advance(later);
    // A sweeper of its own each time, as after a restart: it inspects what the time of the day says.
    let mut sweeper = world.sweeper();
    sweeper.round().await.unwrap();
}

/// A manifest has all it needs, a tag names a manifest, and what is linked has its bytes.
async fn whole(world: &World, when: &str) {
    for name in repositories() {
        for image in 0..IMAGES {
            let reference = Reference::Digest(image_digest(image));
            if world.metadata.manifest(&name, &reference).await.is_err() {
                continue;
            }
            for number in layers_of(image) {
                if !read(world, &name, &digest(&layer(number))).await {
                    world.violated(format!("{when}: image {image} of {name} lacks layer {number}"));
                }
            }
        }
        for tag in tags(world, &name).await {
            if world.metadata.manifest(&name, &Reference::Tag(tag.clone())).await.is_err() {
                world.violated(format!("{when}: tag {tag} of {name} names nothing"));
            }
        }
        for number in 0..LAYERS {
            read(world, &name, &digest(&layer(number))).await;
        }
    }
}

/// What is kept agrees with itself; bytes that are gone are looked for by reading them.
async fn agreeing(world: &World) {
    let mut cursor = None;
    loop {
        let step = world.metadata.check(cursor.as_deref(), Mending::Report, &Actor::service()).await.unwrap();
        for finding in step.findings {
            if finding.kind != Kind::BlobWithoutBytes {
                world.violated(format!("{}: {}", finding.kind, finding.subject));
            }
        }
        cursor = step.next;
        if cursor.is_none() {
            return;
        }
    }
}

/// Where a rule lets manifests without a tag go, none is left.
async fn tagged(world: &World) {
    let of = RulesOf::Namespace("ann".parse().unwrap());
    if world.metadata.rules(&of).await.unwrap().is_none() {
        return;
    }
    for name in repositories() {
        let mut named = Vec::new();
        for tag in tags(world, &name).await {
            let found = world.metadata.manifest(&name, &Reference::Tag(tag)).await;
            named.extend(found.map(|manifest| manifest.digest));
        }
        for image in 0..IMAGES {
            let digest = image_digest(image);
            let reference = Reference::Digest(digest.clone());
            if !named.contains(&digest) && world.metadata.manifest(&name, &reference).await.is_ok() {
                world.violated(format!("image {image} of {name} has no tag and has not gone"));
            }
        }
    }
}

async fn tags(world: &World, name: &RepositoryName) -> Vec<Tag> {
    let page = PageRequest { after: None, limit: 100 };
    world.metadata.tags(name, &page).await.map(|page| page.entries).unwrap_or_default()
}

async fn delete_all(world: &World) {
    for name in repositories() {
        for image in 0..IMAGES {
            let reference = Reference::Digest(image_digest(image));
            let _ =
                world.metadata.delete_manifest(&name, &reference, &Expected::Anything, &World::actor()).await;
        }
    }
}

/// Nothing is linked, nothing is in the way, and of the bytes only those are left that an inspection has yet to come
/// to.
async fn empty(world: &World) {
    for name in repositories() {
        for number in 0..LAYERS {
            if read(world, &name, &digest(&layer(number))).await {
                world.violated(format!("{name} still links layer {number}"));
            }
        }
    }
    let survey = world.metadata.survey(None).await.unwrap();
    if !survey.repositories.is_empty() {
        world.violated(format!("something is left to be reclaimed: {survey:?}"));
    }
    for number in 0..LAYERS {
        let why = world.metadata.why(&digest(&layer(number)), None).await.unwrap();
        if why.locator.is_some() || why.held {
            world.violated(format!("layer {number} is still recorded: {why:?}"));
        }
    }
    let uploads: Vec<String> = world.store.names().iter().map(ToString::to_string).collect();
    let parts: Vec<&String> = uploads.iter().filter(|name| name.starts_with("uploads/")).collect();
    if !parts.is_empty() {
        world.violated(format!("parts are left: {parts:?}"));
    }
}
