//! Blobs in a bucket of a real object store: what a store must do, uploads that go from replica to replica, and docker
//! over both topologies. The store is `SeaweedFS`, which each test starts for itself.

#[path = "buckets/vendors.rs"]
mod vendors;

use std::{sync::Arc, time::Duration};

use blob::{
    Claim, Service,
    layout::{ObjectName, Place},
    store::{
        self, Store as _, StoreError,
        object::{Objects, OpenError, Wire},
    },
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, future::join_all};
use oci::{Digest, Locator, SessionId};
use proto::{
    blob::{
        Append, Appended, BlobClient, BlobError, Blobs, Delivery, Finish, Finished, GrantKey, HashState,
        Opened, Part, server, suite, suite::Harness,
    },
    empty_stream, stream_of,
};
use reqwest::StatusCode;
use rstest::rstest;
use secrecy::SecretString;
use service_kit::{
    clock::{Clock as _, ManualClock},
    grpc,
    random::SeededRandom,
};
use tests::{
    Hub, Service as Process, Topology,
    docker::Docker,
    flaky::{Faults, Flaky},
    hub::Options,
    image,
    process::Process as Started,
    raw::{ADMIN, PASSWORD, Raw, read},
    seaweed::Seaweed,
    tree,
};

const MIB: usize = 1 << 20;

/// A replica of the blob service over `objects`; no two have the same `seed`.
fn replica(objects: &Objects, clock: &Arc<ManualClock>, seed: u64) -> Service {
    let random = Arc::new(SeededRandom::new(seed));
    Service::over(Arc::new(objects.clone()), "objects".parse().unwrap(), grants(), clock.clone(), random)
}

fn grants() -> GrantKey {
    GrantKey::new(&SecretString::from("a secret of metadata and blob"))
}

fn session(number: u32) -> SessionId {
    format!("10000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn harness(blobs: impl Blobs, clock: &ManualClock) -> Harness {
    Harness::new(Arc::new(blobs), grants(), clock.now())
}

/// Goes on with an upload as the edge does, without saying so to metadata.
async fn append(blobs: &Service, session: SessionId, after: &[Appended], bytes: &[u8]) -> Appended {
    let last = after.last();
    let append = Append {
        session,
        before: last.and_then(|last| last.part.clone()),
        offset: last.map_or(0, |last| last.offset),
        hash: last.map_or_else(HashState::default, |last| last.hash.clone()),
        expected_bytes: Some(bytes.len() as u64),
    };
    blobs.append(append, stream_of(Bytes::copy_from_slice(bytes))).await.unwrap()
}

fn finish(session: SessionId, recorded: &[Appended], digest: Digest) -> Finish {
    let parts: Vec<Part> = recorded.iter().map(|appended| appended.part.clone().unwrap()).collect();
    let last = recorded.last();
    Finish {
        session,
        parts,
        offset: last.map_or(0, |last| last.offset),
        hash: last.map_or_else(HashState::default, |last| last.hash.clone()),
        digest,
        existing: None,
        expected_bytes: None,
    }
}

fn published(finished: Result<Finished, BlobError>) -> Locator {
    match finished {
        Ok(Finished::Published { locator, .. }) => locator,
        other => panic!("{other:?} of a finish"),
    }
}

async fn pulled(blobs: &Service, locator: &Locator, size_bytes: usize) -> Result<Vec<u8>, BlobError> {
    let expires = ManualClock::default().now() + Duration::from_mins(1);
    let grant =
        grants().grant(locator.clone(), "library/bucket".parse().unwrap(), size_bytes as u64, expires);
    match blobs.open(&grant, None, Delivery::default()).await? {
        Opened::Stream { body, .. } => Ok(body.try_collect::<Vec<Bytes>>().await.unwrap().concat()),
        other => panic!("{other:?} of a bucket"),
    }
}

#[tokio::test]
async fn a_bucket_does_what_a_store_and_a_service_must() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    let clock = Arc::new(ManualClock::default());

    store::suite::run(&objects).await;
    suite::run(&harness(replica(&objects, &clock, 1), &clock)).await;
    let service: Arc<dyn Blobs> = Arc::new(replica(&objects, &clock, 2));
    let channel = grpc::in_memory(|routes| server::add_to(routes, service)).await;
    suite::run(&harness(BlobClient::new(channel, Duration::from_mins(1)), &clock)).await;
}

#[tokio::test]
async fn a_bucket_behind_a_bad_network_does_what_a_store_must() {
    let _seaweed = Seaweed::start();
    let way = Flaky::start(Seaweed::listens_at(), Faults::Quick, 1).await;
    let objects = Seaweed::open(way.listens_at(), 1).await.unwrap();

    store::suite::run(&objects).await;

    assert!(way.faults() > 10, "only {} requests met a fault", way.faults());
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_asked_again() {
    let _seaweed = Seaweed::start();
    let way = Flaky::start(Seaweed::listens_at(), Faults::Stalls, 23).await;
    let wire = Wire::default().answered_within(Duration::from_secs(1));
    let objects = Seaweed::open_over(wire, way.listens_at(), 1).await.unwrap();

    store::suite::run(&objects).await;

    assert!(way.faults() >= 3, "only {} requests got no answer", way.faults());
}

#[tokio::test]
async fn a_wrong_secret_is_refused_at_the_start_and_in_words() {
    let _seaweed = Seaweed::start();

    let error = Seaweed::open_with_wrong_secret().await.unwrap_err().to_string();

    assert!(error.contains("the secret does not belong to the access key"), "{error}");
    assert!(error.contains("images") && !error.contains("secret of the hub"), "{error}");
}

#[tokio::test]
async fn an_upload_goes_on_at_whichever_replica() {
    let _seaweed = Seaweed::start();
    let clock = Arc::new(ManualClock::default());
    let replicas =
        [1, 2].map(|number| async move { Seaweed::open(Seaweed::listens_at(), number).await.unwrap() });
    let stores = join_all(replicas).await;
    let [one, other] = [(0, 1), (1, 2)].map(|(at, seed): (usize, u64)| replica(&stores[at], &clock, seed));
    let content = image::noise(7, 30 * MIB + 17);

    let mut recorded: Vec<Appended> = Vec::new();
    for (number, piece) in content.chunks(7 * MIB + 3).enumerate() {
        let blobs = if number % 2 == 0 { &one } else { &other };
        // Another one dies with the same bytes stored and not recorded: they count for nothing, and do no harm.
        let _lost = append(&other, session(1), &recorded, piece).await;
        recorded.push(append(blobs, session(1), &recorded, piece).await);
    }
    let asked = finish(session(1), &recorded, image::digest(&content));
    let locator = published(other.finish(asked.clone(), empty_stream()).await);
    let again = published(one.finish(asked, empty_stream()).await);

    assert_eq!(again, locator, "a finish that is repeated finds what is there");
    assert!(pulled(&one, &locator, content.len()).await.unwrap() == content);
    one.discard(&session(1)).await.unwrap();
    assert!(pulled(&other, &locator, content.len()).await.unwrap() == content);
}

#[tokio::test]
async fn one_upload_is_never_the_bytes_of_two_digests() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    let blobs = replica(&objects, &Arc::new(ManualClock::default()), 1);
    let head = image::noise(8, 9 * MIB);
    let recorded = [append(&blobs, session(2), &[], &head).await];
    let [one, other] = [b"one end", b"another"].map(|tail| [&head[..], &tail[..]].concat());
    let end = |content: &[u8]| {
        let tail = Bytes::copy_from_slice(&content[head.len()..]);
        blobs.finish(finish(session(2), &recorded, image::digest(content)), stream_of(tail))
    };

    let locator = published(end(&one).await);
    let refused = end(&other).await;

    assert!(matches!(refused, Err(BlobError::PartMissing { .. })), "{refused:?}");
    // The sweeper, which may find the name that was not to be, must not take the bytes with it.
    let wrong = Locator { content: oci::ContentId::plain(image::digest(&other)), ..locator.clone() };
    let name = blob::layout::ObjectName::content(&wrong.content, &wrong.generation);
    objects.remove(&name).await.unwrap();
    assert!(pulled(&blobs, &locator, one.len()).await.unwrap() == one);
}

#[tokio::test]
async fn one_upload_never_ends_with_the_bytes_of_two_requests() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    let part = |offset: usize, number: u32| {
        ObjectName::part(&session(6), offset as u64, &format!("0{number:025}").parse().unwrap())
    };
    let write = async |name: &ObjectName, before: Option<&ObjectName>, bytes: &[u8]| {
        let mut writer = objects.write(name, before).await.unwrap();
        writer.append(Bytes::copy_from_slice(bytes)).await.unwrap();
        writer.commit().await.unwrap();
    };
    let head = image::noise(10, 9 * MIB);
    let (first, one, other) = (part(0, 1), part(head.len(), 2), part(head.len(), 3));
    write(&first, None, &head[..]).await;
    write(&one, Some(&first), &b"one end"[..]).await;
    write(&other, Some(&first), &b"another"[..]).await;
    let digest = image::digest(&[&head[..], &b"one end"[..]].concat());
    let shard = u8::from_str_radix(&digest.hex()[..2], 16).unwrap();
    let content =
        ObjectName::content(&oci::ContentId::plain(digest), &format!("0{:025}", 4).parse().unwrap());

    let name = objects.publish(&[first.clone(), one.clone()], &content).await.unwrap();
    let refused = objects.publish(&[first.clone(), other], &content).await;
    let again = objects.publish(&[first, one], &content).await.unwrap();

    assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    assert_eq!(again, name);
    let span = oci::Span { first: head.len() as u64, length: 100 };
    let body = objects.read(&name, span).await.unwrap().unwrap().body;
    assert_eq!(body.try_collect::<Vec<Bytes>>().await.unwrap().concat(), b"one end");
    let place = Place::Contents(oci::Algorithm::Sha256, shard);
    assert_eq!(
        objects.list(place, None, 10).await.unwrap(),
        std::slice::from_ref(&name),
        "the name stays with its bytes"
    );
    objects.remove(&name).await.unwrap();
    assert_eq!(objects.size(&name).await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_of_another_hub_is_refused_and_has_lost_nothing() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    Seaweed::open(Seaweed::listens_at(), 2).await.unwrap();
    let blobs = replica(&objects, &Arc::new(ManualClock::default()), 1);
    let content = oci::ContentId::plain(image::digest(b"something"));
    let generation = format!("0{:025}", 5).parse().unwrap();
    let gone = Locator { store: "objects".parse().unwrap(), content, generation };
    let missing = pulled(&blobs, &gone, 9).await;
    assert!(matches!(missing, Err(BlobError::Missing { .. })), "{missing:?}");

    let refused = Seaweed::open_for_another_hub(Claim::IfNew).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherHub { .. }), "{refused:?}");
    assert!(refused.to_string().contains("blob.claim = true"), "{refused}");
    assert!(objects.check().await.is_ok());

    // From now on it is the other's: whoever looks for the first one's blobs there knows nothing about them.
    Seaweed::open_for_another_hub(Claim::Insisted).await.unwrap();
    let refused = pulled(&blobs, &gone, 9).await;
    assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{refused:?}");
    assert!(objects.check().await.is_err());
}

#[rstest]
#[case::one_process(Topology::OneProcess, Process::Bucket)]
#[case::five_services(Topology::FiveServices, Process::Blob1)]
#[tokio::test]
async fn a_hub_that_has_blobs_takes_no_empty_bucket_for_its_own(
    #[case] topology: Topology,
    #[case] blobs: Process,
) {
    let _seaweed = Seaweed::start();
    let mut hub = Hub::start_with(topology, in_bucket());
    let digest = hub.raw().push_blob("team/app", b"in the right bucket").await;
    hub.kill(blobs);
    let directory = tempfile::tempdir().unwrap();

    let command = hub.command_for(blobs, &[("BUCKET_BLOB__S3__BUCKET", "another")]);
    let mut mistaken = Started::spawn("mistaken", command, &directory.path().join("log"), "ready");
    let ended = mistaken.wait_for_end();

    assert!(!ended.success(), "{ended}");
    assert!(mistaken.log().contains("blob.claim = true"), "{}", mistaken.log());
    hub.start_service(blobs);
    assert_eq!(hub.raw().blob("team/app", &digest).await.expect(200).body, "in the right bucket");
}

#[tokio::test]
async fn parts_that_cannot_be_read_are_verified_as_content() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    let blobs = replica(&objects, &Arc::new(ManualClock::default()), 1);
    let content = image::noise(9, 9 * MIB);
    let sha512 = |bytes: &[u8]| Digest::of(oci::Algorithm::Sha512, bytes);

    let right = [append(&blobs, session(3), &[], &content).await];
    let locator = published(blobs.finish(finish(session(3), &right, sha512(&content)), empty_stream()).await);
    assert!(pulled(&blobs, &locator, content.len()).await.unwrap() == content);

    let wrong = [append(&blobs, session(4), &[], &content).await];
    let claimed = sha512(b"something else");
    let refused = blobs.finish(finish(session(4), &wrong, claimed.clone()), empty_stream()).await;
    assert_eq!(refused, Err(BlobError::DigestMismatch { claimed, actual: sha512(&content) }));
    let refused = blobs.finish(finish(session(4), &wrong, sha512(&content)), empty_stream()).await;
    assert!(matches!(refused, Err(BlobError::PartMissing { .. })), "{refused:?}");
}

#[tokio::test]
async fn whoever_is_sent_to_the_bucket_needs_no_key() {
    let _seaweed = Seaweed::start();
    let objects = Seaweed::open(Seaweed::listens_at(), 1).await.unwrap();
    let blobs = replica(&objects, &Arc::new(ManualClock::default()), 1);
    let recorded = [append(&blobs, session(5), &[], b"for everybody").await];
    let asked = finish(session(5), &recorded, image::digest(b"for everybody"));
    let locator = published(blobs.finish(asked, empty_stream()).await);
    let name = blob::layout::ObjectName::content(&locator.content, &locator.generation);

    let url = objects.redirect(&name, Duration::from_mins(1)).await.unwrap().unwrap();

    let answer = read(reqwest::get(url.as_str()).await.unwrap()).await.expect(200);
    assert_eq!(answer.body, "for everybody");
    assert!(!format!("{url:?}").contains("Signature"), "{url:?}");
    let (unsigned, _) = url.as_str().split_once('?').unwrap();
    assert_eq!(reqwest::get(unsigned).await.unwrap().status(), StatusCode::FORBIDDEN);
}

fn in_bucket() -> Options {
    Options { bucket: Some(Seaweed::section("blob.s3")), ..Options::default() }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_pushes_to_a_bucket_and_pulls_from_it(#[case] topology: Topology) {
    let _seaweed = Seaweed::start();
    let mut hub = Hub::start_with(topology, in_bucket());
    let (edges, docker) = (hub.edges(), Docker::start());
    let (push, pull) = (edges[0].to_string(), edges[edges.len() - 1].to_string());
    for registry in [&push, &pull] {
        docker.login(registry, ADMIN, PASSWORD);
    }
    let context = docker.scratch("context");
    let content = tree::fill_buildable(&context, 40);
    let pushed = format!("{push}/team/app:v1");
    docker.build(&context, &pushed);

    docker.run(&["push", &pushed]);
    docker.forget_images();
    hub.restart();
    let pulled = format!("{pull}/team/app:v1");
    docker.run(&["pull", &pulled]);

    let exported = docker.scratch("exported");
    docker.export(&pulled, &exported);
    tree::assert_same(&content, &exported);
    assert!(!hub.data().join("blobs").exists(), "blobs were kept beside the bucket");
}

/// Pushes a blob in one PATCH and a PUT; whether it was acknowledged.
async fn push(raw: &Raw, bytes: &[u8]) -> bool {
    let start = raw.request(reqwest::Method::POST, "team/app", "/v2/team/app/blobs/uploads/").await;
    let Ok(started) = start.send().await else { return false };
    let Some(location) = started.headers().get("location").cloned() else { return false };
    let location = location.to_str().unwrap().to_owned();
    let patch = raw.request(reqwest::Method::PATCH, "team/app", &location).await.body(bytes.to_vec());
    if !patch.send().await.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
        return false;
    }
    let digest = image::digest(bytes).to_string();
    let put = raw.request(reqwest::Method::PUT, "team/app", &location).await.query(&[("digest", digest)]);
    put.send().await.is_ok_and(|answer| answer.status() == StatusCode::CREATED)
}

/// Pulls a blob; none if that does not end well.
async fn pull(raw: &Raw, digest: &Digest) -> Option<Bytes> {
    let path = format!("/v2/team/app/blobs/{digest}");
    let answer = raw.request(reqwest::Method::GET, "team/app", &path).await.send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    answer.bytes().await.ok()
}

#[tokio::test]
async fn a_replica_that_is_killed_amid_pushes_and_pulls_loses_nothing_acknowledged() {
    let _seaweed = Seaweed::start();
    let mut hub = Hub::start_with(Topology::FiveServices, in_bucket());
    let raws = hub.raws();
    let there = image::noise(50, 9 * MIB);
    let known = raws[1].push_blob("team/app", &there).await;
    let layers: Vec<Vec<u8>> = (0..8).map(|seed| image::noise(60 + seed, 9 * MIB)).collect();
    hub.kill(Process::Blob1);
    // In the midst of a body, while others are under way.
    hub.start_to_fail(Process::Blob1, "blob.append.body:3");

    let pushes = layers.iter().enumerate().map(|(number, layer)| push(&raws[number % 2], layer));
    let pulls = (0..8).map(|number| pull(&raws[number % 2], &known));
    let (acknowledgements, pulled) = futures_util::future::join(join_all(pushes), join_all(pulls)).await;
    hub.wait_for_death(Process::Blob1);
    hub.start_service(Process::Blob1);

    assert!(pulled.iter().flatten().all(|bytes| *bytes == there), "a pull ended well with other bytes");
    assert!(
        acknowledgements.iter().filter(|acknowledged| **acknowledged).count() >= 4,
        "{acknowledgements:?}: one edge was well"
    );
    for (layer, acknowledged) in layers.iter().zip(acknowledgements) {
        let digest = image::digest(layer);
        if !acknowledged {
            let _ = raws[0].push_blob("team/app", layer).await;
        }
        assert!(raws[0].blob("team/app", &digest).await.expect(200).body == *layer);
    }
    assert!(raws[0].blob("team/app", &known).await.expect(200).body == there);
}
