//! `bucket config`: whether a file is the configuration of a program. It is read as that program reads it, with the
//! environment, and no hub is asked.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use service_kit::config::{ConfigError, Prefix, environment, load};

use super::OperatorError;
use crate::config::Settings;

/// What may be done with configurations.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reads a file as the program that it is for, and says what is wrong with it
    Check(Check),
}

/// Which file, and for what.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file (TOML)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The program that it is for
    #[arg(long = "for", value_name = "PROGRAM", default_value = "bucket")]
    program: Program,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    Bucket,
    RegistryApi,
    Auth,
    Metadata,
    Blob,
    Ui,
}

impl Command {
    pub(super) fn run(&self, out: &mut (dyn io::Write + Send)) -> Result<(), OperatorError> {
        let Self::Check(Check { file, program }) = self;
        match program {
            Program::Bucket => read::<Settings>(file),
            Program::RegistryApi => read::<registry_api::config::Settings>(file),
            Program::Auth => read::<auth::config::Settings>(file),
            Program::Metadata => read::<metadata::config::Settings>(file),
            Program::Blob => read::<blob::config::Settings>(file),
            Program::Ui => read::<ui::config::Settings>(file),
        }?;
        Ok(writeln!(out, "{} can be used", file.display())?)
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<(), ConfigError> {
    load::<T>(Prefix::default(), Some(file), environment()).map(drop)
}
