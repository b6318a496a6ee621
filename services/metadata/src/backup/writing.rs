//! Where a dump goes: to whoever asked for it, in pieces and no faster than they are taken, or nowhere, for its digest.

use std::time::Duration;

use bytes::Bytes;
use proto::metadata::backup::PIECE_BYTES;
use tokio::{sync::mpsc, time::timeout};

use super::{
    DumpError,
    format::{Encoder, Entry, Header, Trailer},
    lease::Lease,
};

/// Whoever takes nothing for so long is given up: a dump keeps the engine from giving back what is removed meanwhile.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who takes a dump.
pub(super) enum Taker {
    /// Whoever asked, for as long as the lease, if one is needed, is kept.
    Asked(mpsc::Sender<Bytes>, Option<Lease>),
    /// Nobody: only the digest is of interest.
    Nobody,
}

/// Puts entries into blocks, and these out.
pub(super) struct Writer {
    encoder: Encoder,
    taker: Taker,
}

impl Writer {
    /// Begins a dump.
    pub(super) async fn begin(header: &Header, taker: Taker) -> Result<Self, DumpError> {
        let (encoder, first) = Encoder::begin(header);
        let mut writer = Self { encoder, taker };
        writer.send(first).await?;
        Ok(writer)
    }

    pub(super) async fn put(&mut self, entry: &Entry) -> Result<(), DumpError> {
        match self.encoder.add(entry) {
            Some(block) => self.send(block).await,
            None => Ok(()),
        }
    }

    /// Ends the dump, and gives back the lease.
    pub(super) async fn finish(self) -> Result<Trailer, DumpError> {
        let Self { encoder, taker } = self;
        let (last, trailer) = encoder.finish();
        if let Taker::Asked(sender, lease) = taker {
            // Before the trailer, which says that nothing was reclaimed meanwhile.
            if let Some(lease) = lease {
                lease.give_back().await?;
            }
            send(&sender, last).await?;
        }
        Ok(trailer)
    }

    async fn send(&mut self, block: Bytes) -> Result<(), DumpError> {
        let Taker::Asked(sender, lease) = &mut self.taker else { return Ok(()) };
        if let Some(lease) = lease {
            lease.keep().await?;
        }
        send(sender, block).await
    }
}

async fn send(sender: &mpsc::Sender<Bytes>, mut block: Bytes) -> Result<(), DumpError> {
    while !block.is_empty() {
        let piece = block.split_to(block.len().min(PIECE_BYTES));
        let taken = timeout(PATIENCE, sender.send(piece)).await.map_err(|_| DumpError::NotTaken)?;
        taken.map_err(|_| DumpError::NotTaken)?;
    }
    Ok(())
}
