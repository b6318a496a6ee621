//! A file system of its own that really is full. Mounting one takes root; without it these tests
//! say so and pass, and `below_the_reserve_only_removing_goes_on` is what is left.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use metadata::keyspace::{
    Commit, CommitError, Error, Field, Keyspace, Mutation,
    embedded::{Embedded, Options},
    suite::{field, key},
};
use tempfile::TempDir;

const MEBIBYTE: usize = 1_024 * 1_024;

/// A small file system, unmounted when the test ends.
struct SmallDisk {
    mounted: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let mounted = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=24m", "tmpfs"];
        let done = Command::new("mount").args(mount).arg(mounted.path()).output().ok()?;
        if !done.status.success() {
            eprintln!("skipped: {}", String::from_utf8_lossy(&done.stderr));
            return None;
        }

        Some(Self { mounted })
    }

    fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Takes all space there is.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for size in [MEBIBYTE, 4_096] {
            let block = vec![1; size];
            while filler.write_all(&block).is_ok() {}
        }

        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn body(name: &'static str, size: usize) -> Commit {
    Commit::synced().then(Mutation::SetField(key(name), field("Body"), vec![7; size].into()))
}

#[tokio::test]
async fn a_full_disk_refuses_writes_before_the_file_is_touched() {
    // given
    let Some(disk) = SmallDisk::mount() else { return };
    let engine = Embedded::open(&Options::new(disk.path().join("metadata"))).unwrap();
    engine.commit(body("kept", 1_000)).await.unwrap();

    // when
    let filler = disk.fill();
    let refused = engine.commit(body("refused", 1_000)).await;

    // then
    assert!(matches!(refused, Err(CommitError::Engine(Error::NoSpace { .. }))), "{refused:?}");
    assert!(engine.record(&key("kept")).await.unwrap().is_some());
    assert_eq!(engine.statistics().reopened, 0);

    // and when
    std::fs::remove_file(filler).unwrap();

    // then
    assert_eq!(engine.commit(body("refused", 1_000)).await, Ok(()));
}

#[tokio::test]
async fn a_file_that_ran_into_the_end_of_the_disk_is_reopened_and_heals_without_a_restart() {
    // given: a record on many pages, and no reserve
    let Some(disk) = SmallDisk::mount() else { return };
    let options = Options { reserve_bytes: 0, ..Options::new(disk.path().join("metadata")) };
    let engine = Embedded::open(&options).unwrap();
    let name = |number: u32| Field::new(number.to_string());
    let fields =
        (0..1_000).map(|number| Mutation::SetField(key("record"), name(number), vec![7; 1_000].into()));
    engine.commit(Commit::synced().then_all(fields)).await.unwrap();

    // when: half the fields go, which rewrites every page before it frees one
    let filler = disk.fill();
    let halve = (0..500).map(|number| Mutation::RemoveField(key("record"), name(number * 2)));
    let halve = Commit::synced().then_all(halve);
    let outcome = engine.commit(halve.clone()).await;

    // then
    assert_eq!(outcome, Err(CommitError::Engine(Error::NoSpace { attempted: "committing" })));
    assert_eq!(engine.statistics().reopened, 1);
    assert_eq!(engine.record(&key("record")).await.unwrap().unwrap().len(), 1_000);

    // and when
    std::fs::remove_file(filler).unwrap();

    // then
    assert_eq!(engine.commit(halve).await, Ok(()));
    assert_eq!(engine.record(&key("record")).await.unwrap().unwrap().len(), 500);
}
