//! The `bucket` program.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use all_in_one::{
    assemble::{self, AssembleError, Hub},
    banner::{Banner, FirstLogin},
    config::Settings,
    operator,
};
use auth::{
    config::administrator_password,
    start::{self, First, StartError},
};
use clap::{Args, Parser, Subcommand};
use metadata::{config::EngineUrl, keyspace::resp::UrlError};
use secrecy::SecretString;
use service_kit::{
    config::{self, ConfigError},
    http::{Edge, EdgeOptions},
    process::{Process, ProcessError, conclude, listen},
    random::{self, Ulids},
};

/// A container registry and hub.
#[derive(Debug, Parser)]
#[command(name = "bucket", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the whole hub in one process: registry, web UI, metadata and blobs.
    Serve(Serve),
    #[command(flatten)]
    Operator(operator::Command),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where everything is kept [default: ~/.local/share/bucket]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:9911]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where metadata is kept: redis://, rediss://, redis+sentinel://, redis+cluster://, ledis:// or
    /// embedded:DIRECTORY [default: under the data directory]
    // A secret, because it may hold a password, and what is not understood would be repeated.
    #[arg(long, value_name = "URL")]
    metadata: Option<SecretString>,
    /// Keep metadata also in a server that keeps nothing on disk, and lose it with that
    #[arg(long)]
    volatile: bool,
    /// The configuration file (TOML). Keys can also come from the environment as `BUCKET_<SECTION>__<KEY>`.
    #[arg(long, value_name = "FILE", env = "BUCKET_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum MainError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--metadata")]
    Metadata(#[from] UrlError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Operators(#[from] operator::ServeError),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => conclude("bucket", serve(arguments).await),
        Command::Operator(command) => conclude("bucket", command.run(&mut std::io::stdout()).await),
    }
}

async fn serve(arguments: Serve) -> Result<(), MainError> {
    config::arm_failpoint();
    let mut settings = Settings::load(arguments.config.as_deref())?;
    settings.data = arguments.data.or(settings.data);
    settings.listen = arguments.listen.unwrap_or(settings.listen);
    settings.metadata.url =
        arguments.metadata.map(EngineUrl::try_from).transpose()?.or(settings.metadata.url);
    settings.metadata.volatile |= arguments.volatile;

    let (data, admin) = (settings.data(), settings.admin());
    let process = Process::begin("bucket", &settings.telemetry, &admin).await?;
    let listener = listen(settings.listen).await?;
    let hub = assemble::hub(&settings, &data, &process).await?;
    operator::serve(&hub, &data, &process)?;
    first_start(&hub, &settings).await?;

    let options = EdgeOptions {
        limits: settings.http.clone(),
        trusted_proxies: settings.registry.trusted_proxies.clone(),
        ids: Arc::new(Ulids::system()),
        refusal: Arc::new(registry_api::refusal),
    };
    let edge = Edge::new(hub.router, options);
    let shutdown = process.shutdown.clone();
    process.shutdown.spawn(async move { edge.serve(listener, &shutdown).await });

    let external_url = settings.registry.external_url.as_ref().map(ToString::to_string);
    say(&Banner { listen: settings.listen, external_url, admin: admin.listen, data: &data });
    Ok(process.until_signal().await?)
}

async fn first_start(hub: &Hub, settings: &Settings) -> Result<(), MainError> {
    let first = First { name: settings.administrator.name.clone(), password: administrator_password() };
    let show = |name: &_, password: &_| say(&FirstLogin { name, password });
    start::until_ready(&hub.auth, &hub.accounts, &first, random::system().as_ref(), show).await?;
    Ok(())
}

// On standard output, where no log goes: a log is kept, and a password must not be.
fn say(text: &impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
