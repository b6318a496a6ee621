//! Access tokens of the user who asks, and what they have in common with robots.

use std::collections::BTreeSet;

use axum::response::Response;
use jiff::Timestamp;
use oci::{CredentialId, RobotName};
use proto::{
    auth::identities::{IssuedCredential, WantedCredential},
    metadata::{
        AccountError,
        credentials::{
            Credential, CredentialOwner, Holder, Limits, MAX_PATTERNS, Permission, RepositoryPattern,
            RepositoryPatternError,
        },
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
    page::{self, Listed},
    path::At,
    problem::Problem,
    texts::Label,
};
use crate::retry;

/// An access token or a robot, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Kept {
    #[schema(value_type = names::CredentialId)]
    id: CredentialId,
    /// For robots: the user name of `docker login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::RobotName>)]
    name: Option<RobotName>,
    /// What people call it.
    label: String,
    /// Where it may be used; empty: in all repositories.
    #[schema(value_type = Vec<names::Pattern>)]
    repositories: Vec<RepositoryPattern>,
    /// What for, at most.
    #[schema(value_type = Vec<names::Permission>)]
    actions: BTreeSet<Permission>,
    #[schema(value_type = names::Time)]
    created: Timestamp,
    /// When it ends, or has ended; null: when it is revoked.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
    /// When it was used last, to the minute or so; null: never.
    #[schema(value_type = Option<names::Time>)]
    used: Option<Timestamp>,
}

impl From<Credential> for Kept {
    fn from(credential: Credential) -> Self {
        let Credential { id, holder, label, limits, created, expires, used, trust: _ } = credential;
        let name = if let Holder::Robot(name) = holder { Some(name) } else { None };
        let Limits { repositories, actions } = limits;
        Self { id, name, label, repositories, actions, created, expires, used }
    }
}

/// An access token or a robot that was made, with its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Issued {
    /// It is answered here and never again.
    secret: String,
    #[serde(flatten)]
    kept: Kept,
}

impl From<IssuedCredential> for Issued {
    fn from(issued: IssuedCredential) -> Self {
        Self { secret: issued.secret.expose_secret().to_owned(), kept: issued.credential.into() }
    }
}

/// Repositories that a credential is limited to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Patterns(pub(super) Vec<RepositoryPattern>);

/// What a credential may be used for.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Permission>")]
pub(super) struct Actions(pub(super) BTreeSet<Permission>);

/// Why limits are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitsError {
    #[error(transparent)]
    Pattern(#[from] RepositoryPatternError),
    #[error("{0:?} names no namespace: write team/app, team/* or team/app-*")]
    NoNamespace(String),
    #[error("there are {found} patterns; {MAX_PATTERNS} are allowed")]
    TooMany { found: usize },
    #[error("name one action at least")]
    NoAction,
}

impl TryFrom<Vec<String>> for Patterns {
    type Error = LimitsError;

    fn try_from(texts: Vec<String>) -> Result<Self, LimitsError> {
        if texts.len() > MAX_PATTERNS {
            return Err(LimitsError::TooMany { found: texts.len() });
        }
        texts.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }
}

// The management API takes no name without a namespace for one in `library`.
fn pattern(text: String) -> Result<RepositoryPattern, LimitsError> {
    if text.contains('/') {
        return Ok(text.try_into()?);
    }
    Err(LimitsError::NoNamespace(text.chars().take(128).collect()))
}

impl TryFrom<Vec<Permission>> for Actions {
    type Error = LimitsError;

    fn try_from(actions: Vec<Permission>) -> Result<Self, LimitsError> {
        if actions.is_empty() { Err(LimitsError::NoAction) } else { Ok(Self(actions.into_iter().collect())) }
    }
}

/// An access token that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedToken {
    label: Label,
    /// Where it may be used; left out or empty: in all repositories that the user may use.
    #[serde(default)]
    #[schema(value_type = Vec<names::Pattern>, max_items = 32, required = false)]
    repositories: Patterns,
    /// What for, at most; `manage` is for this API.
    #[schema(value_type = Vec<names::Permission>, min_items = 1)]
    actions: Actions,
    /// When it ends; left out or null: when it is revoked.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfToken {
    /// The access token.
    #[param(value_type = names::CredentialId)]
    id: CredentialId,
}

/// List your access tokens
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens",
    responses(
        (status = 200, description = "All of them, the oldest first, without secrets.", body = Listed<Kept>),
        Refused
    )
)]
pub(super) async fn list_tokens(asking: Asking) -> Result<Listed<Kept>, Problem> {
    let (name, _) = asking.account().await?;
    let owner = CredentialOwner::User(name);
    let found = retry::repeated(|| asking.services().credentials.credentials(&owner)).await?;
    let tokens = found.into_iter().filter(|credential| matches!(credential.holder, Holder::User(_)));
    Ok(page::whole(tokens, Kept::from))
}

/// Make an access token
///
/// It may what you may, within its limits. What the secret that you present is limited to, it cannot exceed.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", request_body = WantedToken,
    responses(
        (status = 201, description = "It is made. The secret is in this answer alone.", body = Issued,
            headers(("Location" = String, description = "Where it is revoked."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn make_token(asking: Asking, Json(wanted): Json<WantedToken>) -> Result<Response, Problem> {
    let WantedToken { label: Label(label), repositories, actions, expires } = wanted;
    let limits = Limits { repositories: repositories.0, actions: actions.0 };
    let wanted = WantedCredential { robot: None, label, limits, expires };
    let issued = asking.services().identities.issue_credential(asking.asker(), &wanted).await?;
    Ok(answer::created(&format!("/api/v1/tokens/{}", issued.credential.id), &Issued::from(issued)))
}

/// Revoke an access token
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(OfToken),
    responses((status = 204, description = "You have no such access token (any more)."), Refused)
)]
pub(super) async fn revoke_token(asking: Asking, At(at): At<OfToken>) -> Result<Response, Problem> {
    let (name, permit) = asking.account().await?;
    let owner = CredentialOwner::User(name);
    let credentials = &asking.services().credentials;
    let revoked = retry::repeated(|| credentials.revoke_credential(&owner, &at.id, &permit.actor)).await;
    answer::gone(revoked, |error| matches!(error, AccountError::CredentialUnknown { .. }))
}
