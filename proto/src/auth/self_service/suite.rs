//! The contract of [`SelfService`] as tests, for every implementation and across gRPC.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::{collections::BTreeSet, sync::Arc};

use oci::AccountName;
use secrecy::{ExposeSecret as _, SecretString};

use super::{FactorDrop, SelfService, WantedInvitation};
use crate::{
    auth::{
        Credentials, Identities, IdentityError,
        identities::{Asker, Deed, NewAccount, WantedCredential},
    },
    metadata::{
        Via,
        accounts::Role,
        credentials::{Limits, Permission},
        invitations::Joining,
        organizations::MemberRole,
    },
};

/// The code of the next time step for a secret in base 32; time moves there.
pub type NextCode = Arc<dyn Fn(&SecretString) -> SecretString + Send + Sync>;

/// What the suite runs on: an administrator and no other user, sign-ups closed, no mail, and the organization `team`.
#[derive(Clone)]
pub struct Harness {
    /// Who somebody is.
    pub identities: Arc<dyn Identities>,
    /// The implementation.
    pub self_service: Arc<dyn SelfService>,
    /// The administrator's name.
    pub username: String,
    /// The administrator's password.
    pub password: SecretString,
    /// What an authenticator app shows.
    pub code: NextCode,
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
    a_second_factor_takes_the_password_and_a_code(&harness).await;
    with_a_second_factor_the_password_alone_is_not_enough(&harness).await;
    who_does_not_know_the_password_is_told_nothing_of_a_second_factor(&harness).await;
    a_recovery_code_signs_in_once(&harness).await;
    confirming_ends_sessions_and_leaves_access_tokens(&harness).await;
    a_second_factor_goes_with_password_and_code_or_an_administrator(&harness).await;
    an_invitation_lets_one_in(&harness).await;
    only_administrators_invite_where_the_hub_is_closed(&harness).await;
    without_mail_none_is_promised(&harness).await;
    what_was_never_mailed_is_good_for_nothing(&harness).await;
}

const PASSWORD: &str = "a suite of long passwords";

fn as_who(username: &str, password: &str) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: None, via: Via::Api }
}

fn nobody() -> Asker {
    Asker { credentials: None, address: None, via: Via::Api }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        name: name.parse().unwrap(),
        password: PASSWORD.into(),
        email: format!("{name}@example.com"),
        role: Role::User,
        invitation: None,
    }
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

/// A user with a second factor, and what an app and a drawer have of it.
struct Protected {
    asker: Asker,
    secret: SecretString,
    recovery: Vec<SecretString>,
}

impl Harness {
    fn administrator(&self) -> Asker {
        as_who(&self.username, self.password.expose_secret())
    }

    async fn user(&self, name: &str) -> Asker {
        self.identities.sign_up(&self.administrator(), &account(name)).await.unwrap();
        as_who(name, PASSWORD)
    }

    async fn protected(&self, name: &str) -> Protected {
        let asker = self.user(name).await;
        let started = self.self_service.start_second_factor(&asker, &PASSWORD.into()).await.unwrap();
        let code = (self.code)(&started.secret);
        let recovery = self.self_service.finish_second_factor(&asker, &code).await.unwrap();
        Protected { asker, secret: started.secret, recovery }
    }

    async fn sign_in(&self, asker: &Asker, code: Option<&SecretString>) -> Result<Asker, IdentityError> {
        let issued = self.identities.sign_in(asker, code).await?;
        Ok(as_who("", issued.secret.expose_secret()))
    }

    async fn is_let_in(&self, asker: &Asker) -> Result<(), IdentityError> {
        self.identities.authorize(asker, &Deed::SignedIn).await.map(drop)
    }
}

async fn a_second_factor_takes_the_password_and_a_code(harness: &Harness) {
    let (ann, service) = (harness.user("sf-ann").await, &harness.self_service);
    let status = service.second_factor(&ann).await.unwrap();
    assert_eq!((status.active, status.recovery_codes), (false, 0));
    let early = service.finish_second_factor(&ann, &"123456".into()).await.map(drop);
    assert_eq!(early, Err(IdentityError::SecondFactorMissing));
    let guessed = service.start_second_factor(&ann, &"wrong".into()).await.map(drop);
    assert_eq!(guessed, Err(IdentityError::WrongCredentials));
    let told = service.start_second_factor(&nobody(), &"wrong".into()).await.map(drop);
    assert!(matches!(told, Err(IdentityError::SignInNeeded { .. })), "{told:?}");

    let started = service.start_second_factor(&ann, &PASSWORD.into()).await.unwrap();
    assert!(started.url.expose_secret().contains(started.secret.expose_secret()));
    assert!(started.url.expose_secret().starts_with("otpauth://totp/"));
    assert_eq!(harness.is_let_in(&ann).await, Ok(()), "it does not count yet");
    let wrong = service.finish_second_factor(&ann, &"12345".into()).await.map(drop);
    assert_eq!(wrong, Err(IdentityError::WrongCode));

    let code = (harness.code)(&started.secret);
    let recovery = service.finish_second_factor(&ann, &code).await.unwrap();
    let distinct: BTreeSet<&str> = recovery.iter().map(SecretString::expose_secret).collect();
    assert_eq!(distinct.len(), 10);
    let session = harness.sign_in(&ann, Some(&(harness.code)(&started.secret))).await.unwrap();
    let status = service.second_factor(&session).await.unwrap();
    assert_eq!((status.active, status.recovery_codes), (true, 10));
    let again = service.start_second_factor(&session, &PASSWORD.into()).await.map(drop);
    assert_eq!(again, Err(IdentityError::SecondFactorExists));
}

async fn with_a_second_factor_the_password_alone_is_not_enough(harness: &Harness) {
    let Protected { asker, secret, .. } = harness.protected("sf-two").await;
    assert_eq!(harness.is_let_in(&asker).await, Err(IdentityError::AccessTokenNeeded));
    let alone = harness.sign_in(&asker, None).await.map(drop);
    assert_eq!(alone, Err(IdentityError::SecondFactorNeeded));
    for wrong in ["000000x", "12345", ""] {
        let wrong = harness.sign_in(&asker, Some(&wrong.into())).await.map(drop);
        assert_eq!(wrong, Err(IdentityError::WrongCode));
    }

    let code = (harness.code)(&secret);
    let session = harness.sign_in(&asker, Some(&code)).await.unwrap();
    assert_eq!(harness.is_let_in(&session).await, Ok(()));
    let replayed = harness.sign_in(&asker, Some(&code)).await.map(drop);
    assert_eq!(replayed, Err(IdentityError::WrongCode));
}

async fn who_does_not_know_the_password_is_told_nothing_of_a_second_factor(harness: &Harness) {
    let Protected { secret, .. } = harness.protected("sf-quiet").await;
    let right = (harness.code)(&secret);
    for username in ["sf-quiet", "sf-nobody"] {
        let guess = as_who(username, "wrong");
        for code in [None, Some(&right), Some(&"123456".into())] {
            let told = harness.sign_in(&guess, code).await.map(drop);
            assert_eq!(told, Err(IdentityError::WrongCredentials), "{username}");
        }
        assert_eq!(harness.is_let_in(&guess).await, Err(IdentityError::WrongCredentials), "{username}");
    }
}

async fn a_recovery_code_signs_in_once(harness: &Harness) {
    let Protected { asker, recovery, .. } = harness.protected("sf-lost").await;
    let session = harness.sign_in(&asker, Some(&recovery[7])).await.unwrap();
    assert_eq!(harness.self_service.second_factor(&session).await.unwrap().recovery_codes, 9);
    let again = harness.sign_in(&asker, Some(&recovery[7])).await.map(drop);
    assert_eq!(again, Err(IdentityError::WrongCode));
}

async fn confirming_ends_sessions_and_leaves_access_tokens(harness: &Harness) {
    let (ann, service) = (harness.user("sf-ends").await, &harness.self_service);
    let limits = Limits { repositories: Vec::new(), actions: [Permission::Pull].into() };
    let token = WantedCredential { robot: None, label: "laptop".to_owned(), limits, expires: None };
    let token = harness.identities.issue_credential(&ann, &token).await.unwrap();
    let session = harness.sign_in(&ann, None).await.unwrap();

    let started = service.start_second_factor(&session, &PASSWORD.into()).await.unwrap();
    service.finish_second_factor(&session, &(harness.code)(&started.secret)).await.unwrap();
    assert_eq!(harness.is_let_in(&session).await, Err(IdentityError::WrongCredentials));
    assert_eq!(harness.is_let_in(&as_who("sf-ends", token.secret.expose_secret())).await, Ok(()));
}

async fn a_second_factor_goes_with_password_and_code_or_an_administrator(harness: &Harness) {
    let Protected { asker, secret, recovery } = harness.protected("sf-off").await;
    let session = harness.sign_in(&asker, Some(&(harness.code)(&secret))).await.unwrap();
    let drop_it = async |asker: &Asker, password: Option<&str>, code: Option<&SecretString>| {
        let (password, code) = (password.map(SecretString::from), code.cloned());
        let drop = FactorDrop { user: name("sf-off"), password, code };
        harness.self_service.drop_second_factor(asker, &drop).await
    };

    let wrong = Err(IdentityError::WrongCredentials);
    assert_eq!(drop_it(&session, None, Some(&recovery[0])).await, wrong);
    assert_eq!(drop_it(&session, Some("wrong"), Some(&recovery[0])).await, wrong);
    let needed = Err(IdentityError::SecondFactorNeeded);
    assert_eq!(drop_it(&session, Some(PASSWORD), None).await, needed);
    let bad = Some(&SecretString::from("12345"));
    assert_eq!(drop_it(&session, Some(PASSWORD), bad).await, Err(IdentityError::WrongCode));
    let eve = harness.user("sf-eve").await;
    let forbidden = drop_it(&eve, Some(PASSWORD), Some(&recovery[0])).await;
    assert!(matches!(forbidden, Err(IdentityError::Forbidden { .. })), "{forbidden:?}");
    assert!(harness.self_service.second_factor(&session).await.unwrap().active);

    assert_eq!(drop_it(&session, Some(PASSWORD), Some(&recovery[0])).await, Ok(()));
    assert_eq!(harness.is_let_in(&asker).await, Ok(()));

    let Protected { asker, .. } = harness.protected("sf-help").await;
    let helped = FactorDrop { user: name("sf-help"), password: None, code: None };
    harness.self_service.drop_second_factor(&harness.administrator(), &helped).await.unwrap();
    assert_eq!(harness.is_let_in(&asker).await, Ok(()));
    let unknown = FactorDrop { user: name("sf-nobody"), ..helped };
    let unknown = harness.self_service.drop_second_factor(&harness.administrator(), &unknown).await;
    assert_eq!(unknown, Err(IdentityError::AccountUnknown { name: name("sf-nobody") }));
}

async fn an_invitation_lets_one_in(harness: &Harness) {
    let (administrator, service) = (harness.administrator(), &harness.self_service);
    let invite = async |joining| {
        let wanted = WantedInvitation { email: String::new(), joining };
        service.invite(&administrator, &wanted).await.unwrap()
    };
    let made = invite(None).await;
    let secret = made.secret.expect("nobody else is told");
    assert!(secret.expose_secret().starts_with("bucket_invitation_"));
    assert_eq!(service.invited(&administrator, None).await.unwrap(), [made.invitation]);

    let invited =
        |name: &str, secret: &SecretString| NewAccount { invitation: Some(secret.clone()), ..account(name) };
    let boss = NewAccount { role: Role::Administrator, ..invited("sf-guest", &secret) };
    let refused = harness.identities.sign_up(&nobody(), &boss).await;
    assert!(matches!(refused, Err(IdentityError::SignInNeeded { .. })), "{refused:?}");
    harness.identities.sign_up(&nobody(), &invited("sf-guest", &secret)).await.unwrap();
    assert_eq!(harness.is_let_in(&as_who("sf-guest", PASSWORD)).await, Ok(()));
    for bad in [secret, "bucket_invitation_00".into(), "".into()] {
        let late = harness.identities.sign_up(&nobody(), &invited("sf-late", &bad)).await;
        assert_eq!(late, Err(IdentityError::InvitationUnknown));
    }

    let team: oci::Namespace = "team".parse().unwrap();
    let made = invite(Some(Joining { organization: team.clone(), role: MemberRole::Owner })).await;
    let secret = made.secret.unwrap();
    harness.identities.sign_up(&nobody(), &invited("sf-owner", &secret)).await.unwrap();
    let owner = as_who("sf-owner", PASSWORD);
    let managed = harness.identities.authorize(&owner, &Deed::ManageNamespace(team)).await;
    assert!(managed.is_ok(), "{managed:?}");

    let id = invite(None).await.invitation.id;
    for _ in 0..2 {
        service.uninvite(&administrator, None, &id).await.unwrap();
    }
    assert_eq!(service.invited(&administrator, None).await.unwrap(), []);
}

async fn only_administrators_invite_where_the_hub_is_closed(harness: &Harness) {
    let (owner, ann) = (as_who("sf-owner", PASSWORD), as_who("sf-guest", PASSWORD));
    let team: oci::Namespace = "team".parse().unwrap();
    let joining = Some(Joining { organization: team, role: MemberRole::Member });
    let into = WantedInvitation { email: String::new(), joining };
    let closed = harness.self_service.invite(&owner, &into).await.map(drop);
    assert_eq!(closed, Err(IdentityError::SignUpClosed));

    let hidden = harness.self_service.invite(&ann, &into).await.map(drop);
    assert!(matches!(hidden, Err(IdentityError::Hidden { .. })), "{hidden:?}");
    let plain = WantedInvitation { email: String::new(), joining: None };
    let forbidden = harness.self_service.invite(&ann, &plain).await.map(drop);
    assert!(matches!(forbidden, Err(IdentityError::Forbidden { .. })), "{forbidden:?}");
    let bad = WantedInvitation { email: "nowhere".to_owned(), joining: None };
    let refused = harness.self_service.invite(&harness.administrator(), &bad).await.map(drop);
    assert!(matches!(refused, Err(IdentityError::EmailRefused { .. })), "{refused:?}");
}

async fn without_mail_none_is_promised(harness: &Harness) {
    let ann = as_who("sf-guest", PASSWORD);
    let none = Err(IdentityError::NoMail);
    assert_eq!(harness.self_service.ask_verification(&ann, &PASSWORD.into()).await, none);
    assert_eq!(harness.self_service.ask_reset(&nobody(), "sf-guest").await, none);
}

async fn what_was_never_mailed_is_good_for_nothing(harness: &Harness) {
    let made_up = format!("{}.sf-guest", "0".repeat(64));
    for secret in [made_up.as_str(), "sf-guest", ""] {
        let verified = harness.self_service.confirm_email(&nobody(), &secret.into()).await;
        assert_eq!(verified, Err(IdentityError::TicketUnknown), "{secret}");
        let reset = harness.self_service.reset(&nobody(), &secret.into(), &"another long one".into()).await;
        assert_eq!(reset, Err(IdentityError::TicketUnknown), "{secret}");
    }
}
