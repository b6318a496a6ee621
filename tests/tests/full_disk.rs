//! A disk that is full: pushes are told so, reads go on, and freeing space heals it without a restart.

use std::{fs::File, io::Write as _, path::Path, process::Command};

use reqwest::StatusCode;
use tempfile::TempDir;
use tests::{Hub, Topology, hub::Options, image, process::run};

/// A file system of its own, as small as it is.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=192m", "tmpfs"]).arg(directory.path()));
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        while filler.write_all(&vec![1; 65_536]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still has files open there ends with the test.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_pushes_serves_reads_and_heals() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let disk = SmallDisk::new();
        let options = Options { data: Some(disk.path().join("data")), ..Options::default() };
        let mut hub = Hub::start_with(topology, options);
        let raw = hub.raw();
        let layer = image::noise(1, 4 << 20);
        let manifest = raw.push_image("team/app", "v1", &layer).await;
        let session = raw.start("team/app").await;

        disk.fill();
        let refused = raw.patch("team/app", &session, image::noise(2, 4 << 20)).await;
        assert!(refused.status.is_server_error(), "{topology:?}: {refused:?}");
        let said = String::from_utf8(refused.body.to_vec()).unwrap();
        assert!(said.contains("space"), "{said}");
        assert!(!refused.header("retry-after").is_empty(), "{refused:?}");

        assert_eq!(raw.manifest("team/app", "v1").await.expect(200).body, manifest);
        assert_eq!(raw.blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
        for service in hub.services() {
            assert!(hub.process(*service).is_alive(), "{service:?} has ended");
        }

        disk.free();
        let next = image::noise(3, 4 << 20);
        let _ = raw.push_image("team/app", "v2", &next).await;
        let read = raw.blob("team/app", &image::digest(&next)).await;
        assert_eq!((read.status, read.body == next), (StatusCode::OK, true));
        hub.stop();
    }
}
