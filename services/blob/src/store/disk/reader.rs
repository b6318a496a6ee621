//! Reading a file as a stream: one piece ahead of the reader, so that disk and network overlap.
//! A reader holds at most three pieces.

use std::{
    fs::File,
    io::{self, ErrorKind, IoSliceMut},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use oci::Span;
use proto::{ByteStream, StreamError, empty_stream};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat2},
    io::{ReadWriteFlags, preadv2},
};
use tokio::task::JoinHandle;

use super::{Disk, failed};
use crate::{
    layout::ObjectName,
    store::{Object, StoreError},
};

// The size of a message between services; larger ones gained nothing.
const PIECE_BYTES: u64 = 256 * 1024;

// Copied in a few microseconds.
const AT_HAND_BYTES: u64 = 64 * 1024;

/// What is left to read.
struct Rest {
    disk: Disk,
    file: Arc<File>,
    name: ObjectName,
    at: u64,
    length: u64,
}

pub(in crate::store) type Piece = io::Result<Bytes>;

/// Opens the file of `name`, and reads the first piece at once: most blobs have no other.
pub(super) async fn read(disk: &Disk, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
    let path = disk.path(name);
    let mut opened = at_hand(&path, span);
    if opened.is_none() {
        let job = disk.run(move |disk| match open(&path, span) {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == ErrorKind::NotFound => disk.absent(),
            Err(error) => Err(failed("reading", &path, error)),
        });
        opened = job.await?;
    }
    let Some((file, size_bytes, first)) = opened else {
        return Ok(None);
    };

    let length = span.length.min(size_bytes.saturating_sub(span.first));
    let read = first.len() as u64;
    let rest = Rest {
        disk: disk.clone(),
        file: Arc::new(file),
        name: name.clone(),
        at: span.first + read,
        length: length - read,
    };
    Ok(Some(Object { size_bytes, body: if length == 0 { empty_stream() } else { pieces(first, rest) } }))
}

/// Reads a small file if the kernel has all of it in memory, where it need not wait: to have another thread read it
/// would cost more than the reading.
fn at_hand(path: &Path, span: Span) -> Option<(File, u64, Bytes)> {
    if span.length > AT_HAND_BYTES {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    let file = File::from(file);
    let size_bytes = file.metadata().ok()?.len();

    let length = span.length.min(size_bytes.checked_sub(span.first)?);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let read = preadv2(&file, &mut [IoSliceMut::new(&mut bytes)], span.first, ReadWriteFlags::NOWAIT).ok()?;
    (read == bytes.len()).then(|| (file, size_bytes, bytes.into()))
}

fn open(path: &Path, span: Span) -> io::Result<(File, u64, Bytes)> {
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let first = span.length.min(size_bytes.saturating_sub(span.first)).min(PIECE_BYTES);
    let first = read_piece(&file, span.first, first)?;
    Ok((file, size_bytes, first))
}

fn pieces(first: Bytes, mut rest: Rest) -> ByteStream {
    let ahead = rest.read_ahead();
    let first = stream::once(async move { Ok(first) });
    let others = stream::unfold((ahead, rest), |(ahead, mut rest)| async move {
        let piece = ahead?.await.unwrap_or_else(|interrupted| Err(interrupted.into()));
        let piece = piece.map_err(|error| {
            tracing::error!(name = %rest.name, %error, "a blob cannot be read to its end");
            StreamError::Source
        });
        let ahead = if piece.is_ok() { rest.read_ahead() } else { None };
        Some((piece, (ahead, rest)))
    });
    Box::pin(futures_util::StreamExt::chain(first, others))
}

impl Rest {
    fn read_ahead(&mut self) -> Option<JoinHandle<Piece>> {
        let length = self.length.min(PIECE_BYTES);
        if length == 0 {
            return None;
        }

        let (file, at) = (self.file.clone(), self.at);
        self.at += length;
        self.length -= length;
        Some(self.disk.0.jobs.spawn_blocking(move || read_piece(&file, at, length)))
    }
}

/// Reads exactly `length` bytes: fewer are an error.
pub(in crate::store) fn read_piece(file: &File, mut at: u64, length: u64) -> Piece {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut piece = Vec::with_capacity(length);
    while piece.len() < length {
        let missing = length - piece.len();
        let read = rustix::io::pread(file, rustix::buffer::spare_capacity(&mut piece), at);
        match read {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => at += read.min(missing) as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The capacity may be larger than asked for, and more than the span would have been read.
    piece.truncate(length);
    Ok(piece.into())
}
