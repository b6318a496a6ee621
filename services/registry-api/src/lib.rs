//! The HTTP edge of the registry: the registry API of OCI and Docker, the token endpoint, and the management API. It
//! keeps nothing: what is true lives behind the contracts, and any replica answers any request.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::Router;
use proto::{
    auth::{Auth, Federation, Identities, SelfService},
    blob::Blobs,
    metadata::{
        AuditLog, Avatars, Credentials, FederatedIdentities, Organizations, Quotas, Repositories,
        RepositorySettings, Uploads, Users,
    },
};
use service_kit::{clock::Clock, readiness::Readiness, shutdown::Shutdown};

use access::Access;
use config::Config;

pub use refusal::refusal;
pub use router::nothing_here;

mod access;
mod asked;
pub mod config;
mod delivery;
mod error;
mod handlers;
mod headers;
mod hub;
mod push;
mod refusal;
mod respond;
mod retry;
mod router;
mod urls;
mod warning;

/// The services that the edge calls, in this process or another.
#[derive(Clone)]
pub struct Services {
    /// Issues tokens, and publishes the keys that verify them.
    pub auth: Arc<dyn Auth>,
    /// Decides who may do what in the management API, and tells what was revoked.
    pub identities: Arc<dyn Identities>,
    /// Signs users in by providers of identities, and exchanges tokens of workloads.
    pub federation: Arc<dyn Federation>,
    /// Who users are elsewhere.
    pub identities_elsewhere: Arc<dyn FederatedIdentities>,
    /// What people do about their own accounts, and whom they invite.
    pub self_service: Arc<dyn SelfService>,
    /// Upload sessions.
    pub uploads: Arc<dyn Uploads>,
    /// What repositories hold.
    pub repositories: Arc<dyn Repositories>,
    /// What is said of repositories, and who may see them.
    pub settings: Arc<dyn RepositorySettings>,
    /// Users.
    pub users: Arc<dyn Users>,
    /// Organizations, their members and teams, and rights on repositories.
    pub organizations: Arc<dyn Organizations>,
    /// Access tokens, robots and sessions.
    pub credentials: Arc<dyn Credentials>,
    /// Who did what.
    pub audit: Arc<dyn AuditLog>,
    /// What namespaces may use.
    pub quotas: Arc<dyn Quotas>,
    /// Pictures of users and organizations.
    pub avatars: Arc<dyn Avatars>,
    /// Blob bytes.
    pub blobs: Arc<dyn Blobs>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// The process that the edge runs in.
#[derive(Debug, Clone)]
pub struct Process {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Its end, which waits for what was begun.
    pub shutdown: Shutdown,
    /// Not ready until the keys that verify tokens are known.
    pub readiness: Readiness,
}

/// The routes of the edge: `/v2`, `/token`, `/api`, and `/v1`, which is answered honestly with an error. Reads keys
/// and revocations in the background until the process ends, so it must be called within a runtime.
pub fn router(services: Services, config: &Config, process: &Process) -> Router {
    router::routes(Arc::new(Registry::new(services, config, process)))
}

/// What all requests share.
pub(crate) struct Registry {
    services: Services,
    access: Access,
    shutdown: Shutdown,
    config: Config,
    deliveries: delivery::Deliveries,
}

impl Registry {
    fn new(services: Services, config: &Config, process: &Process) -> Self {
        Self {
            access: Access::new(&services, config, process),
            services,
            shutdown: process.shutdown.clone(),
            config: config.clone(),
            deliveries: delivery::Deliveries::new(),
        }
    }

    /// What is known of a request from outside of its target and body.
    fn asked(&self, parts: &http::request::Parts) -> asked::Asked {
        let peer = parts.extensions.get::<service_kit::http::PeerAddress>().map(|peer| peer.0);
        let client = |peer: IpAddr| {
            service_kit::http::client_address(peer, &parts.headers, &self.config.trusted_proxies)
        };
        let address = peer.map(client);
        asked::Asked {
            query: asked::Query::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            urls: urls::Urls::of(parts, peer, &self.config),
            address,
            delivery: delivery::possible(&parts.headers, peer, address, &self.config),
            headers: parts.headers.clone(),
        }
    }
}
