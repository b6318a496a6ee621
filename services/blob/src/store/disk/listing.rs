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
    /// Content lies in the directory of its place, a part one level below.
    fn walk(&mut self, root: &Path) -> Result<(), StoreError> {
        for entry in entries(&root.join(&self.prefix))? {
            if let Some(name) = named(root, &entry) {
                self.take(name);
                continue;
            }
            entries(&entry)?.iter().filter_map(|file| named(root, file)).for_each(|name| self.take(name));
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

fn named(root: &Path, path: &Path) -> Option<ObjectName> {
    let (name, _) = ObjectName::parse(path.strip_prefix(root).ok()?.to_str()?)?;
    Some(name)
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
