//! Sends commits: those that wait go together, and together they wait for a replica. A commit is sent once. Whether one
//! was applied whose answer is lost nobody knows, and to send it again could apply it twice.

use std::sync::Arc;

use redis::{Pipeline, Value};
use tokio::sync::{mpsc, oneshot};

use super::{
    fault::{Fault, Redirect, is_unknown_script, port_error, refusal},
    lane::Lane,
    script::{Named, Scripts},
    wire,
};
use crate::keyspace::{Commit, CommitError, Durability, Error, Key};

/// Most commits sent together, and most of them that wait to be.
pub(super) const BATCH_COMMITS: usize = 256;
/// Commits of more bytes than this are not sent together.
const BATCH_BYTES: usize = 16 * 1_024 * 1_024;

const COMMITTING: &str = "committing";

/// Why a commit was not acknowledged.
#[derive(Debug)]
pub(super) enum NotCommitted {
    /// As the port has it.
    Port(CommitError),
    /// Not here, in a cluster. Nothing was done.
    Elsewhere(Redirect),
}

impl From<CommitError> for NotCommitted {
    fn from(error: CommitError) -> Self {
        Self::Port(error)
    }
}

impl From<Error> for NotCommitted {
    fn from(error: Error) -> Self {
        Self::Port(error.into())
    }
}

/// Whether a server that is about to get a slot takes its commits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    No,
    Yes,
}

/// A commit and who waits for its outcome.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    /// The keys that it uses, in a cluster.
    pub(super) keys: Arc<[Key]>,
    pub(super) asking: Asking,
    pub(super) answer: oneshot::Sender<Result<(), NotCommitted>>,
}

impl Pending {
    fn answer(self, outcome: Result<(), NotCommitted>) {
        // Whoever asked may have gone.
        let _ = self.answer.send(outcome);
    }
}

/// Whether a replica has what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replicated {
    Enough,
    TooLittle,
}

/// The one who sends commits.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) lane: Arc<Lane>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) requests: mpsc::Receiver<Pending>,
}

impl Committer {
    /// Sends what comes, until nobody can ask any more.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let mut size_bytes = first.commit.size_bytes();
            let mut batch = vec![first];
            while batch.len() < BATCH_COMMITS && size_bytes < BATCH_BYTES {
                let Ok(next) = self.requests.try_recv() else { break };
                size_bytes = size_bytes.saturating_add(next.commit.size_bytes());
                batch.push(next);
            }
            // Whoever has gone was told that the outcome is unknown.
            batch.retain(|pending| !pending.answer.is_closed());

            self.write(batch).await;
        }
    }

    async fn write(&self, batch: Vec<Pending>) {
        if batch.is_empty() {
            return;
        }
        let unknown = self.attempt(batch, Named::Digest).await;
        if unknown.is_empty() {
            return;
        }

        // The server has not run what it does not know, so that this is no second time.
        for pending in self.attempt(unknown, Named::Text).await {
            pending.answer(Err(Error::Unavailable { attempted: COMMITTING }.into()));
        }
    }

    /// Sends commits and answers them, but for those whose script the server does not know.
    async fn attempt(&self, batch: Vec<Pending>, named: Named) -> Vec<Pending> {
        let synced = batch.iter().any(|pending| pending.commit.durability == Durability::Synced);
        let waits = synced && self.lane.target().replicated();
        let mut pipeline = self.pipeline(&batch, named);
        if waits {
            self.wait_for_a_replica(&mut pipeline);
        }
        let mut answers = match self.lane.ask_all(&pipeline).await {
            Ok(answers) => answers,
            Err(fault) => {
                let error = port_error(&fault, COMMITTING);
                for pending in batch {
                    pending.answer(Err(error.clone().into()));
                }
                return Vec::new();
            }
        };

        let replicated = if waits { reached(answers.pop()) } else { Replicated::Enough };
        let mut unknown = Vec::new();
        let mut answers = answers.into_iter();
        for pending in batch {
            if pending.asking == Asking::Yes {
                let _ok = answers.next();
            }
            match answers.next().unwrap_or_default() {
                Value::ServerError(error) if named == Named::Digest && is_unknown_script(&error) => {
                    unknown.push(pending);
                }
                answer => {
                    let outcome = outcome(&answer, &pending.commit, replicated);
                    pending.answer(outcome);
                }
            }
        }
        unknown
    }

    fn pipeline(&self, batch: &[Pending], named: Named) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        for pending in batch {
            if pending.asking == Asking::Yes {
                pipeline.cmd("ASKING");
            }
            let mut command = self.scripts.commit.run_on(named, &pending.keys);
            wire::write_commit(&pending.commit, &mut command);
            pipeline.add_command(command);
        }
        pipeline
    }

    fn wait_for_a_replica(&self, pipeline: &mut Pipeline) {
        let limit_ms = self.lane.target().limits().replica.as_millis();
        let limit_ms = u64::try_from(limit_ms).unwrap_or(u64::MAX);
        pipeline.cmd("WAIT").arg(1).arg(limit_ms);
    }
}

fn outcome(answer: &Value, commit: &Commit, replicated: Replicated) -> Result<(), NotCommitted> {
    if let Value::ServerError(error) = answer {
        return Err(match Redirect::of(error) {
            Some(redirect) => NotCommitted::Elsewhere(redirect),
            None => refusal(error, COMMITTING).into(),
        });
    }
    wire::outcome(answer, commit)?;

    if replicated == Replicated::TooLittle && commit.durability == Durability::Synced {
        return Err(Error::Unavailable { attempted: "waiting for a replica to have a commit" }.into());
    }
    Ok(())
}

/// What the server answers to WAIT.
fn reached(answer: Option<Value>) -> Replicated {
    match answer {
        Some(Value::Int(1..)) => Replicated::Enough,
        Some(Value::ServerError(error)) => {
            tracing::warn!(fault = %Fault::Refused(error), "the metadata engine does not wait for replicas");
            Replicated::TooLittle
        }
        _ => {
            tracing::warn!("no replica of the metadata engine had the last commits in time");
            Replicated::TooLittle
        }
    }
}
