//! Trusts of a namespace: workloads whose own tokens are as good as the secret of a robot; and what they exchange those
//! tokens for.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, State},
    response::Response,
};
use http::request::Parts;
use jiff::Timestamp;
use oci::{CredentialId, Namespace, RobotName};
use proto::{
    auth::{
        federation::{WantedTrust, Workload},
        identities::Deed,
    },
    metadata::{
        AccountError,
        credentials::{
            Audience, ClaimPattern, Credential, CredentialOwner, Issuer, Limits, RequiredClaims, Trust,
        },
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    answer,
    asker::Asking,
    body::Json,
    credentials::{Actions, Kept, Patterns},
    names,
    openapi::{BodyRefused, Conflicting, Refused},
    page::{self, Listed},
    path::At,
    problem::{Problem, RequestError},
    robots::{OfNamespace, OfRobot},
    texts::Label,
};
use crate::{Registry, respond, retry};

/// A trust: a robot without a secret of its own.
#[derive(Serialize, ToSchema)]
pub(super) struct KeptTrust {
    #[serde(flatten)]
    robot: Kept,
    /// Who signs the tokens.
    #[schema(value_type = names::Issuer)]
    issuer: Issuer,
    /// For whom they must be.
    #[schema(value_type = names::Audience)]
    audience: Audience,
    /// What they must say.
    #[schema(value_type = BTreeMap<String, String>)]
    claims: RequiredClaims,
}

impl KeptTrust {
    /// None: it is no trust.
    fn of(credential: Credential) -> Option<Self> {
        let Trust { issuer, audience, claims } = credential.trust.clone()?;
        Some(Self { robot: credential.into(), issuer, audience, claims })
    }
}

/// A trust that somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTrust {
    #[schema(value_type = names::RobotLabel)]
    name: String,
    /// The name, if it is left out or empty.
    #[serde(default)]
    #[schema(required = false)]
    label: Label,
    /// Who signs the tokens; one of those that the operator names.
    #[schema(value_type = names::Issuer)]
    issuer: Issuer,
    /// For whom they must be: what the workload asks its token for.
    #[schema(value_type = names::Audience)]
    audience: Audience,
    /// What they must say, at least one thing: a value, or how it begins and `*`. `sub` says which workload it is.
    #[schema(value_type = BTreeMap<String, names::ClaimPattern>)]
    claims: Claims,
    /// Where it may be used, in this namespace; left out or empty: in all of its repositories.
    #[serde(default)]
    #[schema(value_type = Vec<names::Pattern>, max_items = 32, required = false)]
    repositories: Patterns,
    /// What for.
    #[schema(value_type = Vec<names::Permission>, min_items = 1)]
    actions: Actions,
}

/// Claims as they are given.
#[derive(Deserialize)]
#[serde(try_from = "BTreeMap<String, ClaimPattern>")]
pub(super) struct Claims(RequiredClaims);

impl TryFrom<BTreeMap<String, ClaimPattern>> for Claims {
    type Error = proto::metadata::credentials::TrustError;

    fn try_from(claims: BTreeMap<String, ClaimPattern>) -> Result<Self, Self::Error> {
        RequiredClaims::try_from(claims).map(Self)
    }
}

/// A workload that wants a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    /// The robot whose trust is about the workload.
    #[schema(value_type = names::RobotName)]
    robot: RobotName,
    /// The workload's own token, a signed JWT.
    #[schema(value_type = String, format = Password, max_length = 16384)]
    token: SecretString,
}

/// A secret for a workload.
#[derive(Serialize, ToSchema)]
pub(super) struct Exchanged {
    /// The user name of `docker login`.
    #[schema(value_type = names::RobotName)]
    username: RobotName,
    /// Its password. It is answered here and never again.
    secret: String,
    /// When it ends.
    #[schema(value_type = names::Time)]
    expires: Timestamp,
}

/// List trusts
///
/// For who manages the namespace.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/trusts", tag = "trusts", params(OfNamespace),
    responses((status = 200, description = "All of them, the oldest first.", body = Listed<KeptTrust>), Refused)
)]
pub(super) async fn list_trusts(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
) -> Result<Listed<KeptTrust>, Problem> {
    asking.permit(&Deed::ManageNamespace(namespace.clone())).await?;
    let owner = CredentialOwner::Robots(namespace);
    let found = retry::repeated(|| asking.services().credentials.credentials(&owner)).await?;
    Ok(page::whole(found.into_iter().filter_map(KeptTrust::of), |kept| kept))
}

/// Trust a workload
///
/// For who manages the namespace. Makes a robot without a secret of its own: a workload shows a token of the issuer for the
/// audience that says all of the claims, and gets a secret for an hour (`/api/v1/token-exchanges`).
#[utoipa::path(
    post, path = "/api/v1/namespaces/{namespace}/trusts", tag = "trusts", params(OfNamespace),
    request_body = NewTrust,
    responses(
        (status = 201, description = "It is made.", body = KeptTrust,
            headers(("Location" = String, description = "Where it is revoked."))),
        Refused, BodyRefused, Conflicting
    )
)]
pub(super) async fn make_trust(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
    Json(new): Json<NewTrust>,
) -> Result<Response, Problem> {
    let wanted = wanted(&namespace, new)?;
    let made = asking.services().federation.trust(asking.asker(), &wanted).await?;
    let location = format!("/api/v1/namespaces/{namespace}/trusts/{}", made.id);
    let kept = KeptTrust::of(made).ok_or_else(|| RequestError::no_route(&location))?;
    Ok(answer::created(&location, &kept))
}

fn wanted(namespace: &Namespace, new: NewTrust) -> Result<WantedTrust, RequestError> {
    let NewTrust { name, label: Label(label), issuer, audience, claims, repositories, actions } = new;
    let robot = RobotName::new(namespace, &name).map_err(|error| RequestError::field("name", error))?;
    let label = if label.is_empty() { name } else { label };
    let trust = Trust { issuer, audience, claims: claims.0 };
    let limits = Limits { repositories: repositories.0, actions: actions.0 };
    Ok(WantedTrust { robot, label, trust, limits })
}

/// End a trust
///
/// For who manages the namespace. All secrets that were given for it end, and the registry's tokens for those.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/trusts/{id}", tag = "trusts", params(OfRobot),
    responses((status = 204, description = "There is no such trust (any more)."), Refused)
)]
pub(super) async fn end_trust(
    asking: Asking,
    At(OfRobot { namespace, id }): At<OfRobot>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageNamespace(namespace.clone())).await?;
    let (owner, id): (_, CredentialId) = (CredentialOwner::Robots(namespace), id);
    let credentials = &asking.services().credentials;
    let ended = retry::repeated(|| credentials.revoke_credential(&owner, &id, &permit.actor)).await;
    answer::gone(ended, |error| matches!(error, AccountError::CredentialUnknown { .. }))
}

/// Where a workload is.
pub(super) struct Whence(Option<std::net::IpAddr>);

impl FromRequestParts<Arc<Registry>> for Whence {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        registry: &Arc<Registry>,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self(registry.asked(parts).address))
    }
}

/// Exchange the token of a workload
///
/// For a secret that is good for an hour: log in to the registry with it and the name of the robot. The token may be shown again
/// while it lives. Needs no other login.
#[utoipa::path(
    post, path = "/api/v1/token-exchanges", tag = "trusts", security(()), request_body = Exchange,
    responses((status = 200, description = "A secret.", body = Exchanged), Refused, BodyRefused)
)]
pub(super) async fn exchange_token(
    State(registry): State<Arc<Registry>>,
    Whence(address): Whence,
    Json(Exchange { robot, token }): Json<Exchange>,
) -> Result<Response, Problem> {
    let workload = Workload { robot, token, address };
    let exchanged = retry::repeated(|| registry.services.federation.exchange(&workload)).await?;
    let secret = exchanged.secret.expose_secret().to_owned();
    Ok(respond::json(&Exchanged { username: workload.robot, secret, expires: exchanged.expires }))
}
