//! The database file: made whole or not at all, locked for one process, reopened after it failed.
//! It does not know what is kept in it.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, ReadableDatabase};

use super::{
    OpenError, Options,
    journal::Journal,
    tables::{FIELDS, Failure, MEMBERS, VALUES, Writing},
};
use crate::keyspace::Error;

/// The place of a database, held against other processes while this lives.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    directory: PathBuf,
    cache_bytes: usize,
    // redb's own lock is let go while a failed database is reopened; this one is not.
    _lock: File,
}

impl Place {
    /// Makes the directory if need be, and locks it.
    pub(super) fn take(options: &Options) -> Result<Self, OpenError> {
        let directory = options.directory.clone();
        let lock = lock(&directory).map_err(|source| match source {
            TryLockError::WouldBlock => OpenError::InUse { directory: directory.clone() },
            TryLockError::Error(source) => OpenError::Directory { directory: directory.clone(), source },
        })?;

        Ok(Self {
            path: directory.join("metadata.redb"),
            directory,
            cache_bytes: options.cache_bytes,
            _lock: lock,
        })
    }

    /// Opens the database, and makes it the first time.
    pub(super) fn open_or_create(&self) -> Result<Database, OpenError> {
        let database = |source: Failure| self.database_error(source);
        if !self.path.try_exists().map_err(|source| self.directory_error(source))? {
            self.create().map_err(database)?;
            sync_directories(&self.directory).map_err(|source| self.directory_error(source))?;
        }

        self.open().map_err(database)
    }

    /// Opens the database, which must be there: an empty one in its stead would hide a loss.
    pub(super) fn open(&self) -> Result<Database, Failure> {
        let database = Builder::new().set_cache_size(self.cache_bytes).open(&self.path)?;
        let transaction = database.begin_read()?;
        transaction.open_table(VALUES)?;
        transaction.open_table(FIELDS)?;
        transaction.open_table(MEMBERS)?;
        transaction.close()?;

        Ok(database)
    }

    /// Opens the journal of `database`, and brings into that what was not synced.
    pub(super) fn journal(&self, database: &Database) -> Result<Journal, OpenError> {
        let mut journal = Journal::open(&self.directory).map_err(|source| self.directory_error(source))?;
        journal.recover(database).map_err(|source| self.database_error(source))?;
        Ok(journal)
    }

    /// How many bytes the file system has left for this process.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let statistics = rustix::fs::statvfs(&self.directory)?;

        Ok(statistics.f_bavail.saturating_mul(statistics.f_frsize))
    }

    // Made under another name first: a process killed half-way leaves no file that is not a database.
    fn create(&self) -> Result<(), Failure> {
        let unfinished = self.path.with_extension("new");
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?,
        };
        let database = Builder::new().create(&unfinished)?;
        let transaction = database.begin_write()?;
        Writing::open(&transaction)?;
        transaction.commit()?;
        database.close()?;

        Ok(std::fs::rename(&unfinished, &self.path)?)
    }

    fn database_error(&self, source: Failure) -> OpenError {
        OpenError::Database { path: self.path.clone(), source: Box::new(source) }
    }

    fn directory_error(&self, source: io::Error) -> OpenError {
        OpenError::Directory { directory: self.directory.clone(), source }
    }
}

/// What a failure of redb means to the caller of the port; the details go to the log.
pub(super) fn port_error(failure: &Failure, attempted: &'static str) -> Error {
    tracing::error!(%failure, "embedded metadata engine failed while {attempted}");

    match failure {
        Failure::Io(error) if is_no_space(error) => Error::NoSpace { attempted },
        Failure::Corrupted(what) => Error::Damaged { what: what.clone() },
        _ => Error::Unavailable { attempted },
    }
}

/// Whether redb now refuses everything until the file is reopened.
pub(super) fn is_latched(failure: &Failure) -> bool {
    // Damage stays where it is: reopening for each read of it would only disturb all others.
    !matches!(failure, Failure::Corrupted(_))
}

fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn lock(directory: &Path) -> Result<File, TryLockError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let path = directory.join("metadata.lock");
    let opened = made
        .and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path));
    let file = opened.map_err(TryLockError::Error)?;
    file.try_lock()?;

    Ok(file)
}

/// Makes the file's name survive the loss of power, and the directory's own if it is new.
fn sync_directories(directory: &Path) -> io::Result<()> {
    let directory = directory.canonicalize()?;
    File::open(&directory)?.sync_all()?;

    directory.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
