//! What an access token, a robot's secret or a session is known by (docs/KEYS.md §2).

use crate::identity::ulid_text;

ulid_text! {
    /// The name of a secret, which tells nothing about it: a ULID.
    CredentialId
}
