//! What every implementation of `FederatedIdentities` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::AccountName;
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use super::{ForeignIdentity, IdentityId, LinkedIdentity, MAX_IDENTITIES, NewIdentity};
use crate::metadata::{
    AccountError, Actor,
    accounts::{Account, FactsOf, NO_PASSWORD, Role, suite::about},
    uploads::suite::world::{World, account, now},
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    an_account_is_made_with_its_identity(&world).await;
    a_name_that_somebody_has_is_not_taken_over(&world).await;
    an_identity_is_one_users(&world).await;
    of_many_who_link_one_identity_at_once_one_has_it(&world).await;
    a_user_has_only_so_many(&world).await;
    an_unlinked_identity_is_nobodys(&world).await;
    the_last_way_in_stays(&world).await;
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn new(subject: &str) -> NewIdentity {
    let issuer = "https://id.example.com".parse().unwrap();
    NewIdentity::new(ForeignIdentity { issuer, subject: subject.parse().unwrap() }, subject)
}

fn id(subject: &str) -> IdentityId {
    new(subject).identity.id()
}

fn without_password(name: &str) -> Account {
    Account { password_hash: NO_PASSWORD.into(), ..account(name, Role::User) }
}

impl World {
    async fn federated(&self, name: &str, subject: &str) -> Result<(), AccountError> {
        let account = without_password(name);
        self.federation.create_federated_account(&account, &new(subject), &Actor::service()).await
    }

    async fn linked(&self, user: &str, subject: &str) -> Result<(), AccountError> {
        self.federation.link_identity(&name(user), &new(subject), &Actor::service()).await
    }

    async fn unlinked(&self, user: &str, subject: &str) -> Result<(), AccountError> {
        self.federation.unlink_identity(&name(user), &id(subject), &Actor::service()).await
    }

    async fn who(&self, subject: &str) -> Option<AccountName> {
        self.federation.identity_user(&id(subject)).await.unwrap()
    }

    async fn identities_of(&self, user: &str) -> Vec<String> {
        let kept = self.federation.identities(&name(user)).await.unwrap();
        kept.into_iter().map(|kept| kept.identity.subject.to_string()).collect()
    }
}

async fn an_account_is_made_with_its_identity(world: &World) {
    assert_eq!(world.who("fe-ann").await, None);
    world.federated("fe-ann", "fe-ann").await.unwrap();

    assert_eq!(world.who("fe-ann").await, Some(name("fe-ann")));
    let NewIdentity { identity, label } = new("fe-ann");
    let kept = LinkedIdentity { identity, label, linked: now(world) };
    assert_eq!(world.federation.identities(&name("fe-ann")).await.unwrap(), [kept]);
    let facts = world.accounts.access_facts(&about(FactsOf::User(name("fe-ann")))).await.unwrap();
    assert_eq!(facts.account.unwrap().password_hash.expose_secret(), NO_PASSWORD);

    assert_eq!(world.federated("fe-again", "fe-ann").await, Err(AccountError::IdentityTaken));
    assert_eq!(world.users.user(&name("fe-again")).await.unwrap(), None, "nothing was made of it");
}

async fn a_name_that_somebody_has_is_not_taken_over(world: &World) {
    let _ = world.user("fe-bob", Role::User).await;
    for taken in ["fe-bob", "library"] {
        let refused = world.federated(taken, "fe-eve").await;
        assert!(
            matches!(refused, Err(AccountError::NameTaken { .. } | AccountError::NameReserved { .. })),
            "{taken}: {refused:?}"
        );
    }
    assert_eq!(world.who("fe-eve").await, None);
    assert_eq!(world.identities_of("fe-bob").await, [""; 0]);

    world.federated("fe-cid", "fe-cid").await.unwrap();
    world.unlinked("fe-cid", "fe-cid").await.unwrap_err();
    let taken = world.accounts.create_account(&account("fe-cid", Role::User), &Actor::service()).await;
    assert!(matches!(taken, Err(AccountError::NameTaken { .. })));
}

async fn an_identity_is_one_users(world: &World) {
    for user in ["fe-dan", "fe-eli"] {
        let _ = world.user(user, Role::User).await;
    }
    world.linked("fe-dan", "fe-one").await.unwrap();
    world.linked("fe-dan", "fe-one").await.unwrap();
    world.linked("fe-dan", "fe-two").await.unwrap();

    assert_eq!(world.linked("fe-eli", "fe-one").await, Err(AccountError::IdentityTaken));
    assert_eq!(world.identities_of("fe-dan").await.len(), 2);
    assert_eq!(world.identities_of("fe-eli").await, [""; 0]);
    let unknown = AccountError::AccountUnknown { name: name("fe-nobody") };
    assert_eq!(world.linked("fe-nobody", "fe-three").await, Err(unknown.clone()));
    assert_eq!(world.federation.identities(&name("fe-nobody")).await, Err(unknown));
    assert_eq!(world.who("fe-three").await, None);
}

async fn of_many_who_link_one_identity_at_once_one_has_it(world: &World) {
    let mut linking = JoinSet::new();
    for number in 0..4 {
        let user = format!("fe-race{number}");
        let _ = world.user(&user, Role::User).await;
        let world = world.clone();
        linking.spawn(async move { world.linked(&user, "fe-race").await });
    }
    let outcomes = linking.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let holder = world.who("fe-race").await.unwrap();
    assert_eq!(world.identities_of(holder.as_str()).await, ["fe-race"]);
}

async fn a_user_has_only_so_many(world: &World) {
    let _ = world.user("fe-many", Role::User).await;
    for number in 0..MAX_IDENTITIES {
        world.linked("fe-many", &format!("fe-many{number}")).await.unwrap();
    }
    let refused = world.linked("fe-many", "fe-too-many").await;
    assert!(matches!(refused, Err(AccountError::TooMany { limit: MAX_IDENTITIES, .. })), "{refused:?}");
    world.unlinked("fe-many", "fe-many0").await.unwrap();
    world.linked("fe-many", "fe-too-many").await.unwrap();
}

async fn an_unlinked_identity_is_nobodys(world: &World) {
    for user in ["fe-flo", "fe-gus"] {
        let _ = world.user(user, Role::User).await;
    }
    world.linked("fe-flo", "fe-flo").await.unwrap();
    let unknown = |subject: &str| AccountError::IdentityUnknown { id: id(subject) };
    assert_eq!(world.unlinked("fe-gus", "fe-flo").await, Err(unknown("fe-flo")), "it is another's");

    world.unlinked("fe-flo", "fe-flo").await.unwrap();
    assert_eq!((world.who("fe-flo").await, world.identities_of("fe-flo").await), (None, Vec::new()));
    assert_eq!(world.unlinked("fe-flo", "fe-flo").await, Err(unknown("fe-flo")));
    world.linked("fe-gus", "fe-flo").await.unwrap();
    assert_eq!(world.who("fe-flo").await, Some(name("fe-gus")));
}

async fn the_last_way_in_stays(world: &World) {
    world.federated("fe-hal", "fe-hal").await.unwrap();
    let last = AccountError::LastWayIn { user: name("fe-hal") };
    assert_eq!(world.unlinked("fe-hal", "fe-hal").await, Err(last.clone()));

    world.linked("fe-hal", "fe-other").await.unwrap();
    world.unlinked("fe-hal", "fe-hal").await.unwrap();
    assert_eq!(
        world.federated("fe-hal", "fe-hal").await,
        Err(AccountError::NameTaken { name: name("fe-hal").namespace() })
    );
    assert_eq!(world.unlinked("fe-hal", "fe-other").await, Err(last));

    let mut both = JoinSet::new();
    world.linked("fe-hal", "fe-third").await.unwrap();
    for subject in ["fe-other", "fe-third"] {
        let world = world.clone();
        both.spawn(async move { world.unlinked("fe-hal", subject).await });
    }
    let gone = both.join_all().await;
    assert_eq!(gone.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{gone:?}");
    assert_eq!(world.identities_of("fe-hal").await.len(), 1);
}
