//! Invitations to make an account: to the hub, and into organizations.

use axum::response::Response;
use jiff::Timestamp;
use oci::{InvitationId, Namespace};
use proto::{
    auth::self_service::{MadeInvitation, WantedInvitation},
    metadata::{
        invitations::{self, Joining},
        organizations::MemberRole,
    },
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    organizations::OfOrganization,
    page::{self, Listed},
    path::At,
    problem::Problem,
    texts::Email,
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfInvitation {
    /// The invitation.
    #[param(value_type = names::CredentialId)]
    id: InvitationId,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfOrganizationInvitation {
    /// The organization.
    #[param(value_type = names::NamespaceName)]
    name: Namespace,
    /// The invitation.
    #[param(value_type = names::CredentialId)]
    id: InvitationId,
}

/// An invitation that waits, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Invitation {
    #[schema(value_type = names::CredentialId)]
    id: InvitationId,
    /// Where it was sent to, or empty.
    email: String,
    /// The organization that whoever takes it is in then; null: none.
    #[schema(value_type = Option<names::NamespaceName>)]
    organization: Option<Namespace>,
    /// As what.
    #[schema(value_type = Option<names::MemberRole>)]
    role: Option<MemberRole>,
    /// Who has made it.
    by: String,
    #[schema(value_type = names::Time)]
    created: Timestamp,
    #[schema(value_type = names::Time)]
    expires: Timestamp,
}

impl From<invitations::Invitation> for Invitation {
    fn from(invitation: invitations::Invitation) -> Self {
        let invitations::Invitation { id, email, joining, by, created, expires } = invitation;
        let (organization, role) = joining.map(|joining| (joining.organization, joining.role)).unzip();
        Self { id, email, organization, role, by: by.to_string(), created, expires }
    }
}

/// An invitation that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    /// `invitation` of whoever signs up. It is answered here and never again; null: it is on its way by mail.
    token: Option<String>,
    #[serde(flatten)]
    invitation: Invitation,
}

impl From<MadeInvitation> for Made {
    fn from(made: MadeInvitation) -> Self {
        let token = made.secret.map(|secret| secret.expose_secret().to_owned());
        Self { token, invitation: made.invitation.into() }
    }
}

/// An invitation to the hub.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Where to send it, if the hub sends mail; left out: nowhere.
    #[serde(default)]
    #[schema(required = false)]
    email: Email,
}

/// An invitation into an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedGuest {
    /// Where to send it, if the hub sends mail; left out: nowhere.
    #[serde(default)]
    #[schema(required = false)]
    email: Email,
    /// `member` if it is left out.
    #[schema(value_type = Option<names::MemberRole>)]
    role: Option<MemberRole>,
}

/// List invitations
///
/// For administrators: those to the hub alone.
#[utoipa::path(
    get, path = "/api/v1/invitations", tag = "invitations",
    responses((status = 200, description = "Those that wait, the oldest first.", body = Listed<Invitation>), Refused)
)]
pub(super) async fn list_invitations(asking: Asking) -> Result<Listed<Invitation>, Problem> {
    listed(&asking, None).await
}

/// Invite somebody
///
/// For administrators. Whoever has the invitation can sign up within 7 days, once, also if the hub takes no sign-ups.
#[utoipa::path(
    post, path = "/api/v1/invitations", tag = "invitations", request_body = Wanted,
    responses(
        (status = 201, description = "It is made.", body = Made,
            headers(("Location" = String, description = "Where it is revoked."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn invite(asking: Asking, Json(wanted): Json<Wanted>) -> Result<Response, Problem> {
    let wanted = WantedInvitation { email: wanted.email.0, joining: None };
    made(&asking, &wanted, "/api/v1/invitations").await
}

/// Revoke an invitation
#[utoipa::path(
    delete, path = "/api/v1/invitations/{id}", tag = "invitations", params(OfInvitation),
    responses((status = 204, description = "There is no such invitation (any more)."), Refused)
)]
pub(super) async fn uninvite(asking: Asking, At(at): At<OfInvitation>) -> Result<Response, Problem> {
    revoked(&asking, None, &at.id).await
}

/// List invitations into an organization
///
/// For its owners.
#[utoipa::path(
    get, path = "/api/v1/organizations/{name}/invitations", tag = "invitations", params(OfOrganization),
    responses((status = 200, description = "Those that wait, the oldest first.", body = Listed<Invitation>), Refused)
)]
pub(super) async fn list_organization_invitations(
    asking: Asking,
    At(at): At<OfOrganization>,
) -> Result<Listed<Invitation>, Problem> {
    listed(&asking, Some(&at.name)).await
}

/// Invite somebody into an organization
///
/// For its owners. Whoever signs up with it is a member or an owner then; who has an account already is made one directly.
#[utoipa::path(
    post, path = "/api/v1/organizations/{name}/invitations", tag = "invitations", params(OfOrganization),
    request_body = WantedGuest,
    responses(
        (status = 201, description = "It is made.", body = Made,
            headers(("Location" = String, description = "Where it is revoked."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn invite_member(
    asking: Asking,
    At(OfOrganization { name }): At<OfOrganization>,
    Json(wanted): Json<WantedGuest>,
) -> Result<Response, Problem> {
    let place = format!("/api/v1/organizations/{name}/invitations");
    let role = wanted.role.unwrap_or(MemberRole::Member);
    let joining = Some(Joining { organization: name, role });
    made(&asking, &WantedInvitation { email: wanted.email.0, joining }, &place).await
}

/// Revoke an invitation into an organization
#[utoipa::path(
    delete, path = "/api/v1/organizations/{name}/invitations/{id}", tag = "invitations",
    params(OfOrganizationInvitation),
    responses((status = 204, description = "There is no such invitation (any more)."), Refused)
)]
pub(super) async fn uninvite_member(
    asking: Asking,
    At(at): At<OfOrganizationInvitation>,
) -> Result<Response, Problem> {
    revoked(&asking, Some(&at.name), &at.id).await
}

async fn listed(asking: &Asking, organization: Option<&Namespace>) -> Result<Listed<Invitation>, Problem> {
    let self_service = &asking.services().self_service;
    let found = retry::repeated(|| self_service.invited(asking.asker(), organization)).await?;
    Ok(page::whole(found, Invitation::from))
}

async fn made(asking: &Asking, wanted: &WantedInvitation, place: &str) -> Result<Response, Problem> {
    let made = asking.services().self_service.invite(asking.asker(), wanted).await?;
    Ok(answer::created(&format!("{place}/{}", made.invitation.id), &Made::from(made)))
}

async fn revoked(
    asking: &Asking,
    organization: Option<&Namespace>,
    id: &InvitationId,
) -> Result<Response, Problem> {
    let self_service = &asking.services().self_service;
    retry::repeated(|| self_service.uninvite(asking.asker(), organization, id)).await?;
    Ok(answer::done())
}
