//! The `registry-api` process.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use proto::{
    auth::{
        AuthClient, federation::FederationClient, identities::IdentitiesClient,
        self_service::SelfServiceClient,
    },
    blob::BlobClient,
    metadata::{
        audit::AuditLogClient, avatars::AvatarsClient, credentials::CredentialsClient,
        federation::FederatedIdentitiesClient, organizations::OrganizationsClient, quotas::QuotasClient,
        repositories::RepositoriesClient, settings::RepositorySettingsClient, uploads::UploadsClient,
        users::UsersClient,
    },
};
use registry_api::{Services, config::Settings};
use service_kit::{
    clock, config, grpc,
    http::{Edge, EdgeOptions},
    process::{Process, conclude, listen},
};

/// The registry API of a Bucket hub.
#[derive(Debug, Parser)]
#[command(name = "registry-api", version)]
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
    conclude("registry-api", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), MainError> {
    config::arm_failpoint();
    let settings: Settings =
        config::load(config::Prefix::default(), arguments.config.as_deref(), config::environment())?;
    let process = Process::begin("registry-api", &settings.telemetry, &settings.admin).await?;

    let around = registry_api::Process {
        clock: clock::system(),
        shutdown: process.shutdown.clone(),
        readiness: process.readiness.clone(),
    };
    let router = registry_api::router(connected(&settings)?, &settings.registry, &around)
        .fallback(registry_api::nothing_here);
    let options = EdgeOptions {
        limits: settings.http,
        trusted_proxies: settings.registry.trusted_proxies,
        refusal: Arc::new(registry_api::refusal),
        ..EdgeOptions::default()
    };

    let listener = listen(settings.listen.0).await?;
    process.shutdown.delay(settings.drain_delay);
    let shutdown = process.shutdown.clone();
    let edge = Edge::new(router, options);
    process.shutdown.spawn(async move { edge.serve(listener, &shutdown).await });
    Ok(process.until_signal().await?)
}

fn connected(settings: &Settings) -> Result<Services, grpc::ConnectError> {
    let Settings { auth, metadata, blob, .. } = settings;
    let (records, tokens) = (grpc::connect(metadata)?, grpc::connect(auth)?);
    let deadline = metadata.deadline;
    Ok(Services {
        auth: Arc::new(AuthClient::new(tokens.clone(), auth.deadline)),
        identities: Arc::new(IdentitiesClient::new(tokens.clone(), auth.deadline)),
        federation: Arc::new(FederationClient::new(tokens.clone(), auth.deadline)),
        identities_elsewhere: Arc::new(FederatedIdentitiesClient::new(records.clone(), deadline)),
        self_service: Arc::new(SelfServiceClient::new(tokens, auth.deadline)),
        uploads: Arc::new(UploadsClient::new(records.clone(), deadline)),
        repositories: Arc::new(RepositoriesClient::new(records.clone(), deadline)),
        settings: Arc::new(RepositorySettingsClient::new(records.clone(), deadline)),
        users: Arc::new(UsersClient::new(records.clone(), deadline)),
        organizations: Arc::new(OrganizationsClient::new(records.clone(), deadline)),
        credentials: Arc::new(CredentialsClient::new(records.clone(), deadline)),
        audit: Arc::new(AuditLogClient::new(records.clone(), deadline)),
        quotas: Arc::new(QuotasClient::new(records.clone(), deadline)),
        avatars: Arc::new(AvatarsClient::new(records, deadline)),
        blobs: Arc::new(BlobClient::new(grpc::connect(blob)?, blob.deadline)),
    })
}
