//! Who the user who asks is elsewhere.

use axum::response::Response;
use jiff::Timestamp;
use proto::{
    auth::federation::{FlowPurpose, ProviderName, ReturnPath, WantedFlow},
    metadata::{
        AccountError,
        credentials::Issuer,
        federation::{ForeignSubject, IdentityId, LinkedIdentity},
    },
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer,
    asker::Asking,
    body::Json,
    browser::Browser,
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed},
    path::At,
    problem::Problem,
};
use crate::{respond, retry};

/// An identity of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct Identity {
    #[schema(value_type = names::IdentityId)]
    id: IdentityId,
    /// Whose word it is.
    #[schema(value_type = String)]
    issuer: Issuer,
    /// What the issuer calls the user for good.
    #[schema(value_type = String)]
    subject: ForeignSubject,
    /// What it called the user among people when it was linked, or empty.
    label: String,
    #[schema(value_type = names::Time)]
    linked: Timestamp,
}

impl From<LinkedIdentity> for Identity {
    fn from(kept: LinkedIdentity) -> Self {
        let (id, LinkedIdentity { identity, label, linked }) = (kept.identity.id(), kept);
        Self { id, issuer: identity.issuer, subject: identity.subject, label, linked }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfIdentity {
    /// The identity.
    #[param(value_type = names::IdentityId)]
    id: IdentityId,
}

/// An identity that somebody wants to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedIdentity {
    #[schema(value_type = names::ProviderName)]
    provider: ProviderName,
    /// Where the browser goes when all is done; `/` if it is left out.
    #[serde(default)]
    #[schema(value_type = names::ReturnPath, required = false)]
    return_to: ReturnPath,
    /// Yours, if you have one.
    #[schema(value_type = Option<names::Password>)]
    password: Option<SecretString>,
}

/// Where an identity is linked.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// Where the browser goes now.
    url: String,
}

/// List your identities
///
/// By which you can sign in besides your password.
#[utoipa::path(
    get, path = "/api/v1/user/identities", tag = "providers",
    responses((status = 200, description = "All of them, the oldest first.", body = Listed<Identity>), Refused)
)]
pub(super) async fn list_identities(asking: Asking) -> Result<Listed<Identity>, Problem> {
    let (name, _) = asking.account().await?;
    let found = retry::repeated(|| asking.services().identities_elsewhere.identities(&name)).await?;
    Ok(page::whole(found, Identity::from))
}

/// Link an identity
///
/// In a session and with the password besides: an identity is a way in that stays. The browser that gets this answer goes to `url`, and comes back to
/// `callback` of the provider.
#[utoipa::path(
    post, path = "/api/v1/user/identities", tag = "providers", request_body = WantedIdentity,
    responses(
        (status = 200, description = "Where to go.", body = Begun,
            headers(("Set-Cookie" = String, description = "What the browser keeps for ten minutes."))),
        Refused, BodyRefused
    )
)]
pub(super) async fn link_identity(
    asking: Asking,
    browser: Browser,
    Json(wanted): Json<WantedIdentity>,
) -> Result<Response, Problem> {
    let WantedIdentity { provider, return_to, password } = wanted;
    let (redirect_uri, purpose) = (browser.callback(&provider), FlowPurpose::Link);
    let wanted = WantedFlow { provider, purpose, redirect_uri, return_to, password };
    let begun = asking.services().federation.begin(asking.asker(), &wanted).await?;
    Ok(browser.keeping(respond::json(&Begun { url: begun.url.clone() }), &begun))
}

/// Unlink an identity
///
/// The last one stays as long as you have no password. Sessions that were begun by it go on.
#[utoipa::path(
    delete, path = "/api/v1/user/identities/{id}", tag = "providers", params(OfIdentity),
    responses((status = 204, description = "You have no such identity (any more)."), Refused, Conflicting)
)]
pub(super) async fn unlink_identity(
    asking: Asking,
    At(OfIdentity { id }): At<OfIdentity>,
) -> Result<Response, Problem> {
    let (name, permit) = asking.account().await?;
    let identities = &asking.services().identities_elsewhere;
    let unlinked = retry::repeated(|| identities.unlink_identity(&name, &id, &permit.actor)).await;
    answer::gone(unlinked, |error| matches!(error, AccountError::IdentityUnknown { .. }))
}
