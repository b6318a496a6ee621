//! The keys of who users are elsewhere: the part of `keys.rs` that is about identities. Their drawing is there.

use oci::AccountName;
use proto::metadata::federation::IdentityId;

use super::key;
use crate::keyspace::Key;

/// Of a user: the identities that it may have.
pub(crate) fn identities(user: &AccountName) -> Key {
    key(format!("@{user}:identities"))
}

/// What says who has the identity.
pub(crate) fn identity(id: &IdentityId) -> Key {
    key(format!("^identity:{id}"))
}
