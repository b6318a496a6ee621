//! What every `main` does around its service: telemetry, probes, ports, and an end that lets requests finish.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use tokio::net::{TcpListener, UnixListener};

use crate::{
    admin, clock,
    config::{AdminConfig, GrpcServerConfig, TelemetryConfig},
    grpc::{Accounts, Described, Routes, Server, ServerError, ServerOptions, Tls},
    handoff::{self, Source},
    readiness::Readiness,
    reloaded::FileError,
    shutdown::{DEFAULT_DRAIN_LIMIT, Drained, Shutdown},
    telemetry::{self, Telemetry},
};

/// A process that runs. Its parts say through `readiness` what they wait for, and end with `shutdown`.
#[derive(Debug)]
pub struct Process {
    /// What is not ready yet.
    pub readiness: Readiness,
    /// The end, when it comes.
    pub shutdown: Shutdown,
    telemetry: Telemetry,
}

/// Why a process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A port is taken, or the address is not this machine's.
    #[error("cannot listen at {address}: {error}; is another process running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A socket cannot be made.
    #[error("cannot listen at {}: {error}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Logs, traces or metrics are configured wrongly.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// The gRPC port cannot be made.
    #[error(transparent)]
    Grpc(#[from] ServerError),
    /// The keys or certificates of a gRPC port cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Signals cannot be listened to.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

impl Process {
    /// Begins logging as `name`, and answers probes if that is configured. It is not ready before
    /// [`Process::until_signal`].
    ///
    /// # Errors
    /// `Telemetry`; `Listen`.
    pub async fn begin(
        name: &str,
        telemetry: &TelemetryConfig,
        admin: &AdminConfig,
    ) -> Result<Self, ProcessError> {
        let mut named = telemetry.clone();
        if named.service_name == TelemetryConfig::default().service_name {
            name.clone_into(&mut named.service_name);
        }
        let telemetry = telemetry::init(&named)?;
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        readiness.down("start");

        if let Some(address) = admin.listen {
            let listener = listen(address).await?;
            let router = admin::router(readiness.clone(), telemetry.clone(), &shutdown);
            let until = shutdown.clone();
            // It outlives what the shutdown waits for, so it is one of the shutdown's last tasks.
            shutdown.last().spawn(async move { admin::serve(listener, router, &until).await });
        }
        Ok(Self { readiness, shutdown, telemetry })
    }

    /// Serves `routes` at a gRPC port, with health and reflection. At the end it goes on for the port's delay.
    ///
    /// # Errors
    /// `Listen`; `File`.
    pub async fn serve_grpc(
        &self,
        routes: Routes,
        config: &GrpcServerConfig,
        described: Described,
    ) -> Result<(), ProcessError> {
        let listener = listen(config.listen).await?;
        self.shutdown.delay(config.drain_delay);
        let mut server = Server::new(routes, ServerOptions::from(config))
            .described_by(described)
            .ready_with(self.readiness.clone())
            .known_to(Accounts::open(config, clock::system()).await?);
        if let Some(tls) = &config.tls {
            server = server.over(Tls::open(tls).await?);
        }

        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(async move {
            if let Err(error) = server.serve(listener, &shutdown).await {
                tracing::error!(%error, "the gRPC port has failed");
                shutdown.begin();
            }
        });
        Ok(())
    }

    /// Serves what the edge hands off to a proxy, at a port of its own.
    ///
    /// # Errors
    /// `Listen`.
    pub async fn serve_handoff(
        &self,
        source: Arc<dyn Source>,
        address: SocketAddr,
    ) -> Result<(), ProcessError> {
        let listener = listen(address).await?;
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(async move { handoff::serve(listener, source, &shutdown).await });
        Ok(())
    }

    /// Serves `routes` at a Unix socket that only this user can reach. What an ended process has left there is
    /// replaced: the caller knows that no other one runs.
    ///
    /// # Errors
    /// `Socket`.
    pub fn serve_grpc_socket(
        &self,
        routes: Routes,
        path: &Path,
        options: ServerOptions,
        described: Described,
    ) -> Result<(), ProcessError> {
        let failed = |error| ProcessError::Socket { path: path.to_owned(), error };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let server = Server::new(routes, options).described_by(described);

        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(async move {
            if let Err(error) = server.serve_socket(listener, &shutdown).await {
                tracing::error!(%error, "the socket for operators has failed");
            }
        });
        Ok(())
    }

    /// Runs until a signal tells it to end and what is under way has finished.
    ///
    /// # Errors
    /// `Signals`.
    pub async fn until_signal(self) -> Result<(), ProcessError> {
        self.readiness.up("start");
        self.shutdown.spawn(say_ready(self.readiness.clone(), self.shutdown.clone()));

        let drained = self.shutdown.drain_on_signal(DEFAULT_DRAIN_LIMIT).await;
        match drained.map_err(ProcessError::Signals)? {
            Drained::Finished => tracing::info!("ended"),
            Drained::CutOff { tasks } => tracing::warn!(tasks, "ended although not all had finished"),
        }
        self.telemetry.shutdown().await;
        Ok(())
    }
}

/// A port to listen at.
///
/// # Errors
/// `Listen`, with the address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ProcessError> {
    TcpListener::bind(address).await.map_err(|error| ProcessError::Listen { address, error })
}

/// How `main` ends: an error is said on standard error, in one line for each cause, because logging may not have begun.
pub fn conclude(name: &str, ended: Result<(), impl std::error::Error>) -> ExitCode {
    let Err(error) = ended else {
        return ExitCode::SUCCESS;
    };

    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    // A transparent error says the same as its cause.
    causes.dedup();
    let _ = io::Write::write_all(&mut io::stderr(), format!("{name}: {}\n", causes.join(": ")).as_bytes());
    ExitCode::FAILURE
}

async fn say_ready(readiness: Readiness, shutdown: Shutdown) {
    let mut missing = readiness.watch();
    tokio::select! {
        Ok(_) = missing.wait_for(std::collections::BTreeSet::is_empty) => tracing::info!("ready"),
        () = shutdown.stopping() => {}
    }
}
