//! Reading: what a grant gives, and what no grant gives.

use std::time::Duration;

use bytes::Bytes;
use oci::{Locator, Span};
use secrecy::SecretString;

use super::{Harness, collected, never, repository};
use crate::blob::{BlobError, Delivery, Grant, GrantKey, GrantRefused, Handoff, Opened, Redirect};

pub(super) async fn run(harness: &Harness) {
    a_span_is_read(harness).await;
    a_span_outside_of_the_blob_is_refused(harness).await;
    an_expired_grant_is_refused(harness).await;
    a_changed_grant_is_refused(harness).await;
    a_grant_of_another_key_is_refused(harness).await;
    granted_bytes_that_are_gone_are_missing(harness).await;
    granted_bytes_of_another_length_are_missing(harness).await;
    what_may_be_read_elsewhere_is_there(harness).await;
    only_what_was_granted_may_be_read_elsewhere(harness).await;
}

/// All that an edge can allow.
const fn everywhere() -> [Delivery; 3] {
    [
        Delivery { handoff: Handoff::File, redirect: Redirect::Never },
        Delivery { handoff: Handoff::Replica, redirect: Redirect::Never },
        Delivery { handoff: Handoff::File, redirect: Redirect::Allowed },
    ]
}

async fn a_span_is_read(harness: &Harness) {
    let content: Bytes = (0..200_003_u32).flat_map(u32::to_le_bytes).collect();
    let (locator, size_bytes) = harness.published(content.clone()).await;

    for (first, length) in
        [(0, 1), (1, 0), (3, 300_000), (262_144, 262_144), (size_bytes - 1, 1), (size_bytes, 0)]
    {
        let opened = harness.open(&locator, size_bytes, Some(Span { first, length })).await.unwrap();

        let (from, to) = (usize::try_from(first).unwrap(), usize::try_from(first + length).unwrap());
        assert_eq!((opened.span.first, opened.span.length), (first, length));
        assert!(collected(opened.body).await == content[from..to], "{length} bytes from {first} on");
    }
}

async fn a_span_outside_of_the_blob_is_refused(harness: &Harness) {
    let (locator, size_bytes) = harness.published("ten bytes.").await;

    for (first, length) in [(11, 0), (10, 1), (0, 11), (9, 2), (1, u64::MAX), (u64::MAX, 1)] {
        let refused = harness.open(&locator, size_bytes, Some(Span { first, length })).await;

        assert_eq!(refused.map(drop), Err(BlobError::OutOfRange { first, size_bytes: 10 }));
    }
}

async fn an_expired_grant_is_refused(harness: &Harness) {
    let (locator, size_bytes) = harness.published("for a while").await;

    let grant = harness.grants.grant(locator, repository(), size_bytes, harness.now);

    assert_eq!(harness.refused(&grant).await, GrantRefused::Expired);
}

async fn a_changed_grant_is_refused(harness: &Harness) {
    let (locator, size_bytes) = harness.published("mine").await;
    let (other, _) = harness.published("your").await;
    let grant = harness.grant(&locator, size_bytes);
    let later = harness.now + Duration::from_hours(1);

    let changed = [
        Grant { locator: other, ..grant.clone() },
        Grant { repository: "somebody/else".parse().unwrap(), ..grant.clone() },
        Grant { size_bytes: 3, ..grant.clone() },
        Grant { expires: later, ..grant.clone() },
        Grant { mac: [0; 32], ..grant },
    ];

    for grant in changed {
        assert_eq!(harness.refused(&grant).await, GrantRefused::Forged, "{grant:?}");
    }
}

async fn a_grant_of_another_key_is_refused(harness: &Harness) {
    let (locator, size_bytes) = harness.published("under our key").await;
    let other = GrantKey::new(&SecretString::from("a secret that only the suite knows"));

    let grant = other.grant(locator, repository(), size_bytes, harness.now + Duration::from_mins(1));

    assert_eq!(harness.refused(&grant).await, GrantRefused::Forged);
}

async fn granted_bytes_that_are_gone_are_missing(harness: &Harness) {
    let (locator, size_bytes) = harness.published("once upon a time").await;
    let gone = Locator { generation: never(), ..locator };

    let missing = harness.open(&gone, size_bytes, None).await;

    assert_eq!(missing.map(drop), Err(BlobError::Missing { locator: gone }));
}

async fn granted_bytes_of_another_length_are_missing(harness: &Harness) {
    let (locator, size_bytes) = harness.published("half of it is gone").await;

    let missing = harness.open(&locator, 2 * size_bytes, None).await;

    assert_eq!(missing.map(drop), Err(BlobError::Missing { locator }));
}

async fn what_may_be_read_elsewhere_is_there(harness: &Harness) {
    // Large enough for a handoff to be worth it.
    let content = Bytes::from(vec![7_u8; 1 << 20]);
    let (locator, size_bytes) = harness.published(content.clone()).await;
    let gone = Locator { generation: never(), ..locator.clone() };

    for delivery in everywhere() {
        let grant = harness.grant(&locator, size_bytes);
        match harness.blobs.open(&grant, None, delivery).await.unwrap() {
            Opened::Stream { span, body } => {
                assert_eq!(span, Span::whole(size_bytes));
                assert!(collected(body).await == content);
            }
            Opened::Handoff { .. } => assert_ne!(delivery.handoff, Handoff::Never),
            Opened::Redirect { .. } => assert_eq!(delivery.redirect, Redirect::Allowed),
        }

        for (locator, size_bytes) in [(&gone, size_bytes), (&locator, 2 * size_bytes)] {
            let missing = harness.blobs.open(&harness.grant(locator, size_bytes), None, delivery).await;
            assert_eq!(
                missing.map(drop),
                Err(BlobError::Missing { locator: locator.clone() }),
                "{delivery:?}"
            );
        }
    }
}

async fn only_what_was_granted_may_be_read_elsewhere(harness: &Harness) {
    let (locator, size_bytes) = harness.published(vec![8_u8; 1 << 20]).await;
    let grant = harness.grant(&locator, size_bytes);
    let expired = harness.grants.grant(locator, repository(), size_bytes, harness.now);
    let forged = Grant { mac: [0; 32], ..grant.clone() };

    for delivery in everywhere() {
        for (refused, why) in [(&expired, GrantRefused::Expired), (&forged, GrantRefused::Forged)] {
            let answer = harness.blobs.open(refused, None, delivery).await;
            assert_eq!(answer.map(drop), Err(BlobError::GrantRefused { why }), "{delivery:?}");
        }
        let outside = Some(Span { first: size_bytes, length: 1 });
        let answer = harness.blobs.open(&grant, outside, delivery).await;
        assert_eq!(answer.map(drop), Err(BlobError::OutOfRange { first: size_bytes, size_bytes }));
    }
}
