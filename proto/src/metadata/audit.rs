//! The audit log: who did what, to what, when and from where. It is written in the same commit as the change, by
//! metadata alone; here it is read, and nobody can change it.

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, CredentialId, Digest, EventId, Namespace, RepositoryName, RobotName, Tag, TeamName};
use serde::{Deserialize, Serialize};

pub use action::{Action, ActionError, ActionFilter, ActionName};
pub use client::AuditLogClient;

use super::{AccountError, Actor};
use crate::auth::Subject;

mod action;
pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// What has been done. Who may see it is not decided here.
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// A page of entries, the newest first. Those are kept that are neither too old nor too many; entries that a later
    /// release has written so that this one cannot read them are left out.
    ///
    /// # Errors
    /// `OwnerUnknown`; `Unavailable`.
    async fn audit_entries(&self, wanted: &WantedEntries) -> Result<Entries, AccountError>;
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedEntries {
    /// What concerns a user or an organization and its repositories; none: the whole hub.
    pub of: Option<Namespace>,
    /// Only such.
    pub filter: Filter,
    /// Only those that happened before this one, and sort before it: the page after the one that ended with it.
    pub after: Option<EventId>,
    /// At most so many, 1 to 1,000.
    pub limit: usize,
}

/// Which entries are meant, by what all of these say; none says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From then on, to the millisecond.
    pub since: Option<Timestamp>,
    /// Before, to the millisecond.
    pub before: Option<Timestamp>,
    /// What was done.
    pub action: Option<ActionFilter>,
    /// Who did it.
    pub actor: Option<Subject>,
}

impl Filter {
    /// Whether something that was done by somebody is meant, whenever it was.
    pub fn matches(&self, action: &ActionName, actor: &Subject) -> bool {
        self.action.as_ref().is_none_or(|wanted| wanted.matches(action))
            && self.actor.as_ref().is_none_or(|wanted| wanted == actor)
    }

    /// Whether entries must be looked into to know.
    pub fn looks_into(&self) -> bool {
        self.action.is_some() || self.actor.is_some()
    }
}

/// A page of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// The newest first. There may be fewer than asked for, though there are more.
    pub entries: Vec<Entry>,
    /// What to go on after; none: there are no more.
    pub next: Option<EventId>,
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// By whom, through what and from where.
    pub actor: Actor,
    /// What was done.
    pub action: ActionName,
    /// To what.
    pub target: Target,
}

/// To what something was done, and what it became. What is none has no part in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// The user or organization whose log it is in; none: it is only in that of the hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// A repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryName>,
    /// A user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<AccountName>,
    /// A team of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamName>,
    /// A robot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<RobotName>,
    /// An access token, a robot's secret or a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// A tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// A manifest or a blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it is from then on, in one word: a role, a level, a visibility, the id of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
