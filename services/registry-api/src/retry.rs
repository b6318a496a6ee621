//! Trying again what failed for a reason that passes: calls to metadata and auth, and the opening of a blob, twice more
//! at most. A body that was begun is not begun again.

use std::time::Duration;

use proto::{
    auth::IdentityError,
    blob::BlobError,
    metadata::{AccountError, RepositoryError, UploadError},
};

/// What is waited before each further try.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// Whether an error passes.
pub(crate) trait Passing {
    /// Why it may pass; none if it will not.
    fn passing(&self) -> Option<Why>;
}

/// Why a call may succeed if it is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Others were faster, and nothing was written.
    Conflict,
    /// There was no answer: it may have been done.
    Unavailable,
}

impl Passing for UploadError {
    fn passing(&self) -> Option<Why> {
        match self {
            Self::Conflict { .. } => Some(Why::Conflict),
            Self::Unavailable { .. } => Some(Why::Unavailable),
            _ => None,
        }
    }
}

impl Passing for RepositoryError {
    fn passing(&self) -> Option<Why> {
        match self {
            Self::Conflict { .. } => Some(Why::Conflict),
            Self::Unavailable { .. } => Some(Why::Unavailable),
            _ => None,
        }
    }
}

impl Passing for AccountError {
    fn passing(&self) -> Option<Why> {
        match self {
            Self::Conflict { .. } => Some(Why::Conflict),
            Self::Unavailable { .. } => Some(Why::Unavailable),
            _ => None,
        }
    }
}

impl Passing for IdentityError {
    fn passing(&self) -> Option<Why> {
        match self {
            Self::Unavailable { .. } => Some(Why::Unavailable),
            _ => None,
        }
    }
}

impl Passing for BlobError {
    fn passing(&self) -> Option<Why> {
        match self {
            Self::Unavailable { .. } => Some(Why::Unavailable),
            _ => None,
        }
    }
}

/// Calls until it is answered. For what may be done twice.
pub(crate) async fn repeated<T, E, F>(call: impl Fn() -> F) -> Result<T, E>
where
    E: Passing,
    F: Future<Output = Result<T, E>>,
{
    again(call, |_| true).await
}

/// Calls until it was not too late. For what must not be done twice.
pub(crate) async fn unless_done<T, E, F>(call: impl Fn() -> F) -> Result<T, E>
where
    E: Passing,
    F: Future<Output = Result<T, E>>,
{
    again(call, |why| why == Why::Conflict).await
}

async fn again<T, E, F>(call: impl Fn() -> F, may: impl Fn(Why) -> bool) -> Result<T, E>
where
    E: Passing,
    F: Future<Output = Result<T, E>>,
{
    for pause in PAUSES {
        match call().await {
            Err(error) if error.passing().is_some_and(&may) => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    call().await
}
