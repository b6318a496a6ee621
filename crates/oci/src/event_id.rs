//! What an event in a repository is known by (docs/KEYS.md §2).

use crate::identity::ulid_text;

ulid_text! {
    /// One event: a ULID, so that it also says when. What sorts after another happened later, or at the same time.
    EventId
}
