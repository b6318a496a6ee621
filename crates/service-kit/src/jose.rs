//! Keys that sign and verify tokens (RFC 7515, 7517, 7518, 8037): `EdDSA` and `ES256`, each bound to its algorithm, so
//! that no token chooses how it is verified. It knows no claims and no time.

mod private;
mod public;
mod set;

pub use private::{KeyError, PrivateKey};
pub use public::{Algorithm, PublicKey, named_key};
pub use set::{KeySet, KeySetError};
