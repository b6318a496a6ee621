//! Backups: all that metadata has, as one stream whose form is metadata's own. Loading one needs no running hub, and so
//! no contract.

use std::borrow::Cow;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use client::BackupClient;

use super::Actor;
use crate::ByteStream;

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Bytes in one piece of a dump, at most.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Backups of metadata.
#[async_trait]
pub trait Backup: Send + Sync + 'static {
    /// Dumps everything, with hashes of passwords, hashed secrets and sealed keys: whoever has a dump can try passwords on
    /// it. Pieces are no larger than [`PIECE_BYTES`]; who takes none for a minute gets no more. Of one moment where the
    /// engine can do that; elsewhere nothing is reclaimed meanwhile. An error, or an end without the dump's trailer: it
    /// is not whole. The audit log says who began it.
    ///
    /// # Errors
    /// `Taken`; `Unavailable`; `NoSpace`; `Damaged`.
    async fn dump(&self, actor: &Actor) -> Result<ByteStream, BackupError>;
}

/// What a caller of [`Backup`] can do something about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum BackupError {
    /// Another dump is under way, and this engine allows one at a time.
    #[error("another backup is being taken: try again when it has ended, at the latest at {until}")]
    Taken {
        /// When it has ended, or lasts longer.
        until: Timestamp,
    },
    /// A record cannot be read; an operator must look.
    #[error("damaged record: {what}")]
    Damaged {
        /// Which, and what is wrong with it.
        what: String,
    },
    /// The engine is full: freeing space heals it, reads go on.
    #[error("the metadata store has no space left while {attempted}")]
    NoSpace {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
    /// The engine cannot answer now; retrying may help.
    #[error("metadata unavailable while {attempted}")]
    Unavailable {
        /// What was attempted.
        attempted: Cow<'static, str>,
    },
}
