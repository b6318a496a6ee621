//! The keys of what is counted and shown besides: pulls, and pictures. Their drawing is in `keys.rs`.

use oci::Namespace;

use super::{RepositoryId, key};
use crate::{keyspace::Key, namespaces::Owner};

/// Since when, and until when, pulls are counted.
pub(crate) const COUNTING: Key = Key::from_static("^counting");

/// Of a repository: how often it was pulled, and when each manifest was last.
pub(crate) fn pulled(id: RepositoryId) -> Key {
    key(format!("${id}:pulled"))
}

/// The picture of a user or an organization.
pub(crate) fn avatar(owner: Owner, name: &Namespace) -> Key {
    key(format!("{}{name}:avatar", owner.sigil()))
}
