//! Parts of blobs, for clients that go on with a pull or pull in parallel.

use tests::{image, raw::Answer};

use crate::{ground::Ground, requirement::requirements};

requirements![
    blobs_say_that_ranges_can_be_asked_for,
    a_closed_range_is_answered_with_its_bytes,
    an_open_range_goes_to_the_end,
    a_suffix_range_is_the_end,
    a_suffix_longer_than_the_blob_is_all_of_it,
    a_range_beyond_the_end_is_cut,
    a_range_behind_the_end_is_416,
    a_part_says_which_blob_it_is_of,
    several_ranges_are_answered_with_the_whole_blob,
    a_range_that_is_malformed_or_in_another_unit_is_ignored,
    a_range_of_what_is_unchanged_is_a_part,
    a_range_of_what_has_changed_is_the_whole_blob,
    what_the_client_has_is_not_sent_in_parts_either,
    parts_are_never_encoded_in_another_way,
];

const BYTES: &[u8] = b"0123456789";

async fn ranged(at: &Ground, range: &str) -> Answer {
    let path = at.blob(BYTES).await;
    at.get_with(&path, "range", range).await
}

#[track_caller]
fn is_part(answer: Answer, first: usize, last: usize) {
    let part = answer.expect(206);
    assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{}", BYTES.len()));
    assert_eq!(part.header("content-length"), (last + 1 - first).to_string());
    assert_eq!(part.body, BYTES[first..=last]);
}

/// RFC 9110, section 14.3: `Accept-Ranges: bytes`, to GET and HEAD.
async fn blobs_say_that_ranges_can_be_asked_for(at: &Ground) {
    let path = at.blob(BYTES).await;
    assert_eq!(at.get(&path).await.expect(200).header("accept-ranges"), "bytes");
    assert_eq!(at.head(&path).await.expect(200).header("accept-ranges"), "bytes");
}

/// OCI distribution 1.1, "Pulling blobs": a registry SHOULD support `Range`. RFC 9110, section 14.1.2: both
/// ends are part of it; section 15.3.7: 206 with `Content-Range`.
async fn a_closed_range_is_answered_with_its_bytes(at: &Ground) {
    is_part(ranged(at, "bytes=0-0").await, 0, 0);
    is_part(ranged(at, "bytes=2-5").await, 2, 5);
    is_part(ranged(at, "bytes=0-9").await, 0, 9);
}

/// RFC 9110, section 14.1.2: `first-` is from there to the end.
async fn an_open_range_goes_to_the_end(at: &Ground) {
    is_part(ranged(at, "bytes=3-").await, 3, 9);
    is_part(ranged(at, "bytes=9-").await, 9, 9);
}

/// RFC 9110, section 14.1.2: `-length` is the last so many bytes.
async fn a_suffix_range_is_the_end(at: &Ground) {
    is_part(ranged(at, "bytes=-4").await, 6, 9);
}

/// RFC 9110, section 14.1.2: a suffix longer than the representation is all of it.
async fn a_suffix_longer_than_the_blob_is_all_of_it(at: &Ground) {
    is_part(ranged(at, "bytes=-99").await, 0, 9);
}

/// RFC 9110, section 14.1.2: a last position beyond the end means the end.
async fn a_range_beyond_the_end_is_cut(at: &Ground) {
    is_part(ranged(at, "bytes=8-99").await, 8, 9);
    is_part(ranged(at, "bytes=8-18446744073709551615").await, 8, 9);
}

/// RFC 9110, section 15.5.17: a range without any byte of the blob is answered with 416 and its length.
async fn a_range_behind_the_end_is_416(at: &Ground) {
    for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
        let refused = ranged(at, range).await.expect_error(416, "RANGE_INVALID");
        assert_eq!(refused.header("content-range"), "bytes */10", "{range}");
    }
}

/// RFC 9110, section 15.3.7: 206 has the `ETag` that 200 would have. OCI distribution main, "Pulling blobs":
/// and `Docker-Content-Digest`, which is of the whole blob.
async fn a_part_says_which_blob_it_is_of(at: &Ground) {
    let digest = image::digest(BYTES).to_string();
    let part = ranged(at, "bytes=0-1").await.expect(206);
    assert_eq!(part.header("etag"), format!("\"{digest}\""));
    assert_eq!(part.header("docker-content-digest"), digest);
}

/// RFC 9110, section 14.2: a server MAY ignore `Range`; this one does so with several, as with overlapping
/// ones.
async fn several_ranges_are_answered_with_the_whole_blob(at: &Ground) {
    for range in ["bytes=0-1,5-6", "bytes=0-5, 3-8, -2"] {
        assert_eq!(ranged(at, range).await.expect(200).body, BYTES, "{range}");
    }
}

/// RFC 9110, sections 14.1.1 and 14.2: a `Range` that is invalid or in a unit that is not known is ignored.
async fn a_range_that_is_malformed_or_in_another_unit_is_ignored(at: &Ground) {
    for range in ["bytes=5-2", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "1-2"] {
        assert_eq!(ranged(at, range).await.expect(200).body, BYTES, "{range}");
    }
}

/// RFC 9110, section 13.1.5: with the blob's own tag in `If-Range` the range is answered.
async fn a_range_of_what_is_unchanged_is_a_part(at: &Ground) {
    let path = at.blob(BYTES).await;
    let tag = at.get(&path).await.header("etag").to_owned();
    let headers = [("range", "bytes=1-2"), ("if-range", &*tag)];
    is_part(at.send(reqwest::Method::GET, &path, &headers, "").await, 1, 2);
}

/// RFC 9110, section 13.1.5: with another tag in `If-Range` the range is ignored, one that lies outside too.
async fn a_range_of_what_has_changed_is_the_whole_blob(at: &Ground) {
    let path = at.blob(BYTES).await;
    for range in ["bytes=1-2", "bytes=10-"] {
        let headers = [("range", range), ("if-range", "\"other\"")];
        assert_eq!(at.send(reqwest::Method::GET, &path, &headers, "").await.expect(200).body, BYTES);
    }
}

/// RFC 9110, section 13.2.2: `If-None-Match` is looked at before `Range`.
async fn what_the_client_has_is_not_sent_in_parts_either(at: &Ground) {
    let path = at.blob(BYTES).await;
    let tag = at.get(&path).await.header("etag").to_owned();
    let headers = [("range", "bytes=1-2"), ("if-none-match", &*tag)];
    let _ = at.send(reqwest::Method::GET, &path, &headers, "").await.expect(304);
}

/// OCI distribution 1.1, "Pulling blobs", with RFC 9110, section 14.2: positions count the bytes that were
/// pushed, so that a part has no `Content-Encoding` either.
async fn parts_are_never_encoded_in_another_way(at: &Ground) {
    let path = at.blob(BYTES).await;
    let headers = [("range", "bytes=1-2"), ("accept-encoding", "gzip, zstd, br")];
    let part = at.send(reqwest::Method::GET, &path, &headers, "").await;
    assert_eq!(part.header("content-encoding"), "");
    is_part(part, 1, 2);
}
