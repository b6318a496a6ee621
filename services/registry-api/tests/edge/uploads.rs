//! Uploads: every way in, and every way in which one goes on or ends.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{Method, header, request::Builder};
use oci::Digest;
use proto::{
    auth::Subject,
    blob::BlobError,
    metadata::{UploadError, Via},
};
use rstest::rstest;

use crate::{
    services::{When, locator, session_id},
    world::{Answer, PUSH, World, get, on, post, put},
};

const START: &str = "/v2/ann/app/blobs/uploads/";

fn patch(location: &str) -> Builder {
    on(Method::PATCH, location)
}

fn closing(location: &str, digest: &Digest) -> Builder {
    put(&format!("{location}?digest={}", digest.to_string().replace(':', "%3A")))
}

fn unavailable() -> UploadError {
    UploadError::Unavailable { attempted: "recording a part".into() }
}

/// What a client sends that goes away after `bytes`.
fn cut_after(bytes: &'static [u8]) -> Body {
    let broken = std::io::Error::other("connection reset");
    Body::from_stream(stream::iter([Ok(Bytes::from_static(bytes)), Err(broken)]))
}

#[track_caller]
fn at(answer: Answer, status: u16, range: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("location"), format!("{START}{}", session_id()));
    assert_eq!(answer.header("docker-upload-uuid"), session_id().to_string());
    assert_eq!(answer.header("range"), range);
    answer
}

#[tokio::test]
async fn docker_pushes_a_blob_within_the_budget_of_calls() {
    let world = World::new();
    let (bytes, digest) = (b"a whole layer".as_slice(), Digest::of_sha256(b"a whole layer"));

    let started = at(world.send(&[PUSH], post(START), Body::empty()).await, 202, "0-0");
    assert_eq!(started.calls, ["start"]);
    let location = started.header("location").to_owned();

    let sent = at(world.send(&[PUSH], patch(&location), bytes).await, 202, "0-12");
    assert_eq!(sent.calls, ["session", "append", "advance"]);
    let status = at(world.send(&[PUSH], get(&location), Body::empty()).await, 204, "0-12");
    assert_eq!(status.calls, ["session"]);

    let finished = world.send(&[PUSH], closing(&location, &digest), Body::empty()).await.expect(201);
    assert_eq!(finished.header("location"), format!("/v2/ann/app/blobs/{digest}"));
    assert_eq!(finished.header("docker-content-digest"), digest.to_string());
    assert_eq!(finished.calls, ["hold", "finish", "link", "discard"]);

    let actor = world.uploads.actors.lock().unwrap().remove(0);
    assert_eq!(actor.subject, Subject::User("ann".parse().unwrap()));
    assert_eq!((actor.via, actor.address), (Via::Registry, Some([127, 0, 0, 1].into())));
}

#[tokio::test]
async fn a_blob_comes_with_the_put_or_with_the_post() {
    let digest = Digest::of_sha256(b"small");
    let world = World::new();
    let location = world.open_upload(b"").await;
    let answer = world.send(&[PUSH], closing(&location, &digest), "small").await.expect(201);
    assert_eq!(answer.calls, ["hold", "finish", "link", "discard"]);

    let request = post(&format!("{START}?digest={digest}")).header(header::CONTENT_LENGTH, 5);
    let answer = world.send(&[PUSH], request, "small").await.expect(201);
    assert_eq!(answer.header("location"), format!("/v2/ann/app/blobs/{digest}"));
    assert_eq!(answer.calls, ["start", "hold", "finish", "link", "discard"]);
}

#[tokio::test]
async fn a_post_with_other_bytes_leaves_nothing_behind() {
    let world = World::new();
    let request = post(&format!("{START}?digest={}", Digest::of_sha256(b"this")));
    let answer = world.send(&[PUSH], request, "that").await.expect_error(400, "DIGEST_INVALID");
    assert_eq!(answer.calls, ["start", "hold", "finish", "cancel", "discard"]);
    assert!(world.uploads.session.lock().unwrap().is_none());
}

#[tokio::test]
async fn a_post_cut_short_can_be_gone_on_with() {
    let world = World::new();
    let digest = Digest::of_sha256(b"aaaabbb");
    let request = post(&format!("{START}?digest={digest}"));
    let answer = world.send(&[PUSH], request, cut_after(b"aaaa")).await;
    let answer = at(answer.expect_error(400, "BLOB_UPLOAD_INVALID"), 400, "0-3");
    let _ = world.send(&[PUSH], closing(answer.header("location"), &digest), "bbb").await.expect(201);
}

#[rstest]
#[case("&from=ann/from", "repository:ann/from:pull", 201)]
#[case("&from=ann/from", "repository:ann/from:push", 202)]
#[case("&from=ann/empty", "repository:ann/empty:pull", 202)]
#[case("&from=ann/from", "repository:ann/other:pull", 202)]
#[case("", "repository:ann/from:pull", 201)]
#[case("&from=", "repository:ann/from:pull", 201)]
#[case("", "repository:ann/from:push", 202)]
#[case("", "repository:ann/other:pull", 202)]
#[tokio::test]
async fn a_mount_needs_the_right_to_pull_and_is_an_upload_otherwise(
    #[case] from: &str,
    #[case] scope: &str,
    #[case] status: u16,
) {
    let world = World::new();
    world.uploads.mountable.lock().unwrap().push("ann/from".parse().unwrap());
    let digest = Digest::of_sha256(b"x");
    let request = post(&format!("{START}?mount={digest}{from}"));

    let answer = world.send(&[PUSH, scope], request, Body::empty()).await.expect(status);

    assert_eq!(answer.calls.len(), 1);
    if status == 201 {
        assert_eq!(answer.header("location"), format!("/v2/ann/app/blobs/{digest}"));
    } else {
        let _ = at(answer, 202, "0-0");
    }
}

#[rstest]
#[case("?mount=sha256:abc&from=ann/from", "DIGEST_INVALID")]
#[case(
    "?mount=sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881&from=Ann",
    "NAME_INVALID"
)]
#[case("?digest=md5:abc", "DIGEST_INVALID")]
#[tokio::test]
async fn a_malformed_start_is_refused(#[case] query: &str, #[case] code: &str) {
    let world = World::new();
    let answer = world.send(&[PUSH], post(&format!("{START}{query}")), Body::empty()).await;
    assert!(answer.expect_error(400, code).calls.is_empty());
}

#[tokio::test]
async fn chunks_go_on_at_the_end_and_nowhere_else() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let chunk = |method, range: &str| {
        let digest = Digest::of_sha256(b"aaaabbb");
        let path = format!("{location}?digest={digest}");
        on(method, &path).header(header::CONTENT_RANGE, range)
    };

    let _ = at(world.send(&[PUSH], chunk(Method::PATCH, "0-3"), "aaaa").await, 202, "0-3");
    for method in [Method::PATCH, Method::PUT] {
        for range in ["0-3", "5-6", "3-5"] {
            let refused = world.send(&[PUSH], chunk(method.clone(), range), "bbb").await;
            let refused = at(refused.expect_error(416, "RANGE_INVALID"), 416, "0-3");
            assert_eq!(refused.calls.len(), 1, "nothing is stored");
        }
    }
    let _ = world.send(&[PUSH], chunk(Method::PUT, "4-6"), "bbb").await.expect(201);
}

#[rstest]
#[case("x-y", 3, "BLOB_UPLOAD_INVALID")]
#[case("5-2", 3, "BLOB_UPLOAD_INVALID")]
#[case("0-2", 4, "SIZE_INVALID")]
#[tokio::test]
async fn a_chunk_that_contradicts_itself_is_refused(
    #[case] range: &str,
    #[case] length: u64,
    #[case] code: &str,
) {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let request =
        patch(&location).header(header::CONTENT_RANGE, range).header(header::CONTENT_LENGTH, length);
    let answer = world.send(&[PUSH], request, "aaa").await.expect_error(400, code);
    assert_eq!(answer.calls, ["session"]);
    let _ = at(world.send(&[PUSH], get(&location), Body::empty()).await, 204, "0-0");
}

#[tokio::test]
async fn a_body_cut_short_keeps_what_arrived() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    let answer = world.send(&[PUSH], patch(&location), cut_after(b"bbb")).await;
    let answer = at(answer.expect_error(400, "BLOB_UPLOAD_INVALID"), 400, "0-6");
    assert_eq!(answer.calls, ["session", "append", "advance"]);

    let digest = Digest::of_sha256(b"aaaabbbcc");
    let answer = world.send(&[PUSH], closing(&location, &digest), cut_after(b"c")).await;
    let answer = at(answer.expect_error(400, "BLOB_UPLOAD_INVALID"), 400, "0-7");
    assert_eq!(answer.json()["errors"][0]["detail"]["recorded"], 8);
    assert_eq!(answer.calls, ["hold", "finish", "advance"]);
    let _ = world.send(&[PUSH], closing(&location, &digest), "c").await.expect(201);
}

#[tokio::test]
async fn what_a_client_has_sent_is_recorded_though_it_does_not_wait() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Body::from_stream(stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?, receiver))
    }));
    sender.send(Ok(Bytes::from_static(b"flushed"))).await.unwrap();

    // The client is gone as soon as the edge waits for more.
    let sending = world.send(&[PUSH], patch(&location), body);
    tokio::select! {
        biased;
        answer = sending => panic!("{answer:?}"),
        () = sender.reserve().map(drop) => {}
    }
    sender.send(Err(std::io::Error::other("gone"))).await.unwrap();
    drop(sender);

    let drained = world.process.shutdown.drain(std::time::Duration::from_mins(1)).await;
    assert_eq!(drained, service_kit::shutdown::Drained::Finished);
    assert_eq!(world.uploads.session.lock().unwrap().as_ref().unwrap().offset, 7);
}

#[tokio::test]
async fn two_writers_at_one_offset_are_told_where_it_went_on() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    world.uploads.faults.add("advance", When::Before, UploadError::OffsetMoved { recorded: 9 });
    let answer = world.send(&[PUSH], patch(&location), "bbb").await.expect_error(416, "RANGE_INVALID");
    let _ = at(answer, 416, "0-8");
}

#[tokio::test]
async fn a_client_without_a_token_is_told_to_get_one_for_the_mount_too() {
    let world = World::new();
    let path = format!("{START}?mount={}&from=bob/from", Digest::of_sha256(b"x"));
    let answer = world.send_as_it_is(post(&path), Body::empty()).await.expect(401);
    let scope = "scope=\"repository:ann/app:pull,push repository:bob/from:pull\"";
    assert!(answer.header("www-authenticate").ends_with(scope), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_recorded_late_is_known_again() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    // The first try has no answer; the second is recorded, but it seems as if the first had been.
    world.uploads.faults.add("advance", When::Before, unavailable());
    world.uploads.faults.add("advance", When::After, UploadError::OffsetMoved { recorded: 7 });
    let answer = at(world.send(&[PUSH], patch(&location), "bbb").await, 202, "0-6");
    assert_eq!(answer.calls, ["session", "append", "advance", "session", "advance", "session"]);
}

#[rstest]
#[case(When::After, &["session", "append", "advance", "session"])]
#[case(When::Before, &["session", "append", "advance", "session", "advance"])]
#[tokio::test(start_paused = true)]
async fn a_part_is_recorded_once_though_there_was_no_answer(#[case] when: When, #[case] calls: &[&str]) {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    world.uploads.faults.add("advance", when, unavailable());
    let answer = at(world.send(&[PUSH], patch(&location), "bbb").await, 202, "0-6");
    assert_eq!(answer.calls, calls);
}

#[tokio::test(start_paused = true)]
async fn what_takes_bytes_is_not_tried_again() {
    let world = World::new();
    let location = world.open_upload(b"").await;
    world.blobs.faults.add("append", When::Before, BlobError::Unavailable { attempted: "writing".into() });
    let answer = world.send(&[PUSH], patch(&location), "bbb").await.expect_error(503, "UNAVAILABLE");
    assert_eq!(answer.calls, ["session", "append"]);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_link_is_repeated_until_it_is_answered() {
    let world = World::new();
    let digest = Digest::of_sha256(b"aaaa");
    let location = world.open_upload(b"aaaa").await;
    world.uploads.faults.add("link", When::After, unavailable());
    world.uploads.faults.add("link", When::Before, UploadError::Conflict { attempted: "linking".into() });
    let answer = world.send(&[PUSH], closing(&location, &digest), Body::empty()).await.expect(201);
    assert_eq!(answer.calls, ["hold", "finish", "link", "link", "link", "discard"]);
}

#[tokio::test]
async fn a_lost_hold_is_taken_again_and_what_was_brought_is_linked() {
    let world = World::new();
    let digest = Digest::of_sha256(b"aaaa");
    let location = world.open_upload(b"").await;
    let other = Some(locator(&digest, 55));
    *world.uploads.located.lock().unwrap() = [None, other].into();
    world.uploads.faults.add("link", When::Before, UploadError::HoldLost { digest: digest.clone() });

    let answer = world.send(&[PUSH], closing(&location, &digest), "aaaa").await.expect(201);

    assert_eq!(answer.calls, ["hold", "finish", "link", "hold", "link", "discard"]);
    let link = world.uploads.links.lock().unwrap().remove(0);
    assert_eq!(link.seen, None, "what others have brought meanwhile must win");
}

#[tokio::test]
async fn content_that_was_found_and_is_gone_is_published_again() {
    let world = World::new();
    let digest = Digest::of_sha256(b"aaaa");
    let location = world.open_upload(b"aaaa").await;
    *world.uploads.located.lock().unwrap() = [Some(locator(&digest, 55)), None].into();
    world.uploads.faults.add("link", When::Before, UploadError::HoldLost { digest: digest.clone() });

    let answer = world.send(&[PUSH], closing(&location, &digest), Body::empty()).await.expect(201);

    assert_eq!(answer.calls, ["hold", "finish", "link", "hold", "finish", "link", "discard"]);
    let link = world.uploads.links.lock().unwrap().remove(0);
    assert_ne!(link.locator, locator(&digest, 55));
}

#[tokio::test]
async fn content_that_is_gone_with_the_last_body_is_asked_for_again() {
    let world = World::new();
    let digest = Digest::of_sha256(b"aaaa");
    let location = world.open_upload(b"").await;
    *world.uploads.located.lock().unwrap() = [Some(locator(&digest, 55)), None].into();
    world.uploads.faults.add("link", When::Before, UploadError::HoldLost { digest: digest.clone() });
    let put = || world.send(&[PUSH], closing(&location, &digest), "aaaa");

    let answer = put().await.expect_error(503, "UNAVAILABLE");
    assert!(!answer.header("retry-after").is_empty());
    let _ = put().await.expect(201);
}

#[tokio::test]
async fn a_put_must_name_the_digest_of_the_bytes() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    let answer = world.send(&[PUSH], put(&location), Body::empty()).await.expect_error(400, "DIGEST_INVALID");
    assert!(answer.calls.is_empty());

    let claimed = Digest::of_sha256(b"bbbb");
    let answer = world.send(&[PUSH], closing(&location, &claimed), Body::empty()).await;
    let answer = answer.expect_error(400, "DIGEST_INVALID");
    let detail = &answer.json()["errors"][0]["detail"];
    assert_eq!(detail["claimed"], claimed.to_string());
    assert_eq!(detail["actual"], Digest::of_sha256(b"aaaa").to_string());
    let _ = at(world.send(&[PUSH], get(&location), Body::empty()).await, 204, "0-3");
}

#[tokio::test]
async fn parts_that_cannot_be_removed_do_not_undo_a_push() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    world.blobs.faults.add("discard", When::Before, BlobError::Unavailable { attempted: "removing".into() });
    let request = closing(&location, &Digest::of_sha256(b"aaaa"));
    let _ = world.send(&[PUSH], request, Body::empty()).await.expect(201);
}

#[tokio::test]
async fn an_upload_that_was_given_up_is_gone() {
    let world = World::new();
    let location = world.open_upload(b"aaaa").await;
    let answer = world.send(&[PUSH], on(Method::DELETE, &location), Body::empty()).await.expect(204);
    assert_eq!(answer.calls, ["session", "cancel", "discard"]);
    let _ = world.send(&[PUSH], get(&location), Body::empty()).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

fn over_quota(size_bytes: Option<u64>) -> UploadError {
    let (used_bytes, limit_bytes) = (10_523_266_580, 10 << 30);
    UploadError::QuotaExceeded { namespace: "ann".parse().unwrap(), used_bytes, limit_bytes, size_bytes }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_numbers_and_its_parts_go() {
    let world = World::new();
    world.uploads.faults.add("start", When::Before, over_quota(None));
    let full = world.send(&[PUSH], post(START), Body::empty()).await.expect_error(403, "DENIED");
    let text = "ann has used 9.8 GiB of 10.0 GiB; no blob fits any more; delete images or ask an administrator for \
        more";
    assert_eq!(full.json()["errors"][0]["message"], text);
    assert_eq!(full.json()["errors"][0]["detail"]["limit_bytes"], 10_u64 << 30);
    assert_eq!(full.calls, ["start"]);

    let location = world.open_upload(b"").await;
    world.uploads.faults.add("advance", When::Before, over_quota(Some(512 << 20)));
    let part = world.send(&[PUSH], patch(&location), "part").await.expect_error(403, "DENIED");
    assert_eq!(part.calls, ["session", "append", "advance", "discard"]);

    let location = world.open_upload(b"").await;
    world.uploads.faults.add("link", When::Before, over_quota(Some(512 << 20)));
    let request = closing(&location, &Digest::of_sha256(b""));
    let blob = world.send(&[PUSH], request, Body::empty()).await.expect_error(403, "DENIED");
    let message = blob.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("this blob of 512.0 MiB does not fit; delete images"), "{message}");
    assert_eq!(blob.calls, ["hold", "finish", "link", "discard"]);
}
