//! What a backup is held by, and what namespaces and repositories have that leads nowhere else, as a list: the part of
//! `keys.rs` that is about finding everything. Their drawing is there.

use oci::Namespace;

use super::{
    Log, RepositoryId, audit, audit_marks, avatar, events, grants, history, namespace, outbox, pulled,
    pushed, read, recent, referrers, state, tag, tags, words_in,
};
use crate::{keyspace::Key, namespaces::Owner};

/// Who dumps, so that nobody reclaims.
pub(crate) const BACKUP: Key = Key::from_static("^backup");

/// Keys that lead to nothing else.
#[derive(Debug)]
pub(crate) struct Leaves {
    /// In the order in which they are read.
    pub(crate) sets: Vec<Key>,
    /// The same.
    pub(crate) hashes: Vec<Key>,
}

/// What a user and an organization have alike, besides what names secrets.
pub(crate) fn of_namespace(owner: Owner, name: &Namespace) -> Leaves {
    let log = Log::Of(owner, name.clone());
    let sets = vec![audit_marks(&log), audit(&log), words_in(owner, name)];
    let hashes = vec![avatar(owner, name), namespace(owner, name)];
    Leaves { sets, hashes }
}

/// What a repository has besides what names manifests, deleted ones and blobs.
pub(crate) fn of_repository(id: RepositoryId) -> Leaves {
    // What was read of the events before the events: a reader may see one twice, and misses none.
    let sets = vec![tags(id), recent(id), referrers(id), history(id), read(id), events(id)];
    let hashes = vec![tag(id), pushed(id), pulled(id), grants(id), outbox(id), state(id)];
    Leaves { sets, hashes }
}

/// What no dump holds: who reclaims or dumps, and uploads under way with what they hold.
#[cfg(test)]
pub(crate) fn is_left_out(key: &Key) -> bool {
    let text = key.to_string();
    [super::SWEEPER, BACKUP, super::UPLOADS].contains(key)
        || text.starts_with("^Upload:")
        || (text.starts_with('&') && text.ends_with(":holds"))
}

/// What comes after the last space: of what robots are called, the hash of their secret.
pub(crate) fn last_word(value: &[u8]) -> &[u8] {
    value.rsplit(|byte| *byte == b' ').next().unwrap_or_default()
}
