//! Blobs: HEAD, GET, DELETE (distribution-spec, end-2, 10).

use axum::response::Response;
use oci::{ByteRange, Digest, RepositoryName, Span};
use proto::{
    blob::{BlobError, Grant, Opened},
    metadata::{RepositoryError, repositories::Intent},
};
use service_kit::http::Delivered;

use crate::{
    Registry, Services, access::Caller, asked::Asked, delivery, error::ApiError, headers, respond, retry,
};

/// Whether the blob is there, and how long it is. Who may push asks in order not to bring it: then it must stay.
pub(crate) async fn head(
    services: &Services,
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let intent = if caller.may_push(repository) { Intent::Push } else { Intent::Read };
    let grant = granted(services, repository, digest, intent).await?;
    if headers::has_already(&asked.headers, digest) {
        return Ok(respond::blob_not_modified(digest));
    }

    Ok(respond::blob_head(digest, grant.size_bytes))
}

/// The blob, or a range of it, or where it is read.
pub(crate) async fn get(
    registry: &Registry,
    asked: &Asked,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let services = &registry.services;
    let grant = granted(services, repository, digest, Intent::Read).await?;
    if headers::has_already(&asked.headers, digest) {
        return Ok(respond::blob_not_modified(digest));
    }

    let span = wanted_span(asked, digest, grant.size_bytes)?;
    let delivery = delivery::agreed(asked.delivery, &asked.headers, span);
    match retry::repeated(|| services.blobs.open(&grant, span, delivery)).await {
        Ok(opened) => {
            let by = Delivered(registry.deliveries.count(&opened));
            let mut response = match opened {
                Opened::Stream { span: sent, body } => {
                    respond::blob(digest, grant.size_bytes, span, (sent, body))
                }
                Opened::Handoff { path } => respond::blob_handed_off(digest, span, delivery.handoff, &path),
                Opened::Redirect { url } => respond::blob_redirected(digest, &url),
            };
            response.extensions_mut().insert(by);
            Ok(response)
        }
        Err(BlobError::Missing { .. }) => Err(quarantined(services, &grant, digest).await),
        Err(error) => Err(error.into()),
    }
}

/// Unlinks the blob from this repository, unless a manifest needs it.
pub(crate) async fn delete(
    services: &Services,
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Response, ApiError> {
    let actor = asked.actor(caller);
    retry::unless_done(|| services.repositories.delete_blob(repository, digest, &actor)).await?;
    Ok(respond::deleted())
}

async fn granted(
    services: &Services,
    repository: &RepositoryName,
    digest: &Digest,
    intent: Intent,
) -> Result<Grant, ApiError> {
    Ok(retry::repeated(|| services.repositories.blob(repository, digest, intent)).await?)
}

fn wanted_span(asked: &Asked, digest: &Digest, size_bytes: u64) -> Result<Option<Span>, ApiError> {
    match headers::range(&asked.headers, digest) {
        None => Ok(None),
        // RFC 9110 §14.1.2: the last bytes of nothing are all of it, and no Content-Range could name them.
        Some(ByteRange::Suffix { length: 1.. }) if size_bytes == 0 => Ok(None),
        Some(range) => {
            range.resolve(size_bytes).map(Some).map_err(|_| ApiError::RangeUnsatisfiable { size_bytes })
        }
    }
}

/// Linked, but gone: from now on it counts as absent, so that the next push brings it.
async fn quarantined(services: &Services, grant: &Grant, digest: &Digest) -> ApiError {
    tracing::error!(locator = %grant.locator, "a linked blob has no bytes");
    if let Err(error) = services.repositories.quarantine(&grant.locator).await {
        tracing::warn!(%error, locator = %grant.locator, "the loss could not be recorded");
    }

    let (repository, digest) = (grant.repository.clone(), digest.clone());
    RepositoryError::BlobUnknown { repository, digest }.into()
}
