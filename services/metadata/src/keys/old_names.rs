//! The keys of repositories that are called otherwise now, or are deleted. Their drawing is in `keys.rs`.

use bytes::Bytes;
use oci::RepositoryName;

use super::{key, pair};
use crate::keyspace::Key;

/// The ids of deleted repositories, until nothing is left under them.
pub(crate) const PURGE: Key = Key::from_static("^purge");
/// When old names end.
pub(crate) const OLD_NAMES: Key = Key::from_static("^moved");

/// What was called so, for a time.
pub(crate) fn moved(name: &RepositoryName) -> Key {
    key(format!("^moved:{name}"))
}

pub(crate) fn leads_until(until_ms: i64, name: &RepositoryName) -> Bytes {
    pair(format_args!("{until_ms:020}"), name)
}
