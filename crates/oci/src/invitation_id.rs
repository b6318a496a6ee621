//! What an invitation is known by (docs/KEYS.md §2).

use crate::identity::ulid_text;

ulid_text! {
    /// The name of an invitation, which tells nothing about its secret: a ULID.
    InvitationId
}
