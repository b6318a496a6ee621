//! Parts: how a body becomes one, and which part of it.

use bytes::Bytes;

use super::{Harness, body, broken, start};
use crate::{
    StreamError,
    blob::{Appended, BlobError, Ended},
    empty_stream,
};

pub(super) async fn run(harness: &Harness) {
    appends_go_on_with_each_other(harness).await;
    appends_go_on_within_a_block_of_the_hash(harness).await;
    two_parts_at_one_offset_are_independent(harness).await;
    a_cut_body_keeps_what_arrived(harness).await;
    a_stalled_body_keeps_what_arrived(harness).await;
    a_body_shorter_than_announced_is_cut(harness).await;
    an_empty_body_is_no_part(harness).await;
    a_body_longer_than_announced_does_not_count(harness).await;
}

async fn appends_go_on_with_each_other(harness: &Harness) {
    let upload = harness.upload();

    let one = upload.append(&start(), "one ").await;
    let two = upload.append(&one, "two ").await;
    let three = upload.append(&two, "three").await;

    assert_eq!([one.offset, two.offset, three.offset], [4, 8, 13]);
    assert_eq!((three.part.as_ref().unwrap().offset, three.part.as_ref().unwrap().size_bytes), (8, 5));
    assert_eq!(three.ended, Ended::Complete);
    let (locator, size_bytes) = upload.publish(&[&one, &two, &three], b"one two three").await;
    assert_eq!(size_bytes, 13);
    assert_eq!(harness.read(&locator, size_bytes).await, "one two three");
}

async fn appends_go_on_within_a_block_of_the_hash(harness: &Harness) {
    let upload = harness.upload();
    let content = b"0123456789".repeat(20);
    let mut at = start();
    let mut parts = Vec::new();

    for piece in content.chunks(63) {
        at = upload.append(&at, Bytes::copy_from_slice(piece)).await;
        parts.push(at.clone());
    }

    let (locator, size_bytes) = upload.publish(&parts.iter().collect::<Vec<_>>(), &content).await;
    assert_eq!(harness.read(&locator, size_bytes).await, content);
}

async fn two_parts_at_one_offset_are_independent(harness: &Harness) {
    let upload = harness.upload();
    let head = upload.append(&start(), "head, ").await;

    let one = upload.append(&head, "one").await;
    let other = upload.append(&head, "other").await;

    let (locator, size_bytes) = upload.publish(&[&head, &one], b"head, one").await;
    assert_eq!(harness.read(&locator, size_bytes).await, "head, one");
    let (locator, size_bytes) = upload.publish(&[&head, &other], b"head, other").await;
    assert_eq!(harness.read(&locator, size_bytes).await, "head, other");
}

async fn a_cut_body_keeps_what_arrived(harness: &Harness) {
    let upload = harness.upload();

    let cut = upload.append_body(&start(), broken("arrived", StreamError::Cut), Some(100)).await.unwrap();

    assert_eq!((cut.ended, cut.offset), (Ended::Cut, 7));
    let rest = upload.append(&cut, ", and the rest").await;
    let (locator, size_bytes) = upload.publish(&[&cut, &rest], b"arrived, and the rest").await;
    assert_eq!(harness.read(&locator, size_bytes).await, "arrived, and the rest");
}

async fn a_stalled_body_keeps_what_arrived(harness: &Harness) {
    let upload = harness.upload();

    let cut = upload.append_body(&start(), broken("arrived", StreamError::Stalled), None).await.unwrap();

    assert_eq!((cut.ended, cut.offset), (Ended::Cut, 7));
    assert_eq!(cut.part.unwrap().size_bytes, 7);
}

async fn a_body_shorter_than_announced_is_cut(harness: &Harness) {
    let upload = harness.upload();

    let cut = upload.append_body(&start(), body("short"), Some(6)).await.unwrap();

    assert_eq!((cut.ended, cut.offset), (Ended::Cut, 5));
}

async fn an_empty_body_is_no_part(harness: &Harness) {
    let upload = harness.upload();
    let head = upload.append(&start(), "head").await;

    let none = upload.append_body(&head, empty_stream(), Some(0)).await.unwrap();
    let no_bytes = upload.append_body(&head, body(""), None).await.unwrap();

    let nothing = Appended { part: None, ..head };
    assert_eq!(none, nothing);
    assert_eq!(no_bytes, nothing);
}

async fn a_body_longer_than_announced_does_not_count(harness: &Harness) {
    let upload = harness.upload();
    let head = upload.append(&start(), "head").await;

    let refused = upload.append_body(&head, body(", tail"), Some(5)).await;

    assert_eq!(refused, Err(BlobError::TooLong { expected_bytes: 5 }));
    let tail = upload.append_body(&head, body(", tail"), Some(6)).await.unwrap();
    let (locator, size_bytes) = upload.publish(&[&head, &tail], b"head, tail").await;
    assert_eq!(harness.read(&locator, size_bytes).await, "head, tail");
}
