//! What the suites leave, whatever they are about, is in a dump: all that metadata ever writes is found by its lists.

use std::{collections::HashSet, io::Cursor, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use metadata::{
    backup::{Attempt, load},
    keyspace::{Key, memory::Memory},
};
use proto::metadata::{
    Actor, accounts, audit, avatars, credentials, federation, invitations, organizations, outbox, proofs,
    quotas, reclaim, repositories, rules, settings, uploads, uploads::suite::World, users,
};

/// Uploads under way, what they hold, and who reclaims or dumps now.
fn is_left_out(key: &Key) -> bool {
    let text = key.to_string();
    ["^sweeper", "^backup", "^uploads"].contains(&text.as_str())
        || text.starts_with("^Upload:")
        || (text.starts_with('&') && text.ends_with(":holds"))
}

async fn survives<F: Future<Output = ()>>(suite: impl FnOnce(World) -> F) {
    let memory = Arc::new(Memory::new());
    let world = super::world(memory.clone()).await;
    let backup = world.backup.clone();
    suite(world).await;

    let pieces: Vec<Bytes> = backup.dump(&Actor::operator()).await.unwrap().try_collect().await.unwrap();
    let copy = Memory::new();
    load(&mut Cursor::new(pieces.concat()), &copy, Attempt::First, &mut |_| {}).await.unwrap();
    let loaded: HashSet<_> = copy.entries().into_iter().collect();
    let kept: Vec<_> = memory.entries().into_iter().filter(|(key, ..)| !is_left_out(key)).collect();
    let missing: Vec<_> = kept.iter().filter(|entry| !loaded.contains(*entry)).take(5).collect();
    assert!(missing.is_empty(), "{missing:?} are not in the dump");
    assert_eq!(loaded.len(), kept.len(), "more was loaded than there was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_survive_a_dump() {
    survives(repositories::suite::run).await;
    survives(uploads::suite::run).await;
    survives(outbox::suite::run).await;
    survives(rules::suite::run).await;
    survives(reclaim::suite::run).await;
    survives(settings::suite::run).await;
    survives(quotas::suite::run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn people_survive_a_dump() {
    survives(accounts::suite::run).await;
    survives(users::suite::run).await;
    survives(organizations::suite::run).await;
    survives(invitations::suite::run).await;
    survives(audit::suite::run).await;
    survives(avatars::suite::run).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proofs_survive_a_dump() {
    survives(credentials::suite::run).await;
    survives(proofs::suite::run).await;
    survives(federation::suite::run).await;
}
