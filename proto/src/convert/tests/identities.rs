//! What the contract of identities says, and revocations.

use secrecy::ExposeSecret as _;

use super::{
    super::{BadField, Wire as _, identities},
    GENERATION, actor, moment, parse, reads_back, writes_back,
};
use crate::{
    auth::{
        Credentials, Subject,
        identities::{
            Asker, Deed, IssuedCredential, NewAccount, PasswordChange, Permit, Reads, WantedCredential,
        },
    },
    metadata::{
        Via,
        accounts::Role,
        credentials::{Credential, Holder, Limits, Permission, RepositoryPattern, Revocation, Revoked},
    },
    wire,
};

const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn asker() -> Asker {
    let credentials = Credentials { username: "al ice".to_owned(), password: "päss".into() };
    Asker { credentials: Some(credentials), address: Some(parse("2001:db8::1")), via: Via::Api }
}

fn limits() -> Limits {
    let pattern = RepositoryPattern::try_from("team/*".to_owned()).unwrap();
    Limits { repositories: vec![pattern], actions: [Permission::Pull, Permission::Manage].into() }
}

fn deeds() -> Vec<Deed> {
    vec![
        Deed::SignedIn,
        Deed::ManageHub,
        Deed::ManageAccount(parse("alice")),
        Deed::CreateOrganization,
        Deed::SeeNamespace(parse("team")),
        Deed::ManageNamespace(parse("team")),
        Deed::RemoveMember(parse("team"), parse("alice")),
        Deed::ReadRepository(parse("team/app")),
        Deed::WriteRepository(parse("team/app")),
        Deed::DeleteFromRepository(parse("team/app")),
        Deed::ManageRepository(parse("team/app")),
    ]
}

#[test]
fn an_asker_reads_back_with_and_without_credentials() {
    let message = writes_back(&asker());
    let credentials = wire::Credentials { username: "al ice".to_owned(), password: "päss".to_owned() };
    assert_eq!(message.credentials, Some(credentials));
    assert_eq!(message.address.as_deref(), Some("2001:db8::1"));

    let nobody = writes_back(&Asker { credentials: None, address: None, via: Via::Ui });
    assert_eq!(nobody, wire::Asker { via: wire::Via::Ui.into(), ..wire::Asker::default() });
    let of_before = Asker::from_message(wire::Asker::default()).unwrap();
    assert_eq!(of_before.via, Via::Ui, "only the pages were known then");
}

#[test]
fn every_deed_reads_back() {
    for deed in deeds() {
        reads_back(&deed);
    }
}

#[test]
fn a_deed_without_a_known_kind_or_a_good_name_is_refused() {
    for kind in [0, 99] {
        let refused = Deed::from_message(wire::Deed { kind, on: "team".to_owned(), user: String::new() });
        assert!(matches!(refused, Err(BadField::Unreadable { field: "kind", .. })), "{refused:?}");
    }
    for deed in deeds() {
        let message = wire::Deed { on: "No Name".to_owned(), ..deed.to_message() };
        let named = !deed.to_message().on.is_empty();
        assert_eq!(Deed::from_message(message).is_err(), named, "{deed:?}");
    }
}

#[test]
fn a_permit_reads_back() {
    for credential in [None, Some(parse(GENERATION))] {
        let within = vec!["team/*".to_owned().try_into().unwrap(), "ann/app".to_owned().try_into().unwrap()];
        for reads in [Reads::Public, Reads::All, Reads::Within(within)] {
            let (subject, role) = (Subject::Robot(parse("team+ci")), Role::Administrator);
            reads_back(&Permit { subject, role, credential: credential.clone(), actor: actor(), reads });
        }
    }
}

#[test]
fn an_account_that_is_wanted_reads_back() {
    let new = NewAccount {
        name: parse("bob"),
        password: "a long one".into(),
        email: "bob@example.com".to_owned(),
        role: Role::Administrator,
        invitation: Some("a secret".into()),
    };
    let message = identities::sign_up_request(&asker(), &new);
    let (read_asker, read) = identities::sign_up(message.clone()).unwrap();

    assert_eq!(identities::sign_up_request(&read_asker, &read), message);
    assert_eq!((read.name.as_str(), read.email.as_str()), ("bob", "bob@example.com"));
    assert_eq!((read.password.expose_secret(), read.role), ("a long one", Role::Administrator));
}

#[test]
fn another_password_reads_back_with_and_without_the_old_one() {
    let with_old = PasswordChange { name: parse("bob"), old: Some("old".into()), new: "new".into() };
    for change in [PasswordChange { old: None, ..with_old.clone() }, with_old] {
        let message = identities::change_password_request(&asker(), &change);
        let (_, read) = identities::change_password(message).unwrap();

        assert_eq!(read.name, change.name);
        assert_eq!(read.new.expose_secret(), "new");
        let exposed = |change: &PasswordChange| change.old.as_ref().map(|old| old.expose_secret().to_owned());
        assert_eq!(exposed(&read), exposed(&change));
    }
}

#[test]
fn a_credential_that_is_wanted_reads_back() {
    let robot = WantedCredential {
        robot: Some(parse("team+ci")),
        label: "the pipeline".to_owned(),
        limits: limits(),
        expires: Some(moment()),
    };
    let token = WantedCredential { robot: None, limits: Limits::none(), expires: None, ..robot.clone() };
    for wanted in [robot, token] {
        let message = identities::issue_credential_request(&asker(), &wanted);
        assert_eq!(identities::issue_credential(message).unwrap().1, wanted);
    }
}

#[test]
fn an_issued_credential_reads_back() {
    let credential = Credential {
        id: parse(ULID),
        holder: Holder::Robot(parse("team+ci")),
        label: "the pipeline".to_owned(),
        limits: limits(),
        created: moment(),
        expires: None,
        used: Some(moment()),
        trust: None,
    };
    let issued = IssuedCredential { secret: "bucket_robot_00".into(), credential: credential.clone() };
    let message = writes_back(&issued);

    assert_eq!(message.secret, "bucket_robot_00");
    assert_eq!(Credential::from_message(message.credential.unwrap()), Ok(credential));
}

#[test]
fn a_revocation_reads_back() {
    for what in [
        Revoked::Credential(parse(ULID)),
        Revoked::Subject(Subject::User(parse("alice"))),
        Revoked::Subject(Subject::Robot(parse("team+ci"))),
        Revoked::Repository(parse("team/app")),
    ] {
        reads_back(&Revocation { id: parse(ULID), at: moment(), what });
    }
    let of_nothing = wire::Revocation { id: ULID.to_owned(), at_ms: 1, what: None };
    assert_eq!(Revocation::from_message(of_nothing), Err(BadField::Absent { field: "what" }));
}
