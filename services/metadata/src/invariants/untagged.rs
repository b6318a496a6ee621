//! Manifests without a tag that go by a rule: cut off anywhere, and with a rival in the one order that hurts.

use std::{sync::Arc, time::Duration};

use oci::{Digest, Needed, Reference};
use proto::metadata::{
    Reclaim as _, Repositories as _, Rules as _,
    repositories::{Expected, NewManifest, Restore},
    rules::RuleSet,
};
use serde_json::json;

use super::{
    Strictness, check,
    cut::{Cutting, World, actor, app, cut_everywhere, digest, furnished, manifest, other, world},
    members,
    reclaim::retained,
    record,
};
use crate::{
    Service,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Mutation},
};

const DAY: Duration = Duration::from_hours(24);

/// A rule for manifests without a tag, and no other.
pub(super) fn untagged_go(within: &str) -> RuleSet {
    serde_json::from_value(json!({ "untagged": { "within": within } })).unwrap()
}

fn image(body: &str, tags: &[&str]) -> NewManifest {
    manifest(&app(), body, &[(Needed::Blob, &digest("layer 1"))], tags)
}

/// `image 1` has lost its last tag, `image 3` never had one, and the time of both has come.
async fn two_are_due(world: &World) {
    world.put_rules(&"ann".parse().unwrap(), Some(&untagged_go("1d")), &actor()).await.unwrap();
    for tag in ["v1", "latest"] {
        delete(world, tag).await;
    }
    world.put_manifest(&image("image 3", &[]), &actor()).await.unwrap();
    world.clock.advance(DAY);
}

/// And the child of an index has lost its last one.
async fn three_are_due(world: &World) {
    delete(world, "v2").await;
    two_are_due(world).await;
}

async fn delete(world: &World, reference: &str) {
    let reference: Reference = reference.parse().unwrap();
    world.delete_manifest(&app(), &reference, &Expected::Anything, &actor()).await.unwrap();
}

async fn due() -> (Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world.service).await;
    two_are_due(&world).await;
    (keyspace, world)
}

async fn holds(world: &World) {
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(&world.service, &[app(), other()], &manifests, Strictness::Exact).await;
}

async fn is_stored(world: &World, body: &str) -> bool {
    world.manifest(&app(), &Reference::Digest(digest(body))).await.is_ok()
}

async fn id(world: &World) -> RepositoryId {
    world.service.placements(&[app()]).await.unwrap().pop().flatten().unwrap().id
}

async fn listed(world: &World) -> usize {
    members(&world.service, &keys::untagged(id(world).await)).await.len()
}

#[tokio::test]
async fn a_walk_over_what_has_no_tag() {
    let walk = async |service: &Service, (): &()| retained(service).await.map(drop);
    cut_everywhere(walk, three_are_due).await;
}

#[tokio::test]
async fn a_tag_that_moves_back_and_forth_leaves_one_entry() {
    let (_, world) = due().await;
    for _ in 0..20 {
        for body in ["image 1", "image 3"] {
            world.put_manifest(&image(body, &["a"]), &actor()).await.unwrap();
            world.put_manifest(&image(body, &["b"]), &actor()).await.unwrap();
        }
    }
    assert_eq!(listed(&world).await, 1, "the one that has no tag");
    holds(&world).await;
}

#[tokio::test]
async fn what_has_gained_a_tag_or_is_kept_is_not_looked_at_each_time() {
    let (_, world) = due().await;
    delete(&world, "v2").await;
    world.clock.advance(DAY);
    assert_eq!(retained(&world).await.unwrap(), 2);
    assert_eq!(listed(&world).await, 1);
    let since = async || {
        let record = record(&world, &keys::manifest(id(&world).await, &digest("image 2"))).await;
        record.number(field::UNTAGGED).unwrap()
    };

    let begun = since().await;
    world.clock.advance(DAY / 2);
    retained(&world).await.unwrap();
    assert_eq!(since().await, begun);
    world.clock.advance(DAY / 2);
    retained(&world).await.unwrap();
    assert_eq!(since().await - begun, i64::try_from(DAY.as_millis()).unwrap());

    // Lost one of two: listed, until it is looked at.
    world.put_manifest(&image("image 2", &["a", "b"]), &actor()).await.unwrap();
    delete(&world, "a").await;
    assert_eq!(listed(&world).await, 1);
    world.clock.advance(DAY);
    assert_eq!(retained(&world).await.unwrap(), 0);
    assert_eq!(listed(&world).await, 0);
}

#[tokio::test]
async fn entries_of_nothing_go_in_steps() {
    let (_, world) = due().await;
    let key = keys::untagged(id(&world).await);
    let many = (0..5_000).map(|number| digest(&format!("nothing {number}")));
    let add = |digest: Digest| Mutation::AddMember(key.clone(), keys::without_tag(&digest));
    world.keyspace().commit(Commit::synced().then_all(many.map(add))).await.unwrap();

    let first = world.retain(None).await.unwrap();
    assert!(first.next.is_some(), "no step does it all");
    let second = world.retain(first.next.as_deref()).await.unwrap();
    assert_eq!((first.untagged + second.untagged, second.next), (2, None));
    assert_eq!(listed(&world).await, 0);
    holds(&world).await;
}

#[tokio::test]
async fn who_comes_while_a_manifest_goes_keeps_it() {
    let (tagged, again) = (image("image 3", &["new"]), image("image 3", &[]));
    let subject = manifest(&app(), "subject", &[], &["subject"]);
    let index = manifest(&app(), "index of it", &[(Needed::Manifest, &digest("image 3"))], &["index"]);
    for comes in [tagged, again, subject, index] {
        let (keyspace, world) = due().await;
        // The other one goes before, so that the next commit is that of this one.
        delete(&world, &digest("image 1").to_string()).await;
        let (rival, body) = (world.service.clone(), comes.body.clone());
        keyspace.interpose(async move { rival.put_manifest(&comes, &actor()).await.unwrap() });

        assert_eq!(retained(&world).await.unwrap(), 0, "{body:?} came first");
        assert!(!keyspace.is_interposed() && is_stored(&world, "image 3").await);
        holds(&world).await;
    }
}

#[tokio::test]
async fn a_rule_that_is_cleared_while_a_manifest_goes_keeps_it() {
    let (keyspace, world) = due().await;
    let rival = world.service.clone();
    keyspace
        .interpose(async move { rival.put_rules(&"ann".parse().unwrap(), None, &actor()).await.unwrap() });

    assert_eq!(retained(&world).await.unwrap(), 0);
    assert!(is_stored(&world, "image 1").await && is_stored(&world, "image 3").await);
    holds(&world).await;
}

#[tokio::test]
async fn what_went_for_want_of_a_tag_can_be_brought_back_and_tagged() {
    let (_, world) = due().await;
    assert_eq!(retained(&world).await.unwrap(), 2);
    for (body, tag) in [("image 1", None), ("image 3", Some("v3"))] {
        let to = tag.map(|_| digest(body));
        let what = tag.map_or_else(|| Reference::Digest(digest(body)), |tag| tag.parse().unwrap());
        world.restore(&Restore { repository: app(), what, to }, &actor()).await.unwrap();
        assert!(is_stored(&world, body).await);
    }
    assert_eq!(listed(&world).await, 1, "the one without a tag");
    holds(&world).await;
}
