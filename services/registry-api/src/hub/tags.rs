//! Tags of repositories.

use axum::response::Response;
use oci::{Namespace, NamespacePath, Reference, Tag};
use proto::{
    auth::identities::Deed,
    metadata::{RepositoryError, repositories::Expected},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    names,
    openapi::{Conflicting, Refused},
    page::{self, Listed, Paging, Part},
    path::{At, parsed},
    problem::Problem,
    repositories::OfRepository,
};
use crate::retry;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfTag {
    /// The user or organization that owns the repository.
    #[param(value_type = names::NamespaceName)]
    namespace: Namespace,
    /// The repository in it, with %2F for slashes.
    #[param(value_type = names::RepositoryPath)]
    repository: NamespacePath,
    /// The tag.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = names::TagName)]
    tag: Tag,
}

/// A tag.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedTag {
    #[schema(value_type = names::TagName)]
    name: Tag,
}

/// List tags
///
/// For who may pull.
#[utoipa::path(
    get, path = "/api/v1/repositories/{namespace}/{repository}/tags", tag = "repositories",
    security((), ("basic" = []), ("bearer" = [])),
    params(
        OfRepository, Paging,
        ("cursor" = Option<names::TagName>, Query, description = "`next` of the part before.")
    ),
    responses((status = 200, description = "Tags, in ASCII order.", body = Listed<ListedTag>), Refused)
)]
pub(super) async fn list_tags(
    asking: Asking,
    At(at): At<OfRepository>,
    part: Part<Tag>,
) -> Result<Listed<ListedTag>, Problem> {
    let repository = at.name()?;
    asking.permit(&Deed::ReadRepository(repository.clone())).await?;
    let repositories = &asking.services().repositories;
    let found = retry::repeated(|| repositories.tags(&repository, &part.request)).await?;
    Ok(page::listed(&part, found, |tag| tag, |name| ListedTag { name }))
}

/// Delete a tag
///
/// For who may delete. The manifest stays if something else names it.
#[utoipa::path(
    delete, path = "/api/v1/repositories/{namespace}/{repository}/tags/{tag}", tag = "repositories",
    params(OfTag),
    responses((status = 204, description = "There is no such tag (any more)."), Refused, Conflicting)
)]
pub(super) async fn delete_tag(asking: Asking, At(at): At<OfTag>) -> Result<Response, Problem> {
    let repository = names::repository(&at.namespace, &at.repository)?;
    let permit = asking.permit(&Deed::DeleteFromRepository(repository.clone())).await?;
    let (tag, repositories) = (Reference::Tag(at.tag), &asking.services().repositories);
    let delete = || repositories.delete_manifest(&repository, &tag, &Expected::Anything, &permit.actor);
    answer::gone(retry::unless_done(delete).await, |error| {
        matches!(error, RepositoryError::ManifestUnknown { .. })
    })
}
