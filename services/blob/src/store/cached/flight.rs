//! A blob on its way into the cache: one fetches, all others who want it meanwhile read what has come.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt as _;
use oci::Span;
use proto::ByteStream;
use tokio::{runtime::Handle, sync::watch};

use super::{Cached, Taken, directory::Directory};
use crate::layout::ObjectName;

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// The store has not answered yet.
    Asked,
    /// It is not copied: whoever wants it asks the store.
    GivenUp,
    /// So many bytes are in the file.
    Copied { file: Arc<File>, size_bytes: u64, bytes: u64 },
}

/// The one who fetches. The flight ends with it.
pub(super) struct Lead {
    cache: Cached,
    name: ObjectName,
    progress: watch::Sender<Progress>,
}

impl Lead {
    pub(super) fn new(cache: Cached, name: ObjectName) -> (Self, watch::Receiver<Progress>) {
        let (progress, followed) = watch::channel(Progress::Asked);
        (Self { cache, name, progress }, followed)
    }

    /// There will be no copy.
    pub(super) fn give_up(self) {
        self.progress.send_replace(Progress::GivenUp);
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.cache.known().flights.remove(&self.name);
    }
}

/// What becomes of one who is not the first.
pub(super) enum Joined {
    /// It reads what comes.
    Following { file: Arc<File>, size_bytes: u64, progress: watch::Receiver<Progress> },
    /// It asks the store itself.
    Passed,
    /// The one who fetched is gone before it knew anything.
    Alone,
}

/// Waits for the store's first answer. A span that begins beyond what has come is not waited for.
pub(super) async fn join(mut progress: watch::Receiver<Progress>, span: Span) -> Joined {
    loop {
        let now = progress.borrow_and_update().clone();
        match now {
            Progress::Asked => {}
            Progress::GivenUp => return Joined::Passed,
            Progress::Copied { bytes, .. } if span.first > bytes => return Joined::Passed,
            Progress::Copied { file, size_bytes, .. } => {
                return Joined::Following { file, size_bytes, progress };
            }
        }
        if progress.changed().await.is_err() {
            return Joined::Alone;
        }
    }
}

/// A copy in the making. Dropped before its end, it leaves nothing.
pub(super) struct Fetch {
    cache: Cached,
    name: ObjectName,
    file: Arc<File>,
    partial: PathBuf,
    size_bytes: u64,
    lead: Option<Lead>,
    /// None once whoever makes a copy of the file has it.
    taken: Option<Taken>,
}

impl Fetch {
    pub(super) fn new(
        cache: Cached,
        name: ObjectName,
        (file, partial): (File, PathBuf),
        taken: Taken,
    ) -> Self {
        let size_bytes = taken.0.size_bytes;
        Self { cache, name, file: Arc::new(file), partial, size_bytes, lead: None, taken: Some(taken) }
    }

    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Copies `body` to its end, whoever reads along. It goes as fast as the store does: clients are waited for elsewhere.
    pub(super) async fn run(mut self, lead: Lead, body: ByteStream) {
        self.lead = Some(lead);
        let copied = match self.copied(body).await {
            Ok(()) => self.keep().await,
            Err(error) => Err(error),
        };
        if let Err(error) = copied {
            tracing::warn!(name = %self.name, %error, "a blob was not copied into the cache");
        }
    }

    async fn copied(&self, mut body: ByteStream) -> io::Result<()> {
        self.tell(0);
        let mut bytes = 0;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(io::Error::other)?;
            let end = bytes + piece.len() as u64;
            if end > self.size_bytes {
                return Err(io::Error::other("more came than there should be"));
            }
            self.write(piece, bytes).await?;
            bytes = end;
            self.tell(bytes);
        }
        if bytes < self.size_bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Makes the file the copy.
    async fn keep(&mut self) -> io::Result<()> {
        let Some((room, permit)) = self.taken.take() else { return Ok(()) };
        let (name, file, partial) = (self.name.clone(), self.file(), self.partial.clone());
        let kept = self.cache.0.tasks.spawn_blocking(move || {
            let _place = permit;
            // Otherwise a loss of power may leave a file of the right length with nothing in it.
            let kept = file.sync_data().and_then(|()| room.fill(&name, &partial));
            if kept.is_err() {
                Directory::remove_partial(&partial);
            }
            kept
        });
        kept.await?
    }

    async fn write(&self, piece: Bytes, at: u64) -> io::Result<()> {
        let file = self.file();
        self.cache.0.tasks.spawn_blocking(move || file.write_all_at(&piece, at)).await?
    }

    fn tell(&self, bytes: u64) {
        let progress = Progress::Copied { file: self.file(), size_bytes: self.size_bytes, bytes };
        if let Some(lead) = &self.lead {
            lead.progress.send_replace(progress);
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if self.taken.is_none() {
            return;
        }
        // There is room for others only when the file is gone.
        let (partial, held) = (std::mem::take(&mut self.partial), (self.taken.take(), self.lead.take()));
        // Without a runtime the process ends, and the next one removes it.
        if let Ok(runtime) = Handle::try_current() {
            let remove = move || {
                Directory::remove_partial(&partial);
                drop(held);
            };
            self.cache.0.tasks.spawn_blocking_on(remove, &runtime);
        }
    }
}
