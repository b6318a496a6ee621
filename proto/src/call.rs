//! What all calls have in common: how large their messages may be, how long they may take, and how an answer
//! is read.

use std::{borrow::Cow, time::Duration};

use tokio::time::timeout;
use tonic::{Response, Status};

use crate::{
    convert::BadField,
    status::{Failure, error_of},
};

/// A message of the auth or the blob contract: blob bytes travel in pieces, all else is small.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// A message of the metadata contracts: a manifest of 4 MiB with all it names, a session with all its parts.
pub(crate) const MAX_METADATA_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// What a server's method returns.
pub(crate) type Answer<M> = Result<Response<M>, Status>;

/// Reads an answer. One that cannot be read is as good as none.
pub(crate) fn concluded<M, T, E: Failure>(
    attempted: &'static str,
    answer: Answer<M>,
    read: impl FnOnce(M) -> Result<T, BadField>,
) -> Result<T, E> {
    let message = answer.map_err(|status| error_of::<E>(attempted, &status))?.into_inner();

    read(message).map_err(|bad| unreadable(attempted, &bad))
}

/// The error for an answer that does not say what it must.
pub(crate) fn unreadable<E: Failure>(attempted: &'static str, bad: &BadField) -> E {
    tracing::warn!(attempted, %bad, "the answer of another service cannot be read");
    E::unavailable(Cow::Owned(format!("reading the answer of {attempted}")))
}

/// Waits for `call`, but not longer than `deadline`.
pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let late = |_| Status::deadline_exceeded("no answer within the deadline");
    timeout(deadline, call).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::BlobError;

    fn unavailable(attempted: &'static str) -> BlobError {
        BlobError::Unavailable { attempted: Cow::Borrowed(attempted) }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_unavailable() {
        let concluded: Result<(), BlobError> =
            concluded("opening a blob", Ok(Response::new(())), |()| Err(BadField::Absent { field: "span" }));

        assert_eq!(concluded, Err(unavailable("reading the answer of opening a blob")));
    }

    #[test]
    fn no_answer_is_unavailable() {
        let concluded: Result<(), BlobError> =
            concluded("opening a blob", Err(Status::aborted("gone")), |()| Ok(()));

        assert_eq!(concluded, Err(unavailable("opening a blob")));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up() {
        let status =
            within(Duration::from_secs(5), std::future::pending::<Result<(), Status>>()).await.unwrap_err();

        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }
}
