//! How many bytes a namespace may use, and how many it does.

use axum::response::Response;
use proto::{
    auth::identities::Deed,
    metadata::quotas::{self, ByteLimit},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    answer,
    asker::Asking,
    body::Json,
    openapi::{BodyRefused, Refused},
    path::At,
    problem::{Problem, RequestError},
    robots::OfNamespace,
};
use crate::{respond, retry};

/// What a namespace uses, and may use.
#[derive(Serialize, ToSchema)]
pub(super) struct Quota {
    /// Bytes of all that its repositories hold; what two of them hold counts twice.
    used_bytes: u64,
    /// How many there may be; null: any number.
    #[schema(required = true)]
    limit_bytes: Option<u64>,
    /// Whether that is the default of the hub, and not the namespace's own.
    is_default: bool,
}

impl From<quotas::Quota> for Quota {
    fn from(quota: quotas::Quota) -> Self {
        let quotas::Quota { used_bytes, own, limit } = quota;
        Self { used_bytes, limit_bytes: limit.bytes(), is_default: own.is_none() }
    }
}

/// What a namespace may use.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedQuota {
    /// How many bytes there may be; null: any number.
    // Left out it would mean the same as null, which nobody should say by mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    limit_bytes: Option<u64>,
}

/// See a quota
///
/// For members of the namespace.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/quota", tag = "quotas", params(OfNamespace),
    responses((status = 200, description = "What it uses, and may use.", body = Quota), Refused)
)]
pub(super) async fn get_quota(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
) -> Result<Response, Problem> {
    asking.permit(&Deed::SeeNamespace(namespace.clone())).await?;
    let quota = retry::repeated(|| asking.services().quotas.quota(&namespace)).await?;
    Ok(respond::json(&Quota::from(quota)))
}

/// Give a namespace a quota
///
/// For administrators. Less than what is used keeps it from using more, and takes nothing away.
#[utoipa::path(
    put, path = "/api/v1/namespaces/{namespace}/quota", tag = "quotas", params(OfNamespace),
    request_body = WantedQuota,
    responses((status = 204, description = "It holds from now on."), Refused, BodyRefused)
)]
pub(super) async fn put_quota(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
    Json(WantedQuota { limit_bytes }): Json<WantedQuota>,
) -> Result<Response, Problem> {
    let too_many = |found: &u64| i64::try_from(*found).is_err();
    if let Some(found) = limit_bytes.filter(too_many) {
        let why = format!("it is {found}; {} are allowed at most, null is any number", i64::MAX);
        return Err(RequestError::field("limit_bytes", why).into());
    }
    let own = limit_bytes.map_or(ByteLimit::Unlimited, ByteLimit::Bytes);
    let permit = asking.permit(&Deed::ManageHub).await?;
    let quotas = &asking.services().quotas;
    retry::repeated(|| quotas.put_quota(&namespace, Some(own), &permit.actor)).await?;
    Ok(answer::done())
}

/// Take a quota away
///
/// For administrators. The default of the hub holds then.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/quota", tag = "quotas", params(OfNamespace),
    responses((status = 204, description = "It has none of its own (any more)."), Refused)
)]
pub(super) async fn remove_quota(
    asking: Asking,
    At(OfNamespace { namespace }): At<OfNamespace>,
) -> Result<Response, Problem> {
    let permit = asking.permit(&Deed::ManageHub).await?;
    let quotas = &asking.services().quotas;
    retry::repeated(|| quotas.put_quota(&namespace, None, &permit.actor)).await?;
    Ok(answer::done())
}
