//! What every implementation of `Users` does, as tests. The world has no administrators before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use oci::AccountName;
use secrecy::ExposeSecret as _;
use tokio::join;

use super::{Profile, User, UserChange};
use crate::{
    auth::Subject,
    metadata::{
        AccountError, Actor, More, PageRequest, Standing,
        accounts::{FactsOf, Role, suite::about},
        credentials::{Credential, CredentialOwner, Holder, Revoked, suite::new},
        uploads::suite::world::{World, now},
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_user_is_what_was_created_and_then_changed(&world).await;
    users_are_listed_by_name(&world).await;
    nobody_cannot_be_changed(&world).await;
    a_new_password_ends_tokens_and_sessions(&world).await;
    what_allows_less_ends_tokens(&world).await;
    what_takes_nothing_away_is_not_told(&world).await;
    the_last_administrator_stays_one(&world).await;
    of_two_administrators_that_go_at_once_one_stays(&world).await;
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

async fn user(world: &World, text: &str) -> User {
    world.users.user(&name(text)).await.unwrap().unwrap()
}

async fn change(world: &World, text: &str, change: UserChange) -> Result<(), AccountError> {
    world.users.change_user(&name(text), &change, &Actor::service()).await
}

fn role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn standing(standing: Standing) -> UserChange {
    UserChange { standing: Some(standing), ..UserChange::default() }
}

fn password(hash: &str) -> UserChange {
    UserChange { password_hash: Some(hash.into()), ..UserChange::default() }
}

/// How often it was told that the tokens of a user are not believed any more.
async fn told(world: &World, text: &str) -> usize {
    let what = Revoked::Subject(Subject::User(name(text)));
    let told = world.credentials.revocations(None).await.unwrap();
    told.iter().filter(|revocation| revocation.what == what).count()
}

async fn credentials(world: &World, text: &str) -> Vec<Credential> {
    world.credentials.credentials(&CredentialOwner::User(name(text))).await.unwrap()
}

async fn a_user_is_what_was_created_and_then_changed(world: &World) {
    assert_eq!(world.users.user(&name("us-ann")).await.unwrap(), None);
    let created = now(world);
    world.user("us-ann", Role::User).await;
    world.clock.advance(Duration::from_secs(1));

    let plain = User {
        name: name("us-ann"),
        role: Role::User,
        standing: Standing::Active,
        profile: Profile::default(),
        created,
        email_verified: false,
        second_factor: false,
    };
    assert_eq!(user(world, "us-ann").await, plain);

    let profile = Profile { display_name: "Änn".to_owned(), email: "ann@example.com".to_owned() };
    let all = UserChange {
        profile: Some(profile.clone()),
        role: Some(Role::Administrator),
        standing: Some(Standing::Disabled),
        password_hash: Some("$another$".into()),
    };
    change(world, "us-ann", all).await.unwrap();
    let (role, standing) = (Role::Administrator, Standing::Disabled);
    assert_eq!(user(world, "us-ann").await, User { role, standing, profile, ..plain });

    let facts = world.accounts.access_facts(&about(FactsOf::User(name("us-ann")))).await.unwrap();
    assert_eq!(facts.account.unwrap().password_hash.expose_secret(), "$another$");
}

async fn users_are_listed_by_name(world: &World) {
    for name in ["us-list-c", "us-list-a", "us-list-b"] {
        world.user(name, Role::User).await;
    }
    let page = async |after: &str, limit| {
        let page = PageRequest { after: Some(name(after)), limit };
        let found = world.users.users(&page).await.unwrap();
        (found.entries.iter().map(|user| user.name.to_string()).collect::<Vec<_>>(), found.more)
    };

    assert_eq!(page("us-list", 2).await, (vec!["us-list-a".to_owned(), "us-list-b".to_owned()], More::Yes));
    assert_eq!(page("us-list-b", 1).await.0, ["us-list-c"]);
    assert_eq!(page("us-list-a", 0).await, (vec![], More::Yes));
    let all = world.users.users(&PageRequest { after: None, limit: 1_000 }).await.unwrap();
    assert!(all.entries.is_sorted_by_key(|user| user.name.to_string()));
    assert_eq!(all.more, More::No);
}

async fn nobody_cannot_be_changed(world: &World) {
    let unknown = AccountError::AccountUnknown { name: name("us-nobody") };
    assert_eq!(change(world, "us-nobody", role(Role::User)).await, Err(unknown));
    assert_eq!(world.users.user(&name("us-nobody")).await.unwrap(), None);
}

async fn a_new_password_ends_tokens_and_sessions(world: &World) {
    let actor = world.user("us-pass", Role::User).await;
    let token = new(Holder::User(name("us-pass")));
    let client = |through| Holder::Offline { user: name("us-pass"), through };
    let through_it = new(client(Some(token.id.clone())));
    for credential in [&token, &new(Holder::Session(name("us-pass"))), &new(client(None)), &through_it] {
        world.credentials.put_credential(credential, &actor).await.unwrap();
    }

    change(world, "us-pass", password("$new$")).await.unwrap();

    let left: Vec<_> = credentials(world, "us-pass").await.into_iter().map(|kept| kept.id).collect();
    assert_eq!(left, [token.id, through_it.id], "access tokens stay, and who has logged in with one");
    assert_eq!(told(world, "us-pass").await, 1);
}

async fn what_allows_less_ends_tokens(world: &World) {
    // The hub keeps another administrator meanwhile.
    world.user("us-boss", Role::Administrator).await;
    let actor = world.user("us-less", Role::Administrator).await;
    let session = new(Holder::Session(name("us-less")));
    world.credentials.put_credential(&session, &actor).await.unwrap();

    change(world, "us-less", role(Role::User)).await.unwrap();
    assert_eq!(told(world, "us-less").await, 1);
    change(world, "us-less", standing(Standing::Disabled)).await.unwrap();
    assert_eq!(told(world, "us-less").await, 2);
    assert_eq!(credentials(world, "us-less").await.len(), 1, "who is disabled keeps what is worth nothing");
}

async fn what_takes_nothing_away_is_not_told(world: &World) {
    world.user("us-more", Role::User).await;
    let profile = Some(Profile { display_name: "More".to_owned(), ..Profile::default() });
    change(world, "us-more", UserChange { profile, ..UserChange::default() }).await.unwrap();
    change(world, "us-more", standing(Standing::Active)).await.unwrap();
    change(world, "us-more", role(Role::Administrator)).await.unwrap();
    assert_eq!(told(world, "us-more").await, 0);

    change(world, "us-more", role(Role::User)).await.unwrap();
    assert_eq!(told(world, "us-more").await, 1);
}

async fn the_last_administrator_stays_one(world: &World) {
    world.user("us-plain", Role::User).await;
    let last = AccountError::LastAdministrator { user: name("us-boss") };
    let both = UserChange { role: Some(Role::User), ..standing(Standing::Disabled) };
    for less in [role(Role::User), standing(Standing::Disabled), both] {
        assert_eq!(change(world, "us-boss", less).await, Err(last.clone()));
    }
    assert_eq!(user(world, "us-boss").await.role, Role::Administrator);
    assert_eq!(told(world, "us-boss").await, 0, "nothing has changed");
    change(world, "us-boss", password("$new$")).await.unwrap();

    // A disabled administrator is none; an active one is.
    let disabled = UserChange { role: Some(Role::Administrator), ..standing(Standing::Disabled) };
    change(world, "us-plain", disabled).await.unwrap();
    assert_eq!(change(world, "us-boss", role(Role::User)).await, Err(last));
    change(world, "us-plain", standing(Standing::Active)).await.unwrap();
    change(world, "us-boss", role(Role::User)).await.unwrap();
}

async fn of_two_administrators_that_go_at_once_one_stays(world: &World) {
    // Only these two are left.
    for number in 0..8 {
        let (one, other) = ("us-plain", "us-boss");
        change(world, one, role(Role::Administrator)).await.unwrap();
        change(world, other, role(Role::Administrator)).await.unwrap();

        let outcomes =
            join!(change(world, one, role(Role::User)), change(world, other, standing(Standing::Disabled)),);
        let left = [user(world, one).await, user(world, other).await];
        let active = |user: &&User| user.role == Role::Administrator && user.standing == Standing::Active;
        assert_eq!(left.iter().filter(active).count(), 1, "round {number}: {outcomes:?}");

        if outcomes.1.is_ok() {
            change(world, other, standing(Standing::Active)).await.unwrap();
        }
    }
}
