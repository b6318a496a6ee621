//! What the contracts say of keys that sign tokens.

use bytes::Bytes;

use super::{super::BadField, moment, reads_back};
use crate::{
    auth::{KeyId, PublicKey, VerificationKey},
    convert::Wire as _,
    metadata::accounts::SigningKey,
    wire,
};

#[test]
fn signing_keys_read_back() {
    let public_key = PublicKey::P256 { x: [8; 32], y: [9; 32] };
    let key = SigningKey {
        verification: VerificationKey { id: KeyId("thumbprint".to_owned()), public_key },
        sealed_private_key: Bytes::from_static(b"sealed"),
        created: moment(),
        from: moment(),
        until: Some(moment()),
        next: Some(KeyId("another".to_owned())),
    };
    reads_back(&key);
    reads_back(&SigningKey { until: None, next: None, ..key.clone() });
    // As earlier releases write it.
    let message = wire::SigningKey { from_ms: None, ..key.to_message() };
    assert_eq!(SigningKey::from_message(message).unwrap().from, key.created);
}

#[test]
fn a_key_or_a_mac_of_another_length_is_refused() {
    for length in [1, 64, 66] {
        let p256_public_key = vec![4; length].into();
        let message = wire::VerificationKey { id: "x".to_owned(), public_key: Bytes::new(), p256_public_key };
        assert!(VerificationKey::from_message(message).is_err(), "{length} bytes were taken for a point");
    }
    for length in [0, 31, 33] {
        let (public_key, p256_public_key) = (vec![0; length].into(), Bytes::new());
        let message = wire::VerificationKey { id: "x".to_owned(), public_key, p256_public_key };
        let Err(BadField::Unreadable { field, .. }) = VerificationKey::from_message(message) else {
            panic!("{length} bytes were taken for a key");
        };
        assert_eq!(field, "public_key");
    }
}
