//! Faults on purpose, for tests: a store that fails, waits or stops in the midst of a body, as a script or a seed says. It
//! counts what it is asked for.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{SessionId, Span};
use proto::{ByteStream, StreamError};
use tokio::time::sleep;

use super::{Object, PublicUrl, Store, StoreError, Writer, operation::Operation};
use crate::layout::{ObjectName, Place};

/// What goes wrong with one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is not done.
    Fail,
    /// It is done, but who asked is told that it was not.
    Forget,
    /// There is no space.
    Full,
    /// It is done after this time.
    Wait(Duration),
    /// The body that is read ends with an error after so many pieces.
    Cut(usize),
    /// The body that is read has so many pieces, and then nothing more comes.
    Stall(usize),
}

/// How often something goes wrong by chance, in a thousand operations each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chances {
    /// Where chance begins.
    pub seed: u64,
    /// Operations that are not done.
    pub fail: u64,
    /// Operations that are done and said to have failed.
    pub forget: u64,
    /// Operations that take `wait`.
    pub slow: u64,
    /// How long that is.
    pub wait: Duration,
}

/// A store with faults. Clones are the same.
#[derive(Debug, Clone)]
pub struct Faulty<S> {
    store: S,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    script: BTreeMap<Operation, VecDeque<Fault>>,
    chances: Option<Chances>,
    state: u64,
    asked: BTreeMap<Operation, usize>,
}

impl<S: Store> Faulty<S> {
    /// Faults of `script`, each for the next such operation; when there are no more, all goes well.
    pub fn scripted(store: S, script: impl IntoIterator<Item = (Operation, Fault)>) -> Self {
        let mut planned: BTreeMap<Operation, VecDeque<Fault>> = BTreeMap::new();
        for (operation, fault) in script {
            planned.entry(operation).or_default().push_back(fault);
        }
        Self::planned(store, planned, None)
    }

    /// Faults by chance, the same for the same seed and the same operations.
    pub fn by_chance(store: S, chances: Chances) -> Self {
        Self::planned(store, BTreeMap::new(), Some(chances))
    }

    fn planned(store: S, script: BTreeMap<Operation, VecDeque<Fault>>, chances: Option<Chances>) -> Self {
        let state = chances.map_or(0, |chances| chances.seed);
        let plan = Plan { script, chances, state, asked: BTreeMap::new() };
        Self { store, plan: Arc::new(Mutex::new(plan)) }
    }

    /// How often `operation` was asked for.
    pub fn asked(&self, operation: Operation) -> usize {
        locked(&self.plan).asked.get(&operation).copied().unwrap_or_default()
    }
}

fn locked(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    fn next(&mut self, operation: Operation) -> Fault {
        *self.asked.entry(operation).or_default() += 1;
        if let Some(fault) = self.script.get_mut(&operation).and_then(VecDeque::pop_front) {
            return fault;
        }
        let Some(Chances { fail, forget, slow, wait, .. }) = self.chances else {
            return Fault::None;
        };
        match self.chance() % 1_000 {
            chance if chance < fail => Fault::Fail,
            chance if chance < fail + forget => Fault::Forget,
            chance if chance < fail + forget + slow => Fault::Wait(wait),
            _ => Fault::None,
        }
    }

    /// splitmix64.
    fn chance(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// Does `work` with the fault that is next.
async fn done<T>(
    plan: &Mutex<Plan>,
    operation: Operation,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<(T, Fault), StoreError> {
    let fault = locked(plan).next(operation);
    match fault {
        Fault::Fail => return Err(failed(operation)),
        Fault::Full => return Err(StoreError::NoSpace),
        Fault::Wait(time) => sleep(time).await,
        Fault::None | Fault::Forget | Fault::Cut(_) | Fault::Stall(_) => {}
    }
    let done = work.await?;
    if fault == Fault::Forget { Err(failed(operation)) } else { Ok((done, fault)) }
}

fn failed(operation: Operation) -> StoreError {
    let attempted = format!("the operation {} of a store with faults", operation.name());
    StoreError::Unavailable { attempted, cause: io::Error::other("on purpose") }
}

fn with_fault(body: ByteStream, fault: Fault) -> ByteStream {
    match fault {
        Fault::Cut(pieces) => {
            let cut = stream::once(async { Err(StreamError::Source) });
            Box::pin(body.take(pieces).chain(cut))
        }
        Fault::Stall(pieces) => Box::pin(body.take(pieces).chain(stream::pending())),
        _ => body,
    }
}

#[async_trait]
impl<S: Store> Store for Faulty<S> {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        let (writer, _) = done(&self.plan, Operation::Write, self.store.write(name, before)).await?;
        Ok(Box::new(FaultyWriter { plan: self.plan.clone(), writer }))
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        done(&self.plan, Operation::Publish, self.store.publish(parts, content)).await.map(|(name, _)| name)
    }

    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        done(&self.plan, Operation::Sizes, self.store.sizes(parts)).await.map(|(sizes, _)| sizes)
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        done(&self.plan, Operation::Size, self.store.size(name)).await.map(|(size, _)| size)
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        let (found, fault) = done(&self.plan, Operation::Read, self.store.read(name, span)).await?;
        Ok(found.map(|object| Object { body: with_fault(object.body, fault), ..object }))
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        done(&self.plan, Operation::RemoveUpload, self.store.remove_upload(session)).await.map(|_| ())
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        done(&self.plan, Operation::Remove, self.store.remove(name)).await.map(|_| ())
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        done(&self.plan, Operation::List, self.store.list(place, after, limit)).await.map(|(names, _)| names)
    }

    fn file<'a>(&self, name: &'a ObjectName) -> Option<&'a str> {
        self.store.file(name)
    }

    async fn redirect(&self, name: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        done(&self.plan, Operation::Redirect, self.store.redirect(name, lifetime)).await.map(|(url, _)| url)
    }

    async fn check(&self) -> Result<(), StoreError> {
        done(&self.plan, Operation::Check, self.store.check()).await.map(|_| ())
    }
}

struct FaultyWriter {
    plan: Arc<Mutex<Plan>>,
    writer: Box<dyn Writer>,
}

#[async_trait]
impl Writer for FaultyWriter {
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        done(&self.plan, Operation::Append, self.writer.append(bytes)).await.map(|_| ())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { plan, writer } = *self;
        done(&plan, Operation::Commit, writer.commit()).await.map(|_| ())
    }
}
