//! What is asked and told of manifests that refer to another one.

use oci::{Descriptor, Digest, MediaType, RepositoryName};

use super::Manifest;
use crate::metadata::More;

/// Which referrers are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedReferrers {
    /// Where.
    pub repository: RepositoryName,
    /// Of what.
    pub subject: Digest,
    /// Only those of this type.
    pub artifact_type: Option<MediaType>,
    /// Only those behind this one, which need not exist.
    pub after: Option<ReferrerPlace>,
    /// At most so many, 1 to 1,000; fewer if they have much to say.
    pub limit: usize,
}

/// Where a referrer stands in the list: by the text of its type, none first, and then by its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferrerPlace {
    /// What it is listed as.
    pub artifact_type: Option<MediaType>,
    /// Its digest.
    pub digest: Digest,
}

impl ReferrerPlace {
    /// The place of `referrer`.
    pub fn of(referrer: &Descriptor) -> Self {
        Self { artifact_type: referrer.artifact_type.clone(), digest: referrer.digest.clone() }
    }
}

/// A page of referrers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// In the order of their places.
    pub entries: Vec<Descriptor>,
    /// Whether there is more behind them. A page that is not the last has an entry.
    pub more: More,
    /// What stands under the tag that clients use where this list is missing: the caller folds it in.
    pub fallback: Option<Manifest>,
}
