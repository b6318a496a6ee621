//! Signing keys, cut everywhere: there is always one to sign with, and what follows a key is kept before the key says so.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use proto::{
    auth::{KeyId, PublicKey, VerificationKey},
    metadata::{AccountError, Accounts as _, Actor, accounts::SigningKey},
};

use super::{Cutting, service};
use crate::Service;

const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn key(number: u8) -> SigningKey {
    let created = START + Duration::from_secs(number.into());
    SigningKey {
        verification: VerificationKey { id: id(number), public_key: PublicKey::Ed25519([number; 32]) },
        sealed_private_key: Bytes::from_static(b"sealed"),
        created,
        from: created,
        until: None,
        next: None,
    }
}

fn id(number: u8) -> KeyId {
    KeyId(format!("key-{number}"))
}

async fn kept(service: &Service) -> Vec<KeyId> {
    service.signing_keys().await.unwrap().into_iter().map(|key| key.verification.id).collect()
}

/// Cuts `operation` on a hub with two keys after each of its mutations, and does it again.
async fn cut_and_repeated(
    operation: impl AsyncFn(&Service) -> Result<Vec<SigningKey>, AccountError>,
) -> Vec<KeyId> {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        service.found_signing_key(&key(1)).await.unwrap();
        service.succeed_signing_key(&id(1), &key(2), &Actor::service()).await.unwrap();

        keyspace.cut_after(after);
        let outcome = operation(&service).await;
        keyspace.mend();
        whole(&service).await;
        if outcome.is_ok() {
            assert!(after > 0, "the operation has made no commit that could be cut");
            return kept(&service).await;
        }
        operation(&service).await.unwrap();
        whole(&service).await;
    }
    unreachable!("the loop has no end")
}

async fn whole(service: &Service) {
    let keys = service.signing_keys().await.unwrap();
    assert!(keys.iter().any(|key| key.from <= START + Duration::from_secs(2)), "nothing can sign");
    let newest = keys.last().unwrap();
    assert_eq!(newest.next, None);
    for key in &keys {
        let next = key.next.as_ref().map(|next| keys.iter().any(|key| key.verification.id == *next));
        assert_ne!(next, Some(false), "what follows a key is not there");
    }
}

#[tokio::test]
async fn a_key_that_follows_another() {
    let succeed =
        async |service: &Service| service.succeed_signing_key(&id(2), &key(3), &Actor::service()).await;
    assert_eq!(cut_and_repeated(succeed).await, [id(1), id(2), id(3)]);
}

#[tokio::test]
async fn a_key_that_is_retired() {
    let retire = async |service: &Service| service.retire_signing_key(&id(2), START, &Actor::service()).await;
    assert_eq!(cut_and_repeated(retire).await, [id(1), id(2)]);
}

#[tokio::test]
async fn keys_that_are_removed() {
    let remove =
        async |service: &Service| service.remove_signing_keys(&[id(1), id(2)], &Actor::service()).await;
    assert_eq!(cut_and_repeated(remove).await, [id(2)]);
}
