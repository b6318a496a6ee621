//! The token that all requests of this process show. It is renewed before it expires, and once when it is refused; whoever
//! needs one meanwhile waits for that, and only one asks.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use service_kit::{clock::Clock, exchange::Exchange};
use tokio::{sync::Semaphore, time::sleep};

use super::{
    config::SwiftConfig,
    credentials::{Session, shown},
    failure::Failure,
};

/// What lies between two attempts. There is one more than there are pauses.
pub(super) const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(5),
];

/// The sessions of one user, one after the other.
pub(super) struct Sessions {
    config: SwiftConfig,
    exchange: Exchange,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Arc<Session>>>,
    /// Whoever holds its only permit asks for another.
    renewing: Semaphore,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Sessions {
    pub(super) fn new(config: SwiftConfig, exchange: Exchange, clock: Arc<dyn Clock>) -> Self {
        let (current, renewing) = (RwLock::new(None), Semaphore::new(1));
        Self { config, exchange, clock, current, renewing }
    }

    /// A session that is good, as far as one can know; another one than `refused`.
    pub(super) async fn current(&self, refused: Option<&Arc<Session>>) -> Result<Arc<Session>, Failure> {
        if let Some(session) = self.good(refused) {
            return Ok(session);
        }
        let _only = self.renewing.acquire().await;
        // Somebody else has renewed it, while this one waited.
        if let Some(session) = self.good(refused) {
            return Ok(session);
        }

        let session = Arc::new(self.asked().await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }

    fn good(&self, refused: Option<&Arc<Session>>) -> Option<Arc<Session>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let same = refused.is_some_and(|refused| Arc::ptr_eq(refused, &current));
        (!same && self.clock.now() < current.renew_at).then_some(current)
    }

    async fn asked(&self) -> Result<Session, Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match shown(&self.config, &self.exchange, self.clock.now()).await {
                Ok(session) => return Ok(session),
                Err(failure) => failure,
            };
            match pauses.next().and_then(|usually| failure.pause(usually)) {
                Some(pause) => sleep(pause).await,
                None => return Err(failure),
            }
        }
    }
}
