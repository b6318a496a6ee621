//! Pulls, once they are written: counted, remembered as long as the manifest is there, and not taken for less than they
//! may have been.

use std::{sync::Arc, time::Duration};

use oci::{Digest, RepositoryName};
use proto::metadata::{
    Actor, Repositories as _, RepositorySettings as _, Rules as _,
    repositories::Expected,
    rules::{RuleSet, RulesOf},
};
use serde_json::json;

use super::{
    cut::{Cutting, World, actor, app, digest, furnished, world},
    reclaim::retained,
    record,
};
use crate::{
    keys::{self, field},
    keyspace::{Commit, Key, Mutation, Record},
};

const DAY: Duration = Duration::from_hours(24);

async fn fresh() -> (Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world).await;
    (keyspace, world)
}

async fn pull(world: &World, reference: &str) {
    world.pull(&app(), &reference.parse().unwrap()).await.unwrap();
}

async fn pulled(world: &World) -> Record {
    let place = world.placement(&app()).await.unwrap().unwrap();
    record(world, &keys::pulled(place.id)).await
}

async fn pulls(world: &World) -> u64 {
    world.repository(&app()).await.unwrap().pulls
}

fn last_of(record: &Record, manifest: &Digest) -> Option<i64> {
    record.number(keys::named(manifest))
}

#[tokio::test]
async fn what_is_written_is_counted_once_and_by_every_process() {
    let (keyspace, world) = fresh().await;
    for reference in ["latest", "v1", "v2", &digest("image 1").to_string()] {
        pull(&world, reference).await;
    }
    assert_eq!(pulls(&world).await, 4);
    world.write_gathered().await;
    assert_eq!(pulls(&world).await, 4);
    pull(&world, "latest").await;
    assert_eq!(pulls(&world).await, 5);

    let other = super::cut::world(keyspace).await;
    assert_eq!(pulls(&other).await, 4);
    world.write_gathered().await;
    assert_eq!(pulls(&other).await, 5);
}

#[tokio::test]
async fn a_manifest_that_goes_takes_the_memory_of_its_pulls_with_it() {
    let (_keyspace, world) = fresh().await;
    pull(&world, "v1").await;
    pull(&world, "v2").await;
    world.write_gathered().await;
    let (one, two) = (digest("image 1"), digest("image 2"));
    assert!(last_of(&pulled(&world).await, &one).is_some());

    // What is pulled before it goes and written afterwards is remembered no longer either.
    pull(&world, "v1").await;
    let manifest = one.to_string().parse().unwrap();
    world.delete_manifest(&app(), &manifest, &Expected::Anything, &actor()).await.unwrap();
    assert_eq!(last_of(&pulled(&world).await, &one), None);
    pull(&world, "v2").await;
    world.clock.advance(Duration::from_secs(5));
    world.write_gathered().await;
    let kept = pulled(&world).await;
    assert_eq!(last_of(&kept, &one), None);
    assert!(last_of(&kept, &two).is_some());
    assert_eq!(kept.number(field::PULLS), Some(4));
}

#[tokio::test]
async fn what_is_not_written_waits_for_the_next_time() {
    let (keyspace, world) = fresh().await;
    pull(&world, "v1").await;
    keyspace.cut_after(0);
    world.write_gathered().await;
    keyspace.mend();

    assert_eq!(pulls(&world).await, 1);
    assert_eq!(pulled(&world).await, Record::default());
    world.write_gathered().await;
    assert_eq!((pulls(&world).await, pulled(&world).await.number(field::PULLS)), (1, Some(1)));
}

async fn keep_what_is_pulled(world: &World, name: &RepositoryName) {
    let rules: RuleSet =
        serde_json::from_value(json!({ "retain": [{ "tags": "*", "pulled_within": "30d" }] })).unwrap();
    world.put_rules(&RulesOf::Repository(name.clone()), Some(&rules), &Actor::service()).await.unwrap();
}

/// The day on which nothing is left that could go, with pulls of what is named.
async fn still_tagged(world: &World, tag: &str) -> bool {
    retained(world).await.unwrap();
    world.manifest(&app(), &tag.parse().unwrap()).await.is_ok()
}

#[tokio::test]
async fn what_nobody_pulls_goes_and_what_is_part_of_what_is_pulled_stays() {
    let (_keyspace, world) = fresh().await;
    keep_what_is_pulled(&world, &app()).await;
    world.clock.advance(DAY * 29);
    assert!(still_tagged(&world, "v1").await, "it was pushed within that time");
    // The index names image 2, which is pulled by digest alone.
    pull(&world, &digest("image 2").to_string()).await;
    world.write_gathered().await;

    world.clock.advance(DAY * 2);
    assert!(!still_tagged(&world, "v1").await);
    assert!(still_tagged(&world, "multi").await && still_tagged(&world, "v2").await);
    world.clock.advance(DAY * 29);
    assert!(!still_tagged(&world, "multi").await);
}

/// Forgets when pulls were counted, as if an earlier release had run until `until`.
async fn counted(world: &World, until: Option<Duration>) {
    let key = || -> Key { keys::COUNTING };
    let commit = match until {
        None => Commit::synced().then(Mutation::RemoveRecord(key())),
        Some(ago) => {
            let until = (world.now() - ago).as_millisecond().to_string();
            Commit::synced().then(Mutation::SetField(key(), field::UNTIL, until.into()))
        }
    };
    world.keyspace().commit(commit).await.unwrap();
}

#[tokio::test]
async fn nothing_goes_that_may_have_been_pulled_while_nobody_counted() {
    for (until, goes) in [(None, false), (Some(DAY * 2), false), (Some(DAY / 2), true)] {
        let (keyspace, world) = fresh().await;
        keep_what_is_pulled(&world, &app()).await;
        world.clock.advance(DAY * 100);
        counted(&world, until).await;

        let restarted = super::cut::world_at(keyspace, world.clock.clone()).await;
        assert_eq!(!still_tagged(&restarted, "v1").await, goes, "counted until {until:?} ago");
        restarted.clock.advance(DAY * 31);
        assert!(!still_tagged(&restarted, "v1").await);
    }
}
