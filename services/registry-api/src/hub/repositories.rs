//! Repositories: which there are, and what is said of each.

use axum::response::Response;
use jiff::Timestamp;
use oci::{Namespace, NamespacePath, RepositoryName};
use proto::{
    auth::{
        IdentityError, Subject,
        identities::{Deed, Permit, Reads},
    },
    metadata::{
        RepositoryError, Visibility,
        accounts::Role,
        credentials::RepositoryPattern,
        repositories::{FoundRepository, Place, Reader, RepositoryEntry, WantedSearch},
        settings::{RepositoryChange, RepositoryDetails},
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    names::{self, FullName},
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed, Paging, Part},
    path::{At, parsed},
    problem::Problem,
    texts::About,
};
use crate::{respond, retry};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfRepository {
    /// The user or organization that owns it.
    #[param(value_type = names::NamespaceName)]
    namespace: Namespace,
    /// The repository in it, with %2F for slashes.
    #[param(value_type = names::RepositoryPath)]
    repository: NamespacePath,
}

impl OfRepository {
    pub(super) fn name(&self) -> Result<RepositoryName, Problem> {
        names::repository(&self.namespace, &self.repository)
    }
}

/// A repository in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedRepository {
    #[schema(value_type = names::FullRepositoryName)]
    name: RepositoryName,
    #[schema(value_type = names::Visibility)]
    visibility: Visibility,
    /// When a tag or manifest changed last.
    #[schema(value_type = names::Time)]
    updated: Timestamp,
    /// Bytes of all that it holds, each once.
    size_bytes: u64,
    /// How its description begins.
    #[schema(max_length = 200)]
    summary: String,
}

impl From<FoundRepository> for ListedRepository {
    fn from(found: FoundRepository) -> Self {
        let FoundRepository { entry, summary } = found;
        let RepositoryEntry { name, visibility, updated, size_bytes } = entry;
        Self { name, visibility, updated, size_bytes, summary }
    }
}

/// A repository.
#[derive(Serialize, ToSchema)]
pub(super) struct Repository {
    #[schema(value_type = names::FullRepositoryName)]
    name: RepositoryName,
    #[schema(value_type = names::Visibility)]
    visibility: Visibility,
    /// Markdown.
    description: String,
    #[schema(value_type = names::Time)]
    created: Timestamp,
    /// When a tag or manifest changed last.
    #[schema(value_type = names::Time)]
    updated: Timestamp,
    /// Bytes of all that it holds, each once.
    size_bytes: u64,
    /// How often images were pulled since the hub counts that. The last seconds may be missing.
    pulls: u64,
    /// When something was pulled last; null: never since the hub counts that.
    #[schema(value_type = Option<names::Time>, required = true)]
    last_pulled: Option<Timestamp>,
}

impl From<RepositoryDetails> for Repository {
    fn from(details: RepositoryDetails) -> Self {
        let RepositoryDetails { name, visibility, description, created, updated, .. } = details;
        let RepositoryDetails { size_bytes, pulls, last_pulled, .. } = details;
        Self { name, visibility, description, created, updated, size_bytes, pulls, last_pulled }
    }
}

/// What a repository is to be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewName {
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = names::FullRepositoryName)]
    name: FullName,
}

/// A repository that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedRepository {
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = names::FullRepositoryName)]
    name: FullName,
    /// `private` if it is left out.
    #[schema(value_type = Option<names::Visibility>)]
    visibility: Option<Visibility>,
    #[serde(default)]
    #[schema(required = false)]
    description: About,
}

/// What it is called.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedRepository {
    #[schema(value_type = names::FullRepositoryName)]
    name: RepositoryName,
}

/// What is to be changed; what is left out or null stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedRepository {
    /// For who manages the repository.
    #[schema(value_type = Option<names::Visibility>)]
    visibility: Option<Visibility>,
    /// For who may push.
    description: Option<About>,
}

/// List repositories, or look for some
///
/// Public ones, and those that who asks may read: for administrators all. With a `query`, those whose names or
/// descriptions have a word that begins as each word of it does; first those that have its longest word whole, of these
/// those in `library`, those that are called so, those with the word in their names, and those with it in their
/// descriptions. A part may be short, or empty, and go on all the same: `next` says whether it does.
#[utoipa::path(
    get, path = "/api/v1/repositories", tag = "repositories", security((), ("basic" = []), ("bearer" = [])),
    params(
        ("under" = Option<names::Beginning>, Query, description = "Only what is called this or is under it."),
        Paging,
        ("query" = Option<names::SearchQuery>, Query, description = "Only what has words that begin so."),
        ("cursor" = Option<names::RepositoryCursor>, Query, description = "`next` of the part before.")
    ),
    responses(
        (status = 200, description = "Repositories, by name, or as they were found.",
            body = Listed<ListedRepository>),
        Refused
    )
)]
pub(super) async fn list_repositories(
    asking: Asking,
    part: Part<Place>,
) -> Result<Listed<ListedRepository>, Problem> {
    let (under, query) = (page::read(&part.query, "under")?, page::read(&part.query, "query")?);
    let (reader, within) = reading(&asking).await?;
    let (after, limit) = (part.request.after.clone(), part.request.limit);
    let wanted = WantedSearch { reader, within, under, query, after, limit };
    let found = retry::repeated(|| asking.services().repositories.search(&wanted)).await?;
    Ok(page::listed_until(&part, found.repositories, found.next.as_ref(), ListedRepository::from))
}

/// Who reads, and which private repositories at most.
async fn reading(asking: &Asking) -> Result<(Reader, Vec<RepositoryPattern>), Problem> {
    if asking.is_anonymous() {
        return Ok((Reader::Outsider, Vec::new()));
    }
    let Permit { subject, role, reads, .. } = asking.permit(&Deed::SignedIn).await?;
    let within = match reads {
        Reads::Public => return Ok((Reader::Outsider, Vec::new())),
        Reads::All => Vec::new(),
        Reads::Within(patterns) => patterns,
    };
    let reader = match subject {
        _ if role == Role::Administrator => Reader::Administrator,
        Subject::User(name) => Reader::User(name),
        Subject::Robot(name) => Reader::Robot(name.namespace()),
        _ => Reader::Outsider,
    };
    Ok((reader, within))
}

/// Make a repository
///
/// For who manages the namespace. Pushing to it makes one too.
#[utoipa::path(
    post, path = "/api/v1/repositories", tag = "repositories", request_body = WantedRepository,
    responses(
        (status = 201, description = "It is made, and empty.", body = NamedRepository,
            headers(("Location" = String, description = "Where it is."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn make_repository(
    asking: Asking,
    Json(wanted): Json<WantedRepository>,
) -> Result<Response, Problem> {
    let WantedRepository { name: FullName(name), visibility, description: About(about) } = wanted;
    let permit = asking.permit(&Deed::ManageNamespace(name.namespace())).await?;
    let visibility = visibility.unwrap_or(Visibility::Private);
    let settings = &asking.services().settings;
    retry::unless_done(|| settings.create_repository(&name, visibility, &about, &permit.actor)).await?;
    Ok(answer::created(&location(&name), &NamedRepository { name }))
}

fn location(name: &RepositoryName) -> String {
    format!("/api/v1/repositories/{}/{}", name.namespace(), name.repository().replace('/', "%2F"))
}

/// See a repository
///
/// By a name that it had before, the answer says where it is.
#[utoipa::path(
    get, path = "/api/v1/repositories/{namespace}/{repository}", tag = "repositories", params(OfRepository),
    security((), ("basic" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The repository.", body = Repository),
        (status = 308, description = "It is called otherwise now.", body = NamedRepository,
            headers(("Location" = String, description = "Where it is."))),
        Refused
    )
)]
pub(super) async fn get_repository(asking: Asking, At(at): At<OfRepository>) -> Result<Response, Problem> {
    let name = at.name()?;
    asking.permit(&Deed::ReadRepository(name.clone())).await?;
    match retry::repeated(|| asking.services().settings.repository(&name)).await {
        Err(RepositoryError::Moved { to, .. }) if may_know(&asking, &to).await? => {
            Ok(answer::moved(&location(&to), &NamedRepository { name: to }))
        }
        found => Ok(respond::json(&Repository::from(found?))),
    }
}

/// Whoever owns a namespace may ask for what was there, and not for where it has gone.
async fn may_know(asking: &Asking, name: &RepositoryName) -> Result<bool, Problem> {
    use IdentityError as E;
    match asking.permit(&Deed::ReadRepository(name.clone())).await {
        Ok(_) => Ok(true),
        Err(Problem::Identity(E::Forbidden { .. } | E::Hidden { .. } | E::SignInNeeded { .. })) => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Change a repository
///
/// The description is for who may push, the visibility for who manages it.
#[utoipa::path(
    patch, path = "/api/v1/repositories/{namespace}/{repository}", tag = "repositories", params(OfRepository),
    request_body = ChangedRepository,
    responses((status = 204, description = "It is changed."), Refused, BodyRefused)
)]
pub(super) async fn change_repository(
    asking: Asking,
    At(at): At<OfRepository>,
    Json(ChangedRepository { visibility, description }): Json<ChangedRepository>,
) -> Result<Response, Problem> {
    let name = at.name()?;
    let deed = match visibility {
        Some(_) => Deed::ManageRepository(name.clone()),
        None => Deed::WriteRepository(name.clone()),
    };
    let permit = asking.permit(&deed).await?;
    let change = RepositoryChange { visibility, description: description.map(|About(text)| text) };
    let settings = &asking.services().settings;
    retry::repeated(|| settings.change_repository(&name, &change, &permit.actor)).await?;
    Ok(answer::done())
}

/// Move a repository
///
/// Another name in the same namespace is for who manages the repository; one in another, a transfer, also for who manages
/// that namespace. Tags, history, the repository's own rules and the rights of users stay; those of teams end with a
/// transfer. For a time it can be pulled by the old name, and nobody can push there, until a repository of that name is
/// made.
#[utoipa::path(
    post, path = "/api/v1/repositories/{namespace}/{repository}/move", tag = "repositories", params(OfRepository),
    request_body = NewName,
    responses(
        (status = 200, description = "It is called so now.", body = NamedRepository,
            headers(("Location" = String, description = "Where it is."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn move_repository(
    asking: Asking,
    At(at): At<OfRepository>,
    Json(NewName { name: FullName(to) }): Json<NewName>,
) -> Result<Response, Problem> {
    let from = at.name()?;
    let permit = asking.permit(&Deed::ManageRepository(from.clone())).await?;
    if to.namespace() != from.namespace() {
        asking.permit(&Deed::ManageNamespace(to.namespace())).await?;
    }
    let settings = &asking.services().settings;
    retry::repeated(|| settings.move_repository(&from, &to, &permit.actor)).await?;
    Ok(answer::at(&location(&to), &NamedRepository { name: to }))
}

/// Delete a repository
///
/// With all that it holds, at once and for good, for who manages it. Blobs that others hold too stay with them.
#[utoipa::path(
    delete, path = "/api/v1/repositories/{namespace}/{repository}", tag = "repositories", params(OfRepository),
    responses((status = 204, description = "There is no such repository (any more)."), Refused)
)]
pub(super) async fn delete_repository(asking: Asking, At(at): At<OfRepository>) -> Result<Response, Problem> {
    let name = at.name()?;
    let permit = asking.permit(&Deed::ManageRepository(name.clone())).await?;
    let settings = &asking.services().settings;
    let deleted = retry::unless_done(|| settings.delete_repository(&name, &permit.actor)).await;
    answer::gone(deleted, |error| matches!(error, RepositoryError::NameUnknown { .. }))
}
