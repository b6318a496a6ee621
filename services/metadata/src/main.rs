//! The `metadata` process.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use metadata::{
    Service,
    config::Settings,
    engine::{Engine, OpenError},
    schema::FoundError,
};
use proto::metadata::{
    accounts, audit, avatars, backup, credentials, federation, integrity, invitations, organizations, outbox,
    proofs, quotas, reclaim, repositories, rules, settings, uploads, users,
};
use service_kit::{
    clock, config,
    grpc::Routes,
    process::{Process, ProcessError, conclude},
    random,
};

/// Keeps names, tags, manifests, links and accounts of a Bucket hub.
#[derive(Debug, Parser)]
#[command(name = "metadata", version)]
struct Arguments {
    /// The configuration file (TOML). Keys can also come from the environment as `BUCKET_<SECTION>__<KEY>`.
    #[arg(long, env = "BUCKET_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Found(#[from] FoundError),
}

#[tokio::main]
async fn main() -> ExitCode {
    conclude("metadata", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), MainError> {
    config::arm_failpoint();
    let settings: Settings =
        config::load(config::Prefix::default(), arguments.config.as_deref(), config::environment())?;
    let process = Process::begin("metadata", &settings.telemetry, &settings.admin).await?;

    let engine = Engine::open(&settings.metadata, random::system()).await?;
    let service =
        Service::found(engine.keyspace(), &settings.metadata, clock::system(), random::system()).await?;
    let service = Arc::new(service);
    process.shutdown.spawn(engine.report_to(process.readiness.clone(), process.shutdown.clone()));
    process.shutdown.spawn(service.write_pulls(process.shutdown.clone()));
    let routes = uploads::server::add_to(Routes::default(), service.clone());
    let routes = repositories::server::add_to(routes, service.clone());
    let routes = reclaim::server::add_to(routes, service.clone());
    let routes = rules::server::add_to(routes, service.clone());
    let routes = accounts::server::add_to(routes, service.clone());
    let routes = users::server::add_to(routes, service.clone());
    let routes = credentials::server::add_to(routes, service.clone());
    let routes = proofs::server::add_to(routes, service.clone());
    let routes = invitations::server::add_to(routes, service.clone());
    let routes = organizations::server::add_to(routes, service.clone());
    let routes = federation::server::add_to(routes, service.clone());
    let routes = audit::server::add_to(routes, service.clone());
    let routes = quotas::server::add_to(routes, service.clone());
    let routes = outbox::server::add_to(routes, service.clone());
    let routes = avatars::server::add_to(routes, service.clone());
    let routes = integrity::server::add_to(routes, service.clone());
    let routes = backup::server::add_to(routes, service.clone());
    let routes = settings::server::add_to(routes, service);
    process.serve_grpc(routes, &settings.grpc, proto::descriptors::METADATA).await?;

    process.until_signal().await?;
    engine.close().await;
    Ok(())
}
