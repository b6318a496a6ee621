//! The end of an upload: its parts and a last body become content, and the content a blob of the repository.

use oci::{Digest, Locator};
use proto::{
    ByteStream,
    blob::{Finish, Finished},
    empty_stream,
    metadata::{
        Actor, UploadError,
        uploads::{Held, Link, UploadAddress, UploadSession},
    },
};
use service_kit::failpoint;

use super::{record, tidied};
use crate::{Services, error::ApiError, retry};

/// What a PUT asks for.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    /// What the bytes are, as the client claims.
    pub(crate) digest: Digest,
    /// Length of the last body, if the client says it.
    pub(crate) expected_bytes: Option<u64>,
    /// On whose behalf.
    pub(crate) actor: Actor,
}

/// Bytes that are in the store, verified.
struct Published {
    locator: Locator,
    size_bytes: u64,
}

/// Publishes the `held` upload with its `last` bytes and links it.
pub(crate) async fn finish(
    services: Services,
    held: Held,
    closing: Closing,
    last: ByteStream,
) -> Result<(), ApiError> {
    let address = held.session.address.clone();
    let published = publish(&services, &held, &closing, last).await?;
    failpoint::hit("edge.finish.published");

    let linked = link(&services, &address, &closing, &published, held.locator.clone()).await;
    match linked {
        Err(ApiError::Upload(UploadError::HoldLost { .. })) => {
            let linked = link_anew(&services, held, &closing, published).await;
            tidied(&services, &address.session, linked).await?;
        }
        other => tidied(&services, &address.session, other).await?,
    }
    failpoint::hit("edge.finish.linked");

    // The blob is there: parts that stay behind are found by the sweep.
    if let Err(error) = services.blobs.discard(&address.session).await {
        tracing::warn!(%error, session = %address.session, "the parts of a finished upload stay for now");
    }
    Ok(())
}

async fn publish(
    services: &Services,
    held: &Held,
    closing: &Closing,
    last: ByteStream,
) -> Result<Published, ApiError> {
    let UploadSession { address, parts, offset, hash, .. } = held.session.clone();
    let finish = Finish {
        session: address.session,
        parts,
        offset,
        hash,
        digest: closing.digest.clone(),
        existing: held.locator.clone(),
        expected_bytes: closing.expected_bytes,
    };

    match services.blobs.finish(finish, last).await? {
        Finished::Published { locator, size_bytes } => Ok(Published { locator, size_bytes }),
        Finished::Cut(appended) => {
            let recorded = record(services.uploads.as_ref(), &address, appended).await?;
            Err(ApiError::BodyCut { address, recorded })
        }
    }
}

async fn link(
    services: &Services,
    address: &UploadAddress,
    closing: &Closing,
    published: &Published,
    seen: Option<Locator>,
) -> Result<(), ApiError> {
    let link = Link {
        address: address.clone(),
        digest: closing.digest.clone(),
        size_bytes: published.size_bytes,
        locator: published.locator.clone(),
        seen,
    };
    Ok(retry::repeated(|| services.uploads.link(&link, &closing.actor)).await?)
}

/// The hold expired in between: hold again. What was found in the store, and not brought, may be gone by now;
/// then it is published again, which needs all bytes to be recorded parts.
async fn link_anew(
    services: &Services,
    held: Held,
    closing: &Closing,
    published: Published,
) -> Result<(), ApiError> {
    let address = &held.session.address;
    let again = retry::repeated(|| services.uploads.hold(address, &closing.digest)).await?;
    let brought = held.locator.as_ref() != Some(&published.locator);
    if brought || again.locator == held.locator {
        return link(services, address, closing, &published, held.locator).await;
    }
    if again.session.offset != published.size_bytes {
        return Err(ApiError::HoldLost { digest: closing.digest.clone() });
    }

    let closing = Closing { expected_bytes: None, ..closing.clone() };
    let published = publish(services, &again, &closing, empty_stream()).await?;
    link(services, address, &closing, &published, again.locator).await
}
