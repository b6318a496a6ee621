//! Loading a dump into an engine that is empty and that no service uses. The file is read whole before anything is
//! written; the engine says that it is being loaded until all is there and was verified, and no service starts on it.

use std::io::{self, Read, Seek};

use super::{
    Checked, digested,
    format::{Consistency, Entry, FormatError, Header, Part, Reader, Trailer},
    verify,
};
use crate::{
    keys::{self, field},
    keyspace::{Commit, CommitError, Condition, Direction, Error, Keyspace, MemberRange, Mutation},
    schema,
};

/// How much of a file is read at once (bytes).
const PIECE_BYTES: usize = 256 * 1_024;

/// Whether a loading goes on that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The engine must be empty.
    First,
    /// The same dump may be there in part; nobody else loads it now.
    Again,
}

/// What a loading does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It reads the dump.
    Reading,
    /// It writes.
    Writing,
    /// It compares what is there with the dump.
    Verifying,
}

/// How far a loading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// In this stage.
    pub stage: Stage,
    /// So many blocks.
    pub blocks: u64,
}

/// What was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// What it is.
    pub header: Header,
    /// How much it is.
    pub trailer: Trailer,
}

/// Why a dump is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("reading the dump: {0}")]
    File(#[from] io::Error),
    /// It is no dump, or not as it was written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A later release wrote it.
    #[error(
        "the dump has schema version {found}, this release knows versions up to {}: use a later release",
        schema::VERSION
    )]
    NewerSchema {
        /// What it says.
        found: u32,
    },
    /// It would be mixed with what is there.
    #[error("there is metadata already: load into an engine that is empty")]
    NotEmpty,
    /// Another loading has begun.
    #[error(
        "the dump {dump} is being loaded there, or that was interrupted: if nobody loads it now, repeat that with --resume"
    )]
    Begun {
        /// Its id.
        dump: String,
    },
    /// The file is another one than it was a moment ago.
    #[error(
        "the file has changed while it was loaded: repeat with a file that stays as it is, and with --resume"
    )]
    Changed,
    /// What was written is not what is there.
    #[error(
        "what was loaded is not what the dump holds ({what}): something else writes there, or the dump holds what no hub has; empty the engine and load again"
    )]
    Differs {
        /// What differs.
        what: String,
    },
    /// The engine did not answer.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// Loads the dump in `file` into `keyspace`, and says on the way how far it is.
///
/// # Errors
/// Nothing was written: `File`, `Format`, `NewerSchema`, `NotEmpty`, `Begun`. The engine is not used before the loading
/// was repeated: `Changed`, `Differs`, `Engine`.
pub async fn load(
    file: &mut (impl Read + Seek + Send),
    keyspace: &dyn Keyspace,
    attempt: Attempt,
    progress: &mut (dyn FnMut(Count) + Send),
) -> Result<Loaded, LoadError> {
    let (header, trailer) = read(file, progress)?;
    if header.schema > schema::VERSION {
        return Err(LoadError::NewerSchema { found: header.schema });
    }
    claim(&header, keyspace, attempt).await?;

    let mut dump = Blocks::of(file)?;
    let mut blocks = 0;
    while let Some(entries) = dump.next_block()? {
        let written = entries.iter().map(Entry::written);
        committed(keyspace, Commit::synced().then_all(written)).await?;
        blocks += 1;
        progress(Count { stage: Stage::Writing, blocks });
    }
    if dump.trailer != Some(trailer) {
        return Err(LoadError::Changed);
    }

    // An earlier release has perhaps walked in another order.
    if header.consistency == Consistency::OneMoment && header.schema == schema::VERSION {
        verify_whole(&header, &trailer, keyspace, progress).await?;
    } else {
        verify_each(file, keyspace, progress).await?;
    }
    let loaded = Commit::synced().then(Mutation::RemoveField(keys::SCHEMA, field::LOADING));
    committed(keyspace, loaded).await?;
    Ok(Loaded { header, trailer })
}

fn read(
    file: &mut (impl Read + Seek),
    progress: &mut (dyn FnMut(Count) + Send),
) -> Result<(Header, Trailer), LoadError> {
    file.rewind()?;
    let (mut checked, mut piece, mut pieces) = (Checked::default(), vec![0; PIECE_BYTES], 0);
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(checked.end()?);
        }
        checked.feed(&piece[..length])?;
        pieces += 1;
        progress(Count { stage: Stage::Reading, blocks: pieces });
    }
}

/// Says that the engine is being loaded, which nobody else does and no service has done before.
async fn claim(header: &Header, keyspace: &dyn Keyspace, attempt: Attempt) -> Result<(), LoadError> {
    let dump = header.id.to_string();
    let record = keyspace.record(&keys::SCHEMA).await?.unwrap_or_default();
    match record.text(field::LOADING) {
        Some(begun) if attempt == Attempt::Again && begun == dump => return Ok(()),
        Some(begun) => return Err(LoadError::Begun { dump: begun.to_owned() }),
        None if !record.is_empty() => return Err(LoadError::NotEmpty),
        None => {}
    }
    for list in [keys::USERS, keys::ORGANIZATIONS, keys::REPOSITORIES] {
        if !keyspace.range(&list, MemberRange::all(), 1, Direction::Forward).await?.is_empty() {
            return Err(LoadError::NotEmpty);
        }
    }

    let commit = Commit::synced().when(Condition::RecordAbsent(keys::SCHEMA)).then(Mutation::SetField(
        keys::SCHEMA,
        field::LOADING,
        dump.into(),
    ));
    match keyspace.commit(commit).await {
        Ok(()) => Ok(()),
        Err(CommitError::Conflict { .. }) => Err(LoadError::NotEmpty),
        Err(CommitError::Engine(error)) => Err(error.into()),
    }
}

async fn committed(keyspace: &dyn Keyspace, commit: Commit) -> Result<(), LoadError> {
    match keyspace.commit(commit).await {
        Ok(()) => Ok(()),
        Err(CommitError::Engine(error)) => Err(error.into()),
        Err(conflict @ CommitError::Conflict { .. }) => {
            Err(LoadError::Differs { what: conflict.to_string() })
        }
    }
}

/// A dump of what is there now would be the same, to the last byte.
async fn verify_whole(
    header: &Header,
    expected: &Trailer,
    keyspace: &dyn Keyspace,
    progress: &mut (dyn FnMut(Count) + Send),
) -> Result<(), LoadError> {
    progress(Count { stage: Stage::Verifying, blocks: 0 });
    let found = digested(header, keyspace).await?;
    progress(Count { stage: Stage::Verifying, blocks: found.counts.blocks });
    if found == *expected {
        return Ok(());
    }
    let (found, expected) = (found.counts.entries(), expected.counts.entries());
    Err(LoadError::Differs { what: format!("{found} entries are found there, {expected} are in the dump") })
}

/// Everything is there. More cannot be said of a dump that says some things twice, as they were at two times.
async fn verify_each(
    file: &mut (impl Read + Seek + Send),
    keyspace: &dyn Keyspace,
    progress: &mut (dyn FnMut(Count) + Send),
) -> Result<(), LoadError> {
    let mut dump = Blocks::of(file)?;
    let mut blocks = 0;
    while let Some(entries) = dump.next_block()? {
        if let Some(missing) = verify::missing(&entries, keyspace).await? {
            return Err(LoadError::Differs { what: format!("{missing} is missing") });
        }
        blocks += 1;
        progress(Count { stage: Stage::Verifying, blocks });
    }
    Ok(())
}

/// A dump in a file, read from its beginning.
struct Blocks<'f, F> {
    file: &'f mut F,
    reader: Reader,
    piece: Vec<u8>,
    trailer: Option<Trailer>,
}

impl<'f, F: Read + Seek> Blocks<'f, F> {
    fn of(file: &'f mut F) -> Result<Self, LoadError> {
        file.rewind()?;
        Ok(Self { file, reader: Reader::default(), piece: vec![0; PIECE_BYTES], trailer: None })
    }

    /// The next entries; none at the end.
    fn next_block(&mut self) -> Result<Option<Vec<Entry>>, LoadError> {
        loop {
            match self.reader.part()? {
                Some(Part::Block(block)) => return Ok(Some(block.0)),
                Some(Part::Trailer(trailer)) => self.trailer = Some(trailer),
                Some(Part::Header(_)) => {}
                None => {
                    let length = self.file.read(&mut self.piece)?;
                    if length == 0 {
                        self.reader.end()?;
                        return Ok(None);
                    }
                    self.reader.feed(&self.piece[..length]);
                }
            }
        }
    }
}
