//! What the suites of metadata are run in, and what they fill it with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use oci::{AccountName, ContentId, Digest, Generation, Locator, RepositoryName};
use secrecy::SecretString;
use service_kit::clock::{Clock as _, ManualClock};

use crate::{
    auth::Subject,
    metadata::{
        Accounts, Actor, AuditLog, Avatars, Backup, Credentials, FederatedIdentities, Integrity, Invitations,
        Organizations, Outbox, Proofs, Quotas, Reclaim, Repositories, RepositoryError, RepositorySettings,
        Rules, Standing, Uploads, Users, Via,
        accounts::{Account, Role},
        repositories::Intent,
        uploads::{Held, Link},
    },
};

/// The longest that a hold lives in the world of the suites.
pub(crate) const HOLD_LIFETIME: Duration = Duration::from_hours(1);

/// One metadata service, by its contracts, and the clock that it goes by. New repositories are private.
#[derive(Clone)]
pub struct World {
    /// Its upload sessions.
    pub uploads: Arc<dyn Uploads>,
    /// Its repositories.
    pub repositories: Arc<dyn Repositories>,
    /// What it reclaims.
    pub reclaim: Arc<dyn Reclaim>,
    /// Its rules for tags.
    pub rules: Arc<dyn Rules>,
    /// Its accounts.
    pub accounts: Arc<dyn Accounts>,
    /// Its users.
    pub users: Arc<dyn Users>,
    /// Their credentials.
    pub credentials: Arc<dyn Credentials>,
    /// What its users prove besides their passwords.
    pub proofs: Arc<dyn Proofs>,
    /// Its invitations.
    pub invitations: Arc<dyn Invitations>,
    /// What is said of its repositories.
    pub settings: Arc<dyn RepositorySettings>,
    /// Its organizations.
    pub organizations: Arc<dyn Organizations>,
    /// Who its users are elsewhere.
    pub federation: Arc<dyn FederatedIdentities>,
    /// What was done in it.
    pub audit: Arc<dyn AuditLog>,
    /// What namespaces may use.
    pub quotas: Arc<dyn Quotas>,
    /// Whether what it keeps agrees with itself.
    pub integrity: Arc<dyn Integrity>,
    /// Pictures.
    pub avatars: Arc<dyn Avatars>,
    /// Dumps of all that.
    pub backup: Arc<dyn Backup>,
    /// What happens in its repositories.
    pub outbox: Arc<dyn Outbox>,
    /// Its time.
    pub clock: Arc<ManualClock>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A new user, acting through the registry.
    pub(crate) async fn user(&self, name: &str, role: Role) -> Actor {
        let account = account(name, role);
        self.accounts.create_account(&account, &Actor::service()).await.unwrap();
        let (subject, address) = (Subject::User(account.name), "192.0.2.7".parse().ok());
        Actor { subject, via: Via::Registry, address, credential: None }
    }

    /// Uploads and links content that nobody has, as a client does it.
    pub(crate) async fn push_blob(
        &self,
        repository: &RepositoryName,
        content: &str,
        actor: &Actor,
    ) -> Digest {
        let digest = digest(content);
        let session = self.uploads.start(repository, actor).await.unwrap();
        let held = self.uploads.hold(&session.address, &digest).await.unwrap();
        let link = link_of(&held, &digest, content.len() as u64);
        self.uploads.link(&link, actor).await.unwrap();
        digest
    }

    /// Where the repository may read the content, if it links it.
    pub(crate) async fn location(&self, repository: &RepositoryName, digest: &Digest) -> Option<Locator> {
        match self.repositories.blob(repository, digest, Intent::Read).await {
            Ok(grant) => Some(grant.locator),
            Err(RepositoryError::BlobUnknown { .. } | RepositoryError::NameUnknown { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// An account as the suites make them.
pub(crate) fn account(name: &str, role: Role) -> Account {
    let name: AccountName = name.parse().unwrap();
    Account {
        name, password_hash: SecretString::from("$argon2id$v=19$…"), role, standing: Standing::Active
    }
}

/// The name of a repository.
pub(crate) fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

/// The digest of a content.
pub(crate) fn digest(content: &str) -> Digest {
    Digest::of_sha256(content.as_bytes())
}

/// The number-th place where the content may be; the higher the number, the later it was written.
pub(crate) fn locator(digest: &Digest, number: u32) -> Locator {
    let store = "disk".parse().unwrap();
    Locator { store, content: ContentId::plain(digest.clone()), generation: generation(number) }
}

pub(crate) fn generation(number: u32) -> Generation {
    // Of the second day of the world: after it was founded.
    format!("01KDY02100{number:016}").parse().unwrap()
}

/// The link that follows a hold: to what is there, or to new bytes.
pub(crate) fn link_of(held: &Held, digest: &Digest, size_bytes: u64) -> Link {
    let ours = held.locator.clone().unwrap_or_else(|| locator(digest, 1));
    let address = held.session.address.clone();
    Link { address, digest: digest.clone(), size_bytes, locator: ours, seen: held.locator.clone() }
}

/// The time by the world's clock.
pub(crate) fn now(world: &World) -> Timestamp {
    world.clock.now()
}
