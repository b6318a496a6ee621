//! What happens when a directory is opened as a store: it is filled with directories, tried out, and cleaned
//! of what a crash has left.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use oci::{Generation, StoreName};

use super::{DiskOptions, sync};
use crate::layout;

// A live upload writes to its file much more often: no body may stall for so long.
const ABANDONED: Duration = Duration::from_hours(24);

/// Why a directory cannot be a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something that a store needs does not work there.
    #[error("the blob store cannot use {}: {attempted}: {cause}", path.display())]
    Directory {
        /// The directory, or what is in it.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// It belongs to another store; its locators would name other bytes.
    #[error("{} is the blob store {found:?}, not {wanted:?}", path.display())]
    OtherStore {
        /// The directory.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// What it was to be.
        wanted: StoreName,
    },
    /// The process is ending.
    #[error("opening the blob store was interrupted")]
    Interrupted,
}

/// The files with which a directory is tried out, each time again.
#[derive(Debug)]
pub(super) struct Probe {
    // Whoever tries it out at the same time would remove the files.
    paths: Mutex<[PathBuf; 3]>,
}

impl Probe {
    pub(super) fn new(root: &Path, generation: &Generation) -> Self {
        Self { paths: Mutex::new(layout::self_check(generation).map(|name| root.join(name))) }
    }

    /// Does all that a store does to files, and removes them.
    pub(super) fn try_out(&self) -> io::Result<()> {
        self.stepwise().map_err(|(_, error)| error)
    }

    /// Puts `bytes` at `path`, whole, unless something is there.
    fn place(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let [written, _, _] = &*paths;

        write_synced(written, bytes)?;
        let linked = fs::hard_link(written, path);
        remove_if_there(written)?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    }

    fn stepwise(&self) -> Result<(), (&'static str, io::Error)> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let [written, renamed, linked] = &*paths;

        let done = (|| {
            write_synced(written, b"bucket").map_err(|error| ("writing a file", error))?;
            fs::rename(written, renamed).map_err(|error| ("renaming a file", error))?;
            fs::hard_link(renamed, linked).map_err(|error| ("making a hard link", error))
        })();
        let removed = paths.iter().try_for_each(|path| remove_if_there(path));
        done.and(removed.map_err(|error| ("removing a file", error)))
    }
}

/// Makes a store of the directory.
pub(super) fn prepare(options: &DiskOptions, probe: &Probe, now: Timestamp) -> Result<(), OpenError> {
    let root = &options.root;
    let refused = |attempted| move |cause| OpenError::Directory { path: root.clone(), attempted, cause };

    fs::create_dir_all(root).map_err(refused("making the directory"))?;
    make_directories(root).map_err(refused("making the directories in it"))?;
    probe.stepwise().map_err(|(attempted, cause)| refused(attempted)(cause))?;
    claim(root, probe, &options.name)?;
    remove_abandoned(root, now).map_err(refused("removing temporary files"))
}

fn make_directories(root: &Path) -> io::Result<()> {
    let mut parents = vec![root.to_owned()];
    for directory in layout::directories() {
        let path = root.join(directory);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let parent = path.parent().unwrap_or(root);
        if !parents.iter().any(|known| known == parent) {
            parents.push(parent.to_owned());
        }
    }

    // Also those that another process has just made and not yet synced.
    root.parent().into_iter().filter(|parent| !parent.as_os_str().is_empty()).try_for_each(sync)?;
    parents.iter().try_for_each(|parent| sync(parent))
}

/// Says in the directory which store it is, or finds that said.
fn claim(root: &Path, probe: &Probe, wanted: &StoreName) -> Result<(), OpenError> {
    let path = root.join(layout::MARKER);
    let refused = |attempted| {
        let path = path.clone();
        move |cause| OpenError::Directory { path, attempted, cause }
    };
    probe.place(&path, format!("{wanted}\n").as_bytes()).map_err(refused("saying which store it is"))?;
    sync(root).map_err(refused("syncing the directory"))?;

    let found = fs::read_to_string(&path).map_err(refused("reading which store it is"))?;
    match found.trim() {
        found if found == wanted.as_str() => Ok(()),
        found => Err(OpenError::OtherStore {
            path: root.to_owned(),
            found: found.to_owned(),
            wanted: wanted.clone(),
        }),
    }
}

/// Removes temporary files that nobody has written to for long. Younger ones may be another process's.
fn remove_abandoned(root: &Path, now: Timestamp) -> io::Result<()> {
    let now = SystemTime::from(now);
    for entry in fs::read_dir(root.join(layout::TEMPORARY))? {
        let entry = entry?;
        let written = match entry.metadata() {
            Ok(found) if found.is_file() => found.modified()?,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => continue,
        };
        if now.duration_since(written).is_ok_and(|age| age >= ABANDONED) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
