//! What is written reads back the same; what does not say what it must is refused by name.

use std::fmt::Debug;

use bytes::Bytes;
use oci::{Digest, Need, Needed, RepositoryName, Span, Tag};

use super::{repositories, uploads, *};
use crate::{
    auth::{IssuedToken, KeyId, TokenRequest, VerificationKey},
    blob::{Append, Appended, Ended, Finish, Finished, Grant, HashState, Part},
    metadata::{
        Actor, More, Page, PageRequest, Standing, Via, Visibility,
        accounts::{AccessFacts, AccessQuestion, Account, Role, SigningKey},
        repositories::{
            Expected, Manifest, NewManifest, RepositoryEntry, TagChange, TagEvent, TagHistory, Viewer,
            WantedHistory, WantedRepositories,
        },
        uploads::{Advance, Held, Link, Mount, Mounted, UploadAddress, UploadSession},
    },
    wire,
};

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const LOCATOR: &str = "disk/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855+/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const SESSION: &str = "e7c5d8a0-55f5-4f0f-9f61-0f1d8b3e6a11";
const GENERATION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn parse<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn reads_back<T: Wire + PartialEq + Debug>(value: &T) {
    assert_eq!(T::from_message(value.to_message()).as_ref(), Ok(value));
}

/// For what has secrets and is not compared; that nothing is left out is seen in the message.
fn writes_back<T: Wire<Message: Clone + PartialEq + Debug>>(value: &T) -> T::Message {
    let message = value.to_message();
    assert_eq!(T::from_message(message.clone()).unwrap().to_message(), message);
    message
}

fn part() -> Part {
    Part { offset: 3, size_bytes: 4, generation: parse(GENERATION) }
}

fn hash() -> HashState {
    HashState(Bytes::from_static(b"\x01state\xff"))
}

fn moment() -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_123).unwrap()
}

fn actor() -> Actor {
    Actor { subject: Subject::User(parse("alice")), via: Via::Ui, address: Some(parse("2001:db8::1")) }
}

fn session() -> UploadSession {
    UploadSession {
        address: UploadAddress { repository: parse("alice/app"), session: parse(SESSION) },
        subject: Subject::Anonymous,
        standing: Standing::Disabled,
        started: moment(),
        offset: 7,
        parts: vec![part(), part()],
        hash: hash(),
    }
}

fn appended() -> Appended {
    Appended { part: Some(part()), offset: 7, hash: hash(), ended: Ended::Cut }
}

#[test]
fn what_the_blob_contract_says_reads_back() {
    let append = Append { session: parse(SESSION), offset: 3, hash: hash(), expected_bytes: Some(0) };
    reads_back(&append);
    reads_back(&Append { expected_bytes: None, hash: HashState::default(), ..append });

    reads_back(&appended());
    reads_back(&Appended { part: None, ended: Ended::Complete, ..appended() });

    let finish = Finish {
        session: parse(SESSION),
        parts: vec![part(), part()],
        offset: 7,
        hash: hash(),
        digest: parse(SHA256),
        existing: Some(parse(LOCATOR)),
        expected_bytes: Some(5),
    };
    reads_back(&finish);
    reads_back(&Finish { parts: vec![], existing: None, expected_bytes: None, ..finish });

    reads_back(&Finished::Published { locator: parse(LOCATOR), size_bytes: 9 });
    reads_back(&Finished::Cut(appended()));
    reads_back(&Span { first: 3, length: 4 });
    reads_back(&Grant {
        locator: parse(LOCATOR),
        repository: parse("alice/app"),
        size_bytes: u64::MAX,
        expires: moment(),
        mac: [7; 32],
    });
}

#[test]
fn what_the_auth_contract_says_reads_back() {
    reads_back(&VerificationKey { id: KeyId("thumbprint".to_owned()), public_key: [9; 32] });

    let scopes: Vec<oci::Scope> = vec![oci::Scope::parse("repository:alice/app:pull,push").unwrap()];
    let request = TokenRequest {
        credentials: Some(crate::auth::Credentials {
            username: "al ice".to_owned(),
            password: "päss".into(),
        }),
        service: "registry".to_owned(),
        scopes: scopes.clone(),
        address: Some(parse("127.0.0.1")),
    };
    let message = writes_back(&request);
    assert_eq!(message.scopes, ["repository:alice/app:pull,push"]);
    assert_eq!(message.address.as_deref(), Some("127.0.0.1"));
    let credentials = wire::Credentials { username: "al ice".to_owned(), password: "päss".to_owned() };
    assert_eq!(message.credentials, Some(credentials));

    let issued = IssuedToken {
        token: "a.b.c".into(),
        subject: Subject::User(parse("alice")),
        scopes,
        issued_at: moment(),
        expires_in: std::time::Duration::from_mins(5),
    };
    let message = writes_back(&issued);
    assert_eq!((message.token.as_str(), message.subject.as_str()), ("a.b.c", "alice"));
    assert_eq!(message.scopes, ["repository:alice/app:pull,push"]);
    assert_eq!((message.issued_at_ms, message.expires_in_seconds), (1_700_000_000_123, 300));
}

#[test]
fn what_the_upload_contract_says_reads_back() {
    reads_back(&actor());
    reads_back(&Actor { subject: Subject::Anonymous, via: Via::Service, address: None });
    reads_back(&session());
    reads_back(&Mounted::Linked);
    reads_back(&Mounted::Started(session()));
    reads_back(&Advance { address: session().address, part: part(), hash: hash() });
    reads_back(&Held { session: session(), locator: None });
    reads_back(&Held { session: session(), locator: Some(parse(LOCATOR)) });

    let mount =
        Mount { repository: parse("alice/app"), digest: parse(SHA256), from: vec![parse("alice/base")] };
    let read = uploads::mount(uploads::mount_request(&mount, &actor()));
    assert_eq!(read, Ok((mount, actor())));

    let link = Link {
        address: session().address,
        digest: parse(SHA256),
        size_bytes: 7,
        locator: parse(LOCATOR),
        seen: Some(parse(LOCATOR)),
    };
    let read = uploads::link(uploads::link_request(&link, &actor()));
    assert_eq!(read, Ok((link, actor())));
}

#[test]
fn what_the_repository_contract_says_reads_back() {
    let digest: Digest = parse(SHA256);
    let media_type: oci::MediaType = parse("application/vnd.oci.image.manifest.v1+json");
    let body = Bytes::from_static(b"{ }\n");
    reads_back(&Manifest { digest: digest.clone(), media_type: media_type.clone(), body: body.clone() });

    let manifest = NewManifest {
        repository: parse("alice/app"),
        digest: digest.clone(),
        media_type: media_type.clone(),
        body,
        needs: vec![
            Need { digest: digest.clone(), size: 5, what: Needed::Blob },
            Need { digest: digest.clone(), size: u64::MAX, what: Needed::Manifest },
        ],
        subject: Some(digest),
        artifact_type: Some(media_type),
        annotations: [("by".to_owned(), "älice".to_owned())].into(),
        tags: vec![parse("latest"), parse("1.0")],
        expected: Expected::Digest(parse(SHA256)),
    };
    let read = repositories::put_manifest(repositories::put_manifest_request(&manifest, &actor()));
    assert_eq!(read, Ok((manifest, actor())));

    let entry = RepositoryEntry {
        name: parse("alice/app"),
        visibility: Visibility::Private,
        updated: moment(),
        size_bytes: 12,
    };
    reads_back(&Page { entries: vec![entry], more: More::Yes });
    reads_back(&Page::<Tag> { entries: vec![parse("latest")], more: More::No });
    reads_back(&Viewer::Outsider);
    reads_back(&Viewer::Administrator);
}

#[test]
fn a_page_request_reads_back_and_an_empty_after_is_the_beginning() {
    let whole = PageRequest::<Tag> { after: None, limit: 1_000 };
    let message = repositories::tags_request(&parse("alice/app"), &whole);
    assert_eq!(repositories::page(&message.after, message.limit), Ok(whole));

    let rest = PageRequest::<RepositoryName> { after: Some(parse("alice/app")), limit: 0 };
    reads_back(&WantedRepositories::all(Viewer::Administrator, rest.clone()));
    let (under, also) = (Some(parse("alice")), vec![parse("alice/app"), parse("bob/x")]);
    reads_back(&WantedRepositories { viewer: Viewer::Outsider, under, also, page: rest });
}

#[test]
fn a_history_reads_back_and_ends_of_time_are_beyond_every_event() {
    let (digest, id) = (parse(SHA256), parse::<oci::EventId>(GENERATION));
    let wanted = WantedHistory {
        repository: parse("alice/app"),
        tag: parse("latest"),
        before: Some(moment()),
        since: None,
        digest: Some(parse(SHA256)),
        after: Some(id.clone()),
        limit: 7,
    };
    reads_back(&wanted);
    let (before, since) = (Some(Timestamp::MAX), Some(Timestamp::MIN));
    reads_back(&WantedHistory { before, since, digest: None, after: None, ..wanted });

    let media_type = parse("application/vnd.oci.image.index.v1+json");
    let (at, change) = (moment(), TagChange::Deleted);
    let event = TagEvent { id: id.clone(), at, change, digest, media_type, size_bytes: 12 };
    reads_back(&TagHistory { entries: vec![event], next: Some(id) });
    reads_back(&TagHistory { entries: Vec::new(), next: None });
    reads_back(&TagChange::Created);
}

#[test]
fn what_the_account_contract_says_reads_back() {
    reads_back(&Role::User);
    reads_back(&Role::Administrator);
    reads_back(&AccessQuestion { account: None, repositories: vec![] });
    reads_back(&AccessQuestion { account: Some(parse("alice")), repositories: vec![parse("alice/app")] });

    let account = Account {
        name: parse("alice"),
        password_hash: "$argon2id$…".into(),
        role: Role::Administrator,
        standing: Standing::Disabled,
    };
    assert_eq!(writes_back(&account).password_hash, "$argon2id$…");
    let facts = AccessFacts { account: Some(account), repositories: vec![(parse("alice/app"), None)] };
    assert!(writes_back(&facts).account.is_some());
    writes_back(&AccessFacts { account: None, repositories: vec![] });

    let name: RepositoryName = parse("alice/app");
    reads_back(&(name.clone(), None));
    reads_back(&(name.clone(), Some(Visibility::Public)));
    reads_back(&(name, Some(Visibility::Private)));

    reads_back(&SigningKey {
        verification: VerificationKey { id: KeyId("thumbprint".to_owned()), public_key: [9; 32] },
        sealed_private_key: Bytes::from_static(b"sealed"),
        created: moment(),
    });
}

#[test]
fn a_field_that_cannot_be_parsed_is_named_in_an_invalid_argument() {
    let message = wire::AppendHeader { session: "../etc".to_owned(), ..wire::AppendHeader::default() };

    let status = Status::from(Append::from_message(message).unwrap_err());

    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().starts_with("field session: "), "{}", status.message());
}

#[test]
fn an_absent_message_is_named() {
    let message = wire::UploadSession { address: None, ..session().to_message() };

    assert_eq!(UploadSession::from_message(message), Err(BadField::Absent { field: "address" }));
}

#[test]
fn values_that_are_not_specified_or_not_known_are_refused() {
    for number in [0, 99] {
        assert!(Via::from_message(number).is_err());
        assert!(Standing::from_message(number).is_err());
        assert!(Ended::from_message(number).is_err());
        assert!(Viewer::from_message(number).is_err());
        assert!(Visibility::from_message(number).is_err());
        assert!(Role::from_message(number).is_err());
        let need = wire::Need { digest: SHA256.to_owned(), size_bytes: 1, what: number };
        assert!(Need::from_message(need).is_err());
    }
}

#[test]
fn a_key_or_a_mac_of_another_length_is_refused() {
    for length in [0, 31, 33] {
        let message = wire::VerificationKey { id: "x".to_owned(), public_key: vec![0; length].into() };
        let Err(BadField::Unreadable { field, .. }) = VerificationKey::from_message(message) else {
            panic!("{length} bytes were taken for a key");
        };
        assert_eq!(field, "public_key");
    }
}

#[test]
fn a_time_out_of_range_is_refused() {
    assert!(timestamp("expires_ms", i64::MAX).is_err());
    assert!(timestamp("expires_ms", i64::MIN).is_err());
}
