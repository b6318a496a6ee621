//! Bytes that nobody has seen before, and that cost nothing to make: one block, numbered.

use std::{
    fmt::Write as _,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};

const BLOCK: usize = 1 << 20;

/// A blob.
pub(crate) struct Content {
    block: Vec<u8>,
    size_bytes: u64,
    digest: String,
}

impl Content {
    /// A new blob of `size_bytes`. Hashed here, so that the client has nothing to compute while it pushes.
    pub(crate) fn new(size_bytes: u64) -> Self {
        let length = usize::try_from(size_bytes).map_or(BLOCK, |size| size.min(BLOCK));
        let mut block = block(length);
        let seed = seed();
        for (byte, seed) in block.iter_mut().zip(seed) {
            *byte = seed;
        }

        let mut content = Self { block, size_bytes, digest: String::new() };
        let mut hasher = Sha256::new();
        // Into memory: it cannot fail.
        let _ = content.blocks(|block| {
            hasher.update(block);
            Ok(())
        });
        content.digest = text(hasher);
        content
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Gives all bytes to `take`, at most 1 MiB at a time.
    pub(crate) fn blocks(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut left = self.size_bytes;
        while left > 0 {
            let length = usize::try_from(left).map_or(self.block.len(), |left| left.min(self.block.len()));
            take(&self.block[..length])?;
            left -= length as u64;
        }
        Ok(())
    }
}

/// The digest of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    text(Sha256::new_with_prefix(bytes))
}

fn text(hasher: Sha256) -> String {
    hasher.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes that do not compress to nothing.
pub(crate) fn block(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

fn seed() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    now.wrapping_add(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64).to_le_bytes()
}
