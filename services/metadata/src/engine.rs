//! The engine that the configuration names: a file of this process's own, a server, or a cluster of them.

use std::sync::Arc;

use service_kit::{random::Random, readiness::Readiness, shutdown::Shutdown};

use crate::{
    config::{Config, EngineConfig},
    keyspace::{
        Keyspace,
        embedded::{self, Embedded},
        resp::{
            self, Resp,
            cluster::{Cluster, Nodes},
        },
        sharded::Waits,
    },
};

/// An engine, open.
#[derive(Debug, Clone)]
pub enum Engine {
    /// One file, for one process.
    Embedded(Arc<Embedded>),
    /// A server, for any number of them.
    Resp(Arc<Resp>),
    /// Servers that share the keys, for any number of processes.
    Cluster(Arc<Cluster>),
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened.
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// The server cannot be used.
    #[error(transparent)]
    Resp(#[from] resp::OpenError),
}

impl Engine {
    /// Opens the engine that `config` names. By `random` a cluster tells commits apart.
    ///
    /// # Errors
    /// With what is wrong with it, and what helps.
    pub async fn open(config: &Config, random: Arc<dyn Random>) -> Result<Self, OpenError> {
        Ok(match &config.server {
            Some(cluster) if cluster.url.is_cluster() => {
                let nodes = Arc::new(Nodes::open(cluster).await?);
                Self::Cluster(Arc::new(Cluster::new(nodes, random, Waits::default())))
            }
            Some(server) => Self::Resp(Arc::new(Resp::open(server).await?)),
            None => Self::Embedded(Arc::new(Embedded::open(&config.engine())?)),
        })
    }

    /// Opens the engine that `place` names by itself; none if it names none.
    ///
    /// # Errors
    /// With what is wrong with it, and what helps.
    pub async fn named_by(place: &EngineConfig) -> Result<Option<Self>, OpenError> {
        if let Some(server) = place.server() {
            return Ok(Some(Self::Resp(Arc::new(Resp::open(&server).await?))));
        }
        let Some(directory) = place.directory() else { return Ok(None) };
        Ok(Some(Self::Embedded(Arc::new(Embedded::open(&embedded::Options::new(directory))?))))
    }

    /// The engine as the service uses it.
    pub fn keyspace(&self) -> Arc<dyn Keyspace> {
        match self {
            Self::Embedded(engine) => engine.clone(),
            Self::Resp(engine) => engine.clone(),
            Self::Cluster(engine) => engine.clone(),
        }
    }

    /// Tells `readiness` whether the engine can be used, until the shutdown begins. A file that was opened can.
    pub fn report_to(
        &self,
        readiness: Readiness,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let engine = self.clone();
        async move {
            match engine {
                Self::Embedded(_) => {}
                Self::Resp(engine) => engine.report_to(readiness, shutdown).await,
                Self::Cluster(engine) => engine.engine().report_to(readiness, shutdown).await,
            }
        }
    }

    /// Finishes what is queued; later calls are `Unavailable`.
    pub async fn close(&self) {
        match self {
            Self::Embedded(engine) => engine.close().await,
            Self::Resp(engine) => engine.close().await,
            Self::Cluster(engine) => engine.engine().close().await,
        }
    }
}
