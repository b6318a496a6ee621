//! What every implementation of `Accounts` does, as tests. `found_signing_key` is tried on a world without keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use bytes::Bytes;
use oci::RepositoryName;
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use super::{
    AccessQuestion, AccountError, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts, Role, SigningKey,
};
use crate::{
    auth::{KeyId, PublicKey, VerificationKey},
    metadata::{
        Actor, Standing, Visibility,
        uploads::suite::world::{World, account, now, repository},
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    an_account_is_what_was_created(&world).await;
    of_many_creators_of_one_account_one_succeeds(&world).await;
    reserved_names_cannot_be_had(&world).await;
    facts_tell_repositories_in_the_order_asked(&world).await;
    of_many_founders_one_key_is_kept(&world).await;
    of_many_successors_one_is_kept(&world).await;
    the_newest_key_is_retired_and_no_other(&world).await;
    keys_are_removed_but_the_newest_stays(&world).await;
}

/// The question about an asker, without repositories and namespaces.
pub(crate) fn about(asker: FactsOf) -> AccessQuestion {
    AccessQuestion { asker, repositories: Vec::new(), namespaces: Vec::new() }
}

async fn an_account_is_what_was_created(world: &World) {
    let question = about(FactsOf::User("ac-ann".parse().unwrap()));
    assert!(world.accounts.access_facts(&question).await.unwrap().account.is_none());

    let mut created = account("ac-ann", Role::Administrator);
    created.standing = Standing::Disabled;
    world.accounts.create_account(&created, &Actor::service()).await.unwrap();

    let found = world.accounts.access_facts(&question).await.unwrap().account.unwrap();
    assert_eq!((&found.name, found.role, found.standing), (&created.name, created.role, created.standing));
    assert_eq!(found.password_hash.expose_secret(), created.password_hash.expose_secret());
    let anonymous = about(FactsOf::Anonymous);
    assert!(world.accounts.access_facts(&anonymous).await.unwrap().account.is_none());
}

async fn of_many_creators_of_one_account_one_succeeds(world: &World) {
    let mut creators = JoinSet::new();
    for _ in 0..32 {
        let accounts = world.accounts.clone();
        creators.spawn(async move {
            accounts.create_account(&account("ac-race", Role::User), &Actor::service()).await
        });
    }

    let outcomes = creators.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let taken = AccountError::NameTaken { name: "ac-race".parse().unwrap() };
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|error| *error == taken)));
}

async fn reserved_names_cannot_be_had(world: &World) {
    for name in ["v2", "users", "library"] {
        let reserved = AccountError::NameReserved { name: name.parse().unwrap() };
        assert_eq!(
            world.accounts.create_account(&account(name, Role::User), &Actor::service()).await.unwrap_err(),
            reserved
        );
    }
}

async fn facts_tell_repositories_in_the_order_asked(world: &World) {
    let actor = world.user("ac-bob", Role::User).await;
    let (there, absent) = (repository("ac-bob/there"), repository("ac-bob/absent"));
    world.push_blob(&there, "ac-bob", &actor).await;

    let repositories = vec![absent.clone(), there.clone(), absent.clone()];
    let facts = world
        .accounts
        .access_facts(&AccessQuestion { repositories, ..about(FactsOf::Anonymous) })
        .await
        .unwrap();
    let namespace = NamespaceFacts { name: there.namespace(), kind: Some(NamespaceKind::User), role: None };
    let fact = |name: &RepositoryName, visibility| RepositoryFacts {
        name: name.clone(),
        visibility,
        namespace: namespace.clone(),
        level: None,
        moved: None,
    };
    let private = Some(Visibility::Private);
    assert_eq!(facts.repositories, [fact(&absent, None), fact(&there, private), fact(&absent, None)]);
}

async fn of_many_founders_one_key_is_kept(world: &World) {
    assert_eq!(world.accounts.signing_keys().await.unwrap(), []);

    let mut founders = JoinSet::new();
    for number in 0..16_u8 {
        let (accounts, key) = (world.accounts.clone(), signing_key(world, number));
        founders.spawn(async move { accounts.found_signing_key(&key).await.unwrap() });
    }

    let kept = world_keys(world).await;
    assert_eq!(kept.len(), 1, "of sixteen that try at once, one succeeds");
    for answered in founders.join_all().await {
        assert_eq!(answered, kept);
    }
}

async fn of_many_successors_one_is_kept(world: &World) {
    let first = world_keys(world).await.remove(0);
    world.clock.advance(Duration::from_secs(1));
    let from = now(world) + Duration::from_mins(2);
    let mut makers = JoinSet::new();
    for number in 20..36_u8 {
        let (accounts, of) = (world.accounts.clone(), first.verification.id.clone());
        let key = SigningKey { from, ..signing_key(world, number) };
        makers
            .spawn(async move { accounts.succeed_signing_key(&of, &key, &Actor::service()).await.unwrap() });
    }

    let answers = makers.join_all().await;
    let kept = world.accounts.signing_keys().await.unwrap();
    for answered in answers {
        assert_eq!((answered.len(), &answered), (2, &kept), "of sixteen that try at once, one succeeds");
    }
    let next = Some(kept[1].verification.id.clone());
    assert_eq!(kept[0], SigningKey { until: Some(from), next, ..first });
    assert_eq!((kept[1].from, kept[1].until, &kept[1].next), (from, None, &None));
}

async fn the_newest_key_is_retired_and_no_other(world: &World) {
    let kept = world_keys(world).await;
    let [old, newest] = [&kept[0], &kept[1]];
    let at = now(world);
    let retire = async |id: &KeyId| world.accounts.retire_signing_key(id, at, &Actor::service()).await;

    let unknown = KeyId("nobody's".to_owned());
    assert_eq!(retire(&unknown).await, Err(AccountError::SigningKeyUnknown { id: unknown.clone() }));
    assert_eq!(retire(&old.verification.id).await.unwrap(), kept, "it is followed already");
    let retired = SigningKey { until: Some(at), ..newest.clone() };
    assert_eq!(retire(&newest.verification.id).await.unwrap(), [old.clone(), retired.clone()]);

    world.clock.advance(Duration::from_secs(1));
    let key = SigningKey { created: now(world), ..signing_key(world, 50) };
    let of = &newest.verification.id;
    let kept = world.accounts.succeed_signing_key(of, &key, &Actor::service()).await.unwrap();
    let next = Some(key.verification.id.clone());
    assert_eq!(kept, [old.clone(), SigningKey { until: Some(key.from), next, ..retired }, key]);
    assert_eq!(world.accounts.signing_keys().await.unwrap(), kept);
}

async fn keys_are_removed_but_the_newest_stays(world: &World) {
    let kept = world_keys(world).await;
    let id = |key: &SigningKey| key.verification.id.clone();
    let remove =
        async |ids: &[KeyId]| world.accounts.remove_signing_keys(ids, &Actor::service()).await.unwrap();

    assert_eq!(remove(&[]).await, kept);
    assert_eq!(remove(&[KeyId("nobody's".to_owned()), id(&kept[0])]).await, kept[1..]);
    let all: Vec<KeyId> = kept.iter().map(id).collect();
    assert_eq!(remove(&all).await, kept[2..]);
    assert_eq!(remove(&all).await, kept[2..], "doing it again is harmless");
}

async fn world_keys(world: &World) -> Vec<SigningKey> {
    // Whoever asks after its own attempt sees the winner.
    world.accounts.found_signing_key(&signing_key(world, 200)).await.unwrap()
}

fn signing_key(world: &World, number: u8) -> SigningKey {
    let (x, y) = ([number; 32], [7; 32]);
    let public_key =
        if number.is_multiple_of(2) { PublicKey::P256 { x, y } } else { PublicKey::Ed25519([number; 32]) };
    SigningKey {
        verification: VerificationKey { id: KeyId(format!("key-{number}")), public_key },
        sealed_private_key: Bytes::from(vec![0, number, 255]),
        created: now(world),
        from: now(world),
        until: None,
        next: None,
    }
}
