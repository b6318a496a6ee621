//! A chunk: stored as a part, then recorded.

use proto::{ByteStream, blob::Append, metadata::uploads::UploadSession};
use service_kit::failpoint;

use super::{record, tidied};
use crate::{Services, error::ApiError};

/// Goes on with `session` by the bytes of `body`; answers its new offset.
pub(crate) async fn append(
    services: Services,
    session: UploadSession,
    expected_bytes: Option<u64>,
    body: ByteStream,
) -> Result<u64, ApiError> {
    let UploadSession { address, mut parts, offset, hash, .. } = session;
    let append = Append { session: address.session, before: parts.pop(), offset, hash, expected_bytes };

    let appended = services.blobs.append(append, body).await?;
    failpoint::hit("edge.append.stored");

    let recorded = record(services.uploads.as_ref(), &address, appended).await;
    failpoint::hit("edge.append.recorded");
    tidied(&services, &address.session, recorded).await
}
