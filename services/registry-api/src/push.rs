//! The steps of an upload that must not end with the client: once bytes flow, what was stored is recorded,
//! even if nobody waits for the answer any more.

use oci::SessionId;
use proto::{
    blob::{Appended, Ended},
    metadata::{
        UploadError, Uploads,
        uploads::{Advance, UploadAddress},
    },
};
use service_kit::{request_id, shutdown::Shutdown};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    Services,
    error::ApiError,
    retry::{self, Passing as _, Why},
};

pub(crate) use append::append;
pub(crate) use finish::{Closing, finish};

mod append;
mod finish;

/// A part is offered to metadata so many times, at most.
const TRIES: usize = 3;

/// Runs `work` to its end, as a task that a shutdown waits for, and answers what it answered.
pub(crate) async fn to_the_end<T: Send + 'static>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let (tell, told) = oneshot::channel();
    let work = async move {
        // Nobody listens if the client has gone: the work is done all the same.
        let _ = tell.send(work.await);
    }
    .in_current_span();

    match request_id::current() {
        Some(id) => shutdown.spawn(request_id::CURRENT.scope(id, work)),
        None => shutdown.spawn(work),
    }
    told.await.unwrap_or(Err(ApiError::Crashed))
}

/// What a quota has ended has stored parts that are of no use to anybody.
async fn tidied<T>(
    services: &Services,
    session: &SessionId,
    outcome: Result<T, ApiError>,
) -> Result<T, ApiError> {
    if matches!(outcome, Err(ApiError::Upload(UploadError::QuotaExceeded { .. })))
        && let Err(error) = services.blobs.discard(session).await
    {
        tracing::warn!(%error, %session, "the parts of a refused upload stay for now");
    }
    outcome
}

/// Records what an append has left; answers the offset, or where the upload is if the body was cut short.
async fn record(uploads: &dyn Uploads, address: &UploadAddress, appended: Appended) -> Result<u64, ApiError> {
    let Appended { part, offset, hash, ended } = appended;
    let recorded = match part {
        Some(part) => advanced(uploads, &Advance { address: address.clone(), part, hash }).await?,
        None => offset,
    };

    match ended {
        Ended::Complete => Ok(recorded),
        Ended::Cut => Err(ApiError::BodyCut { address: address.clone(), recorded }),
    }
}

/// Records a part. Without an answer the session is read: if the part is its last one, it was recorded.
async fn advanced(uploads: &dyn Uploads, advance: &Advance) -> Result<u64, ApiError> {
    let mut answered = Answered::Always;
    for _ in 1..TRIES {
        let error = match uploads.advance(advance).await {
            Ok(recorded) => return Ok(recorded),
            Err(error) => error,
        };
        match error.passing() {
            Some(Why::Conflict) => {}
            Some(Why::Unavailable) => {
                answered = Answered::NotAlways;
                if let Some(end) = recorded_end(uploads, advance).await? {
                    return Ok(end);
                }
            }
            None => return moved(uploads, advance, error, answered).await,
        }
    }

    match uploads.advance(advance).await {
        Ok(recorded) => Ok(recorded),
        Err(error) => moved(uploads, advance, error, answered).await,
    }
}

/// Whether metadata has answered every time so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Always,
    NotAlways,
}

/// What moved the offset may have been an earlier try of ours, whose answer was lost.
async fn moved(
    uploads: &dyn Uploads,
    advance: &Advance,
    error: UploadError,
    answered: Answered,
) -> Result<u64, ApiError> {
    let UploadError::OffsetMoved { recorded } = error else { return Err(error.into()) };
    if answered == Answered::NotAlways
        && let Some(end) = recorded_end(uploads, advance).await?
    {
        return Ok(end);
    }
    Err(ApiError::OutOfOrder { address: advance.address.clone(), recorded })
}

/// Where the upload ends with our part, if that is its last one.
async fn recorded_end(uploads: &dyn Uploads, advance: &Advance) -> Result<Option<u64>, ApiError> {
    let session = retry::repeated(|| uploads.session(&advance.address)).await?;
    let is_ours = session.parts.last() == Some(&advance.part);
    Ok(is_ours.then_some(session.offset))
}
