//! The replicas that are known, and the choice among them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{
    choice::{self, Placement},
    replica::{Chosen, Replica},
};
use crate::random;

/// How long a call waits until a replica is known, when the process has just started.
const FIRST_FOUND: Duration = Duration::from_secs(2);

/// An odd number, so that it takes long until a turn comes back.
const NEXT_TURN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The replicas of a service.
#[derive(Debug)]
pub(super) struct Replicas {
    known: watch::Sender<Arc<[Arc<Replica>]>>,
    turn: AtomicU64,
}

impl Replicas {
    pub(super) fn new(replicas: Vec<Arc<Replica>>) -> Self {
        // Callers that start together must not all make the same choices.
        let mut seed = [0; 8];
        random::system().fill(&mut seed);
        let turn = AtomicU64::new(u64::from_le_bytes(seed));
        Self { known: watch::Sender::new(replicas.into()), turn }
    }

    /// From now on the replicas are those at `addresses`. Calls to others come to their end.
    pub(super) fn become_those_at(
        &self,
        addresses: &BTreeSet<String>,
        found: impl Fn(&str) -> Option<Arc<Replica>>,
    ) {
        let before = self.known.borrow().clone();
        let there = |address: &String| {
            let known = before.iter().find(|replica| replica.address() == address);
            known.cloned().or_else(|| found(address))
        };
        let after: Vec<Arc<Replica>> = addresses.iter().filter_map(there).collect();
        self.known.send_replace(after.into());
    }

    /// A replica for a call, as soon as one is known.
    pub(super) async fn choose_soon(&self, placement: Option<Placement>) -> Option<Chosen> {
        if let Some(chosen) = self.choose(placement) {
            return Some(chosen);
        }
        let mut known = self.known.subscribe();
        let found = timeout(FIRST_FOUND, known.wait_for(|known| !known.is_empty())).await.is_ok();
        if found { self.choose(placement) } else { None }
    }

    /// One that is fit for a call; if none is, any: they may all be better than they seem.
    fn choose(&self, placement: Option<Placement>) -> Option<Chosen> {
        let known = self.known.borrow().clone();
        let fit: Vec<&Arc<Replica>> = known.iter().filter(|replica| replica.is_fit()).collect();
        let candidates: Vec<&Arc<Replica>> = if fit.is_empty() { known.iter().collect() } else { fit };

        let index = if let Some(placement) = placement {
            let seen = |it: &&Arc<Replica>| (it.load(), placement.weight(it.place()));
            choice::by_place(&candidates.iter().map(seen).collect::<Vec<_>>())
        } else {
            let loads: Vec<usize> = candidates.iter().map(|replica| replica.load()).collect();
            choice::by_load(&loads, self.turn.fetch_add(NEXT_TURN, Ordering::Relaxed))
        };
        candidates.get(index).map(|replica| Chosen::new(Arc::clone(replica)))
    }

    /// Those that are known.
    #[cfg(test)]
    pub(super) fn known_now(&self) -> Arc<[Arc<Replica>]> {
        self.known.borrow().clone()
    }

    /// Waits until the known replicas are as `wanted`.
    #[cfg(test)]
    pub(super) async fn until(&self, wanted: impl Fn(&[Arc<Replica>]) -> bool) {
        let mut known = self.known.subscribe();
        known.wait_for(|known| wanted(known)).await.map(drop).unwrap();
    }
}
