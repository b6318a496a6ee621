//! Backups: all metadata as one stream, whatever the engine, and back into an empty one. The form is in `format`, what
//! belongs to it is found by `walk`; docs/decisions/0015 says why so.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use proto::{
    ByteStream, StreamError,
    metadata::{Actor, Backup, BackupError, audit::Action},
};
use tokio::{sync::mpsc, task::JoinSet};
use ulid::Ulid;

use crate::{
    Service,
    audit::Audit,
    keyspace::{Commit, Error, Keyspace},
    schema, step,
};

use lease::Lease;
use walk::Walk;
use writing::{Taker, Writer};

mod format;
mod lease;
mod load;
#[cfg(test)]
mod tests;
mod verify;
mod walk;
mod writing;

pub use format::{Block, Consistency, Counts, DamagedAt, FormatError, Header, Part, Reader, Trailer};
pub use load::{Attempt, Count, LoadError, Loaded, Stage, load};

/// Pieces of a dump that wait to be taken.
const PIECES: usize = 4;

/// Why a dump has ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("nobody takes the dump any more")]
    NotTaken,
    #[error("the dump was held up for so long that others may have reclaimed what it read")]
    LeaseLost,
}

#[async_trait]
impl Backup for Service {
    async fn dump(&self, actor: &Actor) -> Result<ByteStream, BackupError> {
        let id = self.ulid();
        self.note_dump(actor, id).await?;
        let (view, lease, consistency) = if let Some(view) = self.keyspace().snapshot()? {
            (view, None, Consistency::OneMoment)
        } else {
            let lease = self.take_lease(id.to_string()).await?;
            (Arc::clone(&self.0.keyspace), Some(lease), Consistency::InMotion)
        };
        let header = Header { schema: schema::VERSION, id, taken: self.now(), consistency };

        let (sender, receiver) = mpsc::channel(PIECES);
        let mut walk = JoinSet::new();
        walk.spawn(async move {
            let dumped = dumped(header, view.as_ref(), sender, lease).await;
            dumped.inspect_err(
                |error| tracing::error!(dump = %header.id, %error, "a dump of metadata has failed"),
            )
        });
        Ok(taken_by_reader(receiver, walk))
    }
}

impl Service {
    /// Says in the audit log who has everything from now on. A full engine must be dumped all the same.
    async fn note_dump(&self, actor: &Actor, id: Ulid) -> Result<(), Error> {
        let audited = self.audited(actor, &Audit::of_hub(Action::MetadataDump).to(id)).await?;
        match self.commit(step!("dump"), Commit::synced().then_all(audited)).await {
            Err(Error::NoSpace { .. }) => {
                tracing::warn!(dump = %id, ?actor, "a dump is not in the audit log: there is no space left");
                Ok(())
            }
            noted => noted.map(|_unconditional| ()),
        }
    }
}

async fn dumped(
    header: Header,
    view: &dyn Keyspace,
    sender: mpsc::Sender<Bytes>,
    lease: Option<Lease>,
) -> Result<(), DumpError> {
    let writer = Writer::begin(&header, Taker::Asked(sender, lease)).await?;
    let trailer = Walk::over(view, header.consistency, writer).all().await?.finish().await?;
    tracing::info!(dump = %header.id, entries = trailer.counts.entries(), "metadata was dumped");
    Ok(())
}

/// What the walk sends. It works beside its reader, so that one who takes nothing is given up; it ends with the stream.
fn taken_by_reader(receiver: mpsc::Receiver<Bytes>, walk: JoinSet<Result<(), DumpError>>) -> ByteStream {
    let pieces = stream::unfold((receiver, walk), |(mut receiver, mut walk)| async move {
        if let Some(piece) = receiver.recv().await {
            return Some((Ok(piece), (receiver, walk)));
        }
        match walk.join_next().await {
            Some(Ok(Ok(()))) | None => None,
            Some(_) => Some((Err(StreamError::Source), (receiver, walk))),
        }
    });
    Box::pin(pieces)
}

/// What a dump of this keyspace would end with, if it began with `header`.
async fn digested(header: &Header, keyspace: &dyn Keyspace) -> Result<Trailer, Error> {
    let writer = Writer::begin(header, Taker::Nobody).await.map_err(engine)?;
    let walked = Walk::over(keyspace, header.consistency, writer).all().await.map_err(engine)?;
    walked.finish().await.map_err(engine)
}

fn engine(error: DumpError) -> Error {
    match error {
        DumpError::Engine(error) => error,
        // Nobody takes anything, and there is no lease to be lost.
        DumpError::NotTaken | DumpError::LeaseLost => {
            Error::Unavailable { attempted: "reading all metadata" }
        }
    }
}

/// Reads a dump that comes from elsewhere: its parts, in pieces of any size.
#[derive(Debug, Default)]
pub struct Checked {
    reader: Reader,
    trailer: Option<Trailer>,
    header: Option<Header>,
}

impl Checked {
    /// Checks the next piece.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), FormatError> {
        self.reader.feed(piece);
        while let Some(part) = self.reader.part()? {
            match part {
                Part::Header(header) => self.header = Some(header),
                Part::Trailer(trailer) => self.trailer = Some(trailer),
                Part::Block(_) => {}
            }
        }
        Ok(())
    }

    /// What it was, once all of it has come.
    ///
    /// # Errors
    /// `Cut`; `Damaged`.
    pub fn end(self) -> Result<(Header, Trailer), FormatError> {
        self.reader.end()?;
        // There is no trailer without a header.
        self.header.zip(self.trailer).ok_or(FormatError::Cut { place: DamagedAt::Header })
    }
}
