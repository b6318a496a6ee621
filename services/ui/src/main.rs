//! The `ui` process.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use proto::{
    auth::{AuthClient, identities::IdentitiesClient, self_service::SelfServiceClient},
    metadata::repositories::RepositoriesClient,
};
use service_kit::{
    config, grpc,
    http::{Edge, EdgeOptions},
    process::{Process, conclude, listen},
};
use ui::{Services, config::Settings};

/// The web UI of a Bucket hub.
#[derive(Debug, Parser)]
#[command(name = "ui", version)]
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
    Connect(#[from] grpc::ConnectError),
    #[error(transparent)]
    Process(#[from] service_kit::process::ProcessError),
}

#[tokio::main]
async fn main() -> ExitCode {
    conclude("ui", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), MainError> {
    config::arm_failpoint();
    let settings: Settings =
        config::load(config::Prefix::default(), arguments.config.as_deref(), config::environment())?;
    let process = Process::begin("ui", &settings.telemetry, &settings.admin).await?;

    let (auth, deadline) = (grpc::connect(&settings.auth)?, settings.auth.deadline);
    let services = Services {
        auth: Arc::new(AuthClient::new(auth.clone(), deadline)),
        identities: Arc::new(IdentitiesClient::new(auth.clone(), deadline)),
        self_service: Arc::new(SelfServiceClient::new(auth, deadline)),
        repositories: Arc::new(RepositoriesClient::new(
            grpc::connect(&settings.metadata)?,
            settings.metadata.deadline,
        )),
    };
    let edge = Edge::new(ui::router(services, settings.ui), EdgeOptions::default());
    let listener = listen(settings.listen).await?;
    process.shutdown.delay(settings.drain_delay);
    let shutdown = process.shutdown.clone();
    process.shutdown.spawn(async move { edge.serve(listener, &shutdown).await });

    Ok(process.until_signal().await?)
}
