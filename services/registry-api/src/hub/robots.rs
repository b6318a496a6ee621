//! Robots of a namespace.

use axum::response::Response;
use jiff::Timestamp;
use oci::{CredentialId, Namespace, RobotName};
use proto::{
    auth::identities::{Deed, WantedCredential},
    metadata::{
        AccountError,
        credentials::{CredentialOwner, Limits},
    },
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    credentials::{Actions, Issued, Kept, Patterns},
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed},
    path::At,
    problem::{Problem, RequestError},
    texts::Label,
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfNamespace {
    /// The user or organization.
    #[param(value_type = names::NamespaceName)]
    pub(super) namespace: Namespace,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfRobot {
    /// The user or organization.
    #[param(value_type = names::NamespaceName)]
    pub(super) namespace: Namespace,
    /// The robot.
    #[param(value_type = names::CredentialId)]
    pub(super) id: CredentialId,
}

/// A robot that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedRobot {
    #[schema(value_type = names::RobotLabel)]
    name: String,
    #[serde(default)]
    #[schema(required = false)]
    label: Label,
    /// Where it may be used, in this namespace; left out or empty: in all of its repositories.
    #[serde(default)]
    #[schema(value_type = Vec<names::Pattern>, max_items = 32, required = false)]
    repositories: Patterns,
    /// What for.
    #[schema(value_type = Vec<names::Permission>, min_items = 1)]
    actions: Actions,
    /// When it ends; left out or null: when it is revoked.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
}

/// List robots
///
/// For who manages the namespace.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/robots", tag = "robots", params(OfNamespace),
    responses(
        (status = 200, description = "All of them, the oldest first, without secrets.", body = Listed<Kept>),
        Refused
    )
)]
pub(super) async fn list_robots(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
) -> Result<Listed<Kept>, Problem> {
    asking.permit(&Deed::ManageNamespace(namespace.clone())).await?;
    let owner = CredentialOwner::Robots(namespace);
    let found = retry::repeated(|| asking.services().credentials.credentials(&owner)).await?;
    // Those that have no secret are listed as trusts.
    let robots = found.into_iter().filter(|credential| credential.trust.is_none());
    Ok(page::whole(robots, Kept::from))
}

/// Make a robot
///
/// For who manages the namespace. Log in to the registry as `namespace+name` with the secret.
#[utoipa::path(
    post, path = "/api/v1/namespaces/{namespace}/robots", tag = "robots", params(OfNamespace),
    request_body = WantedRobot,
    responses(
        (status = 201, description = "It is made. The secret is in this answer alone.", body = Issued,
            headers(("Location" = String, description = "Where it is revoked."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn make_robot(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
    Json(wanted): Json<WantedRobot>,
) -> Result<Response, Problem> {
    let WantedRobot { name, label: Label(label), repositories, actions, expires } = wanted;
    let robot = RobotName::new(&namespace, &name).map_err(|error| RequestError::field("name", error))?;
    let limits = Limits { repositories: repositories.0, actions: actions.0 };
    let wanted = WantedCredential { robot: Some(robot), label, limits, expires };
    let issued = asking.services().identities.issue_credential(asking.asker(), &wanted).await?;
    let location = format!("/api/v1/namespaces/{namespace}/robots/{}", issued.credential.id);
    Ok(answer::created(&location, &Issued::from(issued)))
}

/// Revoke a robot
///
/// For who manages the namespace.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/robots/{id}", tag = "robots", params(OfRobot),
    responses((status = 204, description = "There is no such robot (any more)."), Refused)
)]
pub(super) async fn revoke_robot(
    asking: Asking,
    At(OfRobot { namespace, id }): At<OfRobot>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(namespace.clone())).await?;
    let owner = CredentialOwner::Robots(namespace);
    let credentials = &asking.services().credentials;
    let revoked = retry::repeated(|| credentials.revoke_credential(&owner, &id, &permit.actor)).await;
    answer::gone(revoked, |error| matches!(error, AccountError::CredentialUnknown { .. }))
}
