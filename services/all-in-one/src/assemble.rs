//! Hands each service the others as `Arc<dyn …>`. Laptop and cluster differ in this one file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use auth::mail::Mail;
use axum::Router;
use blob::config::Storage;
use metadata::engine::Engine;
use proto::metadata::{
    Accounts, AuditLog, Backup, Credentials, Integrity, Organizations, Proofs, Quotas, Reclaim, Repositories,
    Rules, Users,
};
use service_kit::{
    clock::{self, Clock},
    process::Process,
    random::{self, Random},
};

use crate::{
    config::Settings,
    secrets::{Secrets, SecretsError},
};

/// A hub, ready to be served.
pub struct Hub {
    /// The edge's paths go to the edge, everything else is the UI.
    pub router: Router,
    /// For the first start.
    pub auth: auth::Service,
    /// For the first start.
    pub accounts: Arc<dyn Accounts>,
    /// For operators.
    pub reclaim: Arc<dyn Reclaim>,
    /// The rules for tags.
    pub rules: Arc<dyn Rules>,
    /// For operators.
    pub repositories: Arc<dyn Repositories>,
    /// For operators.
    pub users: Arc<dyn Users>,
    /// For operators.
    pub organizations: Arc<dyn Organizations>,
    /// For operators.
    pub credentials: Arc<dyn Credentials>,
    /// For operators.
    pub audit: Arc<dyn AuditLog>,
    /// For operators.
    pub quotas: Arc<dyn Quotas>,
    /// For operators.
    pub proofs: Arc<dyn Proofs>,
    /// For operators.
    pub integrity: Arc<dyn Integrity>,
    /// For operators.
    pub backup: Arc<dyn Backup>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The data directory cannot be made.
    #[error("making the data directory {}: {error}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The secrets cannot be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The metadata engine cannot be opened.
    #[error(transparent)]
    Engine(#[from] metadata::engine::OpenError),
    /// The keyspace is not ours to use.
    #[error(transparent)]
    Keyspace(#[from] metadata::schema::FoundError),
    /// Mail cannot be sent.
    #[error(transparent)]
    Mail(#[from] auth::mail::MailError),
    /// Tokens cannot be signed.
    #[error(transparent)]
    Signing(#[from] auth::PrepareError),
    /// The blob store cannot be opened.
    #[error(transparent)]
    Store(#[from] blob::store::OpenError),
}

/// Puts the services of one process together, over the directory `data`.
///
/// # Errors
/// What cannot be opened, and where.
pub async fn hub(settings: &Settings, data: &Path, process: &Process) -> Result<Hub, AssembleError> {
    make_private(data)?;
    let (clock, random) = (clock::system(), random::system());
    let secrets = Secrets::in_directory(data, random.as_ref())?;

    let metadata =
        found_metadata((settings, data), &secrets, process, (clock.clone(), random.clone())).await?;
    process.shutdown.spawn(metadata.write_pulls(process.shutdown.clone()));

    let blobs =
        open_blobs((settings, data), &secrets, process, &metadata, (clock.clone(), random.clone())).await?;

    let mail = auth::mail::begun(&settings.mail, &process.shutdown)?;
    let auth = auth_over(settings, &metadata, (&secrets, mail), (clock.clone(), random));
    auth.prepare().await?;
    look_after(&auth, process);

    let edge = registry_api::Process {
        clock,
        shutdown: process.shutdown.clone(),
        readiness: process.readiness.clone(),
    };
    let services = edge_services(&auth, &metadata, blobs);
    let router = registry_api::router(services, &settings.registry, &edge)
        .fallback_service(ui::router(pages(&auth, &metadata), settings.ui.clone()));
    Ok(Hub {
        router,
        auth,
        accounts: metadata.clone(),
        reclaim: metadata.clone(),
        rules: metadata.clone(),
        users: metadata.clone(),
        organizations: metadata.clone(),
        credentials: metadata.clone(),
        audit: metadata.clone(),
        quotas: metadata.clone(),
        proofs: metadata.clone(),
        integrity: metadata.clone(),
        backup: metadata.clone(),
        repositories: metadata,
    })
}

fn edge_services(
    auth: &auth::Service,
    metadata: &Arc<metadata::Service>,
    blobs: Arc<blob::Service>,
) -> registry_api::Services {
    registry_api::Services {
        auth: Arc::new(auth.clone()),
        identities: Arc::new(auth.clone()),
        federation: Arc::new(auth.clone()),
        identities_elsewhere: metadata.clone(),
        self_service: Arc::new(auth.clone()),
        uploads: metadata.clone(),
        repositories: metadata.clone(),
        settings: metadata.clone(),
        users: metadata.clone(),
        organizations: metadata.clone(),
        credentials: metadata.clone(),
        audit: metadata.clone(),
        quotas: metadata.clone(),
        avatars: metadata.clone(),
        blobs,
    }
}

fn pages(auth: &auth::Service, metadata: &Arc<metadata::Service>) -> ui::Services {
    ui::Services {
        auth: Arc::new(auth.clone()),
        identities: Arc::new(auth.clone()),
        self_service: Arc::new(auth.clone()),
        repositories: metadata.clone(),
    }
}

async fn found_metadata(
    (settings, data): (&Settings, &Path),
    secrets: &Secrets,
    process: &Process,
    (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
) -> Result<Arc<metadata::Service>, AssembleError> {
    let directory = settings.metadata.directory().unwrap_or_else(|| data.join("metadata"));
    let config = metadata::config::Config {
        server: settings.metadata.server(),
        new_repositories: settings.new_repositories,
        quota: settings.quota,
        reclaim: settings.reclaim,
        audit: settings.audit,
        ..metadata::config::Config::new(directory, secrets.grants())
    };
    let engine = Engine::open(&config, Arc::clone(&random)).await?;
    let metadata = Arc::new(metadata::Service::found(engine.keyspace(), &config, clock, random).await?);
    process.shutdown.spawn(engine.report_to(process.readiness.clone(), process.shutdown.clone()));
    Ok(metadata)
}

/// Bytes, and who deletes those that nobody needs.
async fn open_blobs(
    (settings, data): (&Settings, &Path),
    secrets: &Secrets,
    process: &Process,
    metadata: &Arc<metadata::Service>,
    (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
) -> Result<Arc<blob::Service>, AssembleError> {
    let storage = settings.blob.storage().unwrap_or_else(|| Storage::Directory(data.join("blobs")));
    let config = blob::config::Config {
        store: storage.default_name(),
        storage,
        claim: settings.blob.claim,
        grant_secret: secrets.grants(),
        // nginx reads the directory, which is on the same machine.
        handoff_listen: None,
        reserve_bytes: settings.reserve_bytes,
        cache: None,
        sweep: settings.sweep,
    };
    let new = blob::is_new(&**metadata);
    let blobs = Arc::new(blob::Service::open(&config, new, clock, random).await?);

    let swept = blob::sweep::Services { reclaim: metadata.clone(), repositories: metadata.clone() };
    let sweeper = blobs.sweeper(swept, settings.sweep);
    process.shutdown.spawn(sweeper.run(process.shutdown.clone()));
    Ok(blobs)
}

fn auth_over(
    settings: &Settings,
    metadata: &Arc<metadata::Service>,
    (secrets, mail): (&Secrets, Option<Arc<dyn Mail>>),
    (clock, random): (Arc<dyn Clock>, Arc<dyn Random>),
) -> auth::Service {
    let config = auth::config::Config {
        issuer: settings.registry.issuer.clone(),
        service: settings.registry.service.clone(),
        password: settings.password.clone(),
        accounts: settings.accounts.clone(),
        providers: settings.providers.clone(),
        workload_issuers: settings.workload_issuers.clone(),
        keys: settings.keys,
        ..auth::config::Config::with_secret(secrets.keys())
    };
    let contracts = auth::Contracts {
        accounts: metadata.clone(),
        users: metadata.clone(),
        credentials: metadata.clone(),
        federation: metadata.clone(),
        proofs: metadata.clone(),
        invitations: metadata.clone(),
    };
    auth::Service::new(contracts, mail, &config, clock, random)
}

fn look_after(auth: &auth::Service, process: &Process) {
    process.shutdown.spawn(auth.note_uses(process.shutdown.clone()));
    process.shutdown.spawn(auth.do_errands(process.shutdown.clone()));
    process.shutdown.spawn(auth.tend_keys(process.shutdown.clone()));
}

fn make_private(data: &Path) -> Result<(), AssembleError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| AssembleError::Directory { directory: data.to_owned(), error })
}
