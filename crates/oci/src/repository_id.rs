//! What a repository is known by under its name (docs/KEYS.md §2).

use crate::identity::ulid_text;

ulid_text! {
    /// What stays when a repository is renamed: a ULID.
    RepositoryId
}
