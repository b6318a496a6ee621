//! The keys of secrets, of what users prove besides their passwords, and of invitations: a part of `keys.rs`. Their
//! drawing is there.

use bytes::Bytes;
use oci::{AccountName, Digest, InvitationId, Namespace};
use proto::metadata::credentials::SecretHash;

use super::{key, of_digest, pair};
use crate::keyspace::{Key, MemberRange};

pub(crate) const EMAILS: Key = Key::from_static("^emails");

/// Of a user: its access tokens and sessions.
pub(crate) fn secrets(name: &AccountName) -> Key {
    key(format!("@{name}:secrets"))
}

/// The credential whose secret has this hash.
pub(crate) fn secret(hash: &str) -> Key {
    key(format!("^secret:{hash}"))
}

/// A hash as keys and lists have it.
pub(crate) fn hex(hash: &SecretHash) -> String {
    hash.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The recovery codes of a user.
pub(crate) fn recovery(user: &AccountName) -> Key {
    key(format!("@{user}:recovery"))
}

/// That a user has verified an address. By its digest, because members are shorter than some addresses.
pub(crate) fn verified(email: &str, user: &AccountName) -> Bytes {
    pair(folded(email), user)
}

/// Whoever has verified the address, in any case of its letters.
pub(crate) fn of_email(email: &str) -> MemberRange {
    of_digest(&folded(email))
}

fn folded(email: &str) -> Digest {
    Digest::of_sha256(email.to_lowercase().as_bytes())
}

/// The invitation whose secret has this hash.
pub(crate) fn invitation(hash: &str) -> Key {
    key(format!("^invitation:{hash}"))
}

/// Those that wait, for an organization or the hub alone.
pub(crate) fn invitations(organization: Option<&Namespace>) -> Key {
    match organization {
        Some(organization) => key(format!("#{organization}:invitations")),
        None => Key::from_static("^invitations"),
    }
}

pub(crate) fn invited(id: &InvitationId, hash: &str) -> Bytes {
    pair(id, hash)
}

/// The entry of one invitation.
pub(crate) fn of_invitation(id: &InvitationId) -> MemberRange {
    MemberRange::beginning_with(format!("{id}\0"))
}
