//! Second factors: what the password alone does not open any more, and how codes are guessed.

use std::{sync::Arc, time::Duration};

use auth::Service;
use oci::AccountName;
use proto::{
    auth::{
        Auth as _, AuthError, Credentials, Identities as _, IdentityError, Offline, SelfService as _,
        TokenRequest,
        identities::{Asker, Deed, NewAccount, PasswordChange, WantedCredential},
    },
    metadata::{
        Via,
        accounts::Role,
        credentials::{Limits, Permission},
    },
};
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::clock::Clock as _;

use crate::{config, memory::MemoryMetadata, next_code, service_with, with_administrator};

const PASSWORD: &str = "a long one for tests";

/// With `ann`, who has a second factor.
struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
    secret: SecretString,
}

fn ann() -> AccountName {
    "ann".parse().unwrap()
}

fn asker(password: &str, from: &str) -> Asker {
    let credentials = Credentials { username: "ann".to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: from.parse().ok(), via: Via::Api }
}

async fn unprotected() -> (Arc<MemoryMetadata>, Service) {
    let metadata = Arc::default();
    let (service, administrator) = with_administrator(&metadata).await;
    let credentials = Credentials { username: "admin".to_owned(), password: administrator };
    let account = NewAccount {
        name: ann(),
        password: PASSWORD.into(),
        email: String::new(),
        role: Role::User,
        invitation: None,
    };
    let administrator = Asker { credentials: Some(credentials), address: None, via: Via::Api };
    service.sign_up(&administrator, &account).await.unwrap();
    (metadata, service)
}

async fn world() -> World {
    let (metadata, service) = unprotected().await;
    let asker = asker(PASSWORD, "");
    let started = service.start_second_factor(&asker, &PASSWORD.into()).await.unwrap();
    service.finish_second_factor(&asker, &next_code(&metadata, &started.secret)).await.unwrap();
    World { metadata, service, secret: started.secret }
}

impl World {
    async fn token(&self, password: &str) -> Result<(), AuthError> {
        let Asker { credentials, address, .. } = asker(password, "192.0.2.1");
        let (service, offline) = ("bucket".to_owned(), Offline::Not);
        let request = TokenRequest { credentials, service, scopes: Vec::new(), address, offline };
        self.service.token(request).await.map(drop)
    }

    async fn sign_in(&self, code: &str, from: &str) -> Result<(), IdentityError> {
        self.service.sign_in(&asker(PASSWORD, from), Some(&code.into())).await.map(drop)
    }

    fn code(&self) -> SecretString {
        next_code(&self.metadata, &self.secret)
    }

    /// Six digits that are the code of no time step around this one.
    fn other_code(&self) -> SecretString {
        let start = self.metadata.clock.now();
        self.metadata.clock.set(start.saturating_sub(Duration::from_mins(1)).unwrap());
        let good: Vec<SecretString> = (0..8).map(|_| self.code()).collect();
        let is_good = |text: &str| good.iter().any(|code| code.expose_secret() == text);
        self.metadata.clock.set(start);
        let other = (0..9).map(|number| format!("00000{number}")).find(|text| !is_good(text));
        other.unwrap().into()
    }
}

#[tokio::test]
async fn tokens_are_for_access_tokens_and_sessions() {
    let (metadata, service) = unprotected().await;
    let limits = Limits { repositories: Vec::new(), actions: [Permission::Pull].into() };
    let wanted = WantedCredential { robot: None, label: "laptop".to_owned(), limits, expires: None };
    let token = service.issue_credential(&asker(PASSWORD, ""), &wanted).await.unwrap();
    let started = service.start_second_factor(&asker(PASSWORD, ""), &PASSWORD.into()).await.unwrap();
    let code = next_code(&metadata, &started.secret);
    service.finish_second_factor(&asker(PASSWORD, ""), &code).await.unwrap();
    let world = World { metadata, service, secret: started.secret };

    assert_eq!(world.token(PASSWORD).await, Err(AuthError::AccessTokenNeeded));
    assert_eq!(world.token("wrong").await, Err(AuthError::WrongCredentials));
    assert_eq!(world.token(token.secret.expose_secret()).await, Ok(()));
    let code = world.code();
    let session = world.service.sign_in(&asker(PASSWORD, ""), Some(&code)).await.unwrap();
    assert_eq!(world.token(session.secret.expose_secret()).await, Ok(()));
}

#[tokio::test]
async fn wrong_codes_are_counted_as_wrong_passwords_are() {
    let world = world().await;
    let mut wrong = 0;
    for _ in 0..1_000 {
        match world.sign_in("000000x", "203.0.113.9").await {
            Err(IdentityError::WrongCode) => wrong += 1,
            Err(IdentityError::Throttled { retry_after_seconds }) => assert_eq!(retry_after_seconds, 30),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong, 10);
    let code = world.code();
    assert_eq!(world.sign_in(code.expose_secret(), "192.0.2.1").await, Ok(()), "elsewhere it goes on");
}

#[tokio::test]
async fn who_knows_the_password_guesses_ten_codes_and_keeps_no_owner_out() {
    let (metadata, service) = unprotected().await;
    let started = service.start_second_factor(&asker(PASSWORD, ""), &PASSWORD.into()).await.unwrap();
    let code = next_code(&metadata, &started.secret);
    let recovery = service.finish_second_factor(&asker(PASSWORD, ""), &code).await.unwrap();
    let world = World { metadata, service, secret: started.secret };
    let (code, wrong) = (world.code(), world.other_code());
    assert_eq!(world.sign_in(code.expose_secret(), "192.0.2.1").await, Ok(()));

    // Those who do not know the password take nothing of it.
    for number in 0..20 {
        let asker = asker("wrong", &format!("198.51.100.{number}"));
        let refused = world.service.sign_in(&asker, Some(&wrong)).await.map(drop);
        assert_eq!(refused, Err(IdentityError::WrongCredentials));
    }
    let mut guessed = 0;
    for number in 0..50 {
        match world.sign_in(wrong.expose_secret(), &format!("203.0.113.{number}")).await {
            Err(IdentityError::WrongCode) => guessed += 1,
            Err(IdentityError::Throttled { retry_after_seconds }) => assert_eq!(retry_after_seconds, 3_600),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(guessed, 10);
    assert_eq!(world.sign_in(recovery[0].expose_secret(), "192.0.2.1").await, Ok(()));
    assert_eq!(world.sign_in(recovery[1].expose_secret(), "192.0.2.99").await, Ok(()));

    world.metadata.clock.advance(Duration::from_hours(1));
    let code = world.code();
    assert_eq!(world.sign_in(code.expose_secret(), "192.0.2.1").await, Ok(()));
}

#[tokio::test]
async fn a_factor_that_does_not_count_yet_is_not_guessed_either() {
    let (metadata, service) = unprotected().await;
    let started = service.start_second_factor(&asker(PASSWORD, ""), &PASSWORD.into()).await.unwrap();
    let world = World { metadata, service, secret: started.secret };
    let wrong = world.other_code();
    let finish =
        async |code: &SecretString| world.service.finish_second_factor(&asker(PASSWORD, ""), code).await;
    for _ in 0..10 {
        assert_eq!(finish(&wrong).await.map(drop), Err(IdentityError::WrongCode));
    }
    let late = finish(&wrong).await.map(drop);
    assert_eq!(late, Err(IdentityError::Throttled { retry_after_seconds: 3_600 }));
}

#[tokio::test]
async fn who_knows_the_password_alone_is_known_nowhere_by_that() {
    let world = world().await;
    let mut wrong = 0;
    for number in 0..200 {
        let from = format!("203.0.113.{number}");
        let alone = world.service.authorize(&asker(PASSWORD, &from), &Deed::SignedIn).await;
        assert!(
            matches!(alone, Err(IdentityError::AccessTokenNeeded | IdentityError::Throttled { .. })),
            "{alone:?}"
        );
        wrong += usize::from(world.sign_in("000000x", &from).await == Err(IdentityError::WrongCode));
    }
    assert_eq!(wrong, 100, "one account allows no more to strangers");
}

#[tokio::test]
async fn who_was_let_in_with_a_code_is_known_there() {
    let world = world().await;
    let code = world.code();
    world.sign_in(code.expose_secret(), "192.0.2.1").await.unwrap();
    let code = world.code();
    for number in 0..200 {
        let _throttled = world.sign_in("000000x", &format!("203.0.113.{number}")).await;
    }

    let stranger = world.sign_in(code.expose_secret(), "198.51.100.1").await;
    assert!(matches!(stranger, Err(IdentityError::Throttled { .. })), "{stranger:?}");
    assert_eq!(world.sign_in(code.expose_secret(), "192.0.2.1").await, Ok(()));
}

#[tokio::test]
async fn another_password_takes_more_than_the_old_one() {
    let world = world().await;
    let change = PasswordChange { name: ann(), old: Some(PASSWORD.into()), new: "something else".into() };
    let alone = world.service.change_password(&asker(PASSWORD, ""), &change).await;
    assert_eq!(alone, Err(IdentityError::AccessTokenNeeded));

    let session = world.service.sign_in(&asker(PASSWORD, ""), Some(&world.code())).await.unwrap();
    let mut with = asker(session.secret.expose_secret(), "");
    with.credentials.as_mut().unwrap().username.clear();
    world.service.change_password(&with, &change).await.unwrap();
    let needed = world.service.sign_in(&asker("something else", ""), None).await.map(drop);
    assert_eq!(needed, Err(IdentityError::SecondFactorNeeded), "it stays");
}

#[tokio::test]
async fn a_second_factor_that_cannot_be_opened_lets_nobody_in() {
    let world = world().await;
    let mut other = config();
    other.key_secret = "another secret for tests".into();
    let elsewhere = service_with(&world.metadata, &other);

    let code = world.code();
    let refused = elsewhere.sign_in(&asker(PASSWORD, ""), Some(&code)).await.map(drop);
    let attempted = "opening a second factor".into();
    assert_eq!(refused, Err(IdentityError::Unavailable { attempted }));
}

#[tokio::test]
async fn a_code_is_good_for_thirty_seconds_around_its_own() {
    let world = world().await;
    let code = world.code();
    world.metadata.clock.advance(Duration::from_mins(1));
    assert_eq!(world.sign_in(code.expose_secret(), "").await, Err(IdentityError::WrongCode));
    let code = world.code();
    world.metadata.clock.advance(Duration::from_secs(30));
    assert_eq!(world.sign_in(code.expose_secret(), "").await, Ok(()));
}
