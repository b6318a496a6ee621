//! Which repositories a list is to have.

use oci::{NamespacePath, RepositoryName};

use super::Viewer;
use crate::metadata::PageRequest;

/// Names in [`WantedRepositories::also`] that count, at most.
pub const MAX_ALSO: usize = 100;

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
