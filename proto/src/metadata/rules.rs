//! Rules that the owner of a namespace or of a repository makes for its tags: which never move, and which go by
//! themselves, as manifests do that have none. Whoever writes tags keeps to them in the commit itself.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use oci::{NameError, Namespace, RepositoryName, Tag};

pub use client::RulesClient;
pub use set::{
    Immutable, LARGEST_NUMBER_OF_EXCEPTIONS, LARGEST_NUMBER_OF_RULES, Retain, RuleSet, RuleSetError,
    Selection, Untagged,
};

use super::{Actor, More, RepositoryError};

pub mod client;
pub mod server;
mod set;
#[cfg(feature = "suite")]
pub mod suite;

/// Rules of namespaces and repositories. A repository's own set replaces its namespace's as a whole, so that one
/// place says all that holds for it; an own set without rules is the way to have none.
#[async_trait]
pub trait Rules: Send + Sync + 'static {
    /// The own rules of a namespace or a repository; none: it has none, which for a repository means that those of
    /// its namespace hold.
    ///
    /// # Errors
    /// `NamespaceUnknown`; `NameUnknown`; `Unavailable`.
    async fn rules(&self, of: &RulesOf) -> Result<Option<RuleSet>, RepositoryError>;

    /// Makes rules in place of its own, or removes these. They hold for every write that is done from now on.
    ///
    /// # Errors
    /// As `rules`; `Conflict`.
    async fn put_rules(
        &self,
        of: &RulesOf,
        rules: Option<&RuleSet>,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// What rules would let go in a repository now: those in force, or others to try. Nothing is changed.
    ///
    /// # Errors
    /// `NameUnknown`; `Unavailable`.
    async fn preview_rules(
        &self,
        repository: &RepositoryName,
        rules: Option<&RuleSet>,
    ) -> Result<Preview, RepositoryError>;
}

/// What rules would let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The tags, the last pushed first.
    pub tags: Vec<Tag>,
    /// How many manifests would go: with them, because they have no tag, and what belongs to these.
    pub manifests: u64,
    /// How many of these because they have no tag.
    pub untagged: u64,
    /// Bytes of the blobs that nothing else in the repository uses.
    pub size_bytes: u64,
    /// Whether there are more tags or manifests than were looked at together.
    pub more: More,
}

/// Whose rules: a namespace (`team`) or a repository (`team/app`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesOf {
    /// Of all repositories that have no rules of their own.
    Namespace(Namespace),
    /// Of this one.
    Repository(RepositoryName),
}

impl FromStr for RulesOf {
    type Err = NameError;

    /// A name without a slash is a namespace here, never a repository of `library`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.contains('/') {
            text.parse().map(Self::Repository)
        } else {
            text.parse().map(Self::Namespace)
        }
    }
}

impl fmt::Display for RulesOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => namespace.fmt(f),
            Self::Repository(repository) => repository.fmt(f),
        }
    }
}
