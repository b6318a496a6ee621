//! Publishing: what recorded parts and a last body become, and what stays of them.

use std::iter;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, Locator, Span};

use super::{Harness, body, broken, never, published, start};
use crate::{
    StreamError,
    blob::{BlobError, Ended, Finish, Finished, HashState},
    empty_stream, stream_of,
};

pub(super) async fn run(harness: &Harness) {
    nothing_is_published_as_the_empty_blob(harness).await;
    a_last_body_alone_is_published(harness).await;
    a_last_body_is_appended_to_the_parts(harness).await;
    a_large_upload_comes_back_unchanged(harness).await;
    a_cut_last_body_publishes_nothing(harness).await;
    a_last_body_longer_than_announced_publishes_nothing(harness).await;
    a_wrong_digest_leaves_the_session_usable(harness).await;
    an_unreadable_hash_state_is_made_up_for(harness).await;
    a_sha512_that_nobody_announced_is_verified(harness).await;
    content_that_is_there_is_not_written_again(harness).await;
    content_that_is_gone_is_written_again(harness).await;
    other_content_is_not_taken_for_it(harness).await;
    content_that_is_there_is_verified_all_the_same(harness).await;
    a_finish_can_be_repeated(harness).await;
    a_lost_part_is_named(harness).await;
    a_gap_between_parts_is_a_lost_part(harness).await;
    discarding_removes_the_parts_and_keeps_the_content(harness).await;
    discarding_twice_or_nothing_is_no_error(harness).await;
}

async fn nothing_is_published_as_the_empty_blob(harness: &Harness) {
    let upload = harness.upload();

    let (locator, size_bytes) = upload.publish(&[], b"").await;

    assert_eq!(size_bytes, 0);
    assert_eq!(harness.read(&locator, 0).await, "");
    let none = harness.open(&locator, 0, Some(Span { first: 0, length: 0 })).await.unwrap();
    assert_eq!(none.span.length, 0);
}

async fn a_last_body_alone_is_published(harness: &Harness) {
    let upload = harness.upload();
    let finish = upload.finish(&[], Digest::of_sha256(b"all of it"));

    let (locator, size_bytes) = published(harness.blobs.finish(finish, body("all of it")).await);

    assert_eq!(size_bytes, 9);
    assert_eq!(harness.read(&locator, 9).await, "all of it");
}

async fn a_last_body_is_appended_to_the_parts(harness: &Harness) {
    let upload = harness.upload();
    let one = upload.append(&start(), "one ").await;
    let two = upload.append(&one, "two ").await;
    let finish = upload.finish(&[&one, &two], Digest::of_sha256(b"one two three"));

    let finish = Finish { expected_bytes: Some(5), ..finish };
    let (locator, size_bytes) = published(harness.blobs.finish(finish, body("three")).await);

    assert_eq!(harness.read(&locator, size_bytes).await, "one two three");
}

async fn a_large_upload_comes_back_unchanged(harness: &Harness) {
    let upload = harness.upload();
    let piece: Bytes = (0..100_003_u32).flat_map(u32::to_le_bytes).collect();
    let content: Vec<u8> = iter::repeat_n(&piece[..], 7).flatten().copied().collect();
    let whole = stream::iter(vec![Ok(piece.clone()); 6]).boxed();

    let most = upload.append_body(&start(), whole, Some(6 * piece.len() as u64)).await.unwrap();
    let finish = upload.finish(&[&most], Digest::of_sha256(&content));
    let (locator, size_bytes) = published(harness.blobs.finish(finish, stream_of(piece)).await);

    assert_eq!(harness.read(&locator, size_bytes).await, content);
}

async fn a_cut_last_body_publishes_nothing(harness: &Harness) {
    let upload = harness.upload();
    let head = upload.append(&start(), "head").await;
    let finish = upload.finish(&[&head], Digest::of_sha256(b"head, tail"));

    let cut = harness.blobs.finish(finish, broken(", ta", StreamError::Cut)).await.unwrap();

    let Finished::Cut(cut) = cut else { panic!("{cut:?} of a body that was cut") };
    assert_eq!((cut.ended, cut.offset), (Ended::Cut, 8));
    let finish = upload.finish(&[&head, &cut], Digest::of_sha256(b"head, tail"));
    let (locator, size_bytes) = published(harness.blobs.finish(finish, body("il")).await);
    assert_eq!(harness.read(&locator, size_bytes).await, "head, tail");
}

async fn a_last_body_longer_than_announced_publishes_nothing(harness: &Harness) {
    let upload = harness.upload();
    let finish = Finish { expected_bytes: Some(3), ..upload.finish(&[], Digest::of_sha256(b"four")) };

    let refused = harness.blobs.finish(finish, body("four")).await;

    assert_eq!(refused, Err(BlobError::TooLong { expected_bytes: 3 }));
}

async fn a_wrong_digest_leaves_the_session_usable(harness: &Harness) {
    let upload = harness.upload();
    let part = upload.append(&start(), "what was sent").await;
    let (claimed, actual) = (Digest::of_sha256(b"what was meant"), Digest::of_sha256(b"what was sent"));

    let refused = harness.blobs.finish(upload.finish(&[&part], claimed.clone()), empty_stream()).await;

    assert_eq!(refused, Err(BlobError::DigestMismatch { claimed, actual }));
    let (locator, size_bytes) = upload.publish(&[&part], b"what was sent").await;
    assert_eq!(harness.read(&locator, size_bytes).await, "what was sent");
}

async fn an_unreadable_hash_state_is_made_up_for(harness: &Harness) {
    for unreadable in [HashState::default(), HashState(Bytes::from_static(b"\xffof another version"))] {
        let upload = harness.upload();
        let mut head = upload.append(&start(), "head, ").await;
        head.hash = unreadable;

        let tail = upload.append(&head, "tail").await;
        let (locator, size_bytes) = upload.publish(&[&head, &tail], b"head, tail").await;
        assert_eq!(harness.read(&locator, size_bytes).await, "head, tail");

        let claimed = Digest::of_sha256(b"something else");
        let refused = harness.blobs.finish(upload.finish(&[&head, &tail], claimed), empty_stream()).await;
        assert!(matches!(refused, Err(BlobError::DigestMismatch { .. })), "{refused:?}");
    }
}

async fn a_sha512_that_nobody_announced_is_verified(harness: &Harness) {
    let upload = harness.upload();
    let head = upload.append(&start(), "head, ").await;
    let digest = |bytes| Digest::of(Algorithm::Sha512, bytes);

    let wrong = upload.finish(&[&head], digest(b"something else"));
    let refused = harness.blobs.finish(wrong, body("tail")).await;
    let right = upload.finish(&[&head], digest(b"head, tail"));
    let (locator, size_bytes) = published(harness.blobs.finish(right, body("tail")).await);

    let (claimed, actual) = (digest(b"something else"), digest(b"head, tail"));
    assert_eq!(refused, Err(BlobError::DigestMismatch { claimed, actual }));
    assert_eq!(locator.content.digest, digest(b"head, tail"));
    assert_eq!(harness.read(&locator, size_bytes).await, "head, tail");
}

async fn content_that_is_there_is_not_written_again(harness: &Harness) {
    let (first, _) = harness.published("here already").await;
    let upload = harness.upload();
    let part = upload.append(&start(), "here already").await;

    let finish = upload.finish(&[&part], first.content.digest.clone());
    let finish = Finish { existing: Some(first.clone()), ..finish };
    let (second, size_bytes) = published(harness.blobs.finish(finish, empty_stream()).await);

    assert_eq!((second, size_bytes), (first, 12));
}

async fn content_that_is_gone_is_written_again(harness: &Harness) {
    let (first, _) = harness.published("here no more").await;
    let gone = Locator { generation: never(), ..first };
    let upload = harness.upload();
    let part = upload.append(&start(), "here no more").await;

    let finish = upload.finish(&[&part], gone.content.digest.clone());
    let finish = Finish { existing: Some(gone.clone()), ..finish };
    let (second, size_bytes) = published(harness.blobs.finish(finish, empty_stream()).await);

    assert_ne!(second, gone);
    assert_eq!(harness.read(&second, size_bytes).await, "here no more");
}

async fn other_content_is_not_taken_for_it(harness: &Harness) {
    let (other, _) = harness.published("something else").await;
    let upload = harness.upload();
    let part = upload.append(&start(), "the right content").await;

    let finish = upload.finish(&[&part], Digest::of_sha256(b"the right content"));
    let finish = Finish { existing: Some(other.clone()), ..finish };
    let (locator, size_bytes) = published(harness.blobs.finish(finish, empty_stream()).await);

    assert_ne!(locator, other);
    assert_eq!(harness.read(&locator, size_bytes).await, "the right content");
}

async fn content_that_is_there_is_verified_all_the_same(harness: &Harness) {
    let (first, _) = harness.published("a secret of somebody").await;
    let upload = harness.upload();
    let part = upload.append(&start(), "nothing of the kind!").await;

    let finish = upload.finish(&[&part], first.content.digest.clone());
    let finish = Finish { existing: Some(first), ..finish };
    let refused = harness.blobs.finish(finish, empty_stream()).await;

    assert!(matches!(refused, Err(BlobError::DigestMismatch { .. })), "{refused:?}");
}

async fn a_finish_can_be_repeated(harness: &Harness) {
    let upload = harness.upload();
    let one = upload.append(&start(), "again, ").await;
    let two = upload.append(&one, "and again").await;

    for (parts, content) in [(vec![&one], "again, "), (vec![&one, &two], "again, and again")] {
        let (first, _) = upload.publish(&parts, content.as_bytes()).await;
        let (second, size_bytes) = upload.publish(&parts, content.as_bytes()).await;

        assert_ne!(first.generation, second.generation);
        assert_eq!(harness.read(&first, size_bytes).await, content);
        assert_eq!(harness.read(&second, size_bytes).await, content);
    }
}

async fn a_lost_part_is_named(harness: &Harness) {
    let upload = harness.upload();
    let one = upload.append(&start(), "one ").await;
    let mut two = upload.append(&one, "two").await;
    two.part.as_mut().unwrap().generation = never();

    let refused = harness
        .blobs
        .finish(upload.finish(&[&one, &two], Digest::of_sha256(b"one two")), empty_stream())
        .await;

    assert_eq!(refused, Err(BlobError::PartMissing { session: upload.session, offset: 4 }));
}

async fn a_gap_between_parts_is_a_lost_part(harness: &Harness) {
    let upload = harness.upload();
    let one = upload.append(&start(), "one ").await;
    let two = upload.append(&one, "two").await;

    let finish = upload.finish(&[&two], Digest::of_sha256(b"one two"));
    let refused = harness.blobs.finish(finish, empty_stream()).await;
    let finish = Finish { parts: vec![], ..upload.finish(&[&one, &two], Digest::of_sha256(b"one two")) };
    let none = harness.blobs.finish(finish, empty_stream()).await;

    let missing = Err(BlobError::PartMissing { session: upload.session, offset: 0 });
    assert_eq!(refused, missing);
    assert_eq!(none, missing);
}

async fn discarding_removes_the_parts_and_keeps_the_content(harness: &Harness) {
    let (upload, other) = (harness.upload(), harness.upload());
    let part = upload.append(&start(), "kept").await;
    let others = other.append(&start(), "another's").await;
    let (locator, size_bytes) = upload.publish(&[&part], b"kept").await;

    harness.blobs.discard(&upload.session).await.unwrap();

    let refused =
        harness.blobs.finish(upload.finish(&[&part], Digest::of_sha256(b"kept")), empty_stream()).await;
    assert_eq!(refused, Err(BlobError::PartMissing { session: upload.session, offset: 0 }));
    assert_eq!(harness.read(&locator, size_bytes).await, "kept");
    other.publish(&[&others], b"another's").await;
}

async fn discarding_twice_or_nothing_is_no_error(harness: &Harness) {
    let upload = harness.upload();
    upload.append(&start(), "gone").await;

    assert_eq!(harness.blobs.discard(&upload.session).await, Ok(()));
    assert_eq!(harness.blobs.discard(&upload.session).await, Ok(()));
    assert_eq!(harness.blobs.discard(&harness.upload().session).await, Ok(()));
}
