//! What a tag has named over time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use jiff::Timestamp;
use oci::{Digest, EventId, ManifestKind, Reference, RepositoryName};
use service_kit::clock::Clock as _;

use super::{by_digest, by_tag, image, index, tag, with_image};
use crate::metadata::{
    Actor, RepositoryError,
    repositories::{
        Expected, NewManifest, Restore,
        history::{TagChange, TagEvent, TagHistory, WantedHistory},
    },
    uploads::suite::world::{World, digest, repository},
};

pub(super) async fn run(world: &World) {
    a_history_tells_each_change_of_one_tag_newest_first(world).await;
    a_history_outlives_its_tag_and_its_manifests(world).await;
    a_push_of_the_same_again_is_no_change(world).await;
    times_bound_a_history_and_do_not_belong_to_it(world).await;
    a_history_comes_in_pages_without_gap_or_overlap(world).await;
    what_has_no_history_has_an_empty_one(world).await;
}

fn wanted(repository: &RepositoryName, text: &str) -> WantedHistory {
    WantedHistory {
        repository: repository.clone(),
        tag: tag(text),
        before: None,
        since: None,
        digest: None,
        after: None,
        limit: 1_000,
    }
}

async fn history(world: &World, wanted: &WantedHistory) -> TagHistory {
    world.repositories.tag_history(wanted).await.unwrap()
}

/// What became of a tag, and of which manifest: all of it.
async fn changes(world: &World, wanted: &WantedHistory) -> Vec<(TagChange, Digest)> {
    let TagHistory { entries, next } = history(world, wanted).await;
    assert_eq!(next, None);
    entries.into_iter().map(|event| (event.change, event.digest)).collect()
}

async fn push(world: &World, manifest: &NewManifest, actor: &Actor) -> Timestamp {
    world.clock.advance(Duration::from_secs(1));
    world.repositories.put_manifest(manifest, actor).await.unwrap();
    world.clock.now()
}

async fn delete(world: &World, name: &RepositoryName, reference: &Reference, actor: &Actor) -> Timestamp {
    world.clock.advance(Duration::from_secs(1));
    world.repositories.delete_manifest(name, reference, &Expected::Anything, actor).await.unwrap();
    world.clock.now()
}

async fn a_history_tells_each_change_of_one_tag_newest_first(world: &World) {
    let (actor, name, blob, old) = with_image(world, "hi-tell", &["latest", "other"]).await;
    let first = world.clock.now();
    let new = index(&name, "hi-tell 2", &[&old.digest], &["latest"]);
    let second = push(world, &new, &actor).await;
    let third = delete(world, &name, &by_tag("latest"), &actor).await;
    let _ = push(world, &image(&name, "hi-tell 3", &[&blob], &["other"]), &actor).await;

    let found = history(world, &wanted(&name, "latest")).await;
    let [deleted, moved, created] = found.entries.as_slice() else { panic!("{found:?}") };
    let told = |event: &TagEvent, at, change, manifest: &NewManifest| {
        assert_eq!((event.at, event.change, &event.digest), (at, change, &manifest.digest));
        assert_eq!((&event.media_type, event.size_bytes), (&manifest.media_type, manifest.body.len() as u64));
    };
    told(deleted, third, TagChange::Deleted, &new);
    told(moved, second, TagChange::Created, &new);
    told(created, first, TagChange::Created, &old);
    assert_eq!(deleted.media_type, ManifestKind::OciIndex.media_type());
    assert!(created.id < moved.id && moved.id < deleted.id);

    let of_one = WantedHistory { digest: Some(old.digest.clone()), ..wanted(&name, "latest") };
    assert_eq!(changes(world, &of_one).await, [(TagChange::Created, old.digest)]);
    let of_another = WantedHistory { digest: Some(digest("hi-tell 3")), ..wanted(&name, "latest") };
    assert_eq!(changes(world, &of_another).await, []);
}

async fn a_history_outlives_its_tag_and_its_manifests(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "hi-gone", &["v1", "v2"]).await;
    delete(world, &name, &by_digest(&manifest.digest), &actor).await;

    for tag in ["v1", "v2"] {
        let found = history(world, &wanted(&name, tag)).await.entries;
        let told: Vec<_> = found.iter().map(|event| (event.change, event.size_bytes)).collect();
        let size_bytes = manifest.body.len() as u64;
        assert_eq!(told, [(TagChange::Deleted, size_bytes), (TagChange::Created, size_bytes)]);
        assert!(found.iter().all(|event| event.media_type == manifest.media_type));
    }

    let what = by_digest(&manifest.digest);
    let restore = Restore { repository: name.clone(), what, to: None };
    world.repositories.restore(&restore, &actor).await.unwrap();
    let all = changes(world, &wanted(&name, "v1")).await;
    let [change, ..] = all.as_slice() else { panic!("it came back") };
    assert_eq!((all.len(), change), (3, &(TagChange::Created, manifest.digest)));
}

async fn a_push_of_the_same_again_is_no_change(world: &World) {
    let (actor, name, _, manifest) = with_image(world, "hi-again", &["v1"]).await;
    for _ in 0..3 {
        push(world, &manifest, &actor).await;
    }
    assert_eq!(changes(world, &wanted(&name, "v1")).await, [(TagChange::Created, manifest.digest)]);
}

async fn times_bound_a_history_and_do_not_belong_to_it(world: &World) {
    let (actor, name, blob, _) = with_image(world, "hi-time", &[]).await;
    let mut made = Vec::new();
    for number in 0..4 {
        let new = image(&name, &format!("hi-time {number}"), &[&blob], &["v1"]);
        made.push((push(world, &new, &actor).await, new.digest));
    }

    for (since, before) in [(None, Some(2)), (Some(1), None), (Some(0), Some(3)), (Some(1), Some(2))] {
        let at = |number: Option<usize>| number.map(|number| made[number].0);
        let within = |number: usize| {
            since.is_none_or(|since| number > since) && before.is_none_or(|before| number < before)
        };
        let expected: Vec<_> =
            (0..4).rev().filter(|number| within(*number)).map(|number| made[number].1.clone()).collect();
        let wanted = WantedHistory { since: at(since), before: at(before), ..wanted(&name, "v1") };
        let found: Vec<_> = changes(world, &wanted).await.into_iter().map(|(_, digest)| digest).collect();
        assert_eq!(found, expected, "since {since:?}, before {before:?}");
    }
    for (since, before) in [(Some(Timestamp::MAX), None), (None, Some(Timestamp::MIN))] {
        assert_eq!(changes(world, &WantedHistory { before, since, ..wanted(&name, "v1") }).await, []);
    }
    let always =
        WantedHistory { since: Some(Timestamp::MIN), before: Some(Timestamp::MAX), ..wanted(&name, "v1") };
    assert_eq!(changes(world, &always).await.len(), 4);
}

/// All pages of at most `limit`, one after the other.
async fn walked(world: &World, name: &RepositoryName, limit: usize) -> Vec<EventId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = history(world, &WantedHistory { after, limit, ..wanted(name, "v1") }).await;
        assert!(page.entries.len() <= limit);
        all.extend(page.entries.into_iter().map(|event| event.id));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn a_history_comes_in_pages_without_gap_or_overlap(world: &World) {
    let (actor, name, blob, _) = with_image(world, "hi-page", &[]).await;
    let many: Vec<String> = (0..90).map(|number| format!("other-{number}")).collect();
    let others: Vec<&str> = many.iter().map(String::as_str).collect();
    for number in 0..6 {
        // All within one millisecond: a time alone could not tell where to go on.
        let tags = if number % 2 == 0 { vec!["v1"] } else { [others.as_slice(), &["v1"]].concat() };
        let new = image(&name, &format!("hi-page {number}"), &[&blob], &tags);
        world.repositories.put_manifest(&new, &actor).await.unwrap();
    }

    let all = walked(world, &name, 1_000).await;
    assert_eq!(all.len(), 6);
    assert!(all.is_sorted_by(|newer, older| newer > older));
    for limit in 1..=7 {
        assert_eq!(walked(world, &name, limit).await, all, "{limit} to a page");
    }
}

async fn what_has_no_history_has_an_empty_one(world: &World) {
    let (_, name, _, _) = with_image(world, "hi-none", &["v1"]).await;
    assert_eq!(changes(world, &wanted(&name, "v2")).await, []);
    let none = history(world, &WantedHistory { limit: 0, ..wanted(&name, "v1") }).await;
    assert_eq!((none.entries, none.next), (Vec::new(), None));

    let nowhere = repository("hi-none/nowhere");
    let refused = world.repositories.tag_history(&wanted(&nowhere, "v1")).await.unwrap_err();
    assert_eq!(refused, RepositoryError::NameUnknown { repository: nowhere });
}
