//! The `auth` process.

use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use auth::{
    Contracts, Service,
    config::{Settings, administrator_password},
    mail,
    start::{self, First},
};
use clap::Parser;
use oci::AccountName;
use proto::{
    auth::{federation, identities, self_service, server},
    metadata::{
        Accounts, accounts::AccountsClient, credentials::CredentialsClient,
        federation::FederatedIdentitiesClient, invitations::InvitationsClient, proofs::ProofsClient,
        users::UsersClient,
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::{
    clock, config, grpc,
    process::{Process, conclude},
    random,
};

/// Issues the tokens of a Bucket hub.
#[derive(Debug, Parser)]
#[command(name = "auth", version)]
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
    #[error(transparent)]
    Start(#[from] start::StartError),
    #[error(transparent)]
    Mail(#[from] mail::MailError),
}

#[tokio::main]
async fn main() -> ExitCode {
    conclude("auth", run(Arguments::parse()).await)
}

async fn run(arguments: Arguments) -> Result<(), MainError> {
    config::arm_failpoint();
    let settings: Settings =
        config::load(config::Prefix::default(), arguments.config.as_deref(), config::environment())?;
    let process = Process::begin("auth", &settings.telemetry, &settings.admin).await?;

    let (channel, deadline) = (grpc::connect(&settings.metadata)?, settings.metadata.deadline);
    let accounts: Arc<dyn Accounts> = Arc::new(AccountsClient::new(channel.clone(), deadline));
    let contracts = Contracts {
        accounts: Arc::clone(&accounts),
        users: Arc::new(UsersClient::new(channel.clone(), deadline)),
        credentials: Arc::new(CredentialsClient::new(channel.clone(), deadline)),
        federation: Arc::new(FederatedIdentitiesClient::new(channel.clone(), deadline)),
        proofs: Arc::new(ProofsClient::new(channel.clone(), deadline)),
        invitations: Arc::new(InvitationsClient::new(channel, deadline)),
    };
    let mail = mail::begun(&settings.auth.mail, &process.shutdown)?;
    let service = Service::new(contracts, mail, &settings.auth, clock::system(), random::system());
    process.shutdown.spawn(service.note_uses(process.shutdown.clone()));
    process.shutdown.spawn(service.tend_keys(process.shutdown.clone()));
    process.shutdown.spawn(service.do_errands(process.shutdown.clone()));
    let routes = server::add_to(grpc::Routes::default(), Arc::new(service.clone()));
    let routes = identities::server::add_to(routes, Arc::new(service.clone()));
    let routes = federation::server::add_to(routes, Arc::new(service.clone()));
    let routes = self_service::server::add_to(routes, Arc::new(service.clone()));
    process.serve_grpc(routes, &settings.grpc, proto::descriptors::AUTH).await?;

    let random = random::system();
    let first = First { name: settings.administrator.name, password: administrator_password() };
    tokio::select! {
        started = start::until_ready(&service, &accounts, &first, random.as_ref(), show) => started?,
        () = process.shutdown.stopping() => {}
    }
    Ok(process.until_signal().await?)
}

// On standard output, where no log goes: a log is kept, and a password must not be.
fn show(name: &AccountName, password: &SecretString) {
    let password = password.expose_secret();
    let _ = writeln!(
        std::io::stdout(),
        "First start: administrator {name}, password {password} (shown only once)"
    );
}
