//! `bucket metadata load`: a dump into an engine that is empty. No hub runs on it meanwhile, and none starts on a part.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use metadata::{
    backup::{self, Attempt, Count, LoadError, Stage},
    config::{EngineConfig, EngineUrl},
    engine::{Engine, OpenError},
    keyspace::resp::UrlError,
};
use secrecy::SecretString;
use service_kit::config::ConfigError;

use super::{OperatorError, backups::Progress};
use crate::config::Settings;

/// Blocks have about so many bytes.
const BLOCK_BYTES: u64 = 256 * 1_024;

/// The arguments.
#[derive(Debug, Args)]
pub struct Load {
    /// The dump
    file: PathBuf,
    /// Where the embedded engine keeps its file: `metadata` in the data directory of a hub, or what `[metadata] directory`
    /// says; made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["metadata", "volatile"])]
    metadata_directory: Option<PathBuf>,
    /// The server that keeps metadata instead: redis://, rediss://, redis+sentinel:// or ledis://, as `bucket serve` takes
    /// it [default: what `[metadata] url` says in the configuration or the environment]
    // A secret, because it may hold a password, and what is not understood would be repeated.
    #[arg(long, value_name = "URL")]
    metadata: Option<SecretString>,
    /// Also into a server that keeps nothing on disk
    #[arg(long)]
    volatile: bool,
    /// The configuration file of the hub (TOML), for what `[metadata]` says of a server
    #[arg(long, value_name = "FILE", env = "BUCKET_CONFIG")]
    config: Option<PathBuf>,
    /// Goes on with a loading of the same dump that was interrupted; nobody else may load it now
    #[arg(long)]
    resume: bool,
}

/// Why a dump was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadingError {
    /// The file cannot be opened.
    #[error("opening {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL names no engine.
    #[error("--metadata")]
    Url(#[from] UrlError),
    /// Neither a directory nor a server.
    #[error(
        "say where to load it: --metadata-directory DIR for the embedded engine, or --metadata URL for a server"
    )]
    Nowhere,
    /// The engine cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The dump cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Load {
    pub(super) async fn run(&self, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        let mut progress = Progress::new();
        let (loaded, place) = self.loaded(&mut progress).await?;

        progress.end("the dump is loaded, and compared with what is there now");
        let entries = loaded.trailer.counts.entries();
        writeln!(out, "{entries} entries of dump {} are in {place}", loaded.header.id)?;
        writeln!(out, "The hub needs the secrets that it had before, too: without them nobody can log in.")?;
        Ok(())
    }

    /// What was loaded, and into what.
    async fn loaded(&self, progress: &mut Progress) -> Result<(backup::Loaded, String), LoadingError> {
        let file = File::open(&self.file);
        let mut file = file.map_err(|error| LoadingError::File { file: self.file.clone(), error })?;
        let place = self.place()?;
        let engine = Engine::named_by(&place).await?.ok_or(LoadingError::Nowhere)?;
        let attempt = if self.resume { Attempt::Again } else { Attempt::First };

        let mut said = |count: Count| {
            let doing = match count.stage {
                Stage::Reading => "read",
                Stage::Writing => "written",
                Stage::Verifying => "verified",
            };
            progress.say(doing, count.blocks * BLOCK_BYTES);
        };
        let loaded = backup::load(&mut file, engine.keyspace().as_ref(), attempt, &mut said).await;
        engine.close().await;
        let place = place.url.map(|url| url.to_string()).unwrap_or_default();
        Ok((loaded?, place))
    }

    /// The engine that the arguments name, or else the configuration.
    fn place(&self) -> Result<EngineConfig, LoadingError> {
        if let Some(directory) = self.metadata_directory.clone() {
            return Ok(EngineConfig { url: Some(EngineUrl::Embedded(directory)), ..EngineConfig::default() });
        }

        let said = Settings::load(self.config.as_deref())?.metadata;
        let url = self.metadata.clone().map(EngineUrl::try_from).transpose()?;
        Ok(EngineConfig { url: url.or(said.url), volatile: said.volatile || self.volatile, tls: said.tls })
    }
}
