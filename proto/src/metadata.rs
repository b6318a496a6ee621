//! What the metadata service offers, one contract for each noun: uploads, repositories, accounts, what to reclaim.
//! It keeps all that is true; it knows no HTTP and no blob bytes.

use std::net::IpAddr;

use oci::CredentialId;
use serde::{Deserialize, Serialize};

pub use accounts::{AccountError, Accounts};
pub use audit::AuditLog;
pub use avatars::Avatars;
pub use backup::{Backup, BackupError};
pub use credentials::Credentials;
pub use federation::FederatedIdentities;
pub use integrity::Integrity;
pub use invitations::Invitations;
pub use organizations::Organizations;
pub use outbox::{Outbox, OutboxError};
pub use proofs::Proofs;
pub use quotas::Quotas;
pub use reclaim::{Reclaim, ReclaimError};
pub use repositories::{Repositories, RepositoryError};
pub use rules::Rules;
pub use settings::RepositorySettings;
pub use uploads::{UploadError, Uploads};
pub use users::Users;

use crate::auth::Subject;

pub mod accounts;
pub mod audit;
pub mod avatars;
pub mod backup;
pub mod credentials;
pub mod federation;
pub mod integrity;
pub mod invitations;
pub mod organizations;
pub mod outbox;
pub mod proofs;
pub mod quotas;
pub mod reclaim;
pub mod repositories;
pub mod rules;
pub mod settings;
pub mod uploads;
pub mod users;

/// On whose behalf, through what and from where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// On whose behalf.
    pub subject: Subject,
    /// Through which door.
    pub via: Via,
    /// From where, if known.
    pub address: Option<IpAddr>,
    /// By which access token, robot's secret or session; none: a password, or none is known.
    pub credential: Option<CredentialId>,
}

impl Actor {
    /// A service on its own account.
    pub const fn service() -> Self {
        Self { subject: Subject::Anonymous, via: Via::Service, address: None, credential: None }
    }

    /// Whoever runs the hub, who needs no account.
    pub const fn operator() -> Self {
        Self { subject: Subject::Anonymous, via: Via::Operator, address: None, credential: None }
    }
}

/// The door that a write came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The registry API.
    Registry,
    /// The web UI.
    Ui,
    /// A service on its own account.
    Service,
    /// The management API.
    Api,
    /// The commands of whoever runs the hub.
    Operator,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    Active,
    /// An administrator has disabled it, or it is gone.
    Disabled,
}

/// Who can see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Only who was given the right.
    Private,
}

/// A part of an ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<T> {
    /// List what sorts after this (ASCII order); none: from the beginning. It need not exist.
    pub after: Option<T>,
    /// At most so many, 0 to 1,000.
    pub limit: usize,
}

/// What a page request found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In ASCII order.
    pub entries: Vec<T>,
    /// Whether there is more behind them.
    pub more: More,
}

/// Whether a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// It does.
    Yes,
    /// This was all.
    No,
}
