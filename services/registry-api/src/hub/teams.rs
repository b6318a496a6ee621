//! Teams of organizations, and who is in them.

use axum::response::Response;
use oci::{AccountName, Namespace, TeamName};
use proto::{
    auth::identities::Deed,
    metadata::{
        AccountError,
        organizations::{self, Membership},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    organizations::OfOrganization,
    page::{self, Listed, Paging, Part},
    path::At,
    problem::Problem,
    texts::Description,
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfTeam {
    /// The organization.
    #[param(value_type = names::NamespaceName)]
    name: Namespace,
    /// The team.
    #[param(value_type = names::TeamName)]
    team: TeamName,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfTeamMember {
    /// The organization.
    #[param(value_type = names::NamespaceName)]
    name: Namespace,
    /// The team.
    #[param(value_type = names::TeamName)]
    team: TeamName,
    /// The user.
    #[param(value_type = names::AccountName)]
    user: AccountName,
}

/// A team.
#[derive(Serialize, ToSchema)]
pub(super) struct Team {
    #[schema(value_type = names::TeamName)]
    name: TeamName,
    /// Markdown.
    description: String,
}

impl From<organizations::Team> for Team {
    fn from(organizations::Team { name, description }: organizations::Team) -> Self {
        Self { name, description }
    }
}

/// What is to be said of a team.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedTeam {
    #[serde(default)]
    #[schema(required = false)]
    description: Description,
}

/// A member of a team.
#[derive(Serialize, ToSchema)]
pub(super) struct TeamMember {
    #[schema(value_type = names::AccountName)]
    name: AccountName,
}

/// List teams
///
/// For members of the organization.
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}/teams", tag = "organizations", params(OfOrganization),
    responses((status = 200, description = "All teams, by name.", body = Listed<Team>), Refused)
)]
pub(super) async fn list_teams(
    asking: Asking,
    At(OfOrganization { name }): At<OfOrganization>,
) -> Result<Listed<Team>, Problem> {
    asking.permit(&Deed::SeeNamespace(name.clone())).await?;
    let found = retry::repeated(|| asking.services().organizations.teams(&name)).await?;
    Ok(page::whole(found, Team::from))
}

/// Make a team, or describe it anew
///
/// For owners.
#[utoipa::path(
    put, path = "/api/v1/organizations/{name}/teams/{team}", tag = "organizations", params(OfTeam),
    request_body = WantedTeam,
    responses((status = 204, description = "The team is there."), Refused, BodyRefused, Conflicting)
)]
pub(super) async fn put_team(
    asking: Asking,
    At(OfTeam { name, team }): At<OfTeam>,
    Json(WantedTeam { description: Description(description) }): Json<WantedTeam>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(name.clone())).await?;
    let organizations = &asking.services().organizations;
    retry::repeated(|| organizations.put_team(&name, &team, &description, &permit.actor)).await?;
    Ok(answer::done())
}

/// Remove a team
///
/// For owners. What it was granted is worth nothing from then on, also to a later team of that name.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{name}/teams/{team}", tag = "organizations", params(OfTeam),
    responses((status = 204, description = "There is no such team (any more)."), Refused)
)]
pub(super) async fn remove_team(
    asking: Asking,
    At(OfTeam { name, team }): At<OfTeam>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(name.clone())).await?;
    let organizations = &asking.services().organizations;
    let removed = retry::repeated(|| organizations.remove_team(&name, &team, &permit.actor)).await;
    answer::gone(removed, |error| matches!(error, AccountError::TeamUnknown { .. }))
}

/// List members of a team
///
/// For members of the organization.
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}/teams/{team}/members", tag = "organizations",
    params(
        OfTeam, Paging,
        ("cursor" = Option<names::AccountName>, Query, description = "`next` of the part before.")
    ),
    responses((status = 200, description = "Members, by name.", body = Listed<TeamMember>), Refused)
)]
pub(super) async fn list_team_members(
    asking: Asking,
    At(OfTeam { name, team }): At<OfTeam>,
    part: Part<AccountName>,
) -> Result<Listed<TeamMember>, Problem> {
    asking.permit(&Deed::SeeNamespace(name.clone())).await?;
    let organizations = &asking.services().organizations;
    let found = retry::repeated(|| organizations.team_members(&name, &team, &part.request)).await?;
    Ok(page::listed(&part, found, |name| name, |name| TeamMember { name }))
}

/// Put a member of the organization into a team
///
/// For owners.
#[utoipa::path(
    put, path = "/api/v1/organizations/{name}/teams/{team}/members/{user}", tag = "organizations",
    params(OfTeamMember),
    responses((status = 204, description = "The user is in the team."), Refused, Conflicting)
)]
pub(super) async fn put_team_member(asking: Asking, At(at): At<OfTeamMember>) -> Result<Response, Problem> {
    set(&asking, &at, Membership::In).await?;
    Ok(answer::done())
}

/// Take a user out of a team
///
/// For owners.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{name}/teams/{team}/members/{user}", tag = "organizations",
    params(OfTeamMember),
    responses((status = 204, description = "The user is not in the team (any more)."), Refused)
)]
pub(super) async fn remove_team_member(
    asking: Asking,
    At(at): At<OfTeamMember>,
) -> Result<Response, Problem> {
    match set(&asking, &at, Membership::Out).await {
        // Who is not in the organization is in none of its teams.
        Err(Problem::Account(AccountError::MemberUnknown { .. })) | Ok(()) => Ok(answer::done()),
        Err(problem) => Err(problem),
    }
}

async fn set(asking: &Asking, at: &OfTeamMember, membership: Membership) -> Result<(), Problem> {
    let OfTeamMember { name, team, user } = at;
    let permit = asking.permit(&Deed::ManageNamespace(name.clone())).await?;
    let organizations = &asking.services().organizations;
    let set = || organizations.set_team_member(name, team, user, membership, &permit.actor);
    Ok(retry::repeated(set).await?)
}
