//! Files that are being written: nameless to readers until they are synced and moved to their place.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::Advice;
use tokio::runtime::Handle;

use super::{Disk, Store as _, failed, in_its_directory, start::remove_if_there, unavailable};
use crate::{
    layout::ObjectName,
    store::{StoreError, Writer},
};

// Copied by the kernel; small enough that a full disk, or a request that was dropped, is seen soon.
const COPY_BYTES: u64 = 64 * 1024 * 1024;
// Enough for a disk to write in large pieces, and soon reached.
const BEGIN_BYTES: u64 = 8 * 1024 * 1024;

/// A file that is not committed. None while a job has it, and after it has failed.
struct Pending {
    disk: Disk,
    name: ObjectName,
    place: PathBuf,
    file: Option<Temporary>,
}

/// A file under its temporary name, which is removed unless it has been moved.
struct Temporary {
    file: File,
    path: PathBuf,
    written_bytes: u64,
    /// How much of that is on its way to the disk.
    begun_bytes: u64,
    moved: Moved,
}

enum Moved {
    NotYet,
    Done,
}

/// Begins the file of `name`.
pub(super) async fn begin(disk: &Disk, name: &ObjectName) -> Result<Box<dyn Writer>, StoreError> {
    let pending = Pending::begin(disk, name).await?;
    Ok(Box::new(pending))
}

/// Makes `content` of the files of `parts`.
pub(super) async fn concatenate(
    disk: &Disk,
    parts: &[ObjectName],
    content: &ObjectName,
) -> Result<(), StoreError> {
    let mut pending = Pending::begin(disk, content).await?;
    for part in parts {
        let size_bytes = disk.size(part).await?.ok_or_else(|| StoreError::Missing { name: part.clone() })?;
        let path = disk.path(part);
        let source =
            disk.run(move |_| File::open(&path).map_err(|error| failed("opening", &path, error))).await?;
        pending.append_file(source, size_bytes).await?;
    }
    Box::new(pending).commit().await
}

impl Pending {
    async fn begin(disk: &Disk, name: &ObjectName) -> Result<Self, StoreError> {
        let (path, place) = (disk.0.root.join(name.temporary()), disk.path(name));
        let file = disk
            .run(move |disk| {
                disk.require_room(0)?;
                Temporary::create(path)
            })
            .await?;
        Ok(Self { disk: disk.clone(), name: name.clone(), place, file: Some(file) })
    }

    /// Lends the file to `job`, which keeps it if it fails or if nobody waits any more: then it is removed.
    async fn lend<F>(&mut self, job: F) -> Result<(), StoreError>
    where
        F: FnOnce(&Disk, &mut Temporary) -> Result<(), StoreError> + Send + 'static,
    {
        let mut file = self.take()?;
        let lent = self.disk.run(move |disk| job(disk, &mut file).map(|()| file));
        self.file = Some(lent.await?);
        Ok(())
    }

    fn take(&mut self) -> Result<Temporary, StoreError> {
        let broken =
            || unavailable("going on with", &self.place, io::Error::other("an earlier write has failed"));
        self.file.take().ok_or_else(broken)
    }

    /// Appends the `size_bytes` of `source`, whose own position says what is left.
    async fn append_file(&mut self, source: File, size_bytes: u64) -> Result<(), StoreError> {
        let source = Arc::new(source);
        let mut left = size_bytes;
        while left > 0 {
            let (source, length) = (source.clone(), left.min(COPY_BYTES));
            self.lend(move |disk, to| {
                disk.require_room(length)?;
                to.copy_from(&source, length)
            })
            .await?;
            left -= length;
        }
        Ok(())
    }
}

#[async_trait]
impl Writer for Pending {
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.lend(move |disk, to| {
            disk.require_room(bytes.len() as u64)?;
            to.write(&bytes)
        })
        .await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let (file, name, place) = (self.take()?, self.name.clone(), self.place.clone());
        self.disk
            .run(move |disk| {
                file.move_to(&place)?;
                disk.settle(&name)
            })
            .await
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        // Removing a large file takes long; without a runtime there is no worker to hold up.
        if let Ok(runtime) = Handle::try_current() {
            self.disk.0.jobs.spawn_blocking_on(move || drop(file), &runtime);
        }
    }
}

impl Temporary {
    fn create(path: PathBuf) -> Result<Self, StoreError> {
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Self { file, path, written_bytes: 0, begun_bytes: 0, moved: Moved::NotYet }),
            Err(error) => Err(failed("creating", &path, error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|error| failed("writing", &self.path, error))?;
        self.written(bytes.len() as u64);
        Ok(())
    }

    /// Has the disk begin with what has been written: otherwise it would have nothing to do until the sync, which
    /// would then take as long as everything before.
    fn written(&mut self, more_bytes: u64) {
        self.written_bytes += more_bytes;
        let Some(length) = NonZeroU64::new(self.written_bytes - self.begun_bytes) else { return };
        if length.get() >= BEGIN_BYTES {
            // Pages that are not on the disk yet stay, whatever is advised: for them it is the order to write. A hint,
            // so it cannot fail in a way that matters.
            let _ = rustix::fs::fadvise(&self.file, self.begun_bytes, Some(length), Advice::DontNeed);
            self.begun_bytes = self.written_bytes;
        }
    }

    fn copy_from(&mut self, source: &File, length: u64) -> Result<(), StoreError> {
        let copied = io::copy(&mut source.take(length), &mut self.file);
        match copied {
            Ok(copied) if copied == length => {
                self.written(copied);
                Ok(())
            }
            Ok(_) => Err(unavailable("copying to", &self.path, ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(failed("copying to", &self.path, error)),
        }
    }

    fn move_to(mut self, place: &Path) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|error| failed("syncing", &self.path, error))?;
        let moved = in_its_directory(place, || fs::rename(&self.path, place));
        moved.map_err(|error| failed("moving to", place, error))?;
        self.moved = Moved::Done;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let (Moved::NotYet, Err(error)) = (&self.moved, remove_if_there(&self.path)) {
            tracing::warn!(path = %self.path.display(), %error, "a temporary file stays until the next start");
        }
    }
}
