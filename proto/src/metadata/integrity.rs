//! Whether what is kept agrees with itself (docs/KEYS.md §5), on a running hub, and mending what a crash has left. What
//! is in motion is never a finding, and what would need bytes or a guess is named and left alone.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Serialize, Serializer};

pub use client::IntegrityClient;
pub use kind::Kind;

use super::{Actor, ReclaimError};

pub mod client;
mod kind;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Whether what is kept agrees with itself.
#[async_trait]
pub trait Integrity: Send + Sync + 'static {
    /// Checks a bounded part of everything, and mends it if that is wanted; what was mended is in the audit log. A step of
    /// a walk: it begins without a cursor, and goes on from the answered one. A finding was so at one moment, with all
    /// that it says; whoever repairs requires just that in the same commit.
    ///
    /// # Errors
    /// `Unavailable`; `NoSpace`; `Damaged`.
    async fn check(
        &self,
        cursor: Option<&str>,
        mending: Mending,
        actor: &Actor,
    ) -> Result<Checked, ReclaimError>;
}

/// Whether something is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// Nothing is.
    Report,
    /// What can be mended without bytes and guesses is.
    Repair,
}

/// What a step has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What does not agree.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
    /// Where to go on; none at the end. Only metadata knows what it means.
    pub next: Option<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests, deleted ones that can be restored among them.
    pub manifests: u64,
    /// Links of repositories to blobs.
    pub blobs: u64,
    /// Users.
    pub users: u64,
    /// Organizations.
    pub organizations: u64,
}

impl Counts {
    /// Adds what another step has looked at.
    pub const fn add(&mut self, other: &Self) {
        self.repositories += other.repositories;
        self.tags += other.tags;
        self.manifests += other.manifests;
        self.blobs += other.blobs;
        self.users += other.users;
        self.organizations += other.organizations;
    }
}

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In what way.
    pub kind: Kind,
    /// Which: a repository, tag, manifest, user and so on, as people write it.
    pub subject: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It agrees again.
    Mended,
    /// It can be mended, and was not.
    Mendable,
    /// It needs bytes, or somebody's decision.
    Unmendable,
}

/// A text that names no kind of finding that this release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of finding that this release knows: use that of the hub")]
pub struct UnknownKind(String);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.iter().find(|kind| kind.name() == text);
        found.copied().ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Kind;

    #[test]
    fn a_kind_is_read_by_its_name_and_no_two_have_one() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        let names: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!("tag".parse::<Kind>().is_err());
    }
}
