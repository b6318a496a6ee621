//! The keys by which repositories are found: words, and what was granted to whom. Their drawing is in `keys.rs`.

use bytes::Bytes;
use oci::{AccountName, Namespace, RepositoryName};

use super::{TeamId, key};
use crate::{
    keyspace::{Key, MemberRange},
    namespaces::Owner,
};

/// Words of public repositories.
pub(crate) const PUBLIC_WORDS: Key = Key::from_static("^words+");
/// Words of private repositories, wherever they are.
pub(crate) const PRIVATE_WORDS: Key = Key::from_static("^words-");

/// Words of the private repositories of a namespace.
pub(crate) fn words_in(owner: Owner, namespace: &Namespace) -> Key {
    key(format!("{}{namespace}:words", owner.sigil()))
}

/// Ids of repositories on which a user may have been given a right.
pub(crate) fn user_granted(user: &AccountName) -> Key {
    key(format!("@{user}:granted"))
}

/// The same of a team.
pub(crate) fn team_granted(organization: &Namespace, id: TeamId) -> Key {
    key(format!("#{organization}:team:{id}:granted"))
}

/// The member that leads from a word to a repository. With an empty name: what stands before all of that rank.
pub(crate) fn word_of(word: &[u8], rank: u8, name: &str) -> Bytes {
    let rank = [0, b'0' + rank, 0];
    [word, &rank[..], name.as_bytes()].concat().into()
}

/// The rank in a member that `word_of` made.
pub(crate) fn rank_of(member: &[u8]) -> Option<u8> {
    member.split(|byte| *byte == 0).nth(1)?.first()?.checked_sub(b'0')
}

/// The members whose words begin so.
pub(crate) fn found_by(beginning: &str) -> MemberRange {
    MemberRange::beginning_with(beginning.to_owned())
}

/// The entry of one repository in `$repos` and `$repos+`.
pub(crate) fn listed_as(name: &RepositoryName) -> MemberRange {
    MemberRange::beginning_with(format!("{name}\0"))
}

/// The entries of `$repos` that begin so, behind `after`.
pub(crate) fn listed_from(beginning: &str, after: Option<&RepositoryName>) -> MemberRange {
    let range = MemberRange::beginning_with(beginning.to_owned());
    match after {
        Some(after) if after.as_str() >= beginning => range.resumed_after(format!("{after}\u{1}")),
        _ => range,
    }
}
