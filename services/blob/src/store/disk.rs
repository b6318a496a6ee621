//! A store in a directory, which several processes may share. A file is written under a temporary name,
//! synced, moved to its place, and the directory of content is synced; one part becomes content by a hard
//! link. All file operations run as short jobs on blocking threads: a slow client never holds one.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{Generation, SessionId, Span, StoreName};
use tokio_util::task::TaskTracker;

use super::{Object, Store, StoreError, Writer};
use crate::layout::{self, ObjectName, Place};

mod listing;
mod reader;
mod start;
mod writer;

pub(in crate::store) use reader::read_piece;
pub use start::OpenError;

/// How often something is put into a directory that vanishes.
const ATTEMPTS: usize = 8;

/// A store in a directory. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    root: PathBuf,
    reserve_bytes: u64,
    probe: start::Probe,
    jobs: TaskTracker,
}

/// How a directory is used.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// The directory.
    pub root: PathBuf,
    /// What the store is called.
    pub name: StoreName,
    /// Space that writing blobs leaves free.
    pub reserve_bytes: u64,
}

impl Disk {
    /// Opens the directory, making it if it is not there, and tries whether it does what a store needs.
    /// `probe` names what the trial writes; temporary files that were left a day before `now` are removed.
    ///
    /// # Errors
    /// With the path, and what does not work there.
    pub async fn open(options: DiskOptions, now: Timestamp, probe: Generation) -> Result<Self, OpenError> {
        let jobs = TaskTracker::new();
        jobs.close();
        let probe = start::Probe::new(&options.root, &probe);
        let started = jobs.spawn_blocking(move || {
            start::prepare(&options, &probe, now)?;
            Ok((options, probe))
        });

        let (options, probe) = started.await.map_err(|_| OpenError::Interrupted)??;
        let DiskOptions { root, reserve_bytes, name: _ } = options;
        Ok(Self(Arc::new(Parts { root, reserve_bytes, probe, jobs })))
    }

    /// Whether the directory `root` says which store it is.
    ///
    /// # Errors
    /// With the path, if that cannot be found out.
    pub async fn is_marked(root: &Path) -> Result<bool, OpenError> {
        let path = root.join(layout::MARKER);
        let found = tokio::fs::try_exists(&path).await;
        found.map_err(|cause| OpenError::Directory { path, attempted: "finding which store it is", cause })
    }

    /// Waits until no job runs, also none of a request that was dropped.
    pub async fn idle(&self) {
        self.0.jobs.wait().await;
    }

    async fn run<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    {
        let disk = self.clone();
        let done = self.0.jobs.spawn_blocking(move || job(&disk)).await;
        done.unwrap_or_else(|interrupted| Err(unavailable("running a job", &self.0.root, interrupted.into())))
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.0.root.join(name.as_str())
    }

    /// Fails if fewer than the reserve would be left after writing `more_bytes`.
    fn require_room(&self, more_bytes: u64) -> Result<(), StoreError> {
        let root = &self.0.root;
        let found = rustix::fs::statvfs(root)
            .map_err(|error| failed("asking for the space left", root, error.into()))?;

        let left = found.f_bavail.saturating_mul(found.f_frsize);
        let needed = more_bytes.saturating_add(self.0.reserve_bytes);
        if left < needed { Err(StoreError::NoSpace) } else { Ok(()) }
    }

    /// Makes the entry of `name` durable if it is content. A part's need not be: one that is lost with the power is
    /// missed when its upload ends, and the client begins anew.
    fn settle(&self, name: &ObjectName) -> Result<(), StoreError> {
        let path = self.path(name);
        match path.parent() {
            Some(directory) if !name.is_part() => {
                sync(directory).map_err(|error| failed("syncing the directory of", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// None if there is no such file; an error if the whole store is gone, as when it is not mounted: blobs
    /// would be given up for lost.
    fn absent<T>(&self) -> Result<Option<T>, StoreError> {
        let marker = self.0.root.join(layout::MARKER);
        match fs::metadata(&marker) {
            Ok(_) => Ok(None),
            Err(error) => Err(unavailable("finding the store", &marker, error)),
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn write(
        &self,
        name: &ObjectName,
        _before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        writer::begin(self, name).await
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        match parts {
            [] => writer::begin(self, content).await?.commit().await?,
            [part] => {
                let (part, content) = (part.clone(), content.clone());
                self.run(move |disk| link(disk, &part, &content)).await?;
            }
            parts => writer::concatenate(self, parts, content).await?,
        }
        Ok(content.clone())
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        let path = self.path(name);
        self.run(move |disk| match fs::metadata(&path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => disk.absent(),
            Err(error) => Err(failed("finding", &path, error)),
        })
        .await
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        reader::read(self, name, span).await
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        let path = self.0.root.join(layout::upload(session));
        self.run(move |_| match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("removing", &path, error)),
            _ => Ok(()),
        })
        .await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let name = name.clone();
        self.run(move |disk| remove(disk, &name)).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        listing::list(self, place, after.cloned(), limit).await
    }

    fn file<'a>(&self, name: &'a ObjectName) -> Option<&'a str> {
        Some(name.as_str())
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.run(|disk| {
            disk.absent::<()>()?;
            disk.0.probe.try_out().map_err(|error| failed("trying out", &disk.0.root, error))
        })
        .await
    }
}

fn link(disk: &Disk, part: &ObjectName, content: &ObjectName) -> Result<(), StoreError> {
    let (from, to) = (disk.path(part), disk.path(content));
    let linked = in_its_directory(&to, || fs::hard_link(&from, &to));
    linked.map_err(|error| match error.kind() {
        ErrorKind::NotFound if !from.exists() => StoreError::Missing { name: part.clone() },
        _ => failed("linking", &to, error),
    })?;
    disk.settle(content)
}

/// Removes a file, and the directory of an upload if nothing else is there.
fn remove(disk: &Disk, name: &ObjectName) -> Result<(), StoreError> {
    let path = disk.path(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("removing", &path, error)),
        _ => {}
    }
    if let Some(parent) = path.parent().filter(|_| name.is_part()) {
        // It is left if there is something in it, or if somebody else was first.
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

/// Puts something at `path` by `put`. Its directory may vanish in between, when the last file there is removed.
fn in_its_directory(path: &Path, put: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let mut attempts = 0;
    loop {
        make_parent(path)?;
        attempts += 1;
        match put() {
            Err(error) if error.kind() == ErrorKind::NotFound && attempts < ATTEMPTS => {}
            done => return done,
        }
    }
}

/// Makes the directory that `path` lies in; the one above it has been made at the start.
fn make_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    match fs::create_dir(parent) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

fn failed(attempted: &str, path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::NoSpace,
        _ => unavailable(attempted, path, error),
    }
}

fn unavailable(attempted: &str, path: &Path, cause: io::Error) -> StoreError {
    StoreError::Unavailable { attempted: format!("{attempted} {}", path.display()), cause }
}
