//! Every variant of every contract survives the way through a status; all else is `Unavailable`.

use std::fmt::Debug;

use super::*;
use crate::blob::GrantRefused;

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER_SHA256: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
const LOCATOR: &str = "disk/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855+/01ARZ3NDEKTSV4RRFFQ69G5FAV";
const SESSION: &str = "e7c5d8a0-55f5-4f0f-9f61-0f1d8b3e6a11";

fn parse<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn attempted() -> Cow<'static, str> {
    Cow::Borrowed("reading \"that\" record")
}

fn survives<E: Failure + PartialEq + Debug + Clone>(errors: &[E]) {
    for error in errors {
        let status = status_of(error.clone());

        assert_eq!(status.code(), error.code());
        assert_eq!(status.message(), error.to_string());
        assert_eq!(&error_of::<E>("testing", &status), error);
    }
}

#[test]
fn blob_errors_survive() {
    survives(&[
        BlobError::DigestMismatch { claimed: parse(SHA256), actual: parse(OTHER_SHA256) },
        BlobError::TooLong { expected_bytes: u64::MAX },
        BlobError::PartMissing { session: parse(SESSION), offset: 7 },
        BlobError::Missing { locator: parse(LOCATOR) },
        BlobError::GrantRefused { why: GrantRefused::Forged },
        BlobError::GrantRefused { why: GrantRefused::Expired },
        BlobError::OutOfRange { first: 9, size_bytes: 8 },
        BlobError::NoSpace { attempted: attempted() },
        BlobError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn backup_errors_survive() {
    survives(&[
        BackupError::Taken { until: parse("2030-01-31T12:00:00Z") },
        BackupError::Damaged { what: "a record".to_owned() },
        BackupError::NoSpace { attempted: attempted() },
        BackupError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn auth_errors_survive() {
    survives(&[
        AuthError::WrongCredentials,
        AuthError::AccessTokenNeeded,
        AuthError::UnknownService { asked: "a\nb".to_owned(), known: "registry".to_owned() },
        AuthError::Throttled { retry_after_seconds: 30 },
        AuthError::Overloaded { retry_after_seconds: 3 },
        AuthError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn identity_errors_survive() {
    survives(&[
        IdentityError::WrongCredentials,
        IdentityError::SecondFactorNeeded,
        IdentityError::AccessTokenNeeded,
        IdentityError::WrongCode,
        IdentityError::SecondFactorExists,
        IdentityError::SecondFactorMissing,
        IdentityError::TicketUnknown,
        IdentityError::InvitationUnknown,
        IdentityError::NoMail,
        IdentityError::NoEmail,
        IdentityError::Throttled { retry_after_seconds: 30 },
        IdentityError::SignInNeeded { missing: "push to alice/app".to_owned() },
        IdentityError::Hidden { what: "repository alice/app".to_owned() },
        IdentityError::Forbidden { subject: "bob".to_owned(), missing: "push to alice/app".to_owned() },
        IdentityError::SignUpClosed,
        IdentityError::NameTaken { name: "alice".to_owned() },
        IdentityError::NameReserved { name: "v2".to_owned() },
        IdentityError::PasswordRefused { why: "it is \"common\"".to_owned() },
        IdentityError::EmailRefused { why: "it has no @".to_owned() },
        IdentityError::AccountUnknown { name: parse("alice") },
        IdentityError::CredentialExists { name: parse("team+ci") },
        IdentityError::CredentialRefused { why: "it has ended".to_owned() },
        IdentityError::TooMany { limit: 200 },
        IdentityError::Overloaded { retry_after_seconds: 3 },
        IdentityError::ProviderUnknown { provider: parse("acme") },
        IdentityError::FlowInvalid { why: attempted() },
        IdentityError::ProviderRefused { provider: parse("acme"), why: "no".to_owned() },
        IdentityError::LinkNeeded { provider: parse("acme"), why: "no".to_owned() },
        IdentityError::IdentityTaken,
        IdentityError::WorkloadRefused { why: attempted() },
        IdentityError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn upload_errors_survive() {
    survives(&[
        UploadError::NamespaceUnknown { namespace: parse("alice") },
        UploadError::Moved { repository: parse("alice/app"), to: parse("team/app") },
        UploadError::UploadUnknown { session: parse(SESSION) },
        UploadError::OffsetMoved { recorded: 5 },
        UploadError::TooManyParts { limit: 10_000 },
        UploadError::QuotaExceeded {
            namespace: parse("alice"),
            used_bytes: 9 << 30,
            limit_bytes: 10 << 30,
            size_bytes: Some(512 << 20),
        },
        UploadError::QuotaExceeded {
            namespace: parse("alice"),
            used_bytes: u64::MAX,
            limit_bytes: 0,
            size_bytes: None,
        },
        UploadError::HoldLost { digest: parse(SHA256) },
        UploadError::Conflict { attempted: attempted() },
        UploadError::Damaged { what: "a record of ümläuts".to_owned() },
        UploadError::NoSpace { attempted: attempted() },
        UploadError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn repository_errors_survive() {
    let repository: oci::RepositoryName = parse("alice/app");
    survives(&[
        RepositoryError::NameUnknown { repository: repository.clone() },
        RepositoryError::NamespaceUnknown { namespace: parse("alice") },
        RepositoryError::RepositoryExists { repository: repository.clone() },
        RepositoryError::Moved { repository: repository.clone(), to: repository.clone() },
        RepositoryError::NameLeadsElsewhere { repository: repository.clone() },
        RepositoryError::QuotaExceeded {
            namespace: parse("team"),
            used_bytes: 1,
            limit_bytes: 2,
            size_bytes: 3,
        },
        RepositoryError::BlobUnknown { repository: repository.clone(), digest: parse(SHA256) },
        RepositoryError::ManifestUnknown { repository: repository.clone(), reference: parse("latest") },
        RepositoryError::ManifestUnknown { repository, reference: parse(SHA256) },
        RepositoryError::ReferencesMissing { missing: vec![parse(SHA256), parse(OTHER_SHA256)] },
        RepositoryError::StillNeeded { digest: parse(SHA256), parent: parse(OTHER_SHA256) },
        RepositoryError::TagUnexpected { tag: parse("latest"), current: Some(parse(SHA256)) },
        RepositoryError::TagUnexpected { tag: parse("latest"), current: None },
        RepositoryError::BlobNeeded { digest: parse(SHA256), manifest: parse(OTHER_SHA256) },
        RepositoryError::BlobRestorable {
            digest: parse(SHA256),
            manifest: parse(OTHER_SHA256),
            until: parse("2026-01-08T00:00:00Z"),
        },
        RepositoryError::Conflict { attempted: attempted() },
        RepositoryError::Damaged { what: "a record".to_owned() },
        RepositoryError::NoSpace { attempted: attempted() },
        RepositoryError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn account_errors_survive() {
    survives(&[
        AccountError::NameTaken { name: parse("alice") },
        AccountError::NameReserved { name: parse("alice") },
        AccountError::AccountUnknown { name: parse("alice") },
        AccountError::OrganizationUnknown { name: parse("team") },
        AccountError::OwnerUnknown { name: parse("team") },
        AccountError::MemberUnknown { organization: parse("team"), user: parse("alice") },
        AccountError::TeamUnknown { organization: parse("team"), team: parse("devs") },
        AccountError::RepositoryUnknown { repository: parse("team/app") },
        AccountError::LastOwner { organization: parse("team"), user: parse("alice") },
        AccountError::LastAdministrator { user: parse("alice") },
        AccountError::CredentialExists { name: parse("team+ci") },
        AccountError::CredentialUnknown { id: parse("01ARZ3NDEKTSV4RRFFQ69G5FAV") },
        AccountError::SigningKeyUnknown { id: crate::auth::KeyId("thumbprint".to_owned()) },
        AccountError::SecondFactorExists { user: parse("alice") },
        AccountError::SecondFactorUnknown { user: parse("alice") },
        AccountError::CodeSpent { user: parse("alice") },
        AccountError::TicketUnknown,
        AccountError::InvitationUnknown,
        AccountError::AccountChanged { user: parse("alice") },
        AccountError::TooMany { what: "robots of team".to_owned(), limit: 200 },
        AccountError::Conflict { attempted: attempted() },
        AccountError::Damaged { what: "a record".to_owned() },
        AccountError::NoSpace { attempted: attempted() },
        AccountError::IdentityTaken,
        AccountError::IdentityUnknown { id: parse(&"0f".repeat(32)) },
        AccountError::LastWayIn { user: parse("ann") },
        AccountError::Unavailable { attempted: attempted() },
    ]);
}

#[test]
fn the_reason_is_the_variant_and_the_metadata_are_its_fields() {
    let status = status_of(BlobError::TooLong { expected_bytes: 5 });

    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "TOO_LONG");
    assert_eq!(info.domain, "bucket");
    assert_eq!(info.metadata, HashMap::from([("expected_bytes".to_owned(), "5".to_owned())]));
}

#[test]
fn a_long_message_is_shortened_and_its_fields_are_not() {
    let error = AuthError::UnknownService { asked: "ü".repeat(2_000), known: "registry".to_owned() };

    let status = status_of(error.clone());

    assert!(status.message().len() <= MAX_MESSAGE_BYTES);
    assert_eq!(error_of::<AuthError>("testing", &status), error);
}

#[test]
fn a_status_of_others_is_unavailable() {
    let unavailable = BlobError::Unavailable { attempted: Cow::Borrowed("opening a blob") };
    let foreign = details("TOO_LONG", "example.com", "5");
    let unknown = details("INVENTED_LATER", DOMAIN, "5");
    let incomplete = ErrorDetails::with_error_info("TOO_LONG", DOMAIN, HashMap::new());
    let no_json = details("TOO_LONG", DOMAIN, "five");

    for status in [
        Status::unavailable("connection refused"),
        Status::deadline_exceeded("too late"),
        Status::unauthenticated("who are you?"),
        Status::cancelled("gone"),
        Status::unknown("?"),
        Status::with_error_details(Code::OutOfRange, "foreign", foreign),
        Status::with_error_details(Code::OutOfRange, "unknown", unknown),
        Status::with_error_details(Code::OutOfRange, "incomplete", incomplete),
        Status::with_error_details(Code::OutOfRange, "no JSON", no_json),
    ] {
        assert_eq!(error_of::<BlobError>("opening a blob", &status), unavailable, "{status:?}");
    }
}

fn details(reason: &str, domain: &str, expected_bytes: &str) -> ErrorDetails {
    let metadata = HashMap::from([("expected_bytes".to_owned(), expected_bytes.to_owned())]);
    ErrorDetails::with_error_info(reason, domain, metadata)
}
