//! Who was given which right on a repository.

use axum::response::Response;
use oci::{Namespace, NamespacePath};
use proto::{
    auth::identities::Deed,
    metadata::organizations::{Grantee, Level},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed},
    path::{At, parsed},
    problem::Problem,
    repositories::OfRepository,
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfGrant {
    /// The user or organization that owns the repository.
    #[param(value_type = names::NamespaceName)]
    namespace: Namespace,
    /// The repository in it, with %2F for slashes.
    #[param(value_type = names::RepositoryPath)]
    repository: NamespacePath,
    /// Who has the right: a user, as `ann`, or a team, as `team:devs`.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = names::Grantee)]
    grantee: Grantee,
}

/// A right on a repository.
#[derive(Serialize, ToSchema)]
pub(super) struct Grant {
    /// Who has it: a user, as `ann`, or a team, as `team:devs`.
    #[schema(value_type = names::Grantee)]
    grantee: String,
    #[schema(value_type = names::Level)]
    level: Level,
}

/// The right that somebody is to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedGrant {
    #[schema(value_type = names::Level)]
    level: Level,
}

/// List who was given rights
///
/// For who manages the repository. Owners and administrators have all rights without being listed.
#[utoipa::path(
    get, path = "/api/v1/repositories/{namespace}/{repository}/grants", tag = "repositories",
    params(OfRepository),
    responses((status = 200, description = "All of them, by grantee.", body = Listed<Grant>), Refused)
)]
pub(super) async fn list_grants(asking: Asking, At(at): At<OfRepository>) -> Result<Listed<Grant>, Problem> {
    let repository = at.name()?;
    asking.permit(&Deed::ManageRepository(repository.clone())).await?;
    let found = retry::repeated(|| asking.services().organizations.grants(&repository)).await?;
    Ok(page::whole(found, |(grantee, level)| Grant { grantee: grantee.to_string(), level }))
}

/// Give a user or a team a right
///
/// For who manages the repository. It replaces the right that they had.
#[utoipa::path(
    put, path = "/api/v1/repositories/{namespace}/{repository}/grants/{grantee}", tag = "repositories",
    params(OfGrant), request_body = WantedGrant,
    responses((status = 204, description = "They have the right."), Refused, BodyRefused, Conflicting)
)]
pub(super) async fn put_grant(
    asking: Asking,
    At(at): At<OfGrant>,
    Json(WantedGrant { level }): Json<WantedGrant>,
) -> Result<Response, Problem> {
    set(&asking, &at, Some(level)).await
}

/// Take a right away
///
/// For who manages the repository.
#[utoipa::path(
    delete, path = "/api/v1/repositories/{namespace}/{repository}/grants/{grantee}", tag = "repositories",
    params(OfGrant),
    responses((status = 204, description = "They have no right of their own (any more)."), Refused)
)]
pub(super) async fn remove_grant(asking: Asking, At(at): At<OfGrant>) -> Result<Response, Problem> {
    set(&asking, &at, None).await
}

async fn set(asking: &Asking, at: &OfGrant, level: Option<Level>) -> Result<Response, Problem> {
    let repository = names::repository(&at.namespace, &at.repository)?;
    let permit = asking.permit(&Deed::ManageRepository(repository.clone())).await?;
    let organizations = &asking.services().organizations;
    let grant = || organizations.grant(&repository, &at.grantee, level, &permit.actor);
    retry::repeated(grant).await?;
    Ok(answer::done())
}
