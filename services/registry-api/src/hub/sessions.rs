//! Sessions: a secret for some hours instead of a password at each request.

use axum::response::Response;
use jiff::Timestamp;
use proto::metadata::{AccountError, credentials::CredentialOwner};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    answer,
    asker::Asking,
    names,
    openapi::Refused,
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

/// Sign in
///
/// Answers a secret that stands for the user for some hours. Needs `Basic` with a name and a password.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions", security(("basic" = [])),
    responses(
        (status = 201, description = "A session.", body = Session,
            headers(("Location" = String, description = "Where it is ended."))),
        Refused
    )
)]
pub(super) async fn sign_in(asking: Asking) -> Result<Response, Problem> {
    if asking.is_anonymous() || asking.is_bearer() {
        return Err(RequestError::NoPassword.into());
    }
    let issued = asking.services().identities.sign_in(asking.asker()).await?;
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
