//! Blobs that are pushed in chunks, as far as they came, and those that are given up.

use reqwest::{Body, Method};
use tests::{image, raw::Answer};

use crate::{ground::Ground, requirement::requirements};

requirements![
    chunks_are_taken_in_order_until_a_put_without_a_body,
    the_last_chunk_may_come_with_the_put,
    a_chunk_is_answered_with_where_to_go_on,
    a_location_after_a_chunk_can_be_used_instead,
    a_stream_without_content_range_is_a_chunk,
    streams_and_chunks_can_take_turns,
    the_first_chunk_begins_at_0,
    a_chunk_out_of_order_is_416,
    a_last_chunk_out_of_order_is_416,
    a_session_goes_on_after_416,
    the_status_is_204_with_location_and_range,
    the_range_of_an_empty_session_can_be_read_by_docker,
    chunks_may_be_as_small_as_they_like,
    a_content_range_of_another_form_is_refused,
    a_content_range_in_the_form_of_http_is_understood,
    a_chunk_shorter_than_its_range_is_refused,
    chunks_with_a_wrong_digest_are_refused,
    a_session_that_is_cancelled_is_gone,
    a_session_cannot_be_cancelled_twice,
];

const BYTES: &[u8] = b"0123456789";

/// A session that has the first four bytes.
async fn begun(at: &Ground) -> String {
    let location = at.start().await;
    at.chunk(&location, "0-3", &BYTES[..4]).await.expect(202).header("location").to_owned()
}

#[track_caller]
fn goes_on(answer: &Answer, last: usize) {
    assert_eq!(answer.header("range"), format!("0-{last}"));
    assert!(answer.header("location").contains(answer.header("docker-upload-uuid")), "{answer:?}");
    assert!(!answer.header("docker-upload-uuid").is_empty(), "{answer:?}");
}

/// PUT of the last chunk with its place.
async fn last(at: &Ground, location: &str, range: &str, bytes: &[u8]) -> Answer {
    let path = format!("{location}?digest={}", image::digest(BYTES));
    at.send(Method::PUT, &path, &[("content-range", range)], bytes.to_vec()).await
}

async fn is_whole(at: &Ground, answer: Answer) {
    let answer = answer.expect(201);
    assert_eq!(at.get(answer.header("location")).await.expect(200).body, BYTES);
}

/// OCI distribution 1.1, "Pushing a blob in chunks": chunks in order MUST be answered with 202, the closing
/// PUT with 201.
async fn chunks_are_taken_in_order_until_a_put_without_a_body(at: &Ground) {
    let location = begun(at).await;
    let _ = at.chunk(&location, "4-8", &BYTES[4..9]).await.expect(202);
    let _ = at.chunk(&location, "9-9", &BYTES[9..]).await.expect(202);
    is_whole(at, at.close(&location, &image::digest(BYTES)).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": the final chunk MAY be uploaded in the closing PUT
/// request.
async fn the_last_chunk_may_come_with_the_put(at: &Ground) {
    let location = begun(at).await;
    is_whole(at, last(at, &location, "4-9", &BYTES[4..]).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": 202 MUST have `Location` and `Range: 0-<end-of-range>`,
/// the position of the last byte.
async fn a_chunk_is_answered_with_where_to_go_on(at: &Ground) {
    let location = at.start().await;
    goes_on(&at.chunk(&location, "0-3", &BYTES[..4]).await.expect(202), 3);
    goes_on(&at.chunk(&location, "4-9", &BYTES[4..]).await.expect(202), 9);
}

/// OCI distribution 1.1, "Pushing a blob in chunks": each chunk SHOULD use the `Location` of the answer
/// before it.
async fn a_location_after_a_chunk_can_be_used_instead(at: &Ground) {
    let second = begun(at).await;
    let answer = at.chunk(&second, "4-9", &BYTES[4..]).await.expect(202);
    is_whole(at, at.close(answer.header("location"), &image::digest(BYTES)).await).await;
}

/// Docker Registry HTTP API V2, "Stream upload": PATCH without `Content-Range`, of a length that is not told,
/// is appended and answered with 202.
async fn a_stream_without_content_range_is_a_chunk(at: &Ground) {
    let location = at.start().await;
    let pieces: Vec<_> = BYTES.chunks(3).map(Ok::<_, std::io::Error>).collect();
    let stream = Body::wrap_stream(futures_util::stream::iter(pieces));
    goes_on(&at.send(Method::PATCH, &location, &[], stream).await.expect(202), 9);
    is_whole(at, at.close(&location, &image::digest(BYTES)).await).await;
}

/// Docker Registry HTTP API V2, "Chunked Upload" and "Stream upload": both go on at the end of the session.
async fn streams_and_chunks_can_take_turns(at: &Ground) {
    let location = begun(at).await;
    goes_on(&at.raw.patch(&at.repository, &location, &BYTES[4..6]).await.expect(202), 5);
    is_whole(at, last(at, &location, "6-9", &BYTES[6..]).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": the first chunk's range MUST begin with 0.
async fn the_first_chunk_begins_at_0(at: &Ground) {
    let location = at.start().await;
    let _ = at.chunk(&location, "1-3", &BYTES[1..4]).await.expect_error(416, "RANGE_INVALID");
}

/// OCI distribution 1.1, "Pushing a blob in chunks": an out-of-order chunk MUST be answered with 416.
async fn a_chunk_out_of_order_is_416(at: &Ground) {
    let location = begun(at).await;
    for (range, bytes) in [("0-3", &BYTES[..4]), ("5-9", &BYTES[5..]), ("3-9", &BYTES[3..])] {
        let _ = at.chunk(&location, range, bytes).await.expect_error(416, "RANGE_INVALID");
    }
}

/// OCI distribution main, "Pushing a blob in chunks": a final chunk out of order MUST be answered with 416.
async fn a_last_chunk_out_of_order_is_416(at: &Ground) {
    let location = begun(at).await;
    for (range, bytes) in [("0-3", &BYTES[..4]), ("5-9", &BYTES[5..])] {
        let _ = last(at, &location, range, bytes).await.expect_error(416, "RANGE_INVALID");
    }
}

/// OCI distribution 1.1, "Pushing a blob in chunks": after 416, GET of the location tells the offset, and the
/// upload goes on there.
async fn a_session_goes_on_after_416(at: &Ground) {
    let location = begun(at).await;
    let _ = at.chunk(&location, "5-9", &BYTES[5..]).await.expect(416);
    let _ = last(at, &location, "5-9", &BYTES[5..]).await.expect(416);
    let status = at.get(&location).await.expect(204);
    goes_on(&status, 3);
    is_whole(at, last(at, status.header("location"), "4-9", &BYTES[4..]).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": GET of an active session MUST be answered with 204,
/// `Location` and `Range: 0-<end-of-range>`.
async fn the_status_is_204_with_location_and_range(at: &Ground) {
    let location = begun(at).await;
    let status = at.get(&location).await.expect(204);
    goes_on(&status, 3);
    goes_on(&at.get(status.header("location")).await.expect(204), 3);
}

/// Docker Registry HTTP API V2, "Starting An Upload": `Range: 0-0` while there is nothing; docker fails on an
/// end before the beginning.
async fn the_range_of_an_empty_session_can_be_read_by_docker(at: &Ground) {
    let opened = at.post("blobs/uploads/").await.expect(202);
    goes_on(&opened, 0);
    goes_on(&at.get(opened.header("location")).await.expect(204), 0);
}

/// OCI distribution 1.1, "Pushing a blob in chunks": without `OCI-Chunk-Min-Length` in the answer to POST, a
/// chunk may have any length.
async fn chunks_may_be_as_small_as_they_like(at: &Ground) {
    let opened = at.post("blobs/uploads/").await.expect(202);
    assert_eq!(opened.header("oci-chunk-min-length"), "");
    let location = opened.header("location");
    for (offset, byte) in BYTES.iter().enumerate() {
        let _ = at.chunk(location, &format!("{offset}-{offset}"), &[*byte]).await.expect(202);
    }
    is_whole(at, at.close(location, &image::digest(BYTES)).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": `Content-Range` MUST match `^[0-9]+-[0-9]+$`.
async fn a_content_range_of_another_form_is_refused(at: &Ground) {
    let location = at.start().await;
    for range in ["0-", "-3", "3-0", "a-b", "0-3-", "+0-3", "0x0-0x3", "lines 0-3"] {
        let refused = at.chunk(&location, range, &BYTES[..4]).await;
        let _ = refused.expect_error(400, "BLOB_UPLOAD_INVALID");
    }
    goes_on(&at.get(&location).await.expect(204), 0);
}

/// RFC 9110, section 14.4: `bytes first-last/total`, which some clients send in place of the form that OCI
/// distribution has.
async fn a_content_range_in_the_form_of_http_is_understood(at: &Ground) {
    let location = at.start().await;
    let _ = at.chunk(&location, "bytes 0-3/10", &BYTES[..4]).await.expect(202);
    let _ = at.chunk(&location, "bytes 5-9/10", &BYTES[5..]).await.expect_error(416, "RANGE_INVALID");
    is_whole(at, last(at, &location, "bytes 4-9/*", &BYTES[4..]).await).await;
}

/// OCI distribution 1.1, "Pushing a blob in chunks": `Content-Length` is that of the chunk. "Error Codes":
/// `SIZE_INVALID` if it is another than its range's.
async fn a_chunk_shorter_than_its_range_is_refused(at: &Ground) {
    let location = at.start().await;
    let _ = at.chunk(&location, "0-9", &BYTES[..4]).await.expect_error(400, "SIZE_INVALID");
    let _ = at.chunk(&location, "0-2", &BYTES[..4]).await.expect_error(400, "SIZE_INVALID");
    goes_on(&at.get(&location).await.expect(204), 0);
}

/// OCI distribution 1.1, "Pushing blobs": if the digest is invalid, the registry SHOULD answer 400.
async fn chunks_with_a_wrong_digest_are_refused(at: &Ground) {
    let location = begun(at).await;
    let _ = at.close(&location, &image::digest(BYTES)).await.expect_error(400, "DIGEST_INVALID");
    let _ = at.get(&format!("blobs/{}", image::digest(BYTES))).await.expect(404);
}

/// OCI distribution main, "Cancel a blob upload" (end-14): DELETE of the location is answered with 204, and
/// the session is gone.
async fn a_session_that_is_cancelled_is_gone(at: &Ground) {
    let location = begun(at).await;
    let _ = at.delete(&location).await.expect(204);
    let _ = at.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = at.chunk(&location, "4-9", &BYTES[4..]).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let closed = at.close(&location, &image::digest(&BYTES[..4])).await;
    let _ = closed.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// OCI distribution main, "Endpoints" (end-14): 404 for a session that is not there.
async fn a_session_cannot_be_cancelled_twice(at: &Ground) {
    let location = begun(at).await;
    let _ = at.delete(&location).await.expect(204);
    let _ = at.delete(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}
