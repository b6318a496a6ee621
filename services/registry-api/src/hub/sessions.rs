//! Sessions: a secret for some hours instead of a password at each request; and clients that come back without one.

use axum::response::Response;
use jiff::Timestamp;
use oci::CredentialId;
use proto::metadata::{
    AccountError,
    credentials::{Credential, CredentialOwner, Holder},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::MaybeJson,
    names,
    openapi::{BodyRefused, Refused},
    page::{self, Listed},
    path::At,
    problem::{Problem, RequestError},
};
use crate::retry;

/// A session that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// To be sent as `Bearer`. It is answered here and never again.
    secret: String,
    /// When the session ends by itself.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
}

/// Something that a user is signed in with, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    #[schema(value_type = names::CredentialId)]
    id: CredentialId,
    kind: SessionKind,
    /// From where it began.
    label: String,
    #[schema(value_type = names::Time)]
    created: Timestamp,
    /// When it ends by itself; what a client comes back with before moves that.
    #[schema(value_type = Option<names::Time>)]
    expires: Option<Timestamp>,
    /// When it was used last, to the minute or so; null: never.
    #[schema(value_type = Option<names::Time>)]
    used: Option<Timestamp>,
}

/// `session`: of this API or the pages; `client`: of `docker login` and the like.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SessionKind {
    Session,
    Client,
}

impl SignedIn {
    fn of(credential: Credential) -> Option<Self> {
        let kind = match &credential.holder {
            Holder::Session(_) => SessionKind::Session,
            Holder::Offline { .. } => SessionKind::Client,
            Holder::User(_) | Holder::Robot(_) => return None,
        };
        let expires = credential.ends();
        let Credential { id, label, created, used, .. } = credential;
        Some(Self { id, kind, label, created, expires, used })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfSession {
    /// The session or client.
    #[param(value_type = names::CredentialId)]
    id: CredentialId,
}

/// List where you are signed in
///
/// Sessions, and clients that have logged in to the registry and come back without the password.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions",
    responses(
        (status = 200, description = "All of them, the oldest first, without secrets.", body = Listed<SignedIn>),
        Refused
    )
)]
pub(super) async fn list_sessions(asking: Asking) -> Result<Listed<SignedIn>, Problem> {
    let (name, _) = asking.account().await?;
    let owner = CredentialOwner::User(name);
    let found = retry::repeated(|| asking.services().credentials.credentials(&owner)).await?;
    Ok(page::whole(found.into_iter().filter_map(SignedIn::of), |signed_in| signed_in))
}

/// End a session, or log a client out
///
/// Access tokens are ended at `/tokens`.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions", params(OfSession),
    responses((status = 204, description = "You have no such session (any more)."), Refused)
)]
pub(super) async fn end_session(asking: Asking, At(at): At<OfSession>) -> Result<Response, Problem> {
    let (name, permit) = asking.account().await?;
    let owner = CredentialOwner::User(name);
    let credentials = &asking.services().credentials;
    let ended = retry::repeated(|| credentials.revoke_credential(&owner, &at.id, &permit.actor)).await;
    answer::gone(ended, |error| matches!(error, AccountError::CredentialUnknown { .. }))
}

/// What signs in besides name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Besides {
    /// For who has a second factor.
    #[serde(default, deserialize_with = "code")]
    #[schema(value_type = Option<names::SecondFactorCode>)]
    code: Option<SecretString>,
}

fn code<'de, D: Deserializer<'de>>(given: D) -> Result<Option<SecretString>, D::Error> {
    match Option::<String>::deserialize(given)? {
        Some(text) if text.chars().count() > names::LONGEST_CODE => {
            Err(D::Error::custom(format_args!("a code has at most {} characters", names::LONGEST_CODE)))
        }
        code => Ok(code.map(SecretString::from)),
    }
}

/// Sign in
///
/// Answers a secret that stands for the user for some hours. Needs `Basic` with a name and a password, and a code if the
/// user has a second factor: where the code alone is missing, the problem is `second-factor-needed`.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", security(("basic" = [])),
    request_body = Option<Besides>,
    responses(
        (status = 201, description = "A session.", body = Session,
            headers(("Location" = String, description = "Where it is ended."))),
        Refused, BodyRefused
    )
)]
pub(super) async fn sign_in(
    asking: Asking,
    MaybeJson(besides): MaybeJson<Besides>,
) -> Result<Response, Problem> {
    if asking.is_anonymous() || asking.is_bearer() {
        return Err(RequestError::NoPassword.into());
    }
    let code = besides.and_then(|besides| besides.code);
    let issued = asking.services().identities.sign_in(asking.asker(), code.as_ref()).await?;
    let secret = issued.secret.expose_secret().to_owned();
    let session = Session { secret, expires: issued.credential.expires };
    Ok(answer::created("/api/v1/sessions/current", &session))
}

/// Sign out
///
/// Ends the session whose secret is presented.
#[utoipa::path(
    delete, path = "/api/v1/sessions/current", tag = "sessions",
    responses((status = 204, description = "The session has ended."), Refused)
)]
pub(super) async fn sign_out(asking: Asking) -> Result<Response, Problem> {
    let (name, permit) = asking.user().await?;
    let id = permit.credential.filter(|_| asking.is_session()).ok_or(RequestError::NoSession)?;
    let owner = CredentialOwner::User(name);
    let credentials = &asking.services().credentials;
    let ended = retry::repeated(|| credentials.revoke_credential(&owner, &id, &permit.actor)).await;
    answer::gone(ended, |error| matches!(error, AccountError::CredentialUnknown { .. }))
}
