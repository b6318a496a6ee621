//! Blob bytes over real HTTP/2 in memory: what is cut arrives as cut, what fails early fails as itself, and
//! a truncated answer never looks like a whole one.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers of tests, as in tests

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use oci::{SessionId, Span};
use proto::{
    ByteStream, StreamError,
    blob::{
        Append, Appended, BlobClient, BlobError, Blobs, Delivery, Ended, Finish, Finished, Grant, Handoff,
        HashState, Opened, Part, Redirect, server,
    },
    empty_stream, stream_of,
};
use rstest::rstest;
use service_kit::grpc::in_memory;
use tokio::sync::Semaphore;

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const LOCATOR: &str = "disk/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855+/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const SESSION: &str = "e7c5d8a0-55f5-4f0f-9f61-0f1d8b3e6a11";
const GENERATION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const KIB: usize = 1024;

/// What the far side does with a call, and what it has seen of it.
struct Scripted {
    /// Bytes of a body that it reads before it fails with `failure`.
    failure: Option<(usize, BlobError)>,
    /// What it streams, and how long it says that is.
    answer: Vec<Result<Bytes, StreamError>>,
    announced: u64,
    appends: Mutex<Vec<Append>>,
    finishes: Mutex<Vec<Finish>>,
    deliveries: Mutex<Vec<Delivery>>,
    chunks: Mutex<Vec<Result<Bytes, StreamError>>>,
    /// A permit for each call that has ended, however it did.
    over: Semaphore,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            failure: None,
            answer: vec![],
            announced: 0,
            appends: Mutex::default(),
            finishes: Mutex::default(),
            deliveries: Mutex::default(),
            chunks: Mutex::default(),
            over: Semaphore::new(0),
        }
    }
}

impl Scripted {
    async fn take(&self, mut body: ByteStream) -> Result<Ended, BlobError> {
        let _over = Over(&self.over);
        let mut received = 0;
        loop {
            if let Some((_, error)) = self.failure.as_ref().filter(|(after, _)| received >= *after) {
                return Err(error.clone());
            }
            let Some(chunk) = body.next().await else {
                return Ok(Ended::Complete);
            };
            self.chunks.lock().unwrap().push(chunk.clone());
            match chunk {
                Ok(chunk) => received += chunk.len(),
                Err(_) => return Ok(Ended::Cut),
            }
        }
    }

    fn chunks(&self) -> Vec<Result<Bytes, StreamError>> {
        self.chunks.lock().unwrap().clone()
    }
}

struct Over<'a>(&'a Semaphore);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[async_trait]
impl Blobs for Scripted {
    async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        let ended = self.take(body).await?;
        self.appends.lock().unwrap().push(append);
        Ok(appended(ended))
    }

    async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        let ended = self.take(last).await?;
        self.finishes.lock().unwrap().push(finish);
        Ok(match ended {
            Ended::Complete => Finished::Published { locator: LOCATOR.parse().unwrap(), size_bytes: 7 },
            Ended::Cut => Finished::Cut(appended(ended)),
        })
    }

    async fn open(&self, _: &Grant, _: Option<Span>, delivery: Delivery) -> Result<Opened, BlobError> {
        self.deliveries.lock().unwrap().push(delivery);
        if let Some((_, error)) = &self.failure {
            return Err(error.clone());
        }
        if delivery.handoff == Handoff::File {
            return Ok(Opened::Handoff { path: "blobs/sha256/ab/abcd".parse().unwrap() });
        }
        if delivery.redirect == Redirect::Allowed {
            return Ok(Opened::Redirect { url: "https://store.example/o?signature=1".parse().unwrap() });
        }
        // As with a disk, each piece comes after the one before was sent, and the end does too.
        let pieces = self.answer.clone().into_iter().map(Some).chain([None]);
        let paced = stream::iter(pieces).then(async |piece| {
            tokio::task::yield_now().await;
            piece
        });
        let body = Box::pin(paced.filter_map(ready));
        Ok(Opened::Stream { span: Span { first: 3, length: self.announced }, body })
    }

    async fn discard(&self, session: &SessionId) -> Result<(), BlobError> {
        Err(BlobError::PartMissing { session: *session, offset: 1 })
    }
}

fn part() -> Part {
    Part { offset: 3, size_bytes: 4, generation: GENERATION.parse().unwrap() }
}

fn appended(ended: Ended) -> Appended {
    Appended { part: Some(part()), offset: 7, hash: HashState(Bytes::from_static(b"after\xff")), ended }
}

fn append() -> Append {
    Append {
        session: SESSION.parse().unwrap(),
        before: Some(part()),
        offset: 3,
        hash: HashState(Bytes::from_static(b"before\xff")),
        expected_bytes: Some(4),
    }
}

fn finish() -> Finish {
    Finish {
        session: SESSION.parse().unwrap(),
        parts: vec![part()],
        offset: 7,
        hash: HashState(Bytes::from_static(b"before\xff")),
        digest: SHA256.parse().unwrap(),
        existing: Some(LOCATOR.parse().unwrap()),
        expected_bytes: None,
    }
}

fn grant() -> Grant {
    Grant {
        locator: LOCATOR.parse().unwrap(),
        repository: "alice/app".parse().unwrap(),
        size_bytes: 10,
        expires: Timestamp::from_second(1_700_000_000).unwrap(),
        mac: [7; 32],
    }
}

async fn over_grpc(far: &Arc<Scripted>) -> BlobClient {
    let channel = in_memory(|routes| server::add_to(routes, far.clone())).await;
    BlobClient::new(channel, Duration::from_secs(30))
}

fn body_of(chunks: Vec<Result<Bytes, StreamError>>) -> ByteStream {
    Box::pin(stream::iter(chunks))
}

/// Distinguishable bytes, so that a piece out of place is seen.
fn bytes(length: usize) -> Bytes {
    (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

fn endless() -> ByteStream {
    Box::pin(stream::repeat(bytes(64 * KIB)).map(Ok))
}

async fn opened(answer: Vec<Result<Bytes, StreamError>>, announced: u64) -> Vec<Result<Bytes, StreamError>> {
    let far = Arc::new(Scripted { answer, announced, ..Scripted::default() });
    let (span, body) =
        streamed(over_grpc(&far).await.open(&grant(), None, Delivery::default()).await.unwrap());
    assert_eq!(span, Span { first: 3, length: announced });
    body.collect().await
}

fn streamed(opened: Opened) -> (Span, ByteStream) {
    match opened {
        Opened::Stream { span, body } => (span, body),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_append_arrives_as_it_was_sent() {
    let far = Arc::new(Scripted::default());

    let answer = over_grpc(&far).await.append(append(), stream_of(Bytes::from_static(b"data"))).await;

    assert_eq!(answer, Ok(appended(Ended::Complete)));
    assert_eq!(*far.appends.lock().unwrap(), [append()]);
    assert_eq!(far.chunks(), [Ok(Bytes::from_static(b"data"))]);
}

#[tokio::test]
async fn a_finish_arrives_as_it_was_sent() {
    let far = Arc::new(Scripted::default());

    let answer = over_grpc(&far).await.finish(finish(), empty_stream()).await;

    assert_eq!(answer, Ok(Finished::Published { locator: LOCATOR.parse().unwrap(), size_bytes: 7 }));
    assert_eq!(*far.finishes.lock().unwrap(), [finish()]);
    assert_eq!(far.chunks(), []);
}

#[tokio::test]
async fn a_large_chunk_is_split_into_pieces_of_256_kib() {
    let far = Arc::new(Scripted::default());
    let chunk = bytes(3 * KIB * KIB + 1);

    over_grpc(&far).await.append(append(), stream_of(chunk.clone())).await.unwrap();

    let pieces: Vec<Bytes> = far.chunks().into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(pieces.iter().map(Bytes::len).max(), Some(256 * KIB));
    assert_eq!(pieces.len(), 13);
    assert!(pieces.concat() == chunk, "the bytes have changed on the way");
}

#[tokio::test]
async fn a_cut_body_arrives_as_cut_with_what_came_before() {
    for error in [StreamError::Cut, StreamError::Stalled, StreamError::Source] {
        let far = Arc::new(Scripted::default());
        let client = over_grpc(&far).await;
        let chunks = vec![Ok(bytes(300 * KIB)), Err(error)];

        let answer = client.append(append(), body_of(chunks.clone())).await;
        assert_eq!(answer, Ok(appended(Ended::Cut)));
        assert_eq!(far.chunks().len(), 3);
        assert_eq!(far.chunks().last(), Some(&Err(StreamError::Cut)));

        let answer = client.finish(finish(), body_of(chunks)).await;
        assert_eq!(answer, Ok(Finished::Cut(appended(Ended::Cut))));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_far_side_and_is_never_taken_for_the_end() {
    let far = Arc::new(Scripted::default());
    let client = over_grpc(&far).await;

    // Given a call whose body never ends, when its caller gives up after the first chunk …
    let body = stream::once(ready(Ok(bytes(10)))).chain(stream::pending());
    let first_chunk = async {
        while far.chunks().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = client.append(append(), Box::pin(body)) => panic!("a body without an end has been taken"),
        () = first_chunk => {}
    }

    // … then the far side is told, or dropped.
    tokio::time::timeout(Duration::from_secs(10), far.over.acquire()).await.unwrap().unwrap().forget();
    assert!(far.appends.lock().unwrap().is_empty() || far.chunks().last() == Some(&Err(StreamError::Cut)));
}

#[tokio::test]
async fn an_early_error_comes_back_as_itself_while_the_body_goes_on() {
    let no_space = BlobError::NoSpace { attempted: "writing a part".into() };
    for after in [0, 1, 200 * KIB, 2 * KIB * KIB] {
        let far = Arc::new(Scripted { failure: Some((after, no_space.clone())), ..Scripted::default() });
        let client = over_grpc(&far).await;

        for _ in 0..50 {
            assert_eq!(
                client.append(append(), endless()).await,
                Err(no_space.clone()),
                "after {after} bytes"
            );
            assert_eq!(
                client.finish(finish(), endless()).await,
                Err(no_space.clone()),
                "after {after} bytes"
            );
        }
    }
}

#[tokio::test]
async fn an_early_error_comes_back_while_the_body_says_nothing() {
    let too_long = BlobError::TooLong { expected_bytes: 4 };
    let far = Arc::new(Scripted { failure: Some((1, too_long.clone())), ..Scripted::default() });
    let body = stream::once(ready(Ok(bytes(5)))).chain(stream::pending());

    assert_eq!(over_grpc(&far).await.append(append(), Box::pin(body)).await, Err(too_long));
}

#[tokio::test]
async fn an_opened_blob_arrives_whole() {
    let chunk = bytes(KIB * KIB);
    let answer = vec![Ok(chunk.slice(..700 * KIB)), Ok(Bytes::new()), Ok(chunk.slice(700 * KIB..))];

    let arrived = opened(answer, chunk.len() as u64).await;

    let arrived: Vec<Bytes> = arrived.into_iter().collect::<Result<_, _>>().unwrap();
    assert!(arrived.concat() == chunk, "the bytes have changed on the way");
}

#[tokio::test]
async fn an_empty_span_arrives_as_no_bytes() {
    assert_eq!(opened(vec![], 0).await, []);
}

#[tokio::test]
async fn a_truncated_answer_ends_in_an_error() {
    let arrived = opened(vec![Ok(bytes(9))], 10).await;

    assert_eq!(arrived, [Ok(bytes(9)), Err(StreamError::Source)]);
}

#[tokio::test]
async fn more_bytes_than_announced_are_an_error_and_are_not_given_out() {
    let arrived = opened(vec![Ok(bytes(6)), Ok(bytes(6))], 10).await;

    assert_eq!(arrived, [Ok(bytes(6)), Err(StreamError::Source)]);
}

#[tokio::test]
async fn an_answer_that_fails_midway_ends_in_an_error() {
    let arrived = opened(vec![Ok(bytes(9)), Err(StreamError::Source)], 10).await;
    assert_eq!(arrived, [Ok(bytes(9)), Err(StreamError::Source)]);

    // The last bytes come with the end, or not at all.
    let arrived = opened(vec![Ok(bytes(9)), Err(StreamError::Source)], 9).await;
    assert_eq!(arrived, [Err(StreamError::Source)]);
}

// HTTP/2 ends a connection on which too many calls were reset while their bytes were under way: 1,024, counted
// over its whole life, and with it the calls of everybody else.
#[rstest]
#[case::that_were_read_to_the_end(1)]
#[case::that_were_given_up(4)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_pulls_by_the_thousand(#[case] chunks: usize) {
    let answer = vec![Ok(bytes(16 * KIB)); chunks];
    let announced = (chunks * 16 * KIB) as u64;
    let client = over_grpc(&Arc::new(Scripted { answer, announced, ..Scripted::default() })).await;

    let pulls = stream::iter(0..40_000).map(|_| async {
        let opened = client.open(&grant(), None, Delivery::default()).await;
        let (_, mut body) = streamed(opened.map_err(|error| error.to_string())?);
        body.next().await.unwrap().map_err(|error| error.to_string())
    });
    let failed: Vec<String> = pulls.buffer_unordered(64).filter_map(|got| ready(got.err())).collect().await;
    assert_eq!(failed, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_elsewhere_arrives_as_an_address_and_leaves_the_connection_as_it_is() {
    let far = Arc::new(Scripted::default());
    let client = over_grpc(&far).await;
    let handoff = Delivery { handoff: Handoff::File, redirect: Redirect::Never };
    let redirect = Delivery { handoff: Handoff::Replica, redirect: Redirect::Allowed };

    // More than HTTP/2 lets be given up.
    for _ in 0..2_000 {
        match client.open(&grant(), None, handoff).await.unwrap() {
            Opened::Handoff { path } => assert_eq!(path.as_str(), "blobs/sha256/ab/abcd"),
            other => panic!("{other:?}"),
        }
    }
    match client.open(&grant(), None, redirect).await.unwrap() {
        Opened::Redirect { url } => assert_eq!(url.as_str(), "https://store.example/o?signature=1"),
        other => panic!("{other:?}"),
    }
    assert_eq!(far.deliveries.lock().unwrap()[1_999..], [handoff, redirect]);
}

#[tokio::test]
async fn a_refused_open_comes_back_as_itself() {
    let missing = BlobError::Missing { locator: LOCATOR.parse().unwrap() };
    let far = Arc::new(Scripted { failure: Some((0, missing.clone())), ..Scripted::default() });

    let answer = over_grpc(&far).await.open(&grant(), None, Delivery::default()).await;
    assert_eq!(answer.unwrap_err(), missing);
}

#[tokio::test]
async fn an_error_of_a_discard_comes_back_as_itself() {
    let session: SessionId = SESSION.parse().unwrap();
    let client = over_grpc(&Arc::new(Scripted::default())).await;

    let answer = client.discard(&session).await;

    assert_eq!(answer, Err(BlobError::PartMissing { session, offset: 1 }));
}
