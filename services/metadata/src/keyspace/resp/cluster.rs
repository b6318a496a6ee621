//! The keyspace in a Redis Cluster: each call goes to the master that has the slot of its keys, and where the servers send
//! it when that has changed. It takes only calls of one slot; `sharded.rs` splits what is more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, ServerError, TlsCertificates, Value};
use service_kit::{readiness::Readiness, shutdown::Shutdown};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use self::map::{Map, slot_of_all};
use super::{
    CHECK_INTERVAL, COMMITTING, ENGINE, OpenError, Options, Resp,
    address::{Address, Place, ServerUrl},
    check_commit,
    committer::{Asking, NotCommitted},
    fault::{Fault, Redirect, answered, is_unknown_script, port_error},
    info::Keeping,
    lane::Lane,
    opening::{Stop, certificates, looked_at, once_there},
    script::{Dialect, Named, Scripts},
    target::{Limits, Target},
};
use crate::keyspace::{
    Commit, CommitError, Condition, Error, Key, Keyspace as _, Mutation, sharded::Sharded,
};

mod map;
mod reading;

/// A keyspace in a cluster.
pub type Cluster = Sharded<Nodes>;

/// Before a call is tried again that no server takes now.
const PAUSE: Duration = Duration::from_millis(20);

/// The masters of a cluster.
pub struct Nodes {
    url: ServerUrl,
    certificates: Option<TlsCertificates>,
    limits: Limits,
    keeping: Keeping,
    scripts: Scripts,
    map: Mutex<Arc<Map>>,
    masters: Mutex<BTreeMap<Address, Arc<Resp>>>,
    outdated: AtomicBool,
    looking: Semaphore,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Which server a call goes to.
enum Way {
    /// The one that has the slot.
    Map,
    /// The one that another named.
    There(Address, Asking),
}

impl Nodes {
    /// Opens the cluster: waits until all slots have a master, as it may be starting too, and makes sure that each master
    /// keeps what it is given.
    ///
    /// # Errors
    /// `Away` if it is not whole for a minute; `Refused` with what helps.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let certificates = certificates(options)?;
        let map = once_there(options, || all_looked_at(options, certificates.as_ref())).await?;

        let masters = map.masters().len();
        tracing::info!(url = %options.url, masters, "the metadata engine is a cluster");
        Ok(Self {
            url: options.url.clone(),
            certificates,
            limits: options.limits,
            keeping: options.keeping,
            scripts: Scripts::of(Dialect::Redis),
            map: Mutex::new(Arc::new(map)),
            masters: Mutex::default(),
            outdated: AtomicBool::new(false),
            looking: Semaphore::new(1),
        })
    }

    /// Finishes what is queued; later commits are `Unavailable` until they make new connections.
    pub async fn close(&self) {
        let masters = std::mem::take(&mut *self.masters.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(masters.values().map(|master| master.close())).await;
    }

    /// Tells `readiness` whether all masters answer and take writes, until the shutdown begins.
    pub fn report_to(
        self: &Arc<Self>,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let nodes = Arc::clone(self);
        async move {
            loop {
                match timeout(nodes.limits.call, nodes.check()).await {
                    Ok(Ok(())) => readiness.up(ENGINE),
                    _ => readiness.down(ENGINE),
                }

                if timeout(CHECK_INTERVAL, shutdown.stopping()).await.is_ok() {
                    return;
                }
            }
        }
    }

    /// Whether all masters answer and take writes.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn check(&self) -> Result<(), Error> {
        if self.outdated.load(Ordering::Relaxed) {
            self.look_again().await;
        }
        let masters: Vec<Arc<Resp>> = self.map().masters().iter().map(|master| self.master(master)).collect();
        let outcomes = join_all(masters.iter().map(|master| master.check())).await;

        let outcome = outcomes.into_iter().collect::<Result<(), Error>>();
        if outcome.is_err() {
            self.outdated.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn map(&self) -> Arc<Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn master(&self, address: &Address) -> Arc<Resp> {
        let mut masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = masters.entry(address.clone()).or_insert_with(|| {
            let url = self.url.at(Place::Node(address.clone()));
            let target = Target::new(url, self.certificates.clone(), self.limits, self.keeping);
            Arc::new(Resp::over(target, Dialect::Redis))
        });
        Arc::clone(connected)
    }

    /// Who has the slot of `key`, as far as is known.
    fn master_of(&self, key: &Key) -> Result<Arc<Resp>, Error> {
        let slot = slot_of_all([key])?.unwrap_or_default();
        let map = self.map();
        let address =
            map.master_of(slot).ok_or(Error::Unavailable { attempted: "finding who has a slot" })?;
        Ok(self.master(address))
    }

    fn has_replicas(&self) -> bool {
        let masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        masters.values().any(|master| master.is_replicated())
    }

    /// The server that a call goes to.
    async fn on(&self, way: &Way, slot: u16) -> Result<(Arc<Resp>, Asking), Fault> {
        if self.outdated.load(Ordering::Relaxed) {
            self.look_again().await;
        }
        match way {
            Way::There(address, asking) => Ok((self.master(address), *asking)),
            Way::Map => {
                let map = self.map();
                let address = map.master_of(slot).ok_or(Fault::NobodyHas { slot })?;
                Ok((self.master(address), Asking::No))
            }
        }
    }

    /// Where a call goes on. Nothing was done yet.
    async fn turned(&self, redirect: Redirect) -> Way {
        match redirect {
            Redirect::Ask(there) => Way::There(there, Asking::Yes),
            Redirect::Moved(there) => {
                self.outdated.store(true, Ordering::Relaxed);
                Way::There(there, Asking::No)
            }
            Redirect::Later => {
                sleep(PAUSE).await;
                self.outdated.store(true, Ordering::Relaxed);
                Way::Map
            }
        }
    }

    /// Asks who has which slots now, unless somebody else does.
    async fn look_again(&self) {
        let Ok(_turn) = self.looking.try_acquire() else { return };
        let mut places: Vec<Address> = self.map().known().cloned().collect();
        if let Place::Cluster(named) = &self.url.place {
            places.extend(named.iter().cloned());
        }
        let url = self.url.at(Place::Cluster(places));
        let target = Target::new(url, self.certificates.clone(), self.limits, self.keeping);
        match asked_map(&target).await {
            Ok(map) => {
                let masters = map.masters();
                *self.map.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
                self.outdated.store(false, Ordering::Relaxed);
                let mut connected = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
                connected.retain(|address, _| masters.contains(address));
            }
            Err(fault) => tracing::warn!(%fault, "no server of the metadata engine says who has which slots"),
        }
    }

    /// Asks the server that has the slot. Reads may be asked twice, and where the servers send them.
    async fn read(
        &self,
        attempted: &'static str,
        slot: u16,
        command: impl Fn(Named) -> Cmd + Send + Sync,
    ) -> Result<Value, Error> {
        let asked = async {
            let (mut way, mut named, mut again) = (Way::Map, Named::Digest, true);
            loop {
                let (node, asking) = self.on(&way, slot).await?;
                match asked_of(&node.reads, &command(named), asking).await {
                    Ok(answer) => return Ok(answer),
                    Err(Fault::Refused(error)) if named == Named::Digest && is_unknown_script(&error) => {
                        named = Named::Text;
                    }
                    Err(Fault::Refused(error)) => match redirected(&error) {
                        Some(redirect) => way = self.turned(redirect).await,
                        None => return Err(Fault::Refused(error)),
                    },
                    Err(fault) => {
                        self.outdated.store(true, Ordering::Relaxed);
                        if !again {
                            return Err(fault);
                        }
                        (again, way) = (false, Way::Map);
                    }
                }
            }
        };
        let limit = self.limits.call;
        let answer = timeout(limit, asked).await.unwrap_or(Err(Fault::Late { limit }));
        answer.map_err(|fault| port_error(&fault, attempted))
    }

    /// Commits what lies in one slot. It is sent again only where nothing was done.
    async fn write(&self, commit: &Commit) -> Result<(), CommitError> {
        check_commit(commit)?;
        let conditions = commit.conditions.iter().map(Condition::key);
        let keys: BTreeSet<&Key> = conditions.chain(commit.mutations.iter().map(Mutation::key)).collect();
        let keys: Arc<[Key]> = keys.into_iter().cloned().collect();
        let Some(slot) = slot_of_all(keys.iter())? else { return Ok(()) };

        let outcome = async {
            let mut way = Way::Map;
            loop {
                let on = self.on(&way, slot).await;
                let (node, asking) = on.map_err(|fault| port_error(&fault, COMMITTING))?;
                match node.commit_with(commit.clone(), Arc::clone(&keys), asking).await {
                    Ok(()) => return Ok(()),
                    Err(NotCommitted::Elsewhere(redirect)) => way = self.turned(redirect).await,
                    Err(NotCommitted::Port(error)) => {
                        if matches!(error, CommitError::Engine(Error::Unavailable { .. })) {
                            self.outdated.store(true, Ordering::Relaxed);
                        }
                        return Err(error);
                    }
                }
            }
        };
        let unavailable = |_| Error::Unavailable { attempted: COMMITTING };
        timeout(self.limits.call, outcome).await.map_err(unavailable)?
    }
}

/// Who has which slots, once each has a master and each master was looked at.
async fn all_looked_at(options: &Options, certificates: Option<&TlsCertificates>) -> Result<Map, Stop> {
    let target = |url| Target::new(url, certificates.cloned(), options.limits, options.keeping);
    let map = asked_map(&target(options.url.clone())).await?;
    if let Some(slot) = map.gap() {
        return Err(Fault::NobodyHas { slot }.into());
    }

    for master in map.masters() {
        let _redis = looked_at(&target(options.url.at(Place::Node(master))), options).await?;
    }
    Ok(map)
}

async fn asked_map(target: &Target) -> Result<Map, Fault> {
    let mut connection = target.connect().await?;
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = target.ask(&mut connection, &command).await?;
    let map = Map::parsed(&answer).filter(|map| !map.masters().is_empty());
    map.ok_or(Fault::NobodyHas { slot: 0 })
}

async fn asked_of(lane: &Lane, command: &Cmd, asking: Asking) -> Result<Value, Fault> {
    if asking == Asking::No {
        return lane.ask(command).await;
    }
    let mut both = Pipeline::with_capacity(2);
    both.cmd("ASKING").add_command(command.clone());
    answered(lane.ask_all(&both).await?.pop().unwrap_or_default())
}

fn redirected(error: &ServerError) -> Option<Redirect> {
    // While a slot is moved, a script that reads may miss what has gone.
    let missed = || error.details().is_some_and(|text| text.contains("non local key"));
    Redirect::of(error).or_else(|| missed().then_some(Redirect::Later))
}
