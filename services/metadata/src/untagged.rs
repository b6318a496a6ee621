//! Manifests that may have no tag, and since when. Whoever takes a tag from one or stores one lists it, whoever tags
//! one removes it from the list, and none of them reads it: it has a manifest once, however often its tags move. It
//! has all that have no tag, and besides those that have lost one of several. Knows no rules.

use std::collections::BTreeSet;

use jiff::Timestamp;
use oci::Digest;

use crate::{
    keys::{self, RepositoryId, field},
    keyspace::Mutation,
    tags::TagBefore,
};

/// A stored manifest may have no tag from now on. Before what makes it so.
pub(crate) fn listed(id: RepositoryId, digest: &Digest, now: Timestamp) -> [Mutation; 2] {
    [Mutation::AddMember(keys::untagged(id), keys::without_tag(digest)), counted_from(id, digest, now)]
}

/// The time of a stored manifest without a tag begins now.
pub(crate) fn counted_from(id: RepositoryId, digest: &Digest, now: Timestamp) -> Mutation {
    let now_ms = now.as_millisecond().to_string();
    Mutation::SetField(keys::manifest(id, digest), field::UNTAGGED, now_ms.into())
}

/// The manifest has a tag, or is not there any more. Behind what makes it so.
pub(crate) fn unlisted(id: RepositoryId, digest: &Digest) -> Mutation {
    Mutation::RemoveMember(keys::untagged(id), keys::without_tag(digest))
}

/// What `tags` name may lose its last one, as they are removed or come to name `to`.
pub(crate) fn left(
    id: RepositoryId,
    tags: &[TagBefore],
    to: Option<&Digest>,
    now: Timestamp,
) -> Vec<Mutation> {
    let named = tags.iter().filter_map(|before| before.digest.as_ref());
    let old: BTreeSet<&Digest> = named.filter(|digest| Some(*digest) != to).collect();
    old.into_iter().flat_map(|digest| listed(id, digest, now)).collect()
}

/// `tags` name the manifest from now on; none: it stays on the list.
pub(crate) fn tagged(id: RepositoryId, digest: &Digest, tags: &[TagBefore]) -> Option<Mutation> {
    (!tags.is_empty()).then(|| unlisted(id, digest))
}
