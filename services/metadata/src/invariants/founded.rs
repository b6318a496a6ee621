//! Bytes that metadata does not know, and whether it can: an engine that came back empty knows none of those of before.

use std::{sync::Arc, time::Duration};

use proto::metadata::{Reclaim as _, reclaim::Found};

use super::cut::{Cutting, World, digest, furnished, locator, world, world_at};
use crate::{
    keys::{self, field},
    keyspace::{Commit, Keyspace as _, Mutation},
};

const MONTH: Duration = Duration::from_hours(24 * 30);

/// A hub that has been there for a month.
async fn old() -> (Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world.service).await;
    world.clock.advance(MONTH);
    (keyspace, world)
}

/// How many of the bytes of a linked layer and of a forgotten one are given up.
async fn queued(world: &World) -> u64 {
    let locators = vec![locator(&digest("layer 1"), 1), locator(&digest("layer 9"), 1)];
    world.audit(&Found { locators, sessions: Vec::new() }).await.unwrap().queued
}

#[tokio::test]
async fn metadata_that_is_younger_than_bytes_does_not_give_them_up() {
    let (_, world) = old().await;
    assert_eq!(queued(&world).await, 1, "what is linked is known");

    // An engine that came back empty, or is not loaded yet, is founded anew.
    let anew = world_at(Cutting::new(), world.clock.clone()).await;
    anew.clock.advance(MONTH);
    assert_eq!(queued(&anew).await, 0);
}

#[tokio::test]
async fn metadata_that_is_lost_under_a_running_process_gives_nothing_up() {
    let (keyspace, world) = old().await;
    let (emptied, empty) = (keyspace.clone(), Commit::synced().then(Mutation::RemoveRecord(keys::SCHEMA)));
    keyspace.interpose(async move { emptied.commit(empty).await.unwrap() });
    assert_eq!(queued(&world).await, 0);
    assert!(!keyspace.is_interposed(), "nothing was about to be given up");
    assert_eq!(queued(&world).await, 0);
}

#[tokio::test]
async fn metadata_of_an_earlier_release_knows_all_bytes() {
    let (keyspace, world) = old().await;
    let earlier = Commit::synced().then(Mutation::RemoveField(keys::SCHEMA, field::FOUNDED));
    keyspace.commit(earlier).await.unwrap();
    let again = world_at(keyspace, world.clock.clone()).await;
    assert_eq!(queued(&again).await, 1);
}
