//! `bucket metadata dump`: a dump to standard output, or to a file that is there when it is whole and on the disk. It is
//! checked on its way.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use futures_util::StreamExt as _;
use metadata::backup::{Checked, Consistency, FormatError, Header, Trailer};
use proto::metadata::{Actor, Backup as _, quotas::Size};

use super::{Operator, OperatorError, Which, backups::Progress};

/// The arguments.
#[derive(Debug, Args)]
pub struct Dump {
    /// A file that is not there yet, for its owner's eyes alone [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) which: Which,
}

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// A terminal would show it.
    #[error("a dump is not for the eye: redirect standard output into a file, or name one with --output")]
    Terminal,
    /// It would be written over.
    #[error("{} is there already: name another file, or remove that one", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{attempted} {}: {error}", file.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The hub gave up.
    #[error("the hub has stopped before the end of the dump: see its log, and take another one")]
    Ended,
    /// What came is no dump.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// What was dumped.
struct Dumped {
    header: Header,
    trailer: Trailer,
    bytes: u64,
}

impl Dump {
    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        let mut progress = Progress::new();
        let dumped = match &self.output {
            Some(file) => into_file(operator, file, &mut progress).await?,
            None if io::stdout().is_terminal() => return Err(DumpError::Terminal.into()),
            None => taken(operator, out, &mut progress).await?,
        };

        progress.end(&summary(&dumped));
        Ok(())
    }
}

fn summary(dumped: &Dumped) -> String {
    let Dumped { header, trailer, bytes } = dumped;
    let of = match header.consistency {
        Consistency::OneMoment => format!("as of {}", header.taken),
        Consistency::InMotion => format!("taken from {} on, while the hub went on", header.taken),
    };
    format!("dump {}: {} entries, {}, {of}", header.id, trailer.counts.entries(), Size(*bytes))
}

async fn into_file(
    operator: &Operator,
    file: &Path,
    progress: &mut Progress,
) -> Result<Dumped, OperatorError> {
    let mut name = OsString::from(file);
    name.push(".partial");
    let partial = PathBuf::from(name);
    if file.try_exists().map_err(|error| failed("looking for", file, error))? {
        return Err(DumpError::Exists(file.to_owned()).into());
    }
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(&partial);
    let mut written = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => DumpError::Exists(partial.clone()),
        _ => failed("making", &partial, error),
    })?;

    let dumped = taken(operator, &mut written, progress).await;
    if dumped.is_err() {
        // What was cut short is of no use to anybody.
        let _ = fs::remove_file(&partial);
    }
    let dumped = dumped?;
    kept(&written, &partial, file).map_err(|error| failed("keeping", file, error))?;
    Ok(dumped)
}

/// The file has its name, and survives the loss of power.
fn kept(written: &File, partial: &Path, file: &Path) -> io::Result<()> {
    written.sync_all()?;
    fs::rename(partial, file)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn failed(attempted: &'static str, file: &Path, error: io::Error) -> DumpError {
    DumpError::File { attempted, file: file.to_owned(), error }
}

async fn taken(
    operator: &Operator,
    to: &mut (dyn Write + Send),
    progress: &mut Progress,
) -> Result<Dumped, OperatorError> {
    let mut pieces = operator.backup.dump(&Actor::operator()).await?;
    let (mut checked, mut bytes) = (Checked::default(), 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| DumpError::Ended)?;
        checked.feed(&piece).map_err(DumpError::from)?;
        to.write_all(&piece)?;
        bytes += piece.len() as u64;
        progress.say("dumped", bytes);
    }
    to.flush()?;

    let (header, trailer) = checked.end().map_err(DumpError::from)?;
    Ok(Dumped { header, trailer, bytes })
}
