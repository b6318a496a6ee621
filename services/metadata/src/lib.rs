//! Names, tags, manifests, links, accounts, upload sessions: all that is true, in one keyspace. It knows no
//! HTTP and no blob bytes, and calls no other service.

use std::sync::Arc;

use moka::sync::Cache;
use oci::RepositoryName;
use proto::{
    blob::GrantKey,
    metadata::{Visibility, quotas::ByteLimit},
};
use service_kit::{
    clock::Clock,
    failpoint,
    random::{Random, Ulids},
};

use crate::{
    config::{AuditConfig, Config, Lifetimes, ReclaimConfig},
    keyspace::{Commit, CommitError, Error, Keyspace},
    placement::Placement,
    pulls::Gathered,
};

pub mod backup;
pub mod config;
pub mod engine;
pub mod keyspace;
pub mod schema;

mod accounts;
mod administrators;
mod audit;
mod avatars;
mod blobs;
mod catalog;
mod content;
mod credentials;
mod deletion;
mod events;
mod facts;
mod failure;
mod federation;
mod grants;
mod history;
mod holds;
mod integrity;
#[cfg(test)]
mod invariants;
mod invitations;
mod keys;
mod links;
mod manifests;
mod members;
mod mounts;
mod moving;
mod namespaces;
mod old_names;
mod organizations;
mod outbox;
mod owners;
mod placement;
mod proofs;
mod pulls;
mod quotas;
mod reclaim;
mod referrers;
mod releasing;
mod removal;
mod repositories;
mod restoring;
mod retention;
mod revocations;
mod revoking;
mod rules;
mod search;
mod second_factors;
mod secrets;
mod sessions;
mod settings;
mod signing_keys;
mod tags;
mod teams;
mod tickets;
mod trash;
mod unlinking;
mod untagged;
mod uploads;
mod users;
mod words;

/// How often an operation looks again when others changed what it had read.
const ATTEMPTS: usize = 16;

/// Names of repositories whose ids are remembered, at most.
const REMEMBERED_NAMES: u64 = 100_000;

/// The metadata service over a keyspace: every contract of [`proto::metadata`].
#[derive(Clone)]
pub struct Service(Arc<Parts>);

struct Parts {
    keyspace: Arc<dyn Keyspace>,
    grants: GrantKey,
    new_repositories: Visibility,
    quota: ByteLimit,
    lifetimes: Lifetimes,
    reclaim: ReclaimConfig,
    audit: AuditConfig,
    placements: Cache<RepositoryName, Placement>,
    pulls: Gathered,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    ulids: Ulids,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("metadata::Service").finish_non_exhaustive()
    }
}

impl Service {
    /// The service over `keyspace`, which is founded if it is empty. Several may be founded at once.
    ///
    /// # Errors
    /// `Newer` if a later release wrote the keyspace; `Loading` if a dump is not whole in it; `Engine`.
    pub async fn found(
        keyspace: Arc<dyn Keyspace>,
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, schema::FoundError> {
        let service = Self(Arc::new(Parts {
            keyspace,
            grants: GrantKey::new(&config.grant_secret),
            new_repositories: config.new_repositories,
            quota: config.quota,
            lifetimes: config.lifetimes,
            reclaim: config.reclaim,
            audit: config.audit,
            placements: Cache::new(REMEMBERED_NAMES),
            pulls: Gathered::default(),
            ulids: Ulids::new(Arc::clone(&clock), Arc::clone(&random)),
            clock,
            random,
        }));
        service.prepare_schema().await?;
        service.prepare_library().await?;
        service.prepare_administrators().await?;
        service.prepare_owners().await?;
        service.prepare_quotas().await?;
        service.prepare_words().await?;
        service.prepare_counting().await?;

        Ok(service)
    }

    fn keyspace(&self) -> &dyn Keyspace {
        self.0.keyspace.as_ref()
    }

    fn now(&self) -> jiff::Timestamp {
        self.0.clock.now()
    }

    /// Writes one step of an operation. Processes can be made to end right before and right after it.
    async fn commit(&self, step: Step, commit: Commit) -> Result<Outcome, Error> {
        let failed = self.first_failed(step, commit).await?;
        Ok(if failed.is_none() { Outcome::Committed } else { Outcome::Conflicted })
    }

    /// The same, but tells which condition was the first that did not hold; none if it was committed.
    async fn first_failed(&self, step: Step, commit: Commit) -> Result<Option<usize>, Error> {
        failpoint::hit(step.before);
        let failed = match self.0.keyspace.commit(commit).await {
            Ok(()) => None,
            Err(CommitError::Conflict { condition }) => Some(condition),
            Err(CommitError::Engine(error)) => return Err(error),
        };
        failpoint::hit(step.after);

        Ok(failed)
    }
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
enum Outcome {
    Committed,
    /// Somebody changed what it depends on; nothing was written.
    Conflicted,
}

/// The failpoints around one commit.
#[derive(Debug, Clone, Copy)]
struct Step {
    before: &'static str,
    after: &'static str,
}

/// Names the failpoints around the commit of an operation.
macro_rules! step {
    ($operation:literal) => {
        $crate::Step {
            before: concat!("metadata.", $operation, ".before"),
            after: concat!("metadata.", $operation, ".after"),
        }
    };
}
use step;
