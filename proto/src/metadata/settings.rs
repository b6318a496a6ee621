//! What is said of a repository, who may see it and how it is called. Changing that moves one small record and nothing
//! that hangs off the repository's id.

use async_trait::async_trait;
use jiff::Timestamp;
use oci::RepositoryName;

pub use client::RepositorySettingsClient;

use super::{Actor, RepositoryError, Visibility};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Characters of a repository's description, at most.
pub const LONGEST_REPOSITORY_DESCRIPTION: usize = 25_000;

/// The records of repositories. Who may change them is not decided here.
#[async_trait]
pub trait RepositorySettings: Send + Sync + 'static {
    /// Makes an empty repository in a namespace that is there. If another one was called so, that is not found by this
    /// name any more.
    ///
    /// # Errors
    /// `NamespaceUnknown`; `RepositoryExists`; `Conflict`; `Unavailable`.
    async fn create_repository(
        &self,
        name: &RepositoryName,
        visibility: Visibility,
        description: &str,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// What is said of a repository.
    ///
    /// # Errors
    /// `NameUnknown`; `Moved`; `Unavailable`.
    async fn repository(&self, name: &RepositoryName) -> Result<RepositoryDetails, RepositoryError>;

    /// Changes what is said of a repository or who may see it, all or nothing, while pushes and pulls go on.
    ///
    /// # Errors
    /// `NameUnknown`; `Moved`; `Conflict`; `Unavailable`.
    async fn change_repository(
        &self,
        name: &RepositoryName,
        change: &RepositoryChange,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// Calls a repository otherwise, perhaps in another namespace, while pushes and pulls go on. What it holds, who was
    /// given a right on it and its own rules stay; rights of the teams of another organization end. By the old name it is
    /// `Moved` for a configured time, which ends when a repository of that name is made. Repeating it is no error.
    ///
    /// # Errors
    /// `NameUnknown`; `Moved`; `NamespaceUnknown`; `RepositoryExists`; `NameLeadsElsewhere`;
    /// `QuotaExceeded`; `Conflict`; `Unavailable`.
    async fn move_repository(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// Deletes a repository with all that it holds: it is gone when this returns, and its name is free. What it held goes
    /// in the background; nothing brings it back.
    ///
    /// # Errors
    /// `NameUnknown`; `Moved`; `Conflict`; `Unavailable`.
    async fn delete_repository(&self, name: &RepositoryName, actor: &Actor) -> Result<(), RepositoryError>;
}

/// What is said of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDetails {
    /// Its name.
    pub name: RepositoryName,
    /// Who may see it.
    pub visibility: Visibility,
    /// Markdown.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// When tags or manifests changed last.
    pub updated: Timestamp,
    /// Bytes of the blobs that it links.
    pub size_bytes: u64,
    /// How often images were pulled from it since that is counted. Some seconds may be missing.
    pub pulls: u64,
    /// When something was pulled last.
    pub last_pulled: Option<Timestamp>,
}

/// What is to be changed; none: it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryChange {
    /// Who may see it.
    pub visibility: Option<Visibility>,
    /// Another description, at most [`LONGEST_REPOSITORY_DESCRIPTION`] characters.
    pub description: Option<String>,
}
