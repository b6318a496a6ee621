//! One hub in memory: its services, its clock, and what was seen to go wrong.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use blob::sweep::{self, SweepConfig, Sweeper};
use metadata::config::Config;
use oci::{AccountName, Digest};
use proto::{
    auth::Subject,
    blob::GrantKey,
    metadata::{
        Accounts as _, Actor, Rules as _, Standing, Via,
        accounts::{Account, Role},
        rules::{RuleSet, Untagged},
    },
};
use service_kit::{
    clock::{Clock as _, ManualClock},
    random::SeededRandom,
};

use crate::{
    ports::{Bytestore, Fault, Keys},
    scheduler::Points,
};

const SECRET: &str = "a secret for grants";

/// A hub in memory. Clones are the same hub.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) metadata: metadata::Service,
    pub(crate) blobs: blob::Service,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) points: Points,
    pub(crate) store: blob::store::memory::Memory,
    violations: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Fault) -> Self {
        let (points, clock) = (Points::default(), Arc::new(ManualClock::default()));
        let memory = Arc::new(metadata::keyspace::memory::Memory::new());
        let store = blob::store::memory::Memory::default();
        let random = || Arc::new(SeededRandom::new(seed));

        let config = Config::new("unused".into(), SECRET.into());
        // Founded long before the schedule begins, so that no bytes are older: without points.
        let before = clock.now() - Duration::from_hours(24 * 730);
        let before = Arc::new(ManualClock::new(before));
        let founded = metadata::Service::found(memory.clone(), &config, before, random());
        let founded = now(founded).unwrap();
        let ann = Account {
            name: ann(),
            password_hash: "hash".into(),
            role: Role::User,
            standing: Standing::Active,
        };
        now(founded.create_account(&ann, &Actor::service())).unwrap();
        if seed.is_multiple_of(2) {
            let untagged = Untagged { within: Duration::from_hours(24) };
            let rules = RuleSet::new(Vec::new(), Vec::new(), Some(untagged)).unwrap();
            now(founded.put_rules(&"ann".parse().unwrap(), Some(&rules), &Actor::service())).unwrap();
        }

        let keys = Keys { memory, points: points.clone(), fault };
        let quiet = points.clone();
        let served = metadata::Service::found(Arc::new(keys), &config, clock.clone(), random());
        let metadata = to_end(served).unwrap();
        let bytes = Bytestore { memory: store.clone(), points: quiet, fault };
        let grants = GrantKey::new(&SECRET.into());
        let name = blob::config::default_store();
        let blobs = blob::Service::over(Arc::new(bytes), name, grants, clock.clone(), random());
        Self { metadata, blobs, clock, points, store, violations: Arc::default() }
    }

    /// One of any number of replicas.
    pub(crate) fn sweeper(&self) -> Sweeper {
        let metadata = Arc::new(self.metadata.clone());
        let services = sweep::Services { reclaim: metadata.clone(), repositories: metadata };
        let config = SweepConfig { interval: Duration::from_secs(1), ..SweepConfig::default() };
        self.blobs.sweeper(services, config.without_pauses())
    }

    pub(crate) fn actor() -> Actor {
        Actor { subject: Subject::User(ann()), via: Via::Registry, address: None, credential: None }
    }

    pub(crate) fn violated(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }
}

fn ann() -> AccountName {
    "ann".parse().unwrap()
}

/// Layers that images share.
pub(crate) fn layer(number: usize) -> Vec<u8> {
    format!("layer {number}, and what is in it").into_bytes()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of_sha256(bytes)
}

/// The value of a future that waits for nobody.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits for somebody"),
    }
}

/// The value of a future that nobody comes in between.
fn to_end<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
