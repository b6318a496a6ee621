//! Organizations with their members and teams, and who was given what right on a repository.

use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{AccountName, Namespace, RepositoryName, TeamName};
use serde::{Deserialize, Serialize};

pub use client::OrganizationsClient;

use super::{AccountError, Actor, Page, PageRequest};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Characters of a description, at most.
pub const LONGEST_DESCRIPTION: usize = 10_000;

/// Teams of one organization, and of one user in it, at most.
pub const MAX_TEAMS: usize = 500;

/// Users and teams that have a right on one repository, at most.
pub const MAX_GRANTS: usize = 500;

/// Organizations, members, teams and grants. Who may change them is not decided here.
///
/// What takes a right away tells it as a revocation of the users' tokens, in the same commit or before it.
#[async_trait]
pub trait Organizations: Send + Sync + 'static {
    /// Makes an organization, whose first owner is `owner`. Of two that try at once, one succeeds.
    ///
    /// # Errors
    /// `NameTaken`; `NameReserved`; `AccountUnknown`; `Unavailable`.
    async fn create_organization(
        &self,
        name: &Namespace,
        owner: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// An organization, if it is there.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn organization(&self, name: &Namespace) -> Result<Option<Organization>, AccountError>;

    /// Changes what is said of an organization.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `Conflict`; `Unavailable`.
    async fn describe_organization(
        &self,
        name: &Namespace,
        profile: &OrganizationProfile,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// All organizations, by name.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn organizations(&self, page: &PageRequest<Namespace>) -> Result<Page<Namespace>, AccountError>;

    /// The organizations that a user belongs to, by name.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn organizations_of(
        &self,
        user: &AccountName,
        page: &PageRequest<Namespace>,
    ) -> Result<Page<(Namespace, MemberRole)>, AccountError>;

    /// The members of an organization, by name.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `Unavailable`.
    async fn members(
        &self,
        organization: &Namespace,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<(AccountName, MemberRole)>, AccountError>;

    /// Makes a user a member, or changes its role. The last owner stays one.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `AccountUnknown`; `LastOwner`; `Conflict`; `Unavailable`.
    async fn put_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        role: MemberRole,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Removes a member, from all teams too.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `MemberUnknown`; `LastOwner`; `Conflict`; `Unavailable`.
    async fn remove_member(
        &self,
        organization: &Namespace,
        user: &AccountName,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// The teams of an organization, by name.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `Unavailable`.
    async fn teams(&self, organization: &Namespace) -> Result<Vec<Team>, AccountError>;

    /// Makes a team, or changes its description.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `TooMany`; `Conflict`; `Unavailable`.
    async fn put_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        description: &str,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Removes a team. What it was granted is worth nothing from then on, also to a later team of that name.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `TeamUnknown`; `Conflict`; `Unavailable`.
    async fn remove_team(
        &self,
        organization: &Namespace,
        team: &TeamName,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// The members of a team, by name.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `TeamUnknown`; `Unavailable`.
    async fn team_members(
        &self,
        organization: &Namespace,
        team: &TeamName,
        page: &PageRequest<AccountName>,
    ) -> Result<Page<AccountName>, AccountError>;

    /// Puts a member of the organization into a team, or takes them out. Repeating it is harmless.
    ///
    /// # Errors
    /// `OrganizationUnknown`; `TeamUnknown`; `MemberUnknown` if the user is not in the organization; `TooMany`;
    /// `Conflict`; `Unavailable`.
    async fn set_team_member(
        &self,
        organization: &Namespace,
        team: &TeamName,
        user: &AccountName,
        membership: Membership,
        actor: &Actor,
    ) -> Result<(), AccountError>;

    /// Who was given which right on a repository, by grantee.
    ///
    /// # Errors
    /// `RepositoryUnknown`; `Unavailable`.
    async fn grants(&self, repository: &RepositoryName) -> Result<Vec<(Grantee, Level)>, AccountError>;

    /// Gives a user or a team of the repository's organization a right on it, or takes it away.
    ///
    /// # Errors
    /// `RepositoryUnknown`; `AccountUnknown`; `TeamUnknown`; `TooMany`; `Conflict`; `Unavailable`.
    async fn grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
        actor: &Actor,
    ) -> Result<(), AccountError>;
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its name.
    pub name: Namespace,
    /// What is said of it.
    pub profile: OrganizationProfile,
    /// When it was made.
    pub created: Timestamp,
}

/// What is said of an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationProfile {
    /// What it is called among people, at most 100 characters.
    pub display_name: String,
    /// Markdown, at most [`LONGEST_DESCRIPTION`] characters.
    pub description: String,
    /// Where to write to.
    pub email: String,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its name.
    pub name: TeamName,
    /// Markdown, at most [`LONGEST_DESCRIPTION`] characters.
    pub description: String,
}

/// What a member of an organization is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Has what its teams have.
    Member,
    /// May do everything in the organization.
    Owner,
}

/// Whether somebody is in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// They are.
    In,
    /// They are not.
    Out,
}

/// What somebody may do with a repository; each holds what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Pull.
    Read,
    /// Push.
    Write,
    /// Delete, and change the repository and who may use it.
    Admin,
}

/// Who is given a right on a repository. As text: `ann`, or `team:devs`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// A user: a collaborator.
    User(AccountName),
    /// A team of the organization that the repository belongs to.
    Team(TeamName),
}

const TEAM: &str = "team:";

impl std::fmt::Display for Grantee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => name.fmt(f),
            Self::Team(name) => write!(f, "{TEAM}{name}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = oci::NameError;

    fn from_str(text: &str) -> Result<Self, oci::NameError> {
        match text.strip_prefix(TEAM) {
            Some(team) => team.parse().map(Self::Team),
            None => text.parse().map(Self::User),
        }
    }
}
