//! Who guesses is refused before anything is asked or computed; who logs in rightly is not held up by that.

use std::{net::IpAddr, sync::Arc, time::Duration};

use auth::Service;
use oci::AccountName;
use proto::{
    auth::{
        Auth as _, AuthError, Credentials, Identities as _, IdentityError, Offline, TokenRequest,
        identities::{Asker, Deed, NewAccount, PasswordChange},
    },
    metadata::{Standing, Via, accounts::Role},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{config, memory::MemoryMetadata, service_with, with_administrator};

const PASSWORD: &str = "a long one for tests";

struct World {
    metadata: Arc<MemoryMetadata>,
    service: Service,
    administrator: SecretString,
}

async fn world() -> World {
    let metadata = Arc::default();
    let (service, administrator) = with_administrator(&metadata).await;
    let world = World { metadata, service, administrator };
    for name in ["ann", "bob"] {
        let account = NewAccount {
            name: name.parse().unwrap(),
            password: PASSWORD.into(),
            email: String::new(),
            role: Role::User,
            invitation: None,
        };
        let asker = asker("admin", world.administrator.expose_secret(), "");
        world.service.sign_up(&asker, &account).await.unwrap();
    }
    world
}

fn asker(username: &str, password: &str, from: &str) -> Asker {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    Asker { credentials: Some(credentials), address: from.parse().ok(), via: Via::Api }
}

impl World {
    async fn log_in(&self, username: &str, password: &str, from: &str) -> Result<(), AuthError> {
        let Asker { credentials, address, .. } = asker(username, password, from);
        let (service, offline) = ("bucket".to_owned(), Offline::Not);
        let request = TokenRequest { credentials, service, scopes: Vec::new(), address, offline };
        self.service.token(request).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_right_logins_at_once_are_all_let_in() {
    let world = world().await;

    let logins = (0..40).map(|_| world.log_in("ann", PASSWORD, "192.0.2.1"));

    for login in futures_util::future::join_all(logins).await {
        assert_eq!(login, Ok(()));
    }
}

#[tokio::test]
async fn ten_thousand_wrong_logins_cost_ten_hashes_and_hold_up_nobody_else() {
    let world = world().await;
    assert_eq!(world.log_in("ann", PASSWORD, "192.0.2.1").await, Ok(()));
    let before = world.metadata.questions();

    let mut wrong = 0;
    for _ in 0..10_000 {
        match world.log_in("ann", "wrong", "203.0.113.9").await {
            Err(AuthError::WrongCredentials) => wrong += 1,
            Err(AuthError::Throttled { retry_after_seconds }) => assert_eq!(retry_after_seconds, 30),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong, 10);
    // A hash is computed after its question, and only then.
    assert_eq!(world.metadata.questions() - before, 10);

    assert_eq!(world.log_in("ann", PASSWORD, "192.0.2.1").await, Ok(()), "where they were before");
    assert_eq!(world.log_in("bob", PASSWORD, "198.51.100.1").await, Ok(()), "another account, elsewhere");
    assert_eq!(world.log_in("bob", PASSWORD, "203.0.113.9").await, Ok(()), "the address has tries left");
}

#[tokio::test]
async fn an_account_that_many_guess_is_open_to_who_is_known_and_closes_for_strangers() {
    let world = world().await;
    world.log_in("ann", PASSWORD, "192.0.2.1").await.unwrap();
    let mut wrong = 0;
    for number in 0..200 {
        let refused = world.log_in("ann", "wrong", &format!("203.0.113.{number}")).await;
        wrong += usize::from(refused == Err(AuthError::WrongCredentials));
    }

    assert_eq!(wrong, 100);
    let stranger = world.log_in("ann", PASSWORD, "198.51.100.1").await;
    assert_eq!(stranger, Err(AuthError::Throttled { retry_after_seconds: 10 }));
    assert_eq!(world.log_in("ann", PASSWORD, "192.0.2.1").await, Ok(()));

    world.metadata.clock.advance(Duration::from_secs(10));
    assert_eq!(world.log_in("ann", PASSWORD, "198.51.100.1").await, Ok(()));
}

#[tokio::test]
async fn wrong_secrets_are_counted_by_address_alone() {
    let world = world().await;
    let secret = format!("bucket_pat_{}", "0".repeat(64));
    let mut wrong = 0;
    for _ in 0..200 {
        wrong += usize::from(
            world.log_in("ann", &secret, "203.0.113.9").await == Err(AuthError::WrongCredentials),
        );
    }

    assert_eq!(wrong, 50);
    assert_eq!(world.log_in("ann", PASSWORD, "192.0.2.1").await, Ok(()));
    let throttled = Err(AuthError::Throttled { retry_after_seconds: 5 });
    assert_eq!(world.log_in("bob", PASSWORD, "203.0.113.9").await, throttled);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_right_logins_at_once_wait_for_each_other() {
    let world = Arc::new(world().await);
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let world = Arc::clone(&world);
        logins.spawn(async move { world.log_in("ann", PASSWORD, "192.0.2.1").await });
    }
    let all = logins.join_all().await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test]
async fn unknown_disabled_and_wrong_are_told_alike_and_counted_alike() {
    let world = world().await;
    let bob: AccountName = "bob".parse().unwrap();
    world.metadata.state().accounts.get_mut(&bob).unwrap().standing = Standing::Disabled;

    for (name, password) in [("ann", "wrong"), ("nobody", "wrong"), ("bob", "wrong"), ("bob", PASSWORD)] {
        assert_eq!(world.log_in(name, password, "192.0.2.1").await, Err(AuthError::WrongCredentials));
    }
    for name in ["ann", "nobody", "bob"] {
        let mut wrong = 0;
        for _ in 0..20 {
            let refused = world.log_in(name, "wrong", &format!("203.0.113.{}", name.len())).await;
            wrong += usize::from(refused == Err(AuthError::WrongCredentials));
        }
        assert_eq!(wrong, 10, "{name}");
    }
}

#[tokio::test]
async fn the_old_password_is_no_way_around_the_limit() {
    let world = world().await;
    let session = world.service.sign_in(&asker("ann", PASSWORD, "192.0.2.1"), None).await.unwrap();
    let thief = asker("", session.secret.expose_secret(), "203.0.113.9");
    let guess = PasswordChange {
        name: "ann".parse().unwrap(),
        old: Some("wrong".into()),
        new: "something else".into(),
    };

    let mut wrong = 0;
    for _ in 0..50 {
        let refused = world.service.change_password(&thief, &guess).await;
        wrong += usize::from(refused == Err(IdentityError::WrongCredentials));
    }
    assert_eq!(wrong, 10);
}

#[tokio::test]
async fn an_open_hub_makes_accounts_but_no_administrators_and_not_without_end() {
    let metadata: Arc<MemoryMetadata> = Arc::default();
    let mut open = config();
    open.accounts.sign_up = auth::config::SignUp::Open;
    let service = service_with(&metadata, &open);
    let address: Option<IpAddr> = "203.0.113.9".parse().ok();
    let nobody = Asker { credentials: None, address, via: Via::Api };
    let account = |number: usize, role| NewAccount {
        name: format!("u{number}").parse().unwrap(),
        password: PASSWORD.into(),
        email: "u@example.com".to_owned(),
        role,
        invitation: None,
    };

    let refused = service.sign_up(&nobody, &account(0, Role::Administrator)).await;
    assert!(matches!(refused, Err(IdentityError::SignInNeeded { .. })), "{refused:?}");
    for number in 0..50 {
        service.sign_up(&nobody, &account(number, Role::User)).await.unwrap();
    }
    let late = service.sign_up(&nobody, &account(50, Role::User)).await;
    assert_eq!(late, Err(IdentityError::Throttled { retry_after_seconds: 5 }));

    let ann = asker("u1", PASSWORD, "192.0.2.1");
    assert_eq!(service.authorize(&ann, &Deed::SignedIn).await.unwrap().role, Role::User);
    assert_eq!(metadata.state().emails[&"u1".parse::<AccountName>().unwrap()], "u@example.com");
}
