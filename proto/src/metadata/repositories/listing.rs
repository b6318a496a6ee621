//! Which repositories a list is to have.

use jiff::Timestamp;
use oci::{NamespacePath, RepositoryName};

use crate::metadata::{PageRequest, Visibility};

/// Names in [`WantedRepositories::also`] that count, at most.
pub const MAX_ALSO: usize = 100;

/// Whose view of the list of repositories is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Sees what is public.
    Outsider,
    /// Sees all.
    Administrator,
}

/// A repository in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryEntry {
    /// Its name.
    pub name: RepositoryName,
    /// Who can see it.
    pub visibility: Visibility,
    /// When a tag or manifest changed last.
    pub updated: Timestamp,
    /// Bytes of all that it links, each once.
    pub size_bytes: u64,
}

/// Which repositories are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRepositories {
    /// Who looks.
    pub viewer: Viewer,
    /// Only what is called this or is under it; none: wherever.
    pub under: Option<NamespacePath>,
    /// What the viewer may see besides; the first [`MAX_ALSO`] count. One that is not there is no error.
    pub also: Vec<RepositoryName>,
    /// Which part of the list.
    pub page: PageRequest<RepositoryName>,
}

impl WantedRepositories {
    /// All that `viewer` sees.
    pub const fn all(viewer: Viewer, page: PageRequest<RepositoryName>) -> Self {
        Self { viewer, under: None, also: Vec::new(), page }
    }
}
