//! What is written reads back the same; what does not say what it must is refused by name.

use std::{collections::BTreeMap, fmt::Debug};

use bytes::Bytes;
use oci::{AccountName, Digest, Namespace, Need, Needed, RepositoryName, Span, Tag};

use super::{repositories, uploads, *};
use crate::{
    auth::{IssuedToken, KeyId, Offline, PublicKey, TokenRequest, VerificationKey},
    blob::{Append, Appended, Delivery, Ended, Finish, Finished, Grant, Handoff, HashState, Part, Redirect},
    metadata::{
        Actor, More, Page, PageRequest, Standing, Via, Visibility,
        accounts::{
            AccessFacts, AccessQuestion, Account, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts,
            Role,
        },
        avatars::{Avatar, AvatarOf, ImageKind},
        credentials::{
            Credential, CredentialOwner, CredentialUse, Holder, Limits, NewCredential, Permission,
            RepositoryPattern, Revocation, Revoked, Trust,
        },
        organizations::{Grantee, Level, MemberRole, Membership, Organization, OrganizationProfile, Team},
        proofs::SecondFactor,
        quotas::{ByteLimit, Quota},
        repositories::{
            Expected, Manifest, NewManifest, RepositoryEntry, TagChange, TagEvent, TagHistory, Viewer,
            WantedHistory, WantedRepositories,
        },
        settings::{RepositoryChange, RepositoryDetails},
        uploads::{Advance, Held, Link, Mount, Mounted, UploadAddress, UploadSession},
        users::{Profile, User, UserChange},
    },
    wire,
};

mod federation;
mod identities;
mod keys;
mod proofs;
mod search;

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

fn credential() -> Credential {
    Credential {
        id: parse(GENERATION),
        holder: Holder::Session(parse("alice")),
        label: "läptop".to_owned(),
        limits: Limits::none(),
        created: moment(),
        expires: Some(moment()),
        used: None,
        trust: None,
    }
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
    let (address, credential) = (Some(parse("2001:db8::1")), Some(parse(GENERATION)));
    Actor { subject: Subject::User(parse("alice")), via: Via::Api, address, credential }
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
    let (session, before) = (parse(SESSION), Some(part()));
    let append = Append { session, before, offset: 3, hash: hash(), expected_bytes: Some(0) };
    reads_back(&append);
    reads_back(&Append { before: None, expected_bytes: None, hash: HashState::default(), ..append });

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
    for handoff in [Handoff::Never, Handoff::File, Handoff::Replica] {
        reads_back(&Delivery { handoff, redirect: Redirect::Never });
        reads_back(&Delivery { handoff, redirect: Redirect::Allowed });
    }
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
    for public_key in [PublicKey::Ed25519([9; 32]), PublicKey::P256 { x: [8; 32], y: [9; 32] }] {
        reads_back(&VerificationKey { id: KeyId("thumbprint".to_owned()), public_key });
    }

    let scopes: Vec<oci::Scope> = vec![oci::Scope::parse("repository:alice/app:pull,push").unwrap()];
    let request = TokenRequest {
        credentials: Some(crate::auth::Credentials {
            username: "al ice".to_owned(),
            password: "päss".into(),
        }),
        service: "registry".to_owned(),
        scopes: scopes.clone(),
        address: Some(parse("127.0.0.1")),
        offline: Offline::Wanted,
    };
    let message = writes_back(&request);
    assert!(message.offline);
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
        refresh_token: Some("bucket_refresh_1".into()),
    };
    let message = writes_back(&issued);
    assert_eq!(message.refresh_token.as_deref(), Some("bucket_refresh_1"));
    assert_eq!((message.token.as_str(), message.subject.as_str()), ("a.b.c", "alice"));
    assert_eq!(message.scopes, ["repository:alice/app:pull,push"]);
    assert_eq!((message.issued_at_ms, message.expires_in_seconds), (1_700_000_000_123, 300));
}

#[test]
fn what_the_upload_contract_says_reads_back() {
    reads_back(&actor());
    reads_back(&Actor { subject: Subject::Anonymous, via: Via::Service, address: None, credential: None });
    let team = Subject::Service(parse("team-x"));
    reads_back(&Actor { subject: team, via: Via::Service, address: None, credential: None });
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
    let question = AccessQuestion { asker: FactsOf::Anonymous, repositories: vec![], namespaces: vec![] };
    reads_back(&question);
    let (repositories, namespaces) = (vec![parse("alice/app")], vec![parse("team"), parse("nobody")]);
    reads_back(&AccessQuestion { asker: FactsOf::User(parse("alice")), repositories, namespaces });
    reads_back(&AccessQuestion { asker: FactsOf::Credential([7; 32]), ..question });

    let account = Account {
        name: parse("alice"),
        password_hash: "$argon2id$…".into(),
        role: Role::Administrator,
        standing: Standing::Disabled,
    };
    assert_eq!(writes_back(&account).password_hash, "$argon2id$…");
    let free = NamespaceFacts { name: parse("nobody"), kind: None, role: None };
    let (kind, role) = (Some(NamespaceKind::Organization), Some(MemberRole::Owner));
    let team = NamespaceFacts { name: parse("team"), kind, role };
    let absent = RepositoryFacts {
        name: parse("team/app"),
        visibility: None,
        namespace: team.clone(),
        level: None,
        moved: None,
    };
    let facts = AccessFacts {
        account: Some(account),
        credential: Some(credential()),
        repositories: vec![absent.clone()],
        namespaces: vec![free.clone(), team],
        second_factor: Some(SecondFactor { sealed_secret: Bytes::from_static(b"sealed") }),
        revision: 7,
    };
    let message = writes_back(&facts);
    assert!(message.account.is_some() && message.credential.is_some());
    assert_eq!((message.repositories.len(), message.namespaces.len()), (1, 2));
    assert_eq!((message.second_factor.as_deref(), message.revision), (Some(&b"sealed"[..]), 7));
    writes_back(&AccessFacts::default());

    reads_back(&NamespaceFacts { kind: Some(NamespaceKind::User), role: Some(MemberRole::Member), ..free });
    let (visibility, level) = (Some(Visibility::Public), Some(Level::Read));
    reads_back(&RepositoryFacts { visibility, level, ..absent.clone() });
    let (visibility, level) = (Some(Visibility::Private), Some(Level::Admin));
    reads_back(&RepositoryFacts { visibility, level, ..absent.clone() });
    reads_back(&absent);
}

fn trust() -> Trust {
    let claims =
        BTreeMap::from([("sub".to_owned(), parse("repo:team/*")), ("ref".to_owned(), parse("main"))]);
    let claims = claims.try_into().unwrap();
    Trust { issuer: parse("https://ci.example.com"), audience: parse("hub"), claims }
}

#[test]
fn what_the_credential_contract_says_reads_back() {
    reads_back(&credential());
    let pattern = |text: &str| RepositoryPattern::try_from(text.to_owned()).unwrap();
    let repositories = vec![pattern("alice/app"), pattern("alice/*")];
    let limits = Limits { repositories, actions: [Permission::Pull, Permission::Delete].into() };
    let (holder, used) = (Holder::User(parse("alice")), Some(moment()));
    reads_back(&Credential { holder, limits: limits.clone(), expires: None, used, ..credential() });

    for through in [None, Some(parse(GENERATION))] {
        reads_back(&Credential { holder: Holder::Offline { user: parse("alice"), through }, ..credential() });
    }

    let new = NewCredential {
        id: parse(GENERATION),
        hash: [9; 32],
        holder: Holder::Robot(parse("team+ci")),
        label: String::new(),
        limits,
        expires: Some(moment()),
        trust: Some(trust()),
        revision: Some(3),
    };
    reads_back(&new);
    reads_back(&NewCredential { expires: None, trust: None, revision: None, ..new });
    reads_back(&Credential { trust: Some(trust()), ..credential() });

    for owner in [CredentialOwner::User(parse("alice")), CredentialOwner::Robots(parse("team"))] {
        reads_back(&owner);
        reads_back(&CredentialUse { id: parse(GENERATION), owner, at: moment() });
    }
    for what in [
        Revoked::Credential(parse(GENERATION)),
        Revoked::Subject(Subject::Anonymous),
        Revoked::Subject(Subject::User(parse("alice"))),
        Revoked::Subject(Subject::Robot(parse("team+ci"))),
        Revoked::Repository(parse("team/app")),
    ] {
        reads_back(&Revocation { id: parse(GENERATION), at: moment(), what });
    }
}

#[test]
fn what_the_user_contract_says_reads_back() {
    let profile = Profile { display_name: "Älice".to_owned(), email: "alice@example.com".to_owned() };
    let user = User {
        name: parse("alice"),
        role: Role::Administrator,
        standing: Standing::Disabled,
        profile: profile.clone(),
        created: moment(),
        email_verified: true,
        second_factor: true,
    };
    reads_back(&Page { entries: vec![user], more: More::Yes });

    let change = UserChange {
        profile: Some(profile),
        role: Some(Role::User),
        standing: Some(Standing::Active),
        password_hash: Some("$argon2id$…".into()),
    };
    let message = writes_back(&change);
    assert_eq!(message.password_hash.as_deref(), Some("$argon2id$…"));
    assert!(message.profile.is_some() && message.role.is_some() && message.standing.is_some());
    assert_eq!(writes_back(&UserChange::default()), wire::UserChange::default());
}

#[test]
fn what_the_settings_contract_says_reads_back() {
    reads_back(&RepositoryDetails {
        name: parse("alice/app"),
        visibility: Visibility::Public,
        description: "# Äpp".to_owned(),
        created: moment(),
        updated: moment(),
        size_bytes: u64::MAX,
        pulls: u64::MAX,
        last_pulled: Some(moment()),
    });
    reads_back(&RepositoryChange::default());
    let (visibility, description) = (Some(Visibility::Private), Some(String::new()));
    reads_back(&RepositoryChange { visibility, description });
}

#[test]
fn what_the_quota_and_avatar_contracts_say_reads_back() {
    for (own, limit) in [
        (None, ByteLimit::Unlimited),
        (Some(ByteLimit::Unlimited), ByteLimit::Bytes(0)),
        (Some(ByteLimit::Bytes(u64::MAX)), ByteLimit::Bytes(u64::MAX)),
    ] {
        reads_back(&Quota { used_bytes: u64::MAX, own, limit });
    }

    reads_back(&AvatarOf { kind: NamespaceKind::Organization, name: parse("team") });
    let png = Avatar::new(Bytes::from_static(b"\x89PNG\r\n\x1a\n...")).unwrap();
    reads_back(&png);
    let jpeg = wire::AvatarImage { kind: ImageKind::Jpeg.to_message(), ..png.to_message() };
    assert!(Avatar::from_message(jpeg).is_err());
}

#[test]
fn texts_are_as_long_as_they_may_be_and_not_longer() {
    let with_label = |characters| {
        let message = Credential { label: "ä".repeat(characters), ..credential() }.to_message();
        Credential::from_message(message).map(drop)
    };
    assert_eq!(with_label(100), Ok(()));
    let why = "101 characters, allowed are 100".to_owned();
    assert_eq!(with_label(101), Err(BadField::Unreadable { field: "label", why }));

    let with_patterns = |number| {
        let repositories = vec!["alice/*".to_owned(); number];
        Limits::from_message(wire::Limits { repositories, actions: vec![1] }).map(drop)
    };
    assert_eq!(with_patterns(32), Ok(()));
    let why = "33 patterns, allowed are 32".to_owned();
    assert_eq!(with_patterns(33), Err(BadField::Unreadable { field: "repositories", why }));
}

#[test]
fn what_decisions_depend_on_reads_back() {
    let question = |asker| AccessQuestion { asker, repositories: vec![], namespaces: vec![] };
    reads_back(&question(FactsOf::Anonymous));
    reads_back(&question(FactsOf::Credential([7; 32])));
    let (repositories, namespaces) = (vec![parse("alice/app")], vec![parse("team"), parse("alice")]);
    reads_back(&AccessQuestion { asker: FactsOf::User(parse("alice")), repositories, namespaces });

    let nobodys = NamespaceFacts { name: parse("team"), kind: None, role: None };
    let organization = Some(NamespaceKind::Organization);
    let namespace = NamespaceFacts { kind: organization, role: Some(MemberRole::Owner), ..nobodys.clone() };
    let absent = RepositoryFacts {
        name: parse("team/app"),
        visibility: None,
        namespace: nobodys.clone(),
        level: None,
        moved: None,
    };
    let (visibility, level) = (Some(Visibility::Private), Some(Level::Write));
    let there = RepositoryFacts { visibility, namespace: namespace.clone(), level, ..absent.clone() };
    for facts in [&nobodys, &namespace] {
        reads_back(facts);
    }
    reads_back(&absent);
    reads_back(&there);
    reads_back(&RepositoryFacts { moved: Some(Box::new(there.clone())), ..absent.clone() });

    let facts = AccessFacts {
        account: None,
        credential: Some(credential()),
        repositories: vec![absent, there],
        namespaces: vec![namespace, nobodys],
        ..AccessFacts::default()
    };
    let message = writes_back(&facts);
    assert_eq!((message.repositories.len(), message.namespaces.len()), (2, 2));
    assert_eq!(message.credential, Some(credential().to_message()));
}

#[test]
fn a_question_about_a_user_and_a_credential_at_once_is_refused() {
    let both = wire::AccessFactsRequest {
        account: Some("alice".to_owned()),
        credential_hash: Some(vec![7; 32].into()),
        ..wire::AccessFactsRequest::default()
    };
    assert!(AccessQuestion::from_message(both).is_err());
}

#[test]
fn what_the_organization_contract_says_reads_back() {
    let profile = OrganizationProfile {
        display_name: "The Team".to_owned(),
        description: "*ours*".to_owned(),
        email: "team@example.org".to_owned(),
    };
    reads_back(&Organization { name: parse("team"), profile, created: moment() });
    reads_back(&Team { name: parse("devs"), description: "those who **write**".to_owned() });
    for membership in [Membership::In, Membership::Out] {
        reads_back(&membership);
    }
    for level in [Level::Read, Level::Write, Level::Admin] {
        reads_back(&(Grantee::Team(parse("devs")), level));
        reads_back(&(Grantee::User(parse("alice")), level));
    }
    for role in [MemberRole::Member, MemberRole::Owner] {
        reads_back(&Page::<(AccountName, MemberRole)> {
            entries: vec![(parse("alice"), role)],
            more: More::No,
        });
        reads_back(&Page::<(Namespace, MemberRole)> {
            entries: vec![(parse("team"), role)],
            more: More::Yes,
        });
    }
    reads_back(&Page::<AccountName> { entries: vec![parse("alice"), parse("bob")], more: More::Yes });
    reads_back(&Page::<Namespace> { entries: vec![parse("team")], more: More::No });
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
        assert!(NamespaceKind::from_message(number).is_err());
        assert!(MemberRole::from_message(number).is_err());
        assert!(Level::from_message(number).is_err());
        assert!(Permission::from_message(number).is_err());
        assert!(Membership::from_message(number).is_err());
        let need = wire::Need { digest: SHA256.to_owned(), size_bytes: 1, what: number };
        assert!(Need::from_message(need).is_err());
    }
}

#[test]
fn a_time_out_of_range_is_refused() {
    assert!(timestamp("expires_ms", i64::MAX).is_err());
    assert!(timestamp("expires_ms", i64::MIN).is_err());
}
