//! The keys of organizations, members, teams and grants: the part of `keys.rs` that is about who may do what. Their
//! drawing is there.

use std::fmt::{self, Display};

use bytes::Bytes;
use oci::{AccountName, Namespace};
use ulid::Ulid;

use super::{RepositoryId, USER_SIGIL, key, named, pair};
use crate::keyspace::{Field, Key, MemberRange};

/// What names a team for as long as it lives; a later team of the same name has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TeamId(pub(crate) Ulid);

impl Display for TeamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(crate) fn roles(organization: &Namespace) -> Key {
    key(format!("#{organization}:roles"))
}

pub(crate) fn members(organization: &Namespace) -> Key {
    key(format!("#{organization}:members"))
}

pub(crate) fn owners(organization: &Namespace) -> Key {
    key(format!("#{organization}:owners"))
}

pub(crate) fn teams(organization: &Namespace) -> Key {
    key(format!("#{organization}:teams"))
}

pub(crate) fn team(organization: &Namespace, id: TeamId) -> Key {
    key(format!("#{organization}:team:{id}"))
}

pub(crate) fn team_members(organization: &Namespace, id: TeamId) -> Key {
    key(format!("#{organization}:team:{id}:members"))
}

/// The organizations that a user may be a member of.
pub(crate) fn member_organizations(user: &AccountName) -> Key {
    key(format!("@{user}:orgs"))
}

pub(crate) fn user_teams(user: &AccountName) -> Key {
    key(format!("@{user}:teams"))
}

/// A member of a user's teams.
pub(crate) fn team_of(organization: &Namespace, id: TeamId) -> Bytes {
    pair(organization, id)
}

/// A user's teams in one organization.
pub(crate) fn of_organization(organization: &Namespace) -> MemberRange {
    MemberRange::beginning_with(format!("{organization}\0"))
}

pub(crate) fn grants(id: RepositoryId) -> Key {
    key(format!("${id}:grants"))
}

pub(crate) fn grantee_user(name: &AccountName) -> Field {
    named(format_args!("{USER_SIGIL}{name}"))
}

pub(crate) fn grantee_team(id: TeamId) -> Field {
    named(id)
}

/// The user that a field of the grants is about; none: it is about a team.
pub(crate) fn granted_user(field: &[u8]) -> Option<&[u8]> {
    field.strip_prefix(b"@")
}

/// The team that a field of the grants is about; none: it is about a user.
pub(crate) fn granted_team(field: &[u8]) -> Option<TeamId> {
    std::str::from_utf8(field).ok()?.parse().ok().map(TeamId)
}
