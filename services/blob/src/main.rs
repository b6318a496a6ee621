//! The `blob` process.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use blob::{Service, config::Settings, sweep};
use clap::Parser;
use proto::{
    blob::server,
    metadata::{reclaim::ReclaimClient, repositories::RepositoriesClient},
};
use service_kit::{
    clock, config,
    grpc::{self, Routes},
    process::{Process, conclude},
    random,
};

/// Keeps the bytes of a Bucket hub, addressed by their content.
#[derive(Debug, Parser)]
#[command(name = "blob", version)]
struct Arguments {
    /// The configuration file (TOML). Keys can also come from the environment as `BUCKET_<SECTION>__<KEY>`.
    #[arg(long, value_name = "FILE", env = "BUCKET_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Store(#[from] blob::store::OpenError),
    #[error(transparent)]
    Process(#[from] service_kit::process::ProcessError),
    #[error(transparent)]
    Connect(#[from] grpc::ConnectError),
}

#[tokio::main]
async fn main() -> ExitCode {
    conclude("blob", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), MainError> {
    config::arm_failpoint();
    let settings: Settings =
        config::load(config::Prefix::default(), arguments.config.as_deref(), config::environment())?;
    let process = Process::begin("blob", &settings.telemetry, &settings.admin).await?;

    let (metadata, deadline) = (grpc::connect(&settings.metadata)?, settings.metadata.deadline);
    let repositories = Arc::new(RepositoriesClient::new(metadata.clone(), deadline));
    let new = blob::is_new(&*repositories);
    let service = Service::open(&settings.blob, new, clock::system(), random::system()).await?;
    let routes = server::add_to(Routes::default(), Arc::new(service.clone()));
    process.serve_grpc(routes, &settings.grpc, proto::descriptors::BLOB).await?;
    if let Some(address) = settings.blob.handoff_listen {
        process.serve_handoff(Arc::new(service.clone()), address.0).await?;
    }
    let services =
        sweep::Services { reclaim: Arc::new(ReclaimClient::new(metadata, deadline)), repositories };
    let sweeper = service.sweeper(services, settings.blob.sweep);
    process.shutdown.spawn(sweeper.run(process.shutdown.clone()));
    process.shutdown.spawn(service.report_to(process.readiness.clone(), process.shutdown.clone()));

    Ok(process.until_signal().await?)
}
