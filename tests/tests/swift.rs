//! Blobs in a real OpenStack Swift, which each test starts for itself: what a store must do, uploads that go from replica
//! to replica, tokens that expire, whose a container is, and docker over both topologies; and the same users in a real
//! Keystone.

use std::{process::Command, sync::Arc, time::Duration};

use blob::{
    Claim, Service,
    layout::ObjectName,
    store::{
        self, Store as _, StoreError,
        swift::{OpenError, Swift},
    },
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, future::join_all};
use oci::{ContentId, Digest, Locator, SessionId};
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
    clock::{self, Clock as _, ManualClock},
    grpc,
    random::SeededRandom,
};
use tests::{
    Hub, Service as Process, Topology,
    docker::Docker,
    flaky::{Faults, Flaky},
    hub::Options,
    image,
    openstack::{CONTAINER, OpenStack, TEMP_URL_KEY, Users},
    process::{Process as Started, run},
    raw::{ADMIN, PASSWORD},
    tree,
};

const MIB: usize = 1 << 20;

/// What says whose a container is.
const MARKER: &str = "bucket-store";

/// A replica of the blob service over `swift`; no two have the same `seed`.
fn replica(swift: &Swift, clock: &Arc<ManualClock>, seed: u64) -> Service {
    let random = Arc::new(SeededRandom::new(seed));
    Service::over(Arc::new(swift.clone()), "swift".parse().unwrap(), grants(), clock.clone(), random)
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
        other => panic!("{other:?} of a container"),
    }
}

fn name_of(locator: &Locator) -> ObjectName {
    ObjectName::content(&locator.content, &locator.generation)
}

/// What Swift's own client does as the hub's user.
fn client(arguments: &[&str]) -> String {
    let mut command = Command::new("/usr/bin/swift");
    let at = format!("http://{}/auth/v1.0", OpenStack::listens_at());
    command.args(["-A", &at, "-U", "hub:bucket", "-K", "secret-of-the-hub"]);
    run(command.args(arguments))
}

/// All that is in the container.
fn listed() -> Vec<String> {
    client(&["list", CONTAINER]).lines().map(str::to_owned).collect()
}

/// A small blob, and a locator with its digest that has never been published.
async fn pushed(blobs: &Service, content: &[u8]) -> (Locator, Locator) {
    let recorded = [append(blobs, session(9), &[], content).await];
    let asked = finish(session(9), &recorded, image::digest(content));
    let locator = published(blobs.finish(asked, empty_stream()).await);
    let absent = Locator { generation: format!("0{:025}", 5).parse().unwrap(), ..locator.clone() };
    (locator, absent)
}

#[tokio::test]
async fn a_container_does_what_a_store_and_a_service_must() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let clock = Arc::new(ManualClock::default());

    store::suite::run(&swift).await;
    suite::run(&harness(replica(&swift, &clock, 1), &clock)).await;
    let service: Arc<dyn Blobs> = Arc::new(replica(&swift, &clock, 2));
    let channel = grpc::in_memory(|routes| server::add_to(routes, service)).await;
    suite::run(&harness(BlobClient::new(channel, Duration::from_mins(1)), &clock)).await;
}

#[tokio::test]
async fn a_container_behind_a_bad_network_does_what_a_store_must() {
    let openstack = OpenStack::start(Users::TempAuth);
    let way = Flaky::start(OpenStack::listens_at(), Faults::Quick, 1).await;
    // Swift names the way by which it was asked.
    let auth_url = format!("http://{}/auth/v1.0", way.listens_at());
    let swift = openstack.open(1, &[("auth_url", auth_url.as_str())]).await.unwrap();

    store::suite::run(&swift).await;

    assert!(way.faults() > 10, "only {} requests met a fault", way.faults());
}

#[tokio::test]
async fn an_upload_goes_on_at_whichever_replica_and_whatever_becomes_of_tokens() {
    let openstack = OpenStack::start(Users::TempAuth);
    let clock = Arc::new(ManualClock::default());
    let replicas = [1, 2].map(|number| openstack.open(number, &[]));
    let stores = join_all(replicas).await.into_iter().collect::<Result<Vec<Swift>, _>>().unwrap();
    let [one, other] = [(0, 1), (1, 2)].map(|(at, seed): (usize, u64)| replica(&stores[at], &clock, seed));
    let content = image::noise(7, 30 * MIB + 17);

    let mut recorded: Vec<Appended> = Vec::new();
    for (number, piece) in content.chunks(7 * MIB + 3).enumerate() {
        let blobs = if number % 2 == 0 { &one } else { &other };
        // Another one dies with the same bytes stored and not recorded: they count for nothing, and do no harm.
        let _lost = append(&other, session(1), &recorded, piece).await;
        openstack.forget_tokens();
        recorded.push(append(blobs, session(1), &recorded, piece).await);
    }
    let asked = finish(session(1), &recorded, image::digest(&content));
    let locator = published(other.finish(asked.clone(), empty_stream()).await);
    let again = published(one.finish(asked, empty_stream()).await);

    assert_eq!(again, locator, "a finish that is repeated finds what is there");
    assert!(pulled(&one, &locator, content.len()).await.unwrap() == content);
    one.discard(&session(1)).await.unwrap();
    assert!(pulled(&other, &locator, content.len()).await.unwrap() == content);
    stores[0].remove(&name_of(&locator)).await.unwrap();
    assert_eq!(listed(), [MARKER], "something stayed of an upload that is gone");
}

#[tokio::test]
async fn nothing_stays_of_an_upload_that_is_given_up() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let content = image::noise(3, 18 * MIB);
    let first = append(&blobs, session(1), &[], &content[..9 * MIB]).await;
    append(&blobs, session(1), &[first], &content[9 * MIB..]).await;
    assert!(listed().len() >= 6, "two parts, a note, two segments and the marker");

    blobs.discard(&session(1)).await.unwrap();

    assert_eq!(listed(), [MARKER]);
}

#[tokio::test]
async fn one_upload_is_never_the_bytes_of_two_digests() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
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
    // The sweeper, which finds the name that was not to be, must not take the bytes with it; nor must who closes the
    // session.
    let wrong = Locator { content: ContentId::plain(image::digest(&other)), ..locator.clone() };
    swift.remove(&name_of(&wrong)).await.unwrap();
    blobs.discard(&session(2)).await.unwrap();
    assert!(pulled(&blobs, &locator, one.len()).await.unwrap() == one);
    swift.remove(&name_of(&locator)).await.unwrap();
    assert_eq!(listed(), [MARKER]);
}

#[tokio::test]
async fn finishes_at_the_same_time_never_give_one_name_the_bytes_of_another() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let head = image::noise(10, 9 * MIB);
    let recorded = [append(&blobs, session(6), &[], &head).await];
    let contents: Vec<Vec<u8>> = (0..6).map(|number: u8| [&head[..], &[number; 5][..]].concat()).collect();

    let ends = contents.iter().map(|content| {
        let tail = Bytes::copy_from_slice(&content[head.len()..]);
        blobs.finish(finish(session(6), &recorded, image::digest(content)), stream_of(tail))
    });
    let finished = join_all(ends).await;

    let mut kept = 0;
    for (content, finished) in contents.iter().zip(finished) {
        match finished {
            Ok(Finished::Published { locator, .. }) => {
                assert!(pulled(&blobs, &locator, content.len()).await.unwrap() == *content);
                kept += 1;
            }
            refused => assert!(matches!(refused, Err(BlobError::PartMissing { .. })), "{refused:?}"),
        }
    }
    assert!(kept <= 1, "{kept} contents have the same segments");
}

#[tokio::test]
async fn parts_of_an_upload_can_be_read_before_they_are_content() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let content = image::noise(9, 20 * MIB);
    let sha512 = |bytes: &[u8]| Digest::of(oci::Algorithm::Sha512, bytes);
    let mut recorded = vec![append(&blobs, session(3), &[], &content[..9 * MIB]).await];
    recorded.push(append(&blobs, session(3), &recorded, &content[9 * MIB..]).await);

    let claimed = sha512(b"something else");
    let refused = blobs.finish(finish(session(3), &recorded, claimed.clone()), empty_stream()).await;
    let right = blobs.finish(finish(session(3), &recorded, sha512(&content)), empty_stream()).await;

    assert_eq!(refused, Err(BlobError::DigestMismatch { claimed, actual: sha512(&content) }));
    assert!(pulled(&blobs, &published(right), content.len()).await.unwrap() == content);
}

#[tokio::test]
async fn whoever_is_sent_to_swift_needs_no_token_and_the_key_is_tried_at_the_start() {
    let openstack = OpenStack::start(Users::TempAuth);
    let endpoint = format!("http://{}", OpenStack::listens_at());
    let public = [("public_endpoint", endpoint.as_str()), ("temp_url_key", TEMP_URL_KEY)];
    let unknown = openstack.open(1, &public).await.unwrap_err().to_string();
    assert!(unknown.contains("swift post images") && !unknown.contains(TEMP_URL_KEY), "{unknown}");
    openstack.learn_key();
    let swift = openstack.open(2, &public).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let content = image::noise(4, 9 * MIB);
    let recorded = [append(&blobs, session(5), &[], &content).await];
    let asked = finish(session(5), &recorded, image::digest(&content));
    let locator = published(blobs.finish(asked, empty_stream()).await);

    let url = swift.redirect(&name_of(&locator), Duration::from_mins(1)).await.unwrap().unwrap();

    let answer = reqwest::get(url.as_str()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == content);
    assert!(!format!("{url:?}").contains("temp_url_sig"), "{url:?}");
    let (unsigned, _) = url.as_str().split_once('?').unwrap();
    assert_eq!(reqwest::get(unsigned).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let without = openstack.open(3, &[]).await.unwrap();
    assert_eq!(without.redirect(&name_of(&locator), Duration::from_mins(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_swift_refuses_is_said_in_words() {
    let openstack = OpenStack::with_segments(Users::TempAuth, 2);
    let wrong = openstack.open(1, &[("password", "not-the-secret")]).await.unwrap_err().to_string();
    assert!(wrong.contains("refuses the user") && !wrong.contains("not-the-secret"), "{wrong}");
    let guest = [("username", "hub:guest"), ("password", "secret-of-a-guest")];
    let guest = openstack.open(2, &guest).await.unwrap_err().to_string();
    assert!(guest.contains("needs a role") && guest.contains(CONTAINER), "{guest}");

    let swift = openstack.open(3, &[]).await.unwrap();
    let name = ObjectName::part(&session(7), 0, &format!("7{:025}", 7).parse().unwrap());
    let mut writer = swift.write(&name, None).await.unwrap();
    // A segment of 8 MiB and one of 16 are all that this cluster allows.
    writer.append(vec![7; 24 * MIB].into()).await.unwrap();
    let error = writer.append(vec![7; 1].into()).await.unwrap_err().to_string();
    assert!(error.contains("no object as large as that"), "{error}");
    drop(writer);

    client(&["post", CONTAINER, "-m", "quota-bytes:1"]);
    assert!(matches!(swift.check().await, Err(StoreError::NoSpace)));
}

#[tokio::test]
async fn a_container_of_another_hub_is_refused_and_has_lost_nothing() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    openstack.open(2, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let (locator, absent) = pushed(&blobs, b"something").await;
    let missing = pulled(&blobs, &absent, 9).await;
    assert!(matches!(missing, Err(BlobError::Missing { .. })), "{missing:?}");

    let refused = openstack.open_for_another_hub(Claim::IfNew, 3).await.unwrap_err();
    assert!(matches!(refused, OpenError::OtherHub { .. }), "{refused:?}");
    assert!(refused.to_string().contains("blob.claim = true"), "{refused}");
    assert!(swift.check().await.is_ok());
    assert_eq!(pulled(&blobs, &locator, 9).await.unwrap(), b"something");

    // From now on it is the other's: whoever looks for the first one's blobs there knows nothing about them.
    openstack.open_for_another_hub(Claim::Insisted, 4).await.unwrap();
    let refused = pulled(&blobs, &absent, 9).await;
    assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{refused:?}");
    assert!(swift.check().await.is_err());
}

#[tokio::test]
async fn nothing_is_missing_from_a_container_that_does_not_say_whose_it_is() {
    let openstack = OpenStack::start(Users::TempAuth);
    let swift = openstack.open(1, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let (locator, absent) = pushed(&blobs, b"something").await;

    client(&["delete", CONTAINER, MARKER]);

    assert_eq!(pulled(&blobs, &locator, 9).await.unwrap(), b"something");
    let refused = pulled(&blobs, &absent, 9).await;
    assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{refused:?}");
    let unknown = swift.size(&name_of(&absent)).await;
    assert!(matches!(unknown, Err(StoreError::Unavailable { .. })), "{unknown:?}");
    assert!(swift.check().await.unwrap_err().to_string().contains(MARKER));
    let unmarked = openstack.open(2, &[]).await.unwrap_err();
    assert!(matches!(unmarked, OpenError::Unmarked { .. }), "{unmarked:?}");

    // Nor from one that somebody has emptied, until an operator says that it is right.
    swift.remove(&name_of(&locator)).await.unwrap();
    blobs.discard(&session(9)).await.unwrap();
    let refused = pulled(&blobs, &locator, 9).await;
    assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{refused:?}");
    openstack.open_and_insist(3).await.unwrap();
    let missing = pulled(&blobs, &locator, 9).await;
    assert!(matches!(missing, Err(BlobError::Missing { .. })), "{missing:?}");
}

#[rstest]
#[case::one_process(Topology::OneProcess, Process::Bucket)]
#[case::five_services(Topology::FiveServices, Process::Blob1)]
#[tokio::test]
async fn a_hub_that_has_blobs_takes_no_other_container_for_its_own(
    #[case] topology: Topology,
    #[case] blobs: Process,
) {
    let openstack = OpenStack::start(Users::TempAuth);
    let mut hub = Hub::start_with(topology, in_swift(&openstack));
    let digest = hub.raw().push_blob("team/app", b"in the right container").await;
    hub.kill(blobs);
    let directory = tempfile::tempdir().unwrap();

    let command = hub.command_for(blobs, &[("BUCKET_BLOB__SWIFT__CONTAINER", "another")]);
    let mut mistaken = Started::spawn("mistaken", command, &directory.path().join("log"), "ready");
    let ended = mistaken.wait_for_end();

    assert!(!ended.success(), "{ended}");
    assert!(mistaken.log().contains("blob.claim = true"), "{}", mistaken.log());
    let containers = client(&["list"]);
    assert!(!containers.lines().any(|container| container == "another"), "{containers}");
    hub.start_service(blobs);
    assert_eq!(hub.raw().blob("team/app", &digest).await.expect(200).body, "in the right container");
}

fn in_swift(openstack: &OpenStack) -> Options {
    Options { bucket: Some(openstack.section("blob.swift")), ..Options::default() }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_pushes_to_swift_and_pulls_from_it(#[case] topology: Topology) {
    let openstack = OpenStack::start(Users::TempAuth);
    let mut hub = Hub::start_with(topology, in_swift(&openstack));
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
    let there = format!("{pull}/team/app:v1");
    docker.run(&["pull", &there]);

    let exported = docker.scratch("exported");
    docker.export(&there, &exported);
    tree::assert_same(&content, &exported);
    assert!(!hub.data().join("blobs").exists(), "blobs were kept beside the container");
}

#[tokio::test]
async fn users_of_keystone_have_tokens_that_are_renewed_in_time_and_by_one_alone() {
    let openstack = OpenStack::start(Users::Keystone);
    for (other, said) in [
        (("password", "not the password"), "refuses the user"),
        (("project_name", "nowhere"), "refuses the user"),
        (("username", "guest"), "refuses the user"),
        (("region", "nowhere"), "public in RegionOne"),
    ] {
        let error = openstack.open(1, &[other]).await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("not the password"), "{error}");
    }
    let clock = Arc::new(ManualClock::new(clock::system().now()));
    let swift = openstack.open_by(clock.clone(), 2, &[]).await.unwrap();
    let blobs = replica(&swift, &Arc::new(ManualClock::default()), 1);
    let content = image::noise(11, 9 * MIB);
    let recorded = [append(&blobs, session(8), &[], &content).await];
    let asked = finish(session(8), &recorded, image::digest(&content));
    let locator = published(blobs.finish(asked, empty_stream()).await);
    let before = openstack.tokens_asked_for().await;

    assert!(pulled(&blobs, &locator, content.len()).await.unwrap() == content);
    assert_eq!(openstack.tokens_asked_for().await, before, "a token is good for more than one request");
    // Tokens live for an hour here.
    clock.advance(Duration::from_mins(50));
    let name = name_of(&locator);
    let sizes = join_all((0..8).map(|_| swift.size(&name))).await;

    assert!(sizes.into_iter().all(|size| size.unwrap() == Some(content.len() as u64)));
    assert_eq!(openstack.tokens_asked_for().await, before + 1);
}
