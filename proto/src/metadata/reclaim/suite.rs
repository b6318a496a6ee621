//! What every implementation of `Reclaim` does, as tests. Time moves on from case to case.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use oci::{Digest, Locator, ManifestKind, Need, Needed, Reference, RepositoryName};

use super::{Found, Kept, Office, Reclaimable, Why};
use crate::metadata::{
    Actor, More, RepositoryError,
    accounts::Role,
    repositories::{Expected, NewManifest, Restore},
    uploads::suite::world::{World, digest, generation, locator, now, repository},
};

const DAY: Duration = Duration::from_hours(24);

/// All cases. The world keeps unused links for a day, deleted manifests for a week and garbage for an hour.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    one_has_the_office_for_a_term(&world).await;
    what_nobody_uses_becomes_garbage(&world).await;
    a_manifest_keeps_its_blobs(&world).await;
    old_uploads_are_stale(&world).await;
    an_audit_finds_what_nobody_knows(&world).await;
    a_survey_says_what_each_repository_gives_back(&world).await;
    every_reason_is_told(&world).await;
    a_tag_names_again_what_it_named(&world).await;
    a_deleted_manifest_comes_back_with_its_tags(&world).await;
    only_what_was_there_comes_back(&world).await;
}

pub(crate) fn image(name: &RepositoryName, body: &str, blob: &Digest, tags: &[&str]) -> NewManifest {
    NewManifest {
        repository: name.clone(),
        digest: digest(body),
        media_type: ManifestKind::OciManifest.media_type(),
        body: Bytes::from(body.to_owned()),
        needs: vec![Need { digest: blob.clone(), size: 1, what: Needed::Blob }],
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        expected: Expected::Anything,
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    }
}

pub(crate) async fn put(world: &World, manifest: &NewManifest, actor: &Actor) {
    world.repositories.put_manifest(manifest, actor).await.unwrap();
}

/// All that is due, in every repository.
async fn sweep(world: &World, later: Duration) {
    world.clock.advance(later);
    let mut after = None;
    loop {
        let unlinked = world.reclaim.unlink(after.as_ref()).await.unwrap();
        after = unlinked.next;
        if after.is_none() && unlinked.more == More::No {
            break;
        }
    }
    while world.reclaim.reap().await.unwrap().more == More::Yes {}
}

async fn garbage(world: &World) -> Vec<Locator> {
    let garbage = world.reclaim.garbage(500).await.unwrap();
    garbage.into_iter().map(|discarded| discarded.locator).collect()
}

async fn one_has_the_office_for_a_term(world: &World) {
    let (one, other) = (generation(1), generation(2));
    let term = Duration::from_mins(10);
    assert_eq!(world.reclaim.take_office(&one, term).await.unwrap(), Office::Held);
    assert_eq!(world.reclaim.take_office(&other, term).await.unwrap(), Office::Taken);

    world.clock.advance(Duration::from_mins(9));
    assert_eq!(world.reclaim.take_office(&one, term).await.unwrap(), Office::Held);
    world.clock.advance(Duration::from_mins(9));
    assert_eq!(world.reclaim.take_office(&other, term).await.unwrap(), Office::Taken);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(world.reclaim.take_office(&other, term).await.unwrap(), Office::Held);
}

async fn what_nobody_uses_becomes_garbage(world: &World) {
    let actor = world.user("rc-gone", Role::User).await;
    let name = repository("rc-gone/app");
    let blob = world.push_blob(&name, "rc-gone, content", &actor).await;
    let place = world.location(&name, &blob).await.unwrap();

    sweep(world, DAY / 2).await;
    assert!(world.location(&name, &blob).await.is_some(), "the grace lasts");
    sweep(world, DAY).await;
    assert_eq!(world.location(&name, &blob).await, None);
    sweep(world, Duration::from_mins(2)).await;
    assert!(!garbage(world).await.contains(&place), "it waits longer than a failover");

    world.clock.advance(Duration::from_mins(61));
    let found = world.reclaim.garbage(500).await.unwrap();
    let ours: Vec<_> = found.into_iter().filter(|discarded| discarded.locator == place).collect();
    assert_eq!(ours.len(), 1);
    for _ in 0..2 {
        world.reclaim.forget_garbage(&ours).await.unwrap();
    }
    assert!(!garbage(world).await.contains(&place));
}

async fn a_manifest_keeps_its_blobs(world: &World) {
    let actor = world.user("rc-kept", Role::User).await;
    let name = repository("rc-kept/app");
    let blob = world.push_blob(&name, "rc-kept, content", &actor).await;
    put(world, &image(&name, "rc-kept, image", &blob, &[]), &actor).await;

    sweep(world, 100 * DAY).await;
    assert!(
        world.location(&name, &blob).await.is_some(),
        "a manifest without a tag may be pinned by its digest"
    );
}

async fn old_uploads_are_stale(world: &World) {
    let actor = world.user("rc-stale", Role::User).await;
    let name = repository("rc-stale/app");
    let old = world.uploads.start(&name, &actor).await.unwrap();
    world.clock.advance(8 * DAY);
    let young = world.uploads.start(&name, &actor).await.unwrap();

    let stale = world.reclaim.stale_uploads(500).await.unwrap();
    let sessions: Vec<_> = stale.iter().map(|upload| upload.session).collect();
    assert!(sessions.contains(&old.address.session) && !sessions.contains(&young.address.session));
    for _ in 0..2 {
        world.reclaim.forget_uploads(&stale).await.unwrap();
    }
    assert_eq!(world.reclaim.stale_uploads(500).await.unwrap(), []);
    world.uploads.session(&young.address).await.unwrap();
}

async fn an_audit_finds_what_nobody_knows(world: &World) {
    let actor = world.user("rc-audit", Role::User).await;
    let name = repository("rc-audit/app");
    let blob = world.push_blob(&name, "rc-audit, content", &actor).await;
    let known = world.location(&name, &blob).await.unwrap();
    let (loser, nobodys) = (locator(&blob, 77), locator(&digest("rc-audit, crash"), 78));
    let open = world.uploads.start(&name, &actor).await.unwrap().address.session;
    let ended = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();

    let young = Locator { generation: "7ZZZZZZZZZ0000000000000000".parse().unwrap(), ..nobodys.clone() };
    let found = Found {
        locators: vec![known.clone(), loser.clone(), nobodys.clone(), young],
        sessions: vec![open, ended],
    };
    let audited = world.reclaim.audit(&found).await.unwrap();
    assert_eq!((audited.queued, audited.ended), (2, vec![ended]));

    world.clock.advance(Duration::from_mins(61));
    let garbage = garbage(world).await;
    assert!(garbage.contains(&loser) && garbage.contains(&nobodys) && !garbage.contains(&known));
}

async fn surveyed(world: &World, name: &RepositoryName) -> Option<Reclaimable> {
    let mut after = None;
    loop {
        let survey = world.reclaim.survey(after.as_ref()).await.unwrap();
        let found = survey.repositories.into_iter().find(|found| found.repository == *name);
        if found.is_some() || survey.next.is_none() {
            return found;
        }
        after = survey.next;
    }
}

async fn a_survey_says_what_each_repository_gives_back(world: &World) {
    let actor = world.user("rc-survey", Role::User).await;
    let (name, other) = (repository("rc-survey/app"), repository("rc-survey/other"));
    world.push_blob(&name, "12345", &actor).await;
    world.push_blob(&other, "shared bytes", &actor).await;
    world.push_blob(&name, "shared bytes", &actor).await;
    world.clock.advance(DAY + Duration::from_mins(1));
    world.push_blob(&name, "123", &actor).await;
    let used = world.push_blob(&name, "1234567", &actor).await;
    let image = image(&name, "rc-survey, image", &used, &["v1"]);
    put(world, &image, &actor).await;
    world
        .repositories
        .delete_manifest(&name, &Reference::Digest(image.digest), &Expected::Anything, &actor)
        .await
        .unwrap();

    let (now_bytes, later_bytes, restorable_bytes, shared_bytes) = (5, 3, 7, 12);
    let expected =
        Reclaimable { repository: name.clone(), now_bytes, later_bytes, restorable_bytes, shared_bytes };
    assert_eq!(surveyed(world, &name).await, Some(expected));
    assert_eq!(surveyed(world, &repository("rc-kept/app")).await, None);
}

/// What is said of a repository.
async fn why(world: &World, digest: &Digest, name: &RepositoryName) -> (Why, Vec<(Kept, Vec<Digest>)>) {
    let (mut after, mut ways) = (None, Vec::new());
    loop {
        let why = world.reclaim.why(digest, after.as_ref()).await.unwrap();
        let here = why.keepers.iter().filter(|keeper| keeper.repository == *name);
        ways.extend(here.map(|keeper| (keeper.kept.clone(), keeper.path.clone())));
        if why.next.is_none() {
            return (why, ways);
        }
        after = why.next;
    }
}

async fn every_reason_is_told(world: &World) {
    let actor = world.user("rc-why", Role::User).await;
    let name = repository("rc-why/app");
    let blob = world.push_blob(&name, "rc-why, content", &actor).await;
    let until = now(world) + DAY;
    let (said, ways) = why(world, &blob, &name).await;
    assert_eq!((said.size_bytes, said.held), (Some(15), false));
    assert_eq!(said.locator, world.location(&name, &blob).await);
    assert_eq!(ways, [(Kept::Unused { until }, vec![blob.clone()])]);

    let image = image(&name, "rc-why, image", &blob, &["v1", "v2"]);
    put(world, &image, &actor).await;
    let need = Need { digest: image.digest.clone(), size: 1, what: Needed::Manifest };
    let index = NewManifest {
        digest: digest("rc-why, index"),
        body: Bytes::from("rc-why, index"),
        needs: vec![need],
        tags: Vec::new(),
        ..image.clone()
    };
    put(world, &index, &actor).await;
    let tags = ["v1", "v2"].map(|tag| tag.parse().unwrap()).to_vec();
    let path = vec![index.digest.clone(), image.digest.clone(), blob.clone()];
    let expected = [(Kept::Tagged(tags), path[1..].to_vec()), (Kept::Untagged, path.clone())];
    assert_eq!(why(world, &blob, &name).await.1, expected);

    for digest in [&index.digest, &image.digest] {
        let reference = Reference::Digest(digest.clone());
        world.repositories.delete_manifest(&name, &reference, &Expected::Anything, &actor).await.unwrap();
    }
    let until = now(world) + 7 * DAY;
    let expected = [(Kept::Restorable { until }, path[1..].to_vec())];
    assert_eq!(why(world, &blob, &name).await.1, expected);
    assert_eq!(why(world, &digest("rc-why, unheard of"), &name).await.0, Why::default());

    let address = world.uploads.start(&name, &actor).await.unwrap().address;
    world.uploads.hold(&address, &blob).await.unwrap();
    assert!(why(world, &blob, &name).await.0.held);
}

async fn restored(world: &World, name: &RepositoryName, what: &str, actor: &Actor) -> Option<Digest> {
    let what: Reference = what.parse().unwrap();
    let restore = Restore { repository: name.clone(), what: what.clone(), to: None };
    match world.repositories.restore(&restore, actor).await {
        Ok(digest) => Some(digest),
        Err(RepositoryError::NothingToRestore { repository, reference }) => {
            assert_eq!((&repository, reference), (name, what));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

async fn named(world: &World, name: &RepositoryName, tag: &str) -> Option<Digest> {
    let found = world.repositories.manifest(name, &tag.parse().unwrap()).await;
    found.ok().map(|manifest| manifest.digest)
}

async fn a_tag_names_again_what_it_named(world: &World) {
    let actor = world.user("rc-tag", Role::User).await;
    let name = repository("rc-tag/app");
    let blob = world.push_blob(&name, "rc-tag, content", &actor).await;
    let images = ["rc-tag, one", "rc-tag, two"].map(|body| image(&name, body, &blob, &["latest"]));
    for image in &images {
        put(world, image, &actor).await;
    }

    assert_eq!(restored(world, &name, "latest", &actor).await, Some(images[0].digest.clone()));
    assert_eq!(named(world, &name, "latest").await, Some(images[0].digest.clone()));
    let to = Some(images[1].digest.clone());
    let exactly = Restore { repository: name.clone(), what: "latest".parse().unwrap(), to };
    assert_eq!(world.repositories.restore(&exactly, &actor).await.unwrap(), images[1].digest);

    world
        .repositories
        .delete_manifest(&name, &"latest".parse().unwrap(), &Expected::Anything, &actor)
        .await
        .unwrap();
    assert_eq!(named(world, &name, "latest").await, None);
    assert_eq!(restored(world, &name, "latest", &actor).await, Some(images[1].digest.clone()));
}

async fn a_deleted_manifest_comes_back_with_its_tags(world: &World) {
    let actor = world.user("rc-undo", Role::User).await;
    let name = repository("rc-undo/app");
    let blob = world.push_blob(&name, "rc-undo, content", &actor).await;
    let gone = image(&name, "rc-undo, one", &blob, &["v1", "latest"]);
    put(world, &gone, &actor).await;
    let by_digest = Reference::Digest(gone.digest.clone());
    world.repositories.delete_manifest(&name, &by_digest, &Expected::Anything, &actor).await.unwrap();
    put(world, &image(&name, "rc-undo, two", &blob, &["latest"]), &actor).await;

    assert_eq!(named(world, &name, &gone.digest.to_string()).await, None, "DELETE answers at once");
    let restored = restored(world, &name, &gone.digest.to_string(), &actor).await;
    assert_eq!(restored.as_ref(), Some(&gone.digest));
    let back = world.repositories.manifest(&name, &by_digest).await.unwrap();
    assert_eq!((back.body, back.media_type), (gone.body, gone.media_type));
    assert_eq!(named(world, &name, "v1").await, Some(gone.digest));
    assert_eq!(
        named(world, &name, "latest").await,
        Some(digest("rc-undo, two")),
        "it names something else by now"
    );
    sweep(world, 10 * DAY).await;
    sweep(world, 10 * DAY).await;
    assert!(world.location(&name, &blob).await.is_some());
}

async fn only_what_was_there_comes_back(world: &World) {
    let actor = world.user("rc-none", Role::User).await;
    let name = repository("rc-none/app");
    let blob = world.push_blob(&name, "rc-none, content", &actor).await;
    let image = image(&name, "rc-none, image", &blob, &["v1"]);
    put(world, &image, &actor).await;
    let (of_image, unheard_of) = (image.digest.to_string(), digest("rc-none, unheard of").to_string());

    for what in ["v1", "v2", of_image.as_str(), unheard_of.as_str()] {
        assert_eq!(restored(world, &name, what, &actor).await, None, "{what}");
    }
    world
        .repositories
        .delete_manifest(&name, &of_image.parse().unwrap(), &Expected::Anything, &actor)
        .await
        .unwrap();
    sweep(world, 8 * DAY).await;
    for what in ["v1", of_image.as_str()] {
        assert_eq!(restored(world, &name, what, &actor).await, None, "the window of {what} has passed");
    }
}
