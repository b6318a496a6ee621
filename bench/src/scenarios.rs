//! What a user would notice. Each scenario does the same with each server, one after the other.

use std::io;

use crate::{
    content::Content,
    ledger::{Ledger, Row, Who},
    registry::{Registry, Upload, digest, manifest},
    servers::Server,
    usage,
};

pub(crate) mod images;
pub(crate) mod large;
pub(crate) mod lists;
pub(crate) mod reads;

/// The repository that everything is read from.
pub(crate) const REPOSITORY: &str = "bench/image";

/// What has been put into every server before it is measured.
pub(crate) struct Stock {
    pub(crate) small: Content,
    pub(crate) medium: Content,
    pub(crate) large: Content,
    pub(crate) manifest: Vec<u8>,
}

impl Stock {
    /// An image whose parts are a blob of 10 KiB, one of 16 MiB and one of `large_bytes`.
    pub(crate) fn new(large_bytes: u64) -> Self {
        let (small, medium, large) =
            (Content::new(10 << 10), Content::new(16 << 20), Content::new(large_bytes));
        let manifest = manifest(&small, &[&medium, &large]);
        Self { small, medium, large, manifest }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Puts it into `server`, tagged `latest`.
    pub(crate) fn put_into(&self, server: &Server) -> io::Result<()> {
        let blobs = [&self.small, &self.medium, &self.large];
        if !server.kind.takes_pushes() {
            return self.put_as_files(server, &blobs);
        }
        let mut registry = Registry::new(server, REPOSITORY)?;
        for blob in blobs {
            registry.push_blob(blob, Upload::Monolithic)?;
        }
        registry.push_manifest("latest", &self.manifest)
    }

    fn put_as_files(&self, server: &Server, blobs: &[&Content]) -> io::Result<()> {
        let root = server.directory.join("files/v2").join(REPOSITORY);
        std::fs::create_dir_all(root.join("blobs"))?;
        std::fs::create_dir_all(root.join("manifests"))?;
        for blob in blobs {
            let mut file = std::fs::File::create(root.join("blobs").join(blob.digest()))?;
            blob.blocks(|block| io::Write::write_all(&mut file, block))?;
        }
        std::fs::write(root.join("manifests/latest"), &self.manifest)?;
        std::fs::write(root.join("manifests").join(self.digest()), &self.manifest)
    }
}

/// Memory of a server that has just started.
pub(crate) fn idle_memory(server: &Server, ledger: &mut Ledger) -> io::Result<()> {
    let row = Row::lower("memory, idle", "MiB");
    ledger.add(&row, Who::Server(server.kind), mebibytes(usage::resident(&server.ids())?));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a printed number needs no 53rd bit")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::cast_precision_loss, reason = "a printed number needs no 53rd bit")]
pub(crate) fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}
