//! What an operator asks of a running hub, on its machine or over the network: what can be reclaimed, why something
//! is still there, and back with what was deleted. It decides nothing: metadata does.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use proto::{
    descriptors,
    metadata::{
        AccountError, BackupError, ReclaimError, RepositoryError,
        accounts::{self, AccountsClient},
        audit::AuditLogClient,
        backup::{self, BackupClient},
        credentials::{self, CredentialsClient},
        integrity::{self, IntegrityClient},
        organizations::{self as orgs, OrganizationsClient},
        proofs::{self, ProofsClient},
        quotas::QuotasClient,
        reclaim::{self, ReclaimClient},
        repositories::{self, RepositoriesClient},
        rules::RulesClient,
        users::{self as accounts_of_users, UsersClient},
    },
};
use service_kit::{
    config::{ConfigError, GrpcClientConfig, GrpcClientTlsConfig, GrpcUrl},
    grpc::{self, ConnectError, Routes, ServerOptions},
    process::{Process, ProcessError},
    random::Ulids,
};

use crate::{
    assemble::Hub,
    config::Settings,
    secrets::{Secrets, SecretsError},
};

mod audit;
mod backups;
mod checking;
mod configuration;
mod dumping;
mod keys;
mod loading;
mod organizations;
mod quotas;
mod reclaiming;
mod restore;
mod rules;
mod service_accounts;
mod tokens;
mod users;
mod why;

/// The socket in the data directory of a hub.
const SOCKET: &str = "operator.sock";

const DEADLINE: Duration = Duration::from_mins(1);

/// Operators ask one thing after the other.
const CALLS_AT_ONCE: usize = 16;

/// What an operator may want.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Unlinks what nobody needs any more, or says what that would give back.
    Reclaim(reclaiming::Reclaim),
    /// Says what keeps a blob or manifest, or since when nothing does.
    Why(why::Why),
    /// Brings back a deleted manifest, or what a tag named before it changed last.
    Restore(restore::Restore),
    /// Shows or makes rules for tags, of a namespace or a repository.
    Rules(rules::Rules),
    /// Lists, makes and disables users.
    #[command(subcommand)]
    User(users::Command),
    /// Lists organizations and their members.
    #[command(subcommand)]
    Org(organizations::Command),
    /// Shows or makes quotas: how many bytes a namespace may use.
    #[command(subcommand)]
    Quota(quotas::Command),
    /// Makes, lists and revokes access tokens and robots.
    #[command(subcommand)]
    Token(tokens::Command),
    /// Says who did what, when and from where, the newest first.
    Audit(audit::Audit),
    /// Checks what a hub keeps, dumps all of it, and loads a dump where there is none.
    #[command(subcommand)]
    Metadata(backups::Command),
    /// Lists the keys that sign the registry's tokens, and lets another one take over.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Says what is wrong with a configuration file.
    #[command(subcommand)]
    Config(configuration::Command),
    /// Makes keys that sign tokens of service accounts.
    #[command(subcommand)]
    ServiceKey(service_accounts::KeyCommand),
    /// Makes tokens of service accounts, for programs that call gRPC themselves.
    #[command(subcommand)]
    ServiceToken(service_accounts::TokenCommand),
}

/// Which hub is asked.
#[derive(Debug, Args)]
pub struct Which {
    /// The data directory of a hub on this machine [default: ~/.local/share/bucket]
    #[arg(long, value_name = "DIR", conflicts_with = "metadata")]
    data: Option<PathBuf>,
    /// The configuration file of that hub (TOML)
    #[arg(long, value_name = "FILE", env = "BUCKET_CONFIG")]
    config: Option<PathBuf>,
    /// The gRPC port of a metadata service, as `http://host:port`
    #[arg(long, value_name = "URL", requires = "service_token_file")]
    metadata: Option<GrpcUrl>,
    /// The file with the service token for that port
    #[arg(long, value_name = "FILE")]
    service_token_file: Option<PathBuf>,
    /// Who vouches for that port's certificate (PEM), if the url says `https`
    #[arg(long, value_name = "FILE", requires = "metadata")]
    tls_ca: Option<PathBuf>,
}

/// Why an operator has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No hub runs there.
    #[error("no hub runs on {}: start it with `bucket serve`, or name another one with --data or --metadata", .0.display())]
    NoHub(PathBuf),
    /// Its secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The token cannot be read.
    #[error("reading {}: {error}", file.display())]
    Token {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The url or the token cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Metadata did not say.
    #[error(transparent)]
    Reclaim(#[from] ReclaimError),
    /// Metadata did not do it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Metadata did not do it.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Metadata did not give a dump.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The dump cannot be kept.
    #[error(transparent)]
    Dump(#[from] dumping::DumpError),
    /// The dump cannot be loaded.
    #[error(transparent)]
    Load(#[from] loading::LoadingError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] auth::password::HashError),
    /// There is nothing to take over from.
    #[error("the hub has no signing keys yet: start its auth service, which makes one")]
    NoKeys,
    /// Auth does not do its part.
    #[error("auth has made no other key within {} s: see whether it runs; it will when it does, and then the command can be repeated", .0.as_secs())]
    NotFollowed(Duration),
    /// The file of a key cannot be used.
    #[error(transparent)]
    KeyFile(#[from] service_accounts::KeyFileError),
    /// The time is beyond the calendar.
    #[error("that is too long: no such day exists")]
    TooLong,
    /// The rules cannot be read.
    #[error(transparent)]
    RulesFile(#[from] rules::FileError),
    /// What is kept does not agree with itself.
    #[error("findings that are left: {left}{}", help(*mendable))]
    Disagreement {
        /// How many.
        left: u64,
        /// How many of them could be mended, and were not.
        mendable: u64,
    },
    /// What is said cannot be written.
    #[error("writing the answer: {0}")]
    Output(#[from] io::Error),
}

/// The contracts that an operator uses.
#[derive(Debug)]
struct Operator {
    reclaim: ReclaimClient,
    repositories: RepositoriesClient,
    rules: RulesClient,
    accounts: AccountsClient,
    users: UsersClient,
    organizations: OrganizationsClient,
    credentials: CredentialsClient,
    audit: AuditLogClient,
    quotas: QuotasClient,
    proofs: ProofsClient,
    integrity: IntegrityClient,
    backup: BackupClient,
}

impl Command {
    /// Does it, and says on `out` what came of it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn run(&self, out: &mut (dyn io::Write + Send)) -> Result<(), OperatorError> {
        match self {
            Self::Reclaim(reclaim) => reclaim.run(&Operator::of(&reclaim.which)?, out).await,
            Self::Why(why) => why.run(&Operator::of(&why.which)?, out).await,
            Self::Restore(restore) => restore.run(&Operator::of(&restore.which)?, out).await,
            Self::Rules(rules) => rules.run(&Operator::of(rules.which())?, out).await,
            Self::User(user) => user.run(&Operator::of(user.which())?, out).await,
            Self::Org(org) => org.run(&Operator::of(org.which())?, out).await,
            Self::Quota(quota) => quota.run(&Operator::of(quota.which())?, out).await,
            Self::Token(token) => token.run(&Operator::of(token.which())?, out).await,
            Self::Audit(audit) => audit.run(&Operator::of(&audit.which)?, out).await,
            Self::Metadata(command) => command.run(out).await,
            Self::Keys(keys) => keys.run(&Operator::of(keys.which())?, out).await,
            Self::Config(command) => command.run(out),
            Self::ServiceKey(command) => command.run(out),
            Self::ServiceToken(command) => command.run(out),
        }
    }
}

impl Operator {
    fn of(which: &Which) -> Result<Self, OperatorError> {
        let config = match (&which.metadata, &which.service_token_file) {
            (Some(url), Some(file)) => {
                let token = std::fs::read_to_string(file)
                    .map_err(|error| OperatorError::Token { file: file.clone(), error })?;
                let tls = which.tls_ca.clone().map(vouched_for_by);
                GrpcClientConfig { tls, ..client(url.clone(), token.trim_end().into()) }
            }
            _ => of_this_machine(which)?,
        };

        let channel = grpc::connect(&config)?;
        Ok(Self {
            repositories: RepositoriesClient::new(channel.clone(), DEADLINE),
            rules: RulesClient::new(channel.clone(), DEADLINE),
            accounts: AccountsClient::new(channel.clone(), DEADLINE),
            users: UsersClient::new(channel.clone(), DEADLINE),
            organizations: OrganizationsClient::new(channel.clone(), DEADLINE),
            credentials: CredentialsClient::new(channel.clone(), DEADLINE),
            audit: AuditLogClient::new(channel.clone(), DEADLINE),
            quotas: QuotasClient::new(channel.clone(), DEADLINE),
            proofs: ProofsClient::new(channel.clone(), DEADLINE),
            integrity: IntegrityClient::new(channel.clone(), DEADLINE),
            backup: BackupClient::new(channel.clone(), DEADLINE),
            reclaim: ReclaimClient::new(channel, DEADLINE),
        })
    }
}

fn help(mendable: u64) -> String {
    if mendable == 0 {
        return ": each says above what helps".to_owned();
    }
    format!(": `bucket metadata check --repair` mends {mendable} of them")
}

fn of_this_machine(which: &Which) -> Result<GrpcClientConfig, OperatorError> {
    let data = match &which.data {
        Some(data) => data.clone(),
        None => Settings::load(which.config.as_deref())?.data(),
    };
    let socket = data.join(SOCKET);
    let absolute = socket.canonicalize().map_err(|_| OperatorError::NoHub(data.clone()))?;
    let url = format!("unix:{}", absolute.display());

    let token = Secrets::of_hub(&data)?.operators();
    Ok(client(url.parse().map_err(|_| OperatorError::NoHub(data))?, token))
}

fn client(url: GrpcUrl, service_token: secrecy::SecretString) -> GrpcClientConfig {
    GrpcClientConfig { urls: vec![url], service_token, deadline: DEADLINE, tls: None }
}

fn vouched_for_by(ca_file: PathBuf) -> GrpcClientTlsConfig {
    GrpcClientTlsConfig { ca_file, certificate_file: None, key_file: None, domain: None }
}

/// Answers operators of this machine at a socket in `data`.
///
/// # Errors
/// The secret cannot be read, or the socket not be made.
pub fn serve(hub: &Hub, data: &Path, process: &Process) -> Result<(), ServeError> {
    let options = ServerOptions {
        service_token: Secrets::of_hub(data)?.operators(),
        max_concurrent: CALLS_AT_ONCE,
        request_timeout: DEADLINE,
        ids: std::sync::Arc::new(Ulids::system()),
    };
    let routes = reclaim::server::add_to(Routes::default(), hub.reclaim.clone());
    let routes = repositories::server::add_to(routes, hub.repositories.clone());
    let routes = proto::metadata::rules::server::add_to(routes, hub.rules.clone());
    let routes = accounts::server::add_to(routes, hub.accounts.clone());
    let routes = accounts_of_users::server::add_to(routes, hub.users.clone());
    let routes = orgs::server::add_to(routes, hub.organizations.clone());
    let routes = credentials::server::add_to(routes, hub.credentials.clone());
    let routes = proto::metadata::audit::server::add_to(routes, hub.audit.clone());
    let routes = proto::metadata::quotas::server::add_to(routes, hub.quotas.clone());
    let routes = proofs::server::add_to(routes, hub.proofs.clone());
    let routes = integrity::server::add_to(routes, hub.integrity.clone());
    let routes = backup::server::add_to(routes, hub.backup.clone());

    Ok(process.serve_grpc_socket(routes, &data.join(SOCKET), options, descriptors::METADATA)?)
}

/// Why operators cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The socket cannot be made.
    #[error(transparent)]
    Process(#[from] ProcessError),
}
