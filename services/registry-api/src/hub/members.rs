//! Members of organizations.

use axum::response::Response;
use oci::{AccountName, Namespace};
use proto::{
    auth::identities::Deed,
    metadata::{AccountError, organizations::MemberRole},
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
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfMember {
    /// The organization.
    #[param(value_type = names::NamespaceName)]
    name: Namespace,
    /// The user.
    #[param(value_type = names::AccountName)]
    user: AccountName,
}

/// A member of an organization.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[schema(value_type = names::AccountName)]
    name: AccountName,
    #[schema(value_type = names::MemberRole)]
    role: MemberRole,
}

/// What a member is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedMember {
    #[schema(value_type = names::MemberRole)]
    role: MemberRole,
}

/// List members
///
/// For members.
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}/members", tag = "organizations",
    params(
        OfOrganization, Paging,
        ("cursor" = Option<names::AccountName>, Query, description = "`next` of the part before.")
    ),
    responses((status = 200, description = "Members, by name.", body = Listed<Member>), Refused)
)]
pub(super) async fn list_members(
    asking: Asking,
    At(OfOrganization { name }): At<OfOrganization>,
    part: Part<AccountName>,
) -> Result<Listed<Member>, Problem> {
    asking.permit(&Deed::SeeNamespace(name.clone())).await?;
    let found = retry::repeated(|| asking.services().organizations.members(&name, &part.request)).await?;
    Ok(page::listed(&part, found, |(name, _)| name, |(name, role)| Member { name, role }))
}

/// Make a user a member, or change the role of one
///
/// For owners. The last owner stays one.
#[utoipa::path(
    put, path = "/api/v1/organizations/{name}/members/{user}", tag = "organizations", params(OfMember),
    request_body = WantedMember,
    responses((status = 204, description = "The user has the role."), Refused, BodyRefused, Conflicting)
)]
pub(super) async fn put_member(
    asking: Asking,
    At(OfMember { name, user }): At<OfMember>,
    Json(WantedMember { role }): Json<WantedMember>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(name.clone())).await?;
    let organizations = &asking.services().organizations;
    retry::repeated(|| organizations.put_member(&name, &user, role, &permit.actor)).await?;
    Ok(answer::done())
}

/// Remove a member
///
/// For owners, and for the member, who leaves so; from all teams too. The last owner stays one. Whoever has left is told
/// nothing of the organization any more: leaving again is a 404.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{name}/members/{user}", tag = "organizations", params(OfMember),
    responses((status = 204, description = "The user is no member (any more)."), Refused, Conflicting)
)]
pub(super) async fn remove_member(
    asking: Asking,
    At(OfMember { name, user }): At<OfMember>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::RemoveMember(name.clone(), user.clone())).await?;
    let organizations = &asking.services().organizations;
    let removed = retry::repeated(|| organizations.remove_member(&name, &user, &permit.actor)).await;
    answer::gone(removed, |error| matches!(error, AccountError::MemberUnknown { .. }))
}
