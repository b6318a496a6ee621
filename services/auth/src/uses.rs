//! When credentials were used last: gathered in memory, bounded, and written together, so that no login waits for it.
//! What is not written yet when a process is killed is lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use oci::CredentialId;
use proto::metadata::{
    Credentials,
    credentials::{Credential, CredentialUse},
};
use service_kit::shutdown::Shutdown;
use tokio::time::timeout;

/// Between two writes.
const EVERY: Duration = Duration::from_secs(10);

/// How long a write may take, so that the end of the process does not wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Credentials that are used between two writes; the uses of others are not noted.
const GATHERED: usize = 1_000;

/// A use within this of the last one that is kept says nothing new.
const NEWS: Duration = Duration::from_mins(1);

/// The uses that are not written yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses(Arc<Mutex<BTreeMap<CredentialId, CredentialUse>>>);

impl Uses {
    /// Notes that a credential is used now.
    pub(crate) fn note(&self, credential: &Credential, now: Timestamp) {
        if credential.used.is_some_and(|used| now.duration_since(used).unsigned_abs() < NEWS) {
            return;
        }
        let mut gathered = self.gathered();
        if gathered.len() < GATHERED || gathered.contains_key(&credential.id) {
            let (id, owner) = (credential.id.clone(), credential.holder.owner());
            gathered.insert(credential.id.clone(), CredentialUse { id, owner, at: now });
        }
    }

    /// Writes them now and then, and what is left when the process ends.
    pub(crate) async fn written_to(self, credentials: Arc<dyn Credentials>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.stopping() => break,
                () = tokio::time::sleep(EVERY) => self.write(credentials.as_ref()).await,
            }
        }
        self.write(credentials.as_ref()).await;
    }

    async fn write(&self, credentials: &dyn Credentials) {
        let gathered = std::mem::take(&mut *self.gathered());
        if gathered.is_empty() {
            return;
        }
        let uses: Vec<CredentialUse> = gathered.into_values().collect();
        match timeout(PATIENCE, credentials.used(&uses)).await {
            Ok(Ok(())) => {}
            // The next use says it again.
            Ok(Err(error)) => tracing::warn!(%error, uses = uses.len(), "uses of credentials are not noted"),
            Err(_) => tracing::warn!(uses = uses.len(), "uses of credentials are not noted in time"),
        }
    }

    fn gathered(&self) -> MutexGuard<'_, BTreeMap<CredentialId, CredentialUse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
