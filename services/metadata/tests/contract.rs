//! The contracts of metadata, tried in process on each engine, and again across HTTP/2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "the whole file is a test, and shares modules of which it needs a part"
)]

#[path = "../../../tests/src/address.rs"]
mod address;
#[path = "../../../tests/src/engine.rs"]
mod engine;
#[path = "../../../tests/src/process.rs"]
mod process;

use std::{sync::Arc, time::Duration};

use engine::{Engine, Program};
use metadata::{
    Service,
    config::Config,
    keyspace::{
        Keyspace,
        embedded::{Embedded, Options},
        memory::Memory,
        resp::{Keeping, Limits, Options as ServerOptions, Resp, TlsFiles},
    },
};
use proto::metadata::{
    accounts::{self, AccountsClient},
    audit::{self, AuditLogClient},
    avatars::{self, AvatarsClient},
    backup::{self, BackupClient},
    credentials::{self, CredentialsClient},
    federation::{self, FederatedIdentitiesClient},
    integrity::{self, IntegrityClient},
    invitations::{self, InvitationsClient},
    organizations::{self, OrganizationsClient},
    outbox::{self, OutboxClient},
    proofs::{self, ProofsClient},
    quotas::{self, QuotasClient},
    reclaim::{self, ReclaimClient},
    repositories::{self, RepositoriesClient},
    rules::{self, RulesClient},
    settings::{self, RepositorySettingsClient},
    uploads::{self, UploadsClient, suite::World},
    users::{self, UsersClient},
};
use service_kit::{clock::ManualClock, grpc, random::SeededRandom};

#[path = "contract/backups.rs"]
mod backups;
#[path = "contract/spread.rs"]
mod spread;

/// No call of a suite takes so long.
const DEADLINE: Duration = Duration::from_secs(30);

async fn world(keyspace: Arc<dyn Keyspace>) -> World {
    let clock = Arc::new(ManualClock::default());
    let config = Config::new("unused".into(), "a secret for grants".into());
    let service =
        Service::found(keyspace, &config, clock.clone(), Arc::new(SeededRandom::new(2))).await.unwrap();

    let service = Arc::new(service);
    World {
        uploads: service.clone(),
        repositories: service.clone(),
        reclaim: service.clone(),
        rules: service.clone(),
        accounts: service.clone(),
        users: service.clone(),
        credentials: service.clone(),
        proofs: service.clone(),
        invitations: service.clone(),
        organizations: service.clone(),
        federation: service.clone(),
        audit: service.clone(),
        quotas: service.clone(),
        avatars: service.clone(),
        integrity: service.clone(),
        backup: service.clone(),
        outbox: service.clone(),
        settings: service,
        clock,
    }
}

async fn in_memory() -> World {
    world(Arc::new(Memory::new())).await
}

/// A world in a file, and the directory that is removed at the end of the test.
async fn embedded() -> (World, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let engine = Embedded::open(&Options::new(directory.path())).unwrap();
    (world(Arc::new(engine)).await, directory)
}

/// A world in a Redis, which is ended with the test.
async fn in_redis() -> (World, Engine) {
    let server = Engine::start(Program::Redis, "");
    let options = ServerOptions {
        url: server.url().parse().unwrap(),
        keeping: Keeping::Required,
        tls: TlsFiles::default(),
        limits: Limits::default(),
    };
    (world(Arc::new(Resp::open(&options).await.unwrap())).await, server)
}

/// The same world, asked through clients and servers.
async fn across_grpc() -> World {
    let world = in_memory().await;
    let clock = world.clock.clone();
    let channel = grpc::in_memory(|routes| {
        let routes = uploads::server::add_to(routes, world.uploads);
        let routes = repositories::server::add_to(routes, world.repositories);
        let routes = reclaim::server::add_to(routes, world.reclaim);
        let routes = rules::server::add_to(routes, world.rules);
        let routes = users::server::add_to(routes, world.users);
        let routes = credentials::server::add_to(routes, world.credentials);
        let routes = proofs::server::add_to(routes, world.proofs);
        let routes = invitations::server::add_to(routes, world.invitations);
        let routes = settings::server::add_to(routes, world.settings);
        let routes = organizations::server::add_to(routes, world.organizations);
        let routes = federation::server::add_to(routes, world.federation);
        let routes = audit::server::add_to(routes, world.audit);
        let routes = quotas::server::add_to(routes, world.quotas);
        let routes = avatars::server::add_to(routes, world.avatars);
        let routes = integrity::server::add_to(routes, world.integrity);
        let routes = backup::server::add_to(routes, world.backup);
        let routes = outbox::server::add_to(routes, world.outbox);
        accounts::server::add_to(routes, world.accounts)
    });
    let channel = channel.await;

    World {
        uploads: Arc::new(UploadsClient::new(channel.clone(), DEADLINE)),
        repositories: Arc::new(RepositoriesClient::new(channel.clone(), DEADLINE)),
        reclaim: Arc::new(ReclaimClient::new(channel.clone(), DEADLINE)),
        rules: Arc::new(RulesClient::new(channel.clone(), DEADLINE)),
        accounts: Arc::new(AccountsClient::new(channel.clone(), DEADLINE)),
        users: Arc::new(UsersClient::new(channel.clone(), DEADLINE)),
        credentials: Arc::new(CredentialsClient::new(channel.clone(), DEADLINE)),
        proofs: Arc::new(ProofsClient::new(channel.clone(), DEADLINE)),
        invitations: Arc::new(InvitationsClient::new(channel.clone(), DEADLINE)),
        organizations: Arc::new(OrganizationsClient::new(channel.clone(), DEADLINE)),
        federation: Arc::new(FederatedIdentitiesClient::new(channel.clone(), DEADLINE)),
        audit: Arc::new(AuditLogClient::new(channel.clone(), DEADLINE)),
        quotas: Arc::new(QuotasClient::new(channel.clone(), DEADLINE)),
        avatars: Arc::new(AvatarsClient::new(channel.clone(), DEADLINE)),
        integrity: Arc::new(IntegrityClient::new(channel.clone(), DEADLINE)),
        backup: Arc::new(BackupClient::new(channel.clone(), DEADLINE)),
        outbox: Arc::new(OutboxClient::new(channel.clone(), DEADLINE)),
        settings: Arc::new(RepositorySettingsClient::new(channel, DEADLINE)),
        clock,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_in_memory() {
    uploads::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_embedded() {
    let (world, _directory) = embedded().await;
    uploads::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_in_memory() {
    repositories::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_embedded() {
    let (world, _directory) = embedded().await;
    repositories::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_in_memory() {
    reclaim::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_embedded() {
    let (world, _directory) = embedded().await;
    reclaim::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_across_grpc() {
    reclaim::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rules_in_memory() {
    rules::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rules_embedded() {
    let (world, _directory) = embedded().await;
    rules::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rules_across_grpc() {
    rules::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_in_memory() {
    accounts::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_embedded() {
    let (world, _directory) = embedded().await;
    accounts::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_across_grpc() {
    uploads::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_across_grpc() {
    repositories::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_across_grpc() {
    accounts::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_in_memory() {
    users::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_embedded() {
    let (world, _directory) = embedded().await;
    users::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_across_grpc() {
    users::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credentials_in_memory() {
    credentials::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credentials_embedded() {
    let (world, _directory) = embedded().await;
    credentials::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credentials_across_grpc() {
    credentials::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settings_in_memory() {
    settings::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settings_embedded() {
    let (world, _directory) = embedded().await;
    settings::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settings_across_grpc() {
    settings::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_in_memory() {
    organizations::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_embedded() {
    let (world, _directory) = embedded().await;
    organizations::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_across_grpc() {
    organizations::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn federation_in_memory() {
    federation::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn federation_embedded() {
    let (world, _directory) = embedded().await;
    federation::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn federation_across_grpc() {
    federation::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn audit_in_memory() {
    audit::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn audit_embedded() {
    let (world, _directory) = embedded().await;
    audit::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn audit_across_grpc() {
    audit::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_in_memory() {
    quotas::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_embedded() {
    let (world, _directory) = embedded().await;
    quotas::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_across_grpc() {
    quotas::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_in_memory() {
    backup::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_embedded() {
    let (world, _directory) = embedded().await;
    backup::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backups_across_grpc() {
    backup::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn avatars_in_memory() {
    avatars::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn avatars_embedded() {
    let (world, _directory) = embedded().await;
    avatars::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn avatars_across_grpc() {
    avatars::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proofs_in_memory() {
    proofs::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proofs_embedded() {
    let (world, _directory) = embedded().await;
    proofs::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proofs_across_grpc() {
    proofs::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_in_memory() {
    invitations::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_embedded() {
    let (world, _directory) = embedded().await;
    invitations::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_across_grpc() {
    invitations::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn integrity_in_memory() {
    integrity::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn integrity_embedded() {
    let (world, _directory) = embedded().await;
    integrity::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn integrity_across_grpc() {
    integrity::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outbox_in_memory() {
    outbox::suite::run(in_memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outbox_in_a_file() {
    let (world, _directory) = embedded().await;
    outbox::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outbox_across_grpc() {
    outbox::suite::run(across_grpc().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploads_in_redis() {
    let (world, _server) = in_redis().await;
    uploads::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repositories_in_redis() {
    let (world, _server) = in_redis().await;
    repositories::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reclaim_in_redis() {
    let (world, _server) = in_redis().await;
    reclaim::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rules_in_redis() {
    let (world, _server) = in_redis().await;
    rules::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn accounts_in_redis() {
    let (world, _server) = in_redis().await;
    accounts::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_in_redis() {
    let (world, _server) = in_redis().await;
    users::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn credentials_in_redis() {
    let (world, _server) = in_redis().await;
    credentials::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settings_in_redis() {
    let (world, _server) = in_redis().await;
    settings::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn organizations_in_redis() {
    let (world, _server) = in_redis().await;
    organizations::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn federation_in_redis() {
    let (world, _server) = in_redis().await;
    federation::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn audit_in_redis() {
    let (world, _server) = in_redis().await;
    audit::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_in_redis() {
    let (world, _server) = in_redis().await;
    quotas::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn avatars_in_redis() {
    let (world, _server) = in_redis().await;
    avatars::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn proofs_in_redis() {
    let (world, _server) = in_redis().await;
    proofs::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_in_redis() {
    let (world, _server) = in_redis().await;
    invitations::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn integrity_in_redis() {
    let (world, _server) = in_redis().await;
    integrity::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outbox_in_redis() {
    let (world, _server) = in_redis().await;
    outbox::suite::run(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn backup_in_redis() {
    let (world, _server) = in_redis().await;
    backup::suite::run(world).await;
}
