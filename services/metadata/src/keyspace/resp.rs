//! The keyspace in a server that speaks RESP: Redis, Valkey, Kvrocks or LedisDB, alone or behind sentinels, for any
//! number of metadata processes. Commits are one script; what must be of one moment is one command or one script. What is
//! spread over the servers of a cluster, `cluster.rs` knows.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, Value};
use service_kit::{readiness::Readiness, shutdown::Shutdown};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use self::{
    committer::{Asking, BATCH_COMMITS, Committer, NotCommitted, Pending},
    fault::{Fault, is_unknown_script, port_error},
    lane::Lane,
    script::{Named, Script, Scripts},
    target::Target,
};
use super::{
    Commit, CommitError, Direction, Error, Field, Follow, Followed, Key, Keyspace, MemberRange, READ_LIMIT,
    Record,
    commit::{at_most, check_fields, check_keys, check_range},
};

pub use address::{ServerUrl, UrlError};
pub use info::{Keeping, Refusal};
pub use opening::OpenError;
pub use script::Dialect;
pub use target::Limits;

mod address;
pub mod cluster;
mod committer;
mod fault;
mod info;
mod lane;
mod opening;
mod pages;
mod script;
mod target;
mod wire;

/// Conditions and mutations in one commit, at most: a server takes about a million arguments.
const COMMIT_LIMIT: usize = 200_000;

const COMMITTING: &str = "committing";

/// What this engine is called where a process says what it waits for.
const ENGINE: &str = "engine";

/// Between two looks at the server.
const CHECK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// Which server, and what is known of it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is, and who asks.
    pub url: ServerUrl,
    /// Whether it must keep what is written.
    pub keeping: Keeping,
    /// Who vouches for its certificate, and this process's own.
    pub tls: TlsFiles,
    /// How long things may take.
    pub limits: Limits,
}

/// Files for TLS (PEM), read when the engine is opened. None: the authorities that the system trusts, and no certificate
/// of this process's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who vouches for the server's certificate.
    pub ca: Option<PathBuf>,
    /// This process's own certificate.
    pub certificate: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// A keyspace in a server. Dropping it ends its task; closing it first finishes what is queued.
#[derive(Debug)]
pub struct Resp {
    reads: Lane,
    writes: Arc<Lane>,
    scripts: Arc<Scripts>,
    limits: Limits,
    requests: Mutex<Option<mpsc::Sender<Pending>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Resp {
    fn over(target: Target, dialect: Dialect) -> Self {
        let limits = target.limits();
        let target = Arc::new(target);
        let scripts = Arc::new(Scripts::of(dialect));
        let writes = Arc::new(Lane::new(target.clone()));
        let (requests, received) = mpsc::channel(BATCH_COMMITS);
        let committer = Committer { lane: writes.clone(), scripts: scripts.clone(), requests: received };
        let mut tasks = JoinSet::new();
        tasks.spawn(committer.run());

        Self {
            reads: Lane::new(target),
            writes,
            scripts,
            limits,
            requests: Mutex::new(Some(requests)),
            tasks: Mutex::new(tasks),
        }
    }

    /// Finishes what is queued; later commits are `Unavailable`.
    pub async fn close(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));

        if timeout(self.limits.call, tasks.join_all()).await.is_err() {
            tracing::warn!("the last commits were not answered in time");
        }
    }

    /// Tells `readiness` whether the server answers and takes writes, until the shutdown begins. It also finds out that a
    /// connection has broken before a commit does.
    pub fn report_to(
        self: &Arc<Self>,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let engine = Arc::clone(self);
        async move {
            loop {
                match timeout(engine.limits.call, engine.check()).await {
                    Ok(Ok(())) => readiness.up(ENGINE),
                    _ => readiness.down(ENGINE),
                }

                if timeout(CHECK_INTERVAL, shutdown.stopping()).await.is_ok() {
                    return;
                }
            }
        }
    }

    /// Whether the server answers and takes writes.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn check(&self) -> Result<(), Error> {
        let (reads, writes) = tokio::join!(self.reads.check(), self.writes.check());
        reads.and(writes).map_err(|fault| port_error(&fault, "looking at the engine"))
    }

    async fn ask(&self, attempted: &'static str, command: &Cmd) -> Result<Value, Error> {
        self.within_limit(attempted, self.asked(command)).await
    }

    /// Runs a script that reads, named by its digest, and by its text where the server does not know it.
    async fn run(
        &self,
        attempted: &'static str,
        script: &Script,
        arguments: impl Fn(&mut Cmd) + Send + Sync,
    ) -> Result<Value, Error> {
        let command = |named| {
            let mut command = script.run(named);
            arguments(&mut command);
            command
        };
        let asked = async {
            match self.asked(&command(Named::Digest)).await {
                Err(Fault::Refused(error)) if is_unknown_script(&error) => {
                    self.asked(&command(Named::Text)).await
                }
                answer => answer,
            }
        };
        self.within_limit(attempted, asked).await
    }

    /// Reads may be asked twice: the first time finds out that the server has been restarted.
    async fn asked(&self, command: &Cmd) -> Result<Value, Fault> {
        match self.reads.ask(command).await {
            Err(Fault::Broken(_)) => self.reads.ask(command).await,
            answer => answer,
        }
    }

    async fn within_limit(
        &self,
        attempted: &'static str,
        asked: impl Future<Output = Result<Value, Fault>> + Send,
    ) -> Result<Value, Error> {
        let limit = self.limits.call;
        let answer = timeout(limit, asked).await.unwrap_or(Err(Fault::Late { limit }));
        answer.map_err(|fault| port_error(&fault, attempted))
    }

    /// Commits on this server, to which the keys belong if it is one of a cluster.
    async fn commit_with(
        &self,
        commit: Commit,
        keys: Arc<[Key]>,
        asking: Asking,
    ) -> Result<(), NotCommitted> {
        let unavailable = || Error::Unavailable { attempted: COMMITTING };
        let requests = self.queue().ok_or_else(unavailable)?;
        let (answer, answered) = oneshot::channel();
        let outcome = async {
            let pending = Pending { commit, keys, asking, answer };
            requests.send(pending).await.map_err(|_| unavailable())?;
            answered.await.map_err(|_| unavailable())?
        };
        timeout(self.limits.call, outcome).await.map_err(|_| unavailable())?
    }

    fn queue(&self) -> Option<mpsc::Sender<Pending>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn last_members(
        &self,
        key: &Key,
        members: &MemberRange,
        limit: usize,
    ) -> Result<Vec<Bytes>, Error> {
        const ATTEMPTED: &str = "reading members";
        let (key, lower, upper) = (wire::text(key), wire::lower(members), wire::upper(members));
        if self.scripts.dialect == Dialect::Ledis {
            let answer = self.run(ATTEMPTED, &self.scripts.backward, |command| {
                command.arg(key).arg(&lower[..]).arg(&upper[..]).arg(limit);
            });
            let mut page = wire::members(wire::body(answer.await?)?)?;
            page.reverse();
            return Ok(page);
        }

        let mut command = redis::cmd("ZREVRANGEBYLEX");
        command.arg(key).arg(upper).arg(lower).arg("LIMIT").arg(0).arg(limit);
        wire::members(self.ask(ATTEMPTED, &command).await?)
    }
}

#[async_trait]
impl Keyspace for Resp {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        key.check()?;
        let mut command = redis::cmd("GET");
        command.arg(wire::text(key));

        wire::value(self.ask("reading a value", &command).await?)
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        check_fields(fields)?;
        let Some((first, _)) = fields.first() else { return Ok(Vec::new()) };

        let attempted = "reading fields";
        let values = if fields.iter().all(|(key, _)| key == first) {
            let mut command = redis::cmd("HMGET");
            command.arg(wire::text(first));
            for (_, field) in fields {
                command.arg(wire::name(field));
            }
            wire::values(self.ask(attempted, &command).await?)?
        } else {
            let answer = self.run(attempted, &self.scripts.fields, |command| {
                for (key, field) in fields {
                    command.arg(wire::text(key)).arg(wire::name(field));
                }
            });
            wire::values(wire::body(answer.await?)?)?
        };
        asked_for(values, fields.len())
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        check_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.run("reading records", &self.scripts.records, |command| {
            command.arg(READ_LIMIT);
            for key in keys {
                command.arg(wire::text(key));
            }
        });
        wire::records(wire::body(answer.await?)?, keys.len())
    }

    async fn fields(
        &self,
        key: &Key,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        check_range(key, limit)?;
        match self.record(key).await {
            Ok(record) => Ok(record.unwrap_or_default().page(after, limit)),
            Err(Error::Limit { .. }) => self.page_of_many(key, after, limit).await,
            Err(error) => Err(error),
        }
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        check_range(key, limit)?;
        if limit == 0 || members.is_empty() {
            return Ok(Vec::new());
        }
        if direction == Direction::Backward {
            return self.last_members(key, &members, limit).await;
        }

        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(wire::text(key)).arg(wire::lower(&members)).arg(wire::upper(&members));
        command.arg("LIMIT").arg(0).arg(limit);
        wire::members(self.ask("reading members", &command).await?)
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        follow.check()?;
        let answer = self.run("following a pointer", &self.scripts.follow, |command| {
            for (key, field) in [&follow.guard, &follow.pointer] {
                command.arg(wire::text(key)).arg(wire::name(field));
            }
            command.arg(wire::text(&follow.prefix));
        });
        let followed = wire::followed(answer.await?, follow)?;
        followed.record.iter().try_for_each(check_whole)?;

        Ok(followed)
    }

    fn is_replicated(&self) -> bool {
        self.writes.target().replicated()
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        check_commit(&commit)?;
        match self.commit_with(commit, Arc::default(), Asking::No).await {
            Ok(()) => Ok(()),
            Err(NotCommitted::Port(error)) => Err(error),
            Err(NotCommitted::Elsewhere(_)) => Err(Error::Unavailable { attempted: COMMITTING }.into()),
        }
    }
}

fn check_commit(commit: &Commit) -> Result<(), Error> {
    commit.check()?;
    at_most("a commit", commit.conditions.len() + commit.mutations.len(), COMMIT_LIMIT)
}

fn asked_for(values: Vec<Option<Bytes>>, asked: usize) -> Result<Vec<Option<Bytes>>, Error> {
    if values.len() == asked {
        return Ok(values);
    }
    Err(Error::Damaged { what: format!("the metadata engine answers {} of {asked} fields", values.len()) })
}

fn check_whole(record: &Record) -> Result<(), Error> {
    at_most(wire::FIELDS, record.len(), READ_LIMIT)
}
