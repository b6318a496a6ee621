//! The contract of [`Identities`] as tests, for every implementation and across gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::sync::Arc;

use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Asker, Deed, Identities, IdentityError, IssuedCredential, NewAccount, PasswordChange, Permit,
    WantedCredential,
};
use crate::{
    auth::{Credentials, Subject},
    metadata::{
        Via,
        accounts::Role,
        credentials::{Holder, Limits, Permission, RepositoryPattern, Revoked},
    },
};

/// What the suite runs on: an administrator and no other user, sign-ups closed, a public repository `open/app` and a
/// private one, `shut/app`.
#[derive(Clone)]
pub struct Harness {
    /// The implementation.
    pub identities: Arc<dyn Identities>,
    /// The administrator's name.
    pub username: String,
    /// The administrator's password.
    pub password: SecretString,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").finish_non_exhaustive()
    }
}

/// Runs every case.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(harness: Harness) {
    nobody_is_told_to_sign_in(&harness).await;
    wrong_credentials_are_refused_alike(&harness).await;
    an_administrator_may_everything(&harness).await;
    accounts_are_made_by_administrators(&harness).await;
    passwords_that_keep_nobody_out_are_refused(&harness).await;
    what_one_may_not_know_of_is_hidden(&harness).await;
    a_session_is_its_user(&harness).await;
    another_password_ends_what_the_old_one_began(&harness).await;
    an_access_token_does_what_it_is_for(&harness).await;
    nobody_gives_away_what_they_do_not_have(&harness).await;
    a_robot_lives_in_its_namespace(&harness).await;
}

/// What the users of the suite choose.
const PASSWORD: &str = "a suite of long passwords";

fn as_who(username: &str, password: &str) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: None, via: Via::Api }
}

fn nobody() -> Asker {
    Asker { credentials: None, address: None, via: Via::Api }
}

fn with(issued: &IssuedCredential) -> Asker {
    as_who("", issued.secret.expose_secret())
}

fn account(name: &str) -> NewAccount {
    let (password, email) = (PASSWORD.into(), format!("{name}@example.com"));
    NewAccount { name: name.parse().unwrap(), password, email, role: Role::User, invitation: None }
}

fn token(patterns: &[&str], actions: &[Permission]) -> WantedCredential {
    let pattern = |text: &&str| RepositoryPattern::try_from((*text).to_owned()).unwrap();
    let repositories = patterns.iter().map(pattern).collect();
    let limits = Limits { repositories, actions: actions.iter().copied().collect() };
    WantedCredential { robot: None, label: "for the suite".to_owned(), limits, expires: None }
}

fn robot(name: &str, patterns: &[&str], actions: &[Permission]) -> WantedCredential {
    WantedCredential { robot: Some(name.parse().unwrap()), ..token(patterns, actions) }
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn read(repository: &str) -> Deed {
    Deed::ReadRepository(repository.parse().unwrap())
}

fn write(repository: &str) -> Deed {
    Deed::WriteRepository(repository.parse().unwrap())
}

impl Harness {
    fn administrator(&self) -> Asker {
        as_who(&self.username, self.password.expose_secret())
    }

    async fn user(&self, name: &str) -> Asker {
        self.identities.sign_up(&self.administrator(), &account(name)).await.unwrap();
        as_who(name, PASSWORD)
    }

    async fn may(&self, asker: &Asker, deed: &Deed) -> Result<Permit, IdentityError> {
        self.identities.authorize(asker, deed).await
    }

    async fn permitted(&self, asker: &Asker, deed: Deed) -> bool {
        match self.identities.authorize(asker, &deed).await {
            Ok(_) => true,
            Err(IdentityError::Forbidden { .. } | IdentityError::Hidden { .. }) => false,
            Err(error) => panic!("{deed:?}: {error}"),
        }
    }

    async fn issue(&self, asker: &Asker, wanted: &WantedCredential) -> IssuedCredential {
        self.identities.issue_credential(asker, wanted).await.unwrap()
    }
}

async fn nobody_is_told_to_sign_in(harness: &Harness) {
    for deed in [Deed::SignedIn, Deed::ManageHub, read("shut/app"), read("none/app"), write("open/app")] {
        let told = harness.may(&nobody(), &deed).await;
        assert!(matches!(told, Err(IdentityError::SignInNeeded { .. })), "{deed:?}: {told:?}");
    }
    let permit = harness.may(&nobody(), &read("open/app")).await.unwrap();
    assert_eq!((permit.subject, permit.role), (Subject::Anonymous, Role::User));
}

async fn wrong_credentials_are_refused_alike(harness: &Harness) {
    let secret = format!("bucket_pat_{}", "0".repeat(64));
    for (username, password) in [
        (harness.username.as_str(), "wrong"),
        (harness.username.as_str(), secret.as_str()),
        ("nobody", "wrong"),
        ("No Name At All", "wrong"),
        ("", ""),
        ("", secret.as_str()),
    ] {
        let asker = as_who(username, password);
        assert_eq!(harness.may(&asker, &Deed::SignedIn).await, Err(IdentityError::WrongCredentials));
        let sign_in = harness.identities.sign_in(&asker, None).await.map(|_| ());
        assert_eq!(sign_in, Err(IdentityError::WrongCredentials), "{username}");
    }
}

async fn an_administrator_may_everything(harness: &Harness) {
    let administrator = harness.administrator();
    for deed in [
        Deed::SignedIn,
        Deed::ManageHub,
        Deed::ManageAccount(name("somebody")),
        Deed::CreateOrganization,
        Deed::SeeNamespace("shut".parse().unwrap()),
        Deed::ManageNamespace("shut".parse().unwrap()),
        read("shut/app"),
        write("shut/app"),
        Deed::DeleteFromRepository("shut/app".parse().unwrap()),
        Deed::ManageRepository("shut/app".parse().unwrap()),
    ] {
        let permit = harness.may(&administrator, &deed).await.unwrap();
        let subject = Subject::User(name(&harness.username));
        assert_eq!((&permit.subject, permit.role), (&subject, Role::Administrator), "{deed:?}");
        assert_eq!(permit.actor.subject, subject);
    }
}

async fn accounts_are_made_by_administrators(harness: &Harness) {
    let closed = harness.identities.sign_up(&nobody(), &account("su-eve")).await;
    assert_eq!(closed, Err(IdentityError::SignUpClosed));

    let ann = harness.user("su-ann").await;
    assert_eq!(harness.may(&ann, &Deed::SignedIn).await.unwrap().role, Role::User);
    let closed = harness.identities.sign_up(&ann, &account("su-eve")).await;
    assert_eq!(closed, Err(IdentityError::SignUpClosed));

    let administrator = harness.administrator();
    let taken = harness.identities.sign_up(&administrator, &account("su-ann")).await;
    assert_eq!(taken, Err(IdentityError::NameTaken { name: "su-ann".to_owned() }));
    let reserved = harness.identities.sign_up(&administrator, &account("users")).await;
    assert_eq!(reserved, Err(IdentityError::NameReserved { name: "users".to_owned() }));
    let no_email = NewAccount { email: "nowhere".to_owned(), ..account("su-eve") };
    let refused = harness.identities.sign_up(&administrator, &no_email).await;
    assert!(matches!(refused, Err(IdentityError::EmailRefused { .. })), "{refused:?}");

    let another = NewAccount { role: Role::Administrator, ..account("su-root") };
    harness.identities.sign_up(&administrator, &another).await.unwrap();
    assert!(harness.permitted(&as_who("su-root", PASSWORD), Deed::ManageHub).await);
}

async fn passwords_that_keep_nobody_out_are_refused(harness: &Harness) {
    for password in ["too short", "su-bob and more", "1234567890", "bucket_pat_12345", &"long".repeat(65)] {
        let new = NewAccount { password: password.into(), ..account("su-bob") };
        let refused = harness.identities.sign_up(&harness.administrator(), &new).await;
        assert!(matches!(refused, Err(IdentityError::PasswordRefused { .. })), "{password}: {refused:?}");
    }
}

async fn what_one_may_not_know_of_is_hidden(harness: &Harness) {
    let ann = harness.user("hi-ann").await;
    for deed in [read("shut/app"), write("none/app"), Deed::ManageNamespace("shut".parse().unwrap())] {
        let told = harness.may(&ann, &deed).await;
        assert!(matches!(told, Err(IdentityError::Hidden { .. })), "{deed:?}: {told:?}");
    }
    let forbidden =
        IdentityError::Forbidden { subject: "hi-ann".to_owned(), missing: "push to open/app".to_owned() };
    assert_eq!(harness.may(&ann, &write("open/app")).await, Err(forbidden));
    assert!(harness.permitted(&ann, write("hi-ann/first")).await);
    assert!(!harness.permitted(&ann, Deed::ManageAccount(name(&harness.username))).await);
}

async fn a_session_is_its_user(harness: &Harness) {
    let ann = harness.user("se-ann").await;
    let session = harness.identities.sign_in(&ann, None).await.unwrap();

    assert!(session.secret.expose_secret().starts_with("bucket_session_"));
    assert_eq!(session.credential.holder, Holder::Session(name("se-ann")));
    assert!(session.credential.expires > Some(session.credential.created));
    assert!(harness.permitted(&with(&session), Deed::ManageAccount(name("se-ann"))).await);
    assert!(harness.permitted(&as_who("se-ann", session.secret.expose_secret()), Deed::SignedIn).await);

    let of_another = as_who("se-bob", session.secret.expose_secret());
    let refused = harness.may(&of_another, &Deed::SignedIn).await;
    assert_eq!(refused, Err(IdentityError::WrongCredentials));
    let again = harness.identities.sign_in(&with(&session), None).await.map(|_| ());
    assert_eq!(again, Err(IdentityError::WrongCredentials), "only a password signs in");
}

async fn another_password_ends_what_the_old_one_began(harness: &Harness) {
    let ann = harness.user("pw-ann").await;
    let session = harness.identities.sign_in(&ann, None).await.unwrap();
    let token = harness.issue(&ann, &token(&[], &[Permission::Pull])).await;
    let change = |old: Option<&str>, new: &str| PasswordChange {
        name: name("pw-ann"),
        old: old.map(SecretString::from),
        new: new.into(),
    };
    for (refused, old) in [(&ann, None), (&ann, Some("wrong")), (&with(&session), None)] {
        let refused = harness.identities.change_password(refused, &change(old, "another long one")).await;
        assert_eq!(refused, Err(IdentityError::WrongCredentials), "{old:?}");
    }

    let right = change(Some(PASSWORD), "another long one");
    harness.identities.change_password(&with(&session), &right).await.unwrap();
    for gone in [&ann, &with(&session)] {
        assert_eq!(harness.may(gone, &Deed::SignedIn).await, Err(IdentityError::WrongCredentials));
    }
    assert!(harness.permitted(&as_who("pw-ann", "another long one"), Deed::SignedIn).await);
    assert!(harness.permitted(&with(&token), Deed::SignedIn).await);
    let revoked = harness.identities.revocations(None).await.unwrap();
    let subject = Revoked::Subject(Subject::User(name("pw-ann")));
    assert!(revoked.iter().any(|revocation| revocation.what == subject), "{revoked:?}");

    let administrator = harness.administrator();
    harness.identities.change_password(&administrator, &change(None, PASSWORD)).await.unwrap();
    assert!(harness.permitted(&ann, Deed::SignedIn).await);
    let unknown = PasswordChange { name: name("pw-eve"), ..change(None, PASSWORD) };
    let unknown = harness.identities.change_password(&administrator, &unknown).await;
    assert_eq!(unknown, Err(IdentityError::AccountUnknown { name: name("pw-eve") }));
}

async fn an_access_token_does_what_it_is_for(harness: &Harness) {
    let ann = harness.user("at-ann").await;
    let wanted = token(&["at-ann/app*"], &[Permission::Pull, Permission::Push]);
    let issued = harness.issue(&ann, &wanted).await;
    assert!(issued.secret.expose_secret().starts_with("bucket_pat_"));
    assert_eq!(issued.credential.holder, Holder::User(name("at-ann")));
    assert_eq!((&issued.credential.label, &issued.credential.limits), (&wanted.label, &wanted.limits));

    let program = with(&issued);
    let permit = harness.may(&program, &write("at-ann/app-1")).await.unwrap();
    assert_eq!(permit.subject, Subject::User(name("at-ann")));
    assert!(harness.permitted(&program, read("open/app")).await, "what anybody may pull");
    for deed in [
        write("at-ann/other"),
        read("shut/app"),
        Deed::DeleteFromRepository("at-ann/app".parse().unwrap()),
        Deed::ManageRepository("at-ann/app".parse().unwrap()),
        Deed::ManageAccount(name("at-ann")),
    ] {
        assert!(!harness.permitted(&program, deed.clone()).await, "{deed:?}");
    }
}

async fn nobody_gives_away_what_they_do_not_have(harness: &Harness) {
    let ann = harness.user("gi-ann").await;
    let managing = [Permission::Pull, Permission::Manage];
    let ends = harness.identities.sign_in(&ann, None).await.unwrap().credential.expires;
    let own = WantedCredential { expires: ends, ..token(&[], &managing) };
    let own = with(&harness.issue(&ann, &own).await);

    let less = WantedCredential { expires: ends, ..token(&[], &[Permission::Pull]) };
    harness.issue(&own, &less).await;
    let more = WantedCredential { expires: ends, ..token(&[], &[Permission::Push]) };
    let longer = WantedCredential { expires: None, ..less.clone() };
    let past = WantedCredential { expires: Some(jiff::Timestamp::UNIX_EPOCH), ..less.clone() };
    let unnamed = WantedCredential { label: String::new(), ..less };
    for wanted in [more, longer, past, unnamed, token(&[], &[])] {
        let refused = harness.identities.issue_credential(&own, &wanted).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::CredentialRefused { .. })), "{wanted:?}: {refused:?}");
    }
    let told = harness.identities.issue_credential(&nobody(), &token(&[], &managing)).await.map(|_| ());
    assert!(matches!(told, Err(IdentityError::SignInNeeded { .. })), "{told:?}");
}

async fn a_robot_lives_in_its_namespace(harness: &Harness) {
    let ann = harness.user("ro-ann").await;
    let pushing = [Permission::Pull, Permission::Push];
    let issued = harness.issue(&ann, &robot("ro-ann+ci", &[], &pushing)).await;
    assert!(issued.secret.expose_secret().starts_with("bucket_robot_"));

    let ci = as_who("ro-ann+ci", issued.secret.expose_secret());
    let permit = harness.may(&ci, &write("ro-ann/app")).await.unwrap();
    assert_eq!(permit.subject, Subject::Robot("ro-ann+ci".parse().unwrap()));
    assert!(harness.permitted(&ci, read("open/app")).await);
    for deed in [write("open/app"), read("shut/app"), Deed::ManageNamespace("ro-ann".parse().unwrap())] {
        assert!(!harness.permitted(&ci, deed.clone()).await, "{deed:?}");
    }

    let taken = harness.identities.issue_credential(&ann, &robot("ro-ann+ci", &[], &pushing)).await;
    let exists = IdentityError::CredentialExists { name: "ro-ann+ci".parse().unwrap() };
    assert_eq!(taken.map(|_| ()), Err(exists));
    for wanted in [
        robot("ro-ann+x", &["shut/app"], &pushing),
        robot("ro-ann+x", &["ro-annex/*"], &pushing),
        robot("ro-ann+x", &[], &[Permission::Manage]),
    ] {
        let refused = harness.identities.issue_credential(&ann, &wanted).await.map(|_| ());
        assert!(matches!(refused, Err(IdentityError::CredentialRefused { .. })), "{wanted:?}: {refused:?}");
    }
    let elsewhere = harness.identities.issue_credential(&ann, &robot("shut+ci", &[], &pushing)).await;
    assert!(matches!(elsewhere.map(|_| ()), Err(IdentityError::Hidden { .. })));
}
