//! What is in a directory of the store, in the order of names. At most as many names are kept as are asked for.

use std::{
    collections::BinaryHeap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{Disk, failed};
use crate::{
    layout::{ObjectName, Place},
    store::StoreError,
};

/// The least names behind `after`, at most `limit`.
pub(super) async fn list(
    disk: &Disk,
    place: Place,
    after: Option<ObjectName>,
    limit: usize,
) -> Result<Vec<ObjectName>, StoreError> {
    disk.run(move |disk| {
        let mut listing = Listing { prefix: place.prefix(), after, limit, least: BinaryHeap::new() };
        listing.walk(&disk.0.root)?;
        Ok(listing.least.into_sorted_vec())
    })
    .await
}

struct Listing {
    prefix: String,
    after: Option<ObjectName>,
    limit: usize,
    least: BinaryHeap<ObjectName>,
}

impl Listing {
    /// Objects lie two levels below the directory of a place.
    fn walk(&mut self, root: &Path) -> Result<(), StoreError> {
        for directory in entries(&root.join(&self.prefix))? {
            for file in entries(&directory)? {
                let name = file.strip_prefix(root).ok().and_then(Path::to_str).and_then(ObjectName::parse);
                if let Some((name, _)) = name {
                    self.take(name);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, name: ObjectName) {
        if self.after.as_ref().is_some_and(|after| name <= *after) {
            return;
        }
        self.least.push(name);
        if self.least.len() > self.limit {
            self.least.pop();
        }
    }
}

/// What is in a directory. One that is not there is empty; so is what is not a directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let found = match fs::read_dir(directory) {
        Ok(found) => found,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed("listing", directory, error)),
    };
    let paths = found.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(|error| failed("listing", directory, error))
}
