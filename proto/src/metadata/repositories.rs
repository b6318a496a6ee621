//! What repositories hold: links to blobs, manifests, tags, and the list of repositories.

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, Locator, MediaType, Need, Reference, RepositoryName, Tag, TagPattern};
use serde::{Deserialize, Serialize};

pub use client::RepositoriesClient;
pub use history::{TagChange, TagEvent, TagHistory, WantedHistory};
pub use listing::{MAX_ALSO, RepositoryEntry, Viewer, WantedRepositories};
pub use referrers::{ReferrerPlace, Referrers, WantedReferrers};
pub use search::{Found, FoundRepository, Place, Reader, SearchQuery, WantedSearch};

use super::{Actor, Page, PageRequest, quotas::Size};
use crate::blob::Grant;

pub mod client;
mod history;
mod listing;
mod referrers;
pub mod search;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Bytes of the names and values of annotations that a referrer is listed with; those of one with more are left
/// out of the list, and only there.
pub const MAX_LISTED_ANNOTATION_BYTES: usize = 64 << 10;

/// What repositories hold. A repository that does not exist is `NameUnknown`.
#[async_trait]
pub trait Repositories: Send + Sync + 'static {
    /// The right to read a linked blob, and its length. For who is about to push, an unused link is kept for a
    /// further grace: they rely on the answer.
    ///
    /// # Errors
    /// `BlobUnknown`, also when its bytes are quarantined; `NameUnknown`; `Unavailable`.
    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        intent: Intent,
    ) -> Result<Grant, RepositoryError>;

    /// Unlinks a blob that no manifest needs. Its bytes go later, when nobody else links them either.
    ///
    /// # Errors
    /// `BlobUnknown`; `BlobNeeded` by a manifest; `BlobRestorable` with one that was deleted; `NameUnknown`; `Conflict`; `Unavailable`.
    async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// Says that the bytes at `locator` are gone, so that the content counts as absent until a push brings it.
    /// A locator that is not in use any more is no error.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn quarantine(&self, locator: &Locator) -> Result<(), RepositoryError>;

    /// A manifest with its exact bytes.
    ///
    /// # Errors
    /// `ManifestUnknown`; `NameUnknown`; `Unavailable`.
    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError>;

    /// The same for whoever pulls: it is counted, soon after. A pull of an index counts by what is pulled of that.
    ///
    /// # Errors
    /// As `manifest`.
    async fn pull(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError>;

    /// Stores a manifest and moves tags to it: all or nothing, durable when it returns. Repeating it is no error.
    ///
    /// # Errors
    /// `ReferencesMissing` names what is not here; `TagUnexpected`; `TagImmutable`; `NamespaceUnknown`; `Conflict`; `Unavailable`.
    async fn put_manifest(&self, manifest: &NewManifest, actor: &Actor) -> Result<(), RepositoryError>;

    /// Removes a tag, if it is as `expected`, or a manifest with all tags that name it, whatever is expected.
    ///
    /// # Errors
    /// `ManifestUnknown`; `TagUnexpected`; `TagImmutable`; `StillNeeded` by an index; `NameUnknown`; `Conflict`; `Unavailable`.
    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        expected: &Expected,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;

    /// Brings back what a tag named or a manifest that was deleted, and answers its digest. The window in which
    /// that is possible is configured.
    ///
    /// # Errors
    /// `NothingToRestore`; `TagImmutable`; `NameUnknown`; `Conflict`; `Unavailable`.
    async fn restore(&self, restore: &Restore, actor: &Actor) -> Result<Digest, RepositoryError>;

    /// What refers to a manifest, which need not be there itself.
    ///
    /// # Errors
    /// `NameUnknown`; `Unavailable`.
    async fn referrers(&self, wanted: &WantedReferrers) -> Result<Referrers, RepositoryError>;

    /// Tags in ASCII order.
    ///
    /// # Errors
    /// `NameUnknown`; `Unavailable`.
    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &PageRequest<Tag>,
    ) -> Result<Page<Tag>, RepositoryError>;

    /// What has happened to a tag, newest first, as far back as the repository remembers: its newest thousand
    /// changes of tags.
    ///
    /// # Errors
    /// `NameUnknown`; `Unavailable`.
    async fn tag_history(&self, wanted: &WantedHistory) -> Result<TagHistory, RepositoryError>;

    /// The repositories that somebody may see, in ASCII order of their names.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn repositories(
        &self,
        wanted: &WantedRepositories,
    ) -> Result<Page<RepositoryEntry>, RepositoryError>;

    /// The repositories that somebody may read: all of them, or those with words that begin as those that are looked
    /// for. Of others nothing is told, neither by what is found nor by where it goes on.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn search(&self, wanted: &WantedSearch) -> Result<Found, RepositoryError>;
}

/// What somebody wants to know a blob for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// To read it.
    Read,
    /// To push what needs it.
    Push,
}

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Where.
    pub repository: RepositoryName,
    /// A tag, or a manifest with the tags that it had and that name nothing else by now.
    pub what: Reference,
    /// What the tag is to name again; none: what it named before it changed last.
    pub to: Option<Digest>,
}

/// A stored manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its digest.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: MediaType,
    /// Its exact bytes, at most 4 MiB.
    pub body: Bytes,
}

/// A manifest to store: facts that the edge has read from it, and bytes that are opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewManifest {
    /// Where.
    pub repository: RepositoryName,
    /// Digest of `body`: the caller has verified it.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: MediaType,
    /// Its exact bytes, at most 4 MiB.
    pub body: Bytes,
    /// What must be in the repository before.
    pub needs: Vec<Need>,
    /// The manifest that it refers to, which need not be there.
    pub subject: Option<Digest>,
    /// What a referrer is listed as.
    pub artifact_type: Option<MediaType>,
    /// What a referrer is listed with; only kept if there is a subject, and they are not too long.
    pub annotations: BTreeMap<String, String>,
    /// The tags that name it from now on.
    pub tags: Vec<Tag>,
    /// What each of these tags must name until then.
    pub expected: Expected,
}

/// What a tag must name for a write to be done: compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it names, if anything.
    Anything,
    /// Nothing: there is no such tag.
    Absent,
    /// This manifest.
    Digest(Digest),
}

impl Expected {
    /// Whether a tag that names `current` is as expected.
    pub fn allows(&self, current: Option<&Digest>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => current.is_none(),
            Self::Digest(expected) => current == Some(expected),
        }
    }
}

/// What a caller of [`Repositories`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum RepositoryError {
    /// There is no such repository.
    #[error("there is no repository {repository}")]
    NameUnknown {
        /// The name asked for.
        repository: RepositoryName,
    },
    /// There is no such user or organization, and the actor may not make one.
    #[error("there is no user or organization {namespace}")]
    NamespaceUnknown {
        /// The first part of the repository's name.
        namespace: oci::Namespace,
    },
    /// There is one already.
    #[error("there is a repository {repository} already")]
    RepositoryExists {
        /// Its name.
        repository: RepositoryName,
    },
    /// It is called otherwise now: ask for it by that name. Only those who may know of it may be told so.
    #[error("repository {repository} is called {to} now")]
    Moved {
        /// The name asked for.
        repository: RepositoryName,
        /// Its name.
        to: RepositoryName,
    },
    /// Another repository is still found by that name, and only who makes one of that name ends this.
    #[error("the name {repository} still leads to a repository that was called so")]
    NameLeadsElsewhere {
        /// The name asked for.
        repository: RepositoryName,
    },
    /// The namespace that the repository is to be in may not use so much.
    #[error(
        "{namespace} has used {} of {}; this repository of {} does not fit there; delete images of it or ask an \
         administrator for more", Size(*used_bytes), Size(*limit_bytes), Size(*size_bytes)
    )]
    QuotaExceeded {
        /// Whose quota.
        namespace: oci::Namespace,
        /// What it uses.
        used_bytes: u64,
        /// What it may use.
        limit_bytes: u64,
        /// What does not fit.
        size_bytes: u64,
    },
    /// The repository does not link such a blob.
    #[error("repository {repository} has no blob {digest}")]
    BlobUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was looked for.
        digest: Digest,
    },
    /// The repository has no such manifest or tag.
    #[error("repository {repository} has no manifest {reference}")]
    ManifestUnknown {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was looked for.
        reference: Reference,
    },
    /// The manifest names what is not in the repository: push that first.
    #[error("the manifest names {} that the repository does not have", missing.len())]
    ReferencesMissing {
        /// What is missing, at most the first 100.
        missing: Vec<Digest>,
    },
    /// What was asked for was never here, or the time in which it could be brought back has passed.
    #[error("there is nothing to restore for {reference} in {repository}")]
    NothingToRestore {
        /// Where it was looked for.
        repository: RepositoryName,
        /// What was asked for.
        reference: Reference,
    },
    /// An index of the repository names this manifest: delete that first.
    #[error("manifest {digest} is part of index {parent}")]
    StillNeeded {
        /// What was to be deleted.
        digest: Digest,
        /// What needs it.
        parent: Digest,
    },
    /// The tag names something else than the caller expects: look again, and decide anew.
    #[error("tag {tag} {}", match current {
        Some(current) => format!("names {current} now"),
        None => "does not exist".to_owned(),
    })]
    TagUnexpected {
        /// The tag.
        tag: Tag,
        /// What it names.
        current: Option<Digest>,
    },
    /// A rule of the repository or its namespace says that this tag neither moves nor goes: push under another one.
    #[error("tag {tag} names {current}, and is immutable by the rule for {rule}")]
    TagImmutable {
        /// The tag.
        tag: Tag,
        /// What it names.
        current: Digest,
        /// The pattern of the rule.
        rule: TagPattern,
    },
    /// A manifest of the repository names this blob: delete that first.
    #[error("blob {digest} is part of manifest {manifest}")]
    BlobNeeded {
        /// What was to be deleted.
        digest: Digest,
        /// What needs it.
        manifest: Digest,
    },
    /// A manifest that was deleted, and can be restored, names this blob: it goes by itself after that.
    #[error(
        "blob {digest} is kept with manifest {manifest}, which was deleted and can be restored until {until}"
    )]
    BlobRestorable {
        /// What was to be deleted.
        digest: Digest,
        /// What would need it.
        manifest: Digest,
        /// The end of the undo window.
        until: Timestamp,
    },
    /// Others changed the same records too often; nothing was written, and retrying may help.
    #[error("too many writers at once while {attempted}")]
    Conflict {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// A record cannot be read; an operator must look.
    #[error("damaged record: {what}")]
    Damaged {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// The engine is full: freeing space heals it, reads go on.
    #[error("the metadata store has no space left while {attempted}")]
    NoSpace {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// The engine cannot answer now; retrying may help.
    #[error("metadata unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
