//! The directory of a cache: one process's own, which finds its copies again when it starts.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::index::Index;
use crate::{
    layout::{self, ObjectName},
    store::disk::OpenError,
};

pub(super) struct Directory {
    path: PathBuf,
    /// Copies that were begun: no two have one file.
    begun: AtomicU64,
    /// Held as long as the process lives.
    _lock: File,
}

/// A copy that an earlier process has left.
struct Left {
    used: SystemTime,
    name: ObjectName,
    size_bytes: u64,
}

impl Directory {
    /// Makes the directory its own, adopts what is whole and removes what is not.
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<(Self, Index), OpenError> {
        let refused = |attempted| {
            let path = path.to_owned();
            move |cause| OpenError::Directory { path, attempted, cause }
        };
        fs::create_dir_all(path).map_err(refused("making the directory of the cache"))?;
        let lock = path.join(layout::CACHE_LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(lock);
        let lock = lock.map_err(refused("making a file in the directory of the cache"))?;
        let locked = lock.try_lock().map_err(io::Error::from);
        locked.map_err(refused("taking the directory of the cache, which another process may have"))?;

        let directory = Self { path: path.to_owned(), begun: AtomicU64::new(0), _lock: lock };
        let index = directory.adopt(max_bytes).map_err(refused("reading the directory of the cache"))?;
        Ok((directory, index))
    }

    fn adopt(&self, max_bytes: u64) -> io::Result<Index> {
        let mut left = self.left()?;
        left.sort_by_key(|left| left.used);

        let mut index = Index::new(max_bytes);
        for Left { name, size_bytes, .. } in left {
            match index.reserve(size_bytes) {
                Some(evicted) => {
                    self.remove_copies(&evicted);
                    index.keep(name, size_bytes);
                }
                None => self.remove_copies(&[name]),
            }
        }
        Ok(index)
    }

    /// What is whole. What was being fetched is removed, and what is not the cache's is left alone.
    fn left(&self) -> io::Result<Vec<Left>> {
        let mut left = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            if file.starts_with(layout::CACHE_PARTIAL) {
                fs::remove_file(entry.path())?;
            } else if let Some(name) = ObjectName::of_cached(file) {
                let found = entry.metadata()?;
                let used = found.accessed().or_else(|_| found.modified())?;
                left.push(Left { used, name, size_bytes: found.len() });
            }
        }
        Ok(left)
    }

    /// A copy, if it has the length that it should have.
    pub(super) fn open_copy(&self, name: &ObjectName, size_bytes: u64) -> io::Result<File> {
        let file = File::open(self.copy(name))?;
        if file.metadata()?.len() == size_bytes { Ok(file) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// A file for a copy that is being made, and where it is. Nobody else writes to it, also no one who makes the same
    /// copy.
    pub(super) fn begin_copy(&self, name: &ObjectName) -> io::Result<(File, PathBuf)> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let partial = self.path.join(format!("{}{number}+{}", layout::CACHE_PARTIAL, name.cached()));
        let file = File::options().read(true).write(true).create_new(true).open(&partial)?;
        Ok((file, partial))
    }

    /// What is in the file `partial` is the copy from now on.
    pub(super) fn end_copy(&self, partial: &Path, name: &ObjectName) -> io::Result<()> {
        fs::rename(partial, self.copy(name))
    }

    pub(super) fn remove_partial(partial: &Path) {
        remove(partial);
    }

    pub(super) fn remove_copies(&self, names: &[ObjectName]) {
        for name in names {
            remove(&self.copy(name));
        }
    }

    fn copy(&self, name: &ObjectName) -> PathBuf {
        self.path.join(name.cached())
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file of the cache stays until the next start");
        }
        _ => {}
    }
}
