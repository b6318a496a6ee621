//! What was revoked: read from auth in the background, so that a token ends with the right that it was given for and not
//! only with its time. An edge that starts is told the last quarter of an hour, which covers every token that lives.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use oci::EventId;
use proto::{
    auth::Identities,
    metadata::credentials::{Revocation, Revoked},
};
use service_kit::{clock::Clock, shutdown::Shutdown};
use tokio::time;

use super::{SESSION_SECONDS, token::Token};
use crate::Process;

/// Between two reads.
const PAUSE: Duration = Duration::from_secs(5);

/// As many as one answer tells, at most.
const TOLD_AT_ONCE: usize = 1_000;

/// What two metadata replicas write at once may become visible out of order: so much is read again.
const OVERLAP: Duration = Duration::from_secs(30);

/// Longer than any token is accepted after it was signed: for upload sessions that outlive it.
const KEPT_SECONDS: i64 = SESSION_SECONDS + 60 * 60;

/// Revocations that are remembered one by one, at most.
const MOST: usize = 100_000;

/// What was revoked, shared by all requests.
#[derive(Clone)]
pub(crate) struct Revocations(Arc<Shared>);

struct Shared {
    identities: Arc<dyn Identities>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    known: ArcSwap<Known>,
}

/// Seconds since the epoch: a token that was signed then or before is worth nothing.
#[derive(Clone)]
struct Known {
    of: HashMap<Revoked, i64>,
    of_all: i64,
}

impl Revocations {
    /// Nothing yet, and a task that reads until the shutdown.
    pub(crate) fn new(identities: Arc<dyn Identities>, process: &Process) -> Self {
        let revocations = Self(Arc::new(Shared {
            identities,
            clock: Arc::clone(&process.clock),
            shutdown: process.shutdown.clone(),
            known: ArcSwap::from_pointee(Known { of: HashMap::new(), of_all: i64::MIN }),
        }));
        process.shutdown.spawn(revocations.clone().kept_fresh());
        revocations
    }

    /// Whether `token` was signed before its subject, its credential or a repository that it is for was revoked, or in
    /// the same second.
    pub(crate) fn end(&self, token: &Token) -> bool {
        let known = self.0.known.load();
        if known.of.is_empty() {
            return token.issued <= known.of_all;
        }
        let ended = |what| known.of.get(what).is_some_and(|at| token.issued <= *at);
        token.issued <= known.of_all || token.revocable.iter().any(ended)
    }

    async fn kept_fresh(self) {
        let mut settled = None;
        loop {
            self.read(&mut settled).await;
            tokio::select! {
                () = self.0.shutdown.stopping() => return,
                () = time::sleep(PAUSE) => {}
            }
        }
    }

    /// Reads what came after `settled`, which moves to the last that nothing can come before any more.
    async fn read(&self, settled: &mut Option<EventId>) {
        let mut after = settled.clone();
        loop {
            let told = match self.0.identities.revocations(after.as_ref()).await {
                Ok(told) => told,
                // What is known stays so; the next read begins where this one did.
                Err(error) => return tracing::warn!(%error, "reading what was revoked"),
            };

            let now = self.0.clock.now();
            let old = told.iter().rfind(|revocation| revocation.at <= now - OVERLAP);
            *settled = old.map(|revocation| revocation.id.clone()).or(settled.take());
            after = told.last().map(|revocation| revocation.id.clone());
            let all = told.len() < TOLD_AT_ONCE;
            self.0.learn(told, now);
            if all {
                return;
            }
        }
    }
}

impl Shared {
    fn learn(&self, told: Vec<Revocation>, now: Timestamp) {
        let oldest = now.as_second() - KEPT_SECONDS;
        let known = self.known.load();
        if told.is_empty() && known.of.values().all(|at| *at >= oldest) {
            return;
        }

        let mut known = Known::clone(&known);
        for Revocation { at, what, .. } in told {
            let latest = known.of.entry(what).or_insert(i64::MIN);
            *latest = at.as_second().max(*latest);
        }
        known.of.retain(|_, at| *at >= oldest);
        self.known.store(Arc::new(known.bounded()));
    }
}

impl Known {
    /// With too many to remember, everybody needs another token, which is a request; forgetting some would let in whom
    /// they shut out.
    fn bounded(self) -> Self {
        if self.of.len() <= MOST {
            return self;
        }
        let newest = self.of.values().copied().max().unwrap_or(i64::MIN);
        Self { of: HashMap::new(), of_all: newest.max(self.of_all) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use oci::CredentialId;
    use proto::metadata::credentials::Revoked;

    use super::{Known, MOST};

    fn credential(number: usize) -> Revoked {
        let id: CredentialId = format!("{number:026}").parse().unwrap();
        Revoked::Credential(id)
    }

    #[test]
    fn too_many_revocations_end_every_token_instead_of_being_forgotten() {
        let of: HashMap<_, _> = (0..MOST).map(|number| (credential(number), 17)).collect();
        let mut known = Known { of, of_all: i64::MIN }.bounded();
        assert_eq!((known.of.len(), known.of_all), (MOST, i64::MIN));

        known.of.insert(credential(MOST), 18);
        let known = known.bounded();
        assert_eq!((known.of.len(), known.of_all), (0, 18));
    }
}
