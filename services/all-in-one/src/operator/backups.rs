//! `bucket metadata`: whether what a hub keeps agrees, and all of it out of a running hub and into an engine where there is
//! none.

use std::io::{self, IsTerminal as _, Write};

use clap::Subcommand;
use proto::metadata::quotas::Size;

use super::{Operator, OperatorError, checking::Check, dumping::Dump, loading::Load};

/// What is done with all metadata.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Looks whether everything agrees, while the hub goes on; ends with 0 only if nothing is left that does not
    Check(Check),
    /// Takes a backup of all metadata of a running hub. It holds hashes of passwords and sealed keys: keep it as you keep
    /// the hub
    Dump(Dump),
    /// Fills an engine that is empty and that no hub uses, and compares it with the dump
    Load(Load),
}

impl Command {
    pub(super) async fn run(&self, out: &mut (dyn Write + Send)) -> Result<(), OperatorError> {
        match self {
            Self::Check(check) => check.run(&Operator::of(&check.which)?, out).await,
            Self::Dump(dump) => dump.run(&Operator::of(&dump.which)?, out).await,
            Self::Load(load) => load.run(out).await,
        }
    }
}

/// What is said meanwhile, to who looks on: standard output may be the dump.
#[derive(Debug)]
pub(super) struct Progress {
    watched: bool,
    said: u64,
}

/// It is said again after so many bytes.
const STEP_BYTES: u64 = 4 * 1_024 * 1_024;

impl Progress {
    pub(super) fn new() -> Self {
        Self { watched: io::stderr().is_terminal(), said: 0 }
    }

    /// How far it is.
    pub(super) fn say(&mut self, doing: &str, bytes: u64) {
        if self.watched && (bytes < self.said || bytes - self.said >= STEP_BYTES) {
            self.said = bytes;
            let _ = write!(io::stderr(), "\r{doing}: {:<12}", Size(bytes));
        }
    }

    /// What came of it.
    pub(super) fn end(&self, summary: &str) {
        let begin = if self.watched { "\r" } else { "" };
        let _ = writeln!(io::stderr(), "{begin}{summary}");
    }
}
