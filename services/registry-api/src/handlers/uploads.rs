//! Uploads: start, mount, status, chunks, the end, and giving up (distribution-spec, end-4 to 6, 11, 13, 14).

use axum::{body::Body, response::Response};
use http::HeaderMap;
use oci::{Algorithm, Digest, RepositoryName};
use proto::metadata::uploads::{Held, MAX_MOUNT_SOURCES, Mount, Mounted, UploadAddress, UploadSession};
use service_kit::failpoint;

use crate::{
    Registry,
    access::Caller,
    asked::{Asked, bytes},
    error::ApiError,
    headers,
    push::{self, Closing},
    respond, retry,
};

/// Where a mount is from.
const FROM: &str = "from";

/// Where the client wants to mount from, as far as a challenge can name it.
pub(crate) fn mount_source(asked: &Asked) -> Option<RepositoryName> {
    asked.query.get(FROM)?.parse().ok()
}

/// A new upload: a mount if the blob is elsewhere, the whole blob if it comes along, else an empty session.
pub(crate) async fn start(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
    body: Body,
) -> Result<Response, ApiError> {
    if let Some(mount) = wanted_mount(asked, caller, repository)? {
        return self::mount(registry, asked, caller, &mount).await;
    }
    let digest = digest(asked, "digest")?;
    algorithm(asked)?;

    let actor = asked.actor(caller);
    let session = retry::repeated(|| registry.services.uploads.start(repository, &actor)).await?;
    failpoint::hit("edge.start.stored");

    match digest {
        Some(digest) => whole(registry, asked, caller, session.address, digest, body).await,
        None => Ok(respond::upload_accepted(&asked.urls, &session.address, session.offset)),
    }
}

/// A mount without the right to pull from there is an upload like any other. One without a `from` looks where the
/// token itself says that it may pull. Public repositories that nobody named do not count: to find one, all that
/// link the blob would have to be walked, the private ones too, and the time would tell how many there are.
fn wanted_mount(
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
) -> Result<Option<Mount>, ApiError> {
    let Some(digest) = digest(asked, "mount")? else { return Ok(None) };
    let from = match asked.query.get(FROM).filter(|from| !from.is_empty()) {
        None => caller.pullable().take(MAX_MOUNT_SOURCES).cloned().collect(),
        Some(from) => {
            let from = from.parse().map_err(ApiError::MountSource)?;
            if !caller.may_pull(&from) {
                return Ok(None);
            }
            vec![from]
        }
    };
    Ok(Some(Mount { repository: repository.clone(), digest, from }))
}

async fn mount(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    mount: &Mount,
) -> Result<Response, ApiError> {
    let actor = asked.actor(caller);
    match retry::repeated(|| registry.services.uploads.mount(mount, &actor)).await? {
        Mounted::Linked => Ok(respond::blob_created(&asked.urls, &mount.repository, &mount.digest)),
        Mounted::Started(session) => {
            failpoint::hit("edge.start.stored");
            Ok(respond::upload_accepted(&asked.urls, &session.address, session.offset))
        }
    }
}

/// The whole blob came with the POST. If that fails, nobody knows of the session, unless the answer names it.
async fn whole(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: UploadAddress,
    digest: Digest,
    body: Body,
) -> Result<Response, ApiError> {
    let finished = finish(registry, asked, caller, &address, digest, body).await;
    if !matches!(finished, Ok(_) | Err(ApiError::BodyCut { .. })) {
        let uploads = &registry.services.uploads;
        let _ = uploads.cancel(&address, &asked.actor(caller)).await;
        let _ = registry.services.blobs.discard(&address.session).await;
    }
    finished
}

/// How far the upload has come.
pub(crate) async fn status(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: &UploadAddress,
) -> Result<Response, ApiError> {
    let session = session(registry, caller, address).await?;
    Ok(respond::upload_status(&asked.urls, address, session.offset))
}

/// A chunk: at the place that Content-Range says, or at the end.
pub(crate) async fn patch(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: &UploadAddress,
    body: Body,
) -> Result<Response, ApiError> {
    let session = session(registry, caller, address).await?;
    let expected_bytes = expected_bytes(&asked.headers, &session)?;

    let append = push::append(registry.services.clone(), session, expected_bytes, bytes(body));
    let recorded = push::to_the_end(&registry.shutdown, append).await?;
    Ok(respond::upload_accepted(&asked.urls, address, recorded))
}

/// The end of the upload, with or without a last chunk.
pub(crate) async fn put(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: &UploadAddress,
    body: Body,
) -> Result<Response, ApiError> {
    let digest = digest(asked, "digest")?.ok_or(ApiError::DigestMissing)?;
    finish(registry, asked, caller, address, digest, body).await
}

async fn finish(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: &UploadAddress,
    digest: Digest,
    body: Body,
) -> Result<Response, ApiError> {
    let held = held(registry, caller, address, &digest).await?;
    let expected_bytes = expected_bytes(&asked.headers, &held.session)?;
    failpoint::hit("edge.finish.held");

    let closing = Closing { digest: digest.clone(), expected_bytes, actor: asked.actor(caller) };
    let finish = push::finish(registry.services.clone(), held, closing, bytes(body));
    push::to_the_end(&registry.shutdown, finish).await?;
    Ok(respond::blob_created(&asked.urls, &address.repository, &digest))
}

/// Gives the upload up.
pub(crate) async fn cancel(
    registry: &Registry,
    asked: &Asked,
    caller: &Caller,
    address: &UploadAddress,
) -> Result<Response, ApiError> {
    session(registry, caller, address).await?;
    let actor = asked.actor(caller);
    retry::unless_done(|| registry.services.uploads.cancel(address, &actor)).await?;

    if let Err(error) = registry.services.blobs.discard(&address.session).await {
        tracing::warn!(%error, session = %address.session, "the parts of a cancelled upload stay for now");
    }
    Ok(respond::gone())
}

async fn session(
    registry: &Registry,
    caller: &Caller,
    address: &UploadAddress,
) -> Result<UploadSession, ApiError> {
    let session = retry::repeated(|| registry.services.uploads.session(address)).await?;
    registry.access.check_session(caller, &session)?;
    Ok(session)
}

async fn held(
    registry: &Registry,
    caller: &Caller,
    address: &UploadAddress,
    digest: &Digest,
) -> Result<Held, ApiError> {
    let held = retry::repeated(|| registry.services.uploads.hold(address, digest)).await?;
    registry.access.check_session(caller, &held.session)?;
    Ok(held)
}

/// The length of a chunk, if the client says it; one that belongs elsewhere is refused and the session lives on.
fn expected_bytes(headers: &HeaderMap, session: &UploadSession) -> Result<Option<u64>, ApiError> {
    let body_bytes = headers::content_length(headers);
    let Some(range) = headers::content_range(headers)? else { return Ok(body_bytes) };
    if range.first != session.offset {
        return Err(ApiError::OutOfOrder { address: session.address.clone(), recorded: session.offset });
    }

    let range_bytes = range.length();
    match body_bytes {
        Some(body_bytes) if body_bytes != range_bytes => {
            Err(ApiError::LengthContradiction { range_bytes, body_bytes })
        }
        _ => Ok(Some(range_bytes)),
    }
}

/// Refuses an upload that could not be finished (distribution-spec, end-4c). Nothing else depends on it: the digest
/// of the last request says which algorithm is verified, also when nobody announced it.
fn algorithm(asked: &Asked) -> Result<(), ApiError> {
    const PARAMETER: &str = "digest-algorithm";
    let Some(name) = asked.query.get(PARAMETER) else { return Ok(()) };
    let _known: Algorithm =
        name.parse().map_err(|error| ApiError::DigestMalformed { parameter: PARAMETER, error })?;
    Ok(())
}

fn digest(asked: &Asked, parameter: &'static str) -> Result<Option<Digest>, ApiError> {
    let Some(text) = asked.query.get(parameter) else { return Ok(None) };
    text.parse().map(Some).map_err(|error| ApiError::DigestMalformed { parameter, error })
}
