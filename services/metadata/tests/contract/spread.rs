//! The contracts on engines that commit only what lies together: memory that is asked as a cluster is, and a real cluster.

use std::{sync::Arc, time::Duration};

use metadata::keyspace::{
    memory::Memory,
    resp::{
        Keeping, Limits, Options, TlsFiles,
        cluster::{Cluster, Nodes},
    },
    sharded::{Sharded, Waits},
};
use proto::metadata::{
    audit, federation, integrity, invitations, organizations, outbox, quotas, reclaim, repositories, rules,
    settings, uploads, users,
};
use service_kit::random::{self, SeededRandom};

use super::{World, engine::Cluster as Servers, world};

async fn in_memory() -> World {
    let waits = Waits { first: Duration::ZERO, longest: Duration::ZERO, looks: 1_000, most: 1_000_000 };
    let random = Arc::new(SeededRandom::new(7));
    world(Arc::new(Sharded::new(Arc::new(Memory::new()), random, waits))).await
}

/// A world in a Redis Cluster, which is ended with the test.
async fn in_cluster() -> (World, Servers) {
    let servers = Servers::start();
    let options = Options {
        url: servers.url().parse().unwrap(),
        keeping: Keeping::Required,
        tls: TlsFiles::default(),
        limits: Limits::default(),
    };
    let nodes = Arc::new(Nodes::open(&options).await.unwrap());
    (world(Arc::new(Cluster::new(nodes, random::system(), Waits::default()))).await, servers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_in_memory() {
    uploads::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_in_memory() {
    repositories::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_in_memory() {
    reclaim::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rules_in_memory() {
    rules::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_in_memory() {
    users::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settings_in_memory() {
    settings::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_in_memory() {
    organizations::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn federation_in_memory() {
    federation::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn audit_in_memory() {
    audit::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_in_memory() {
    quotas::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_in_memory() {
    invitations::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn integrity_in_memory() {
    integrity::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outbox_in_memory() {
    outbox::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_in_a_cluster() {
    let (world, _servers) = in_cluster().await;
    uploads::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_in_a_cluster() {
    let (world, _servers) = in_cluster().await;
    repositories::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_in_a_cluster() {
    let (world, _servers) = in_cluster().await;
    organizations::suite::run(world).await;
}
