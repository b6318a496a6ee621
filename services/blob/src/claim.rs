//! What may become the store of a hub. One that is empty by mistake would answer that all blobs are gone, and whoever
//! believes it has them removed where they are.

use std::time::Duration;

use proto::metadata::{
    More, PageRequest, Repositories, RepositoryError,
    repositories::{Viewer, WantedRepositories},
};
use serde::{Deserialize, Deserializer};
use tokio::time::sleep;

use crate::store::OpenError;

/// How often metadata is asked that does not answer: processes may begin in any order.
const ATTEMPTS: usize = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a place becomes the store that does not say that it is.
///
/// In a configuration, whether one insists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Claim {
    /// Only while nothing can be lost by it.
    #[default]
    IfNew,
    /// An operator says that it is the right one.
    Insisted,
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(if bool::deserialize(deserializer)? { Self::Insisted } else { Self::IfNew })
    }
}

/// Whether a hub has no blob yet, because it has no repository.
///
/// # Errors
/// Metadata has not answered for a while.
pub async fn is_new(repositories: &dyn Repositories) -> Result<bool, RepositoryError> {
    let wanted = WantedRepositories::all(Viewer::Administrator, PageRequest { after: None, limit: 1 });
    let mut attempts = 1;
    loop {
        match repositories.repositories(&wanted).await {
            Ok(page) => return Ok(page.entries.is_empty() && page.more == More::No),
            Err(RepositoryError::Unavailable { attempted }) if attempts < ATTEMPTS => {
                tracing::info!(%attempted, "waiting for metadata, to know whether the hub is new");
                attempts += 1;
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Fails unless `place`, which is no store, may become one: `new` says whether the hub is.
pub(crate) async fn require(
    claim: Claim,
    place: &str,
    new: impl Future<Output = Result<bool, RepositoryError>>,
) -> Result<(), OpenError> {
    if claim == Claim::Insisted {
        return Ok(());
    }
    match new.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Unclaimed { place: place.to_owned() }),
        Err(error) => Err(OpenError::Unasked { place: place.to_owned(), error: Box::new(error) }),
    }
}
