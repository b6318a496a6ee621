//! Organizations: those of the user who asks, and what is said of each.

use axum::response::Response;
use jiff::Timestamp;
use oci::Namespace;
use proto::{
    auth::identities::Deed,
    metadata::{
        AccountError,
        organizations::{self, MemberRole, OrganizationProfile},
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
    page::{self, Listed, Paging, Part},
    path::At,
    problem::Problem,
    texts::{Description, DisplayName, Email},
};
use crate::{respond, retry};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfOrganization {
    /// The organization.
    #[param(value_type = names::NamespaceName)]
    pub(super) name: Namespace,
}

/// An organization.
#[derive(Serialize, ToSchema)]
pub(super) struct Organization {
    #[schema(value_type = names::NamespaceName)]
    name: Namespace,
    /// What it is called among people.
    display_name: String,
    /// Markdown.
    description: String,
    /// Where to write to, or empty.
    email: String,
    #[schema(value_type = names::Time)]
    created: Timestamp,
}

impl From<organizations::Organization> for Organization {
    fn from(organization: organizations::Organization) -> Self {
        let organizations::Organization { name, profile, created } = organization;
        let OrganizationProfile { display_name, description, email } = profile;
        Self { name, display_name, description, email, created }
    }
}

/// An organization that a user belongs to.
#[derive(Serialize, ToSchema)]
pub(super) struct Belonging {
    #[schema(value_type = names::NamespaceName)]
    name: Namespace,
    #[schema(value_type = names::MemberRole)]
    role: MemberRole,
}

/// An organization that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedOrganization {
    #[schema(value_type = names::NamespaceName)]
    name: Namespace,
}

/// What was made.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeOrganization {
    #[schema(value_type = names::NamespaceName)]
    name: Namespace,
}

/// What is to be changed; what is left out or null stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedOrganization {
    display_name: Option<DisplayName>,
    description: Option<Description>,
    email: Option<Email>,
}

/// List your organizations
#[utoipa::path(
    get, path = "/api/v1/organizations", tag = "organizations",
    params(Paging, ("cursor" = Option<names::NamespaceName>, Query, description = "`next` of the part before.")),
    responses(
        (status = 200, description = "Organizations that you belong to, by name.", body = Listed<Belonging>),
        Refused
    )
)]
pub(super) async fn list_organizations(
    asking: Asking,
    part: Part<Namespace>,
) -> Result<Listed<Belonging>, Problem> {
    let (user, _) = asking.user().await?;
    let organizations = &asking.services().organizations;
    let found = retry::repeated(|| organizations.organizations_of(&user, &part.request)).await?;
    Ok(page::listed(&part, found, |(name, _)| name, |(name, role)| Belonging { name, role }))
}

/// Make an organization
///
/// You are its first owner.
#[utoipa::path(
    post, path = "/api/v1/organizations", tag = "organizations", request_body = WantedOrganization,
    responses(
        (status = 201, description = "It is made.", body = MadeOrganization,
            headers(("Location" = String, description = "Where it is."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn make_organization(
    asking: Asking,
    Json(WantedOrganization { name }): Json<WantedOrganization>,
) -> Result<Response, Problem> {
    let (owner, permit) = asking.user_who_may(&Deed::CreateOrganization).await?;
    let organizations = &asking.services().organizations;
    retry::unless_done(|| organizations.create_organization(&name, &owner, &permit.actor)).await?;
    Ok(answer::created(&format!("/api/v1/organizations/{name}"), &MadeOrganization { name }))
}

/// See an organization
///
/// For its members.
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}", tag = "organizations", params(OfOrganization),
    responses((status = 200, description = "The organization.", body = Organization), Refused)
)]
pub(super) async fn get_organization(
    asking: Asking,
    At(OfOrganization { name }): At<OfOrganization>,
) -> Result<Response, Problem> {
    asking.permit(&Deed::SeeNamespace(name.clone())).await?;
    Ok(respond::json(&Organization::from(found(&asking, &name).await?)))
}

/// Change an organization
///
/// For its owners.
#[utoipa::path(
    patch, path = "/api/v1/organizations/{name}", tag = "organizations", params(OfOrganization),
    request_body = ChangedOrganization,
    responses((status = 204, description = "It is changed."), Refused, BodyRefused)
)]
pub(super) async fn change_organization(
    asking: Asking,
    At(OfOrganization { name }): At<OfOrganization>,
    Json(wanted): Json<ChangedOrganization>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(name.clone())).await?;
    let before = found(&asking, &name).await?.profile;
    let profile = OrganizationProfile {
        display_name: wanted.display_name.map_or(before.display_name, |DisplayName(text)| text),
        description: wanted.description.map_or(before.description, |Description(text)| text),
        email: wanted.email.map_or(before.email, |Email(text)| text),
    };
    let organizations = &asking.services().organizations;
    retry::repeated(|| organizations.describe_organization(&name, &profile, &permit.actor)).await?;
    Ok(answer::done())
}

async fn found(asking: &Asking, name: &Namespace) -> Result<organizations::Organization, Problem> {
    let found = retry::repeated(|| asking.services().organizations.organization(name)).await?;
    found.ok_or_else(|| AccountError::OrganizationUnknown { name: name.clone() }.into())
}
