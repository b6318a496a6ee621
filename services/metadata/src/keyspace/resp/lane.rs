//! One connection that many callers use at once, made when it is needed and again after it broke.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{Cmd, Pipeline, Value, aio::MultiplexedConnection};
use tokio::sync::Semaphore;

use super::{
    fault::{Fault, answered, is_elsewhere},
    target::Target,
};

/// A connection to the target, and who may make it.
#[derive(Debug)]
pub(super) struct Lane {
    target: Arc<Target>,
    slot: Mutex<Slot>,
    connecting: Semaphore,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that only the one that broke is given up.
    generation: u64,
    /// Counts attempts that failed.
    failed: u64,
}

/// A connection, for one question.
struct Lease {
    connection: MultiplexedConnection,
    generation: u64,
}

impl Lane {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, slot: Mutex::default(), connecting: Semaphore::new(1) }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Asks one thing. The answer is none of the server's errors.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        let Lease { mut connection, generation } = self.lease().await?;
        let answer = connection.send_packed_command(command).await;

        self.kept(answer.map_err(|error| Fault::asking(error, self.target.limits().answer)), generation)
            .and_then(answered)
            .inspect_err(|fault| self.weigh(fault, generation))
    }

    /// Asks many things at once. Among the answers may be errors of the server.
    pub(super) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        let Lease { mut connection, generation } = self.lease().await?;
        let answers = connection.send_packed_commands(commands, 0, commands.len()).await;
        let answers = answers.map_err(|error| Fault::asking(error, self.target.limits().answer));

        let answers = self.kept(answers, generation)?;
        for answer in &answers {
            if let Value::ServerError(error) = answer
                && is_elsewhere(error)
            {
                self.give_up(generation);
            }
        }
        Ok(answers)
    }

    /// The connection itself, for questions that only one process of the server can answer together.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, Fault> {
        Ok(self.lease().await?.connection)
    }

    /// Whether the server is there and takes writes; a connection that is none any more is made again.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        let Lease { mut connection, generation } = self.lease().await?;

        self.target.look(&mut connection).await.inspect_err(|_| self.give_up(generation))
    }

    async fn lease(&self) -> Result<Lease, Fault> {
        let failed = match self.current() {
            Ok(lease) => return Ok(lease),
            Err(failed) => failed,
        };
        let _turn = self.connecting.acquire().await.map_err(|_| Fault::Away)?;
        match self.current() {
            Ok(lease) => return Ok(lease),
            // One attempt for all who waited meanwhile: each in turn would wait too long.
            Err(since) if since != failed => return Err(Fault::Away),
            Err(_) => {}
        }

        let connected = self.target.connect().await;
        let mut slot = self.slot();
        match connected {
            Ok(connection) => {
                slot.generation += 1;
                slot.connection = Some(connection.clone());
                Ok(Lease { connection, generation: slot.generation })
            }
            Err(fault) => {
                slot.failed += 1;
                Err(fault)
            }
        }
    }

    /// The connection, or how many attempts have failed.
    fn current(&self) -> Result<Lease, u64> {
        let slot = self.slot();
        match &slot.connection {
            Some(connection) => Ok(Lease { connection: connection.clone(), generation: slot.generation }),
            None => Err(slot.failed),
        }
    }

    fn kept<T>(&self, answer: Result<T, Fault>, generation: u64) -> Result<T, Fault> {
        // Nothing says whether a late connection is still one.
        answer.inspect_err(|_| self.give_up(generation))
    }

    fn weigh(&self, fault: &Fault, generation: u64) {
        if let Fault::Refused(error) = fault
            && is_elsewhere(error)
        {
            self.give_up(generation);
        }
    }

    fn give_up(&self, generation: u64) {
        let mut slot = self.slot();
        if slot.generation == generation {
            slot.connection = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
