//! Directories of files that are pushed as images, and whether what was pulled is the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::image;

/// Writes some files that follow from `seed`: a large one, small ones in directories, an empty one.
///
/// # Panics
/// If they cannot be written.
pub fn fill(directory: &Path, seed: u64) {
    fs::create_dir_all(directory.join("inner/most")).unwrap();
    for (name, length) in [("large", 3 << 20), ("inner/small", 10_000), ("inner/most/byte", 1), ("empty", 0)]
    {
        fs::write(
            directory.join(name),
            image::noise(seed.wrapping_add(length), usize::try_from(length).unwrap()),
        )
        .unwrap();
    }
}

/// Writes what an image of two layers without a base is built from; answers where the files are that it must hold.
///
/// # Panics
/// If it cannot be written.
pub fn fill_buildable(directory: &Path, seed: u64) -> PathBuf {
    let content = directory.join("content");
    fill(&content.join("first"), seed);
    fill(&content.join("second"), seed + 1);
    fs::write(directory.join("Dockerfile"), BUILD).unwrap();
    content
}

const BUILD: &str = "FROM scratch\nADD content/first /first\nADD content/second /second\n";

/// Checks that both directories hold the same files with the same bytes.
///
/// # Panics
/// If they do not, with the first difference.
#[track_caller]
pub fn assert_same(pushed: &Path, pulled: &Path) {
    let (pushed, pulled) = (files(pushed), files(pulled));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert!(!pushed.is_empty(), "nothing was pushed");
    assert_eq!(names(&pushed), names(&pulled), "other files were pulled than were pushed");
    for (name, bytes) in pushed {
        assert!(bytes == pulled[&name], "{} has other bytes than were pushed", name.display());
    }
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![directory.to_owned()];
    while let Some(next) = ahead.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}
