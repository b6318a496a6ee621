//! What refers to a manifest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::{Descriptor, Digest, MediaType, Tag};

use super::{by_digest, image, index, with_image};
use crate::metadata::{
    More, RepositoryError,
    accounts::Role,
    repositories::{
        Expected, MAX_LISTED_ANNOTATION_BYTES, Manifest, NewManifest, ReferrerPlace, Referrers,
        WantedReferrers,
    },
    uploads::suite::world::{World, digest, repository},
};

const SIGNATURE: &str = "application/x-signature";

pub(super) async fn run(world: &World) {
    a_referrer_is_listed_with_what_it_says_of_itself(world).await;
    referrers_come_in_pages_and_by_type(world).await;
    a_deleted_referrer_is_not_listed(world).await;
    annotations_that_are_too_long_are_left_out(world).await;
    a_page_ends_before_it_grows_too_long(world).await;
    what_stands_under_the_fallback_tag_comes_along(world).await;
    a_repository_that_is_not_there_has_no_referrers(world).await;
}

fn wanted(like: &NewManifest, subject: &Digest) -> WantedReferrers {
    let (repository, subject) = (like.repository.clone(), subject.clone());
    WantedReferrers { repository, subject, artifact_type: None, after: None, limit: 100 }
}

fn signature(like: &NewManifest, body: &str, subject: &Digest, artifact_type: Option<&str>) -> NewManifest {
    NewManifest {
        subject: Some(subject.clone()),
        artifact_type: artifact_type.map(|artifact_type| artifact_type.parse().unwrap()),
        annotations: [("of".to_owned(), body.to_owned())].into(),
        ..image(&like.repository, body, &[], &[])
    }
}

fn descriptor(manifest: &NewManifest) -> Descriptor {
    Descriptor {
        media_type: manifest.media_type.clone(),
        digest: manifest.digest.clone(),
        size: manifest.body.len() as u64,
        artifact_type: manifest.artifact_type.clone(),
        annotations: manifest.annotations.clone(),
        urls: Vec::new(),
    }
}

async fn all(world: &World, mut wanted: WantedReferrers) -> Vec<Descriptor> {
    let mut entries = Vec::new();
    loop {
        let page = world.repositories.referrers(&wanted).await.unwrap();
        assert!(page.entries.len() <= wanted.limit);
        entries.extend(page.entries);
        wanted.after = entries.last().map(ReferrerPlace::of);
        if page.more == More::No {
            return entries;
        }
    }
}

async fn a_referrer_is_listed_with_what_it_says_of_itself(world: &World) {
    let (actor, _, _, subject) = with_image(world, "re-refer", &[]).await;
    let none = Referrers { entries: Vec::new(), more: More::No, fallback: None };
    let of_subject = wanted(&subject, &subject.digest);
    assert_eq!(world.repositories.referrers(&of_subject).await.unwrap(), none);

    let absent = digest("re-refer, never pushed");
    let one = signature(&subject, "re-refer 1", &subject.digest, Some(SIGNATURE));
    let early = signature(&subject, "re-refer 2", &absent, None);
    for manifest in [&one, &early, &one] {
        world.repositories.put_manifest(manifest, &actor).await.unwrap();
    }
    assert_eq!(all(world, of_subject).await, [descriptor(&one)]);
    assert_eq!(all(world, wanted(&subject, &absent)).await, [descriptor(&early)], "a subject may come later");
}

async fn referrers_come_in_pages_and_by_type(world: &World) {
    let (actor, _, _, subject) = with_image(world, "re-many", &[]).await;
    let types = [None, Some("application/x-sbom"), Some(SIGNATURE)];
    let mut pushed = Vec::new();
    for number in 0..90 {
        let body = format!("re-many {number}");
        let manifest = signature(&subject, &body, &subject.digest, types[number % 3]);
        world.repositories.put_manifest(&manifest, &actor).await.unwrap();
        pushed.push(descriptor(&manifest));
    }
    pushed.sort_by_key(ReferrerPlace::of);

    for limit in [1, 7, 89, 90, 91] {
        let paged = WantedReferrers { limit, ..wanted(&subject, &subject.digest) };
        assert_eq!(all(world, paged).await, pushed, "{limit} to a page");
    }
    let artifact_type: MediaType = SIGNATURE.parse().unwrap();
    pushed.retain(|entry| entry.artifact_type.as_ref() == Some(&artifact_type));
    assert_eq!(pushed.len(), 30);
    let artifact_type = Some(artifact_type);
    let paged = WantedReferrers { limit: 7, artifact_type, ..wanted(&subject, &subject.digest) };
    assert_eq!(all(world, paged).await, pushed);
}

async fn a_deleted_referrer_is_not_listed(world: &World) {
    let (actor, name, _, subject) = with_image(world, "re-revoke", &[]).await;
    let [one, two] = ["1", "2"]
        .map(|number| signature(&subject, &format!("re-revoke {number}"), &subject.digest, Some(SIGNATURE)));
    for manifest in [&one, &two] {
        world.repositories.put_manifest(manifest, &actor).await.unwrap();
    }

    world
        .repositories
        .delete_manifest(&name, &by_digest(&one.digest), &Expected::Anything, &actor)
        .await
        .unwrap();
    assert_eq!(all(world, wanted(&subject, &subject.digest)).await, [descriptor(&two)]);
    world
        .repositories
        .delete_manifest(&name, &by_digest(&subject.digest), &Expected::Anything, &actor)
        .await
        .unwrap();
    assert_eq!(all(world, wanted(&subject, &subject.digest)).await, [descriptor(&two)], "subjects may go");
}

async fn annotations_that_are_too_long_are_left_out(world: &World) {
    let (actor, _, _, subject) = with_image(world, "re-wordy", &[]).await;
    let referrer = signature(&subject, "re-wordy 1", &subject.digest, None);
    let text = "x".repeat(MAX_LISTED_ANNOTATION_BYTES);
    let wordy = NewManifest { annotations: [("text".to_owned(), text)].into(), ..referrer };
    world.repositories.put_manifest(&wordy, &actor).await.unwrap();

    let silent = Descriptor { annotations: [].into(), ..descriptor(&wordy) };
    assert_eq!(all(world, wanted(&subject, &subject.digest)).await, [silent]);
}

async fn a_page_ends_before_it_grows_too_long(world: &World) {
    let (actor, _, _, subject) = with_image(world, "re-heavy2", &[]).await;
    for number in 0..40 {
        let referrer = signature(&subject, &format!("re-heavy2 {number}"), &subject.digest, None);
        let text = "x".repeat(MAX_LISTED_ANNOTATION_BYTES - 10);
        let heavy = NewManifest { annotations: [("text".to_owned(), text)].into(), ..referrer };
        world.repositories.put_manifest(&heavy, &actor).await.unwrap();
    }

    let wanted = wanted(&subject, &subject.digest);
    let page = world.repositories.referrers(&wanted).await.unwrap();
    assert_eq!(page.more, More::Yes);
    assert!(page.entries.len() < 20, "{} entries", page.entries.len());
    assert_eq!(all(world, wanted).await.len(), 40);
}

async fn what_stands_under_the_fallback_tag_comes_along(world: &World) {
    let (actor, name, _, subject) = with_image(world, "re-fall", &[]).await;
    let tag = Tag::of_referrers(&subject.digest);
    let listing = index(&name, "re-fall, listing", &[&subject.digest], &[tag.as_str()]);
    world.repositories.put_manifest(&listing, &actor).await.unwrap();

    let found = world.repositories.referrers(&wanted(&subject, &subject.digest)).await.unwrap();
    let NewManifest { digest, media_type, body, .. } = listing;
    assert_eq!(found.fallback, Some(Manifest { digest, media_type, body }));
}

async fn a_repository_that_is_not_there_has_no_referrers(world: &World) {
    world.user("re-nowhere", Role::User).await;
    let nowhere = repository("re-nowhere/app");
    let like = image(&nowhere, "re-nowhere", &[], &[]);
    let refused = world.repositories.referrers(&wanted(&like, &like.digest)).await.unwrap_err();
    assert_eq!(refused, RepositoryError::NameUnknown { repository: nowhere });
}
