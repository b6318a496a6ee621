//! The audit log: that it stays small, and that nothing is done that is not in it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use oci::{AccountName, Namespace};
use proto::{
    auth::Subject,
    metadata::{
        Accounts as _, Actor, AuditLog as _, FederatedIdentities as _, Organizations as _, Repositories as _,
        Rules as _, Users as _, Via,
        accounts::{Account, NO_PASSWORD, Role},
        audit::{Action, Entry, WantedEntries},
        federation::{ForeignIdentity, NewIdentity},
        organizations::{Grantee, Level, MemberRole},
        repositories::Expected,
        rules::{RuleSet, RulesOf},
    },
};
use service_kit::{clock::ManualClock, random::SeededRandom};

use super::cut::{Cutting, World, account, app, furnished, world};
use crate::{
    Service,
    audit::Audit,
    config::{AuditConfig, Config},
    keys::{self, Log},
    keyspace::{Commit, Direction, MemberRange, Mutation},
    namespaces::Owner,
};

fn ann() -> AccountName {
    "ann".parse().unwrap()
}

fn own() -> Log {
    Log::Of(Owner::User, ann().namespace())
}

fn actor(subject: &str) -> Actor {
    let subject = subject.parse().unwrap();
    Actor { subject, via: Via::Registry, address: None, credential: None }
}

async fn told(service: &Service, of: Option<Namespace>) -> Vec<Entry> {
    let mut wanted = WantedEntries { of, limit: 1_000, ..WantedEntries::default() };
    let mut entries = Vec::new();
    loop {
        let page = service.audit_entries(&wanted).await.unwrap();
        entries.extend(page.entries);
        wanted.after = page.next;
        if wanted.after.is_none() {
            return entries;
        }
    }
}

async fn kept(world: &World, key: &crate::keyspace::Key) -> usize {
    let (mut members, mut kept) = (MemberRange::all(), 0);
    loop {
        let page = world.keyspace().range(key, members, 1_000, Direction::Forward).await.unwrap();
        kept += page.len();
        let Some(last) = page.last() else { return kept };
        members = MemberRange::after(last.clone());
    }
}

/// Writes so many entries to ann's log and that of the hub, a millisecond apart.
async fn write(world: &World, entries: usize) {
    for _ in 0..entries {
        world.clock.advance(Duration::from_millis(1));
        let audit = Audit::of_user(Action::UserPassword, &ann());
        let audited = world.audited(&actor("ann"), &audit).await.unwrap();
        world.keyspace().commit(Commit::synced().then_all(audited)).await.unwrap();
    }
}

async fn small_world() -> World {
    let audit = AuditConfig { kept: Duration::from_hours(24), entries: 640 };
    let config = Config { audit, ..Config::new("unused".into(), "a secret for grants".into()) };
    let (clock, random) = (Arc::new(ManualClock::default()), Arc::new(SeededRandom::new(3)));
    let service = Service::found(Cutting::new(), &config, clock.clone(), random).await.unwrap();
    let world = World { service, clock };
    world.create_account(&account("ann", Role::Administrator), &Actor::service()).await.unwrap();
    world
}

#[tokio::test]
async fn a_log_is_bounded_in_number_and_the_newest_stay() {
    let world = small_world().await;
    let begun = world.now();
    write(&world, 5_000).await;

    let (namespace, hub) =
        (kept(&world, &keys::audit(&own())).await, kept(&world, &keys::audit(&Log::Hub)).await);
    assert!((200..1_500).contains(&namespace), "{namespace} entries of 640");
    assert!((4_500..=5_001).contains(&hub), "{hub} entries, ten times as many may be there");
    let marks = kept(&world, &keys::audit_marks(&own())).await;
    assert!((8..=12).contains(&marks), "{marks} marks of ten");

    let entries = told(&world, Some(ann().namespace())).await;
    assert_eq!(entries.len(), namespace);
    assert_eq!(entries[0].at, world.now(), "the newest is there");
    assert!(entries.is_sorted_by(|one, other| one.at > other.at), "and none is missing between them");
    assert!(entries[entries.len() - 1].at > begun);
}

#[tokio::test]
async fn what_is_too_old_goes_when_more_comes() {
    let world = small_world().await;
    write(&world, 300).await;
    world.clock.advance(Duration::from_hours(25));
    assert_eq!(told(&world, Some(ann().namespace())).await, [], "nobody is told what is too old");
    assert!(kept(&world, &keys::audit(&own())).await >= 300);

    write(&world, 300).await;
    let left = kept(&world, &keys::audit(&own())).await;
    assert!(left <= 300, "{left} entries");
    assert_eq!(told(&world, Some(ann().namespace())).await.len(), 300);
}

#[tokio::test]
async fn what_a_later_release_wrote_is_told_if_it_can_be_read_and_stops_nothing() {
    let world = small_world().await;
    let key = keys::audit(&own());
    let put = async |payload: &str| {
        let member = keys::event(world.ulid(), payload);
        world
            .keyspace()
            .commit(Commit::synced().then(Mutation::AddMember(key.clone(), member)))
            .await
            .unwrap();
    };
    put(r#"{"action":"webhook.put","subject":"ann","via":"api","namespace":"ann","hook":7}"#).await;
    put(r#"{"action":"user.password","subject":"ann","via":"telepathy","namespace":"ann"}"#).await;
    put("not even this").await;

    let entries = told(&world, Some(ann().namespace())).await;
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["webhook.put", "user.create"]);
    assert_eq!(entries[0].actor.subject, Subject::User(ann()));
}

/// Cuts `operation` after each of its mutations: `done` says whether it has had any effect, and then it must be said.
async fn never_unsaid(
    action: Action,
    operation: impl AsyncFn(&Service) -> bool,
    done: impl AsyncFn(&Service) -> bool,
) {
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        furnished(&world).await;
        world.create_account(&account("bob", Role::User), &Actor::service()).await.unwrap();
        assert!(!done(&world).await, "{action:?} has been done before");

        keyspace.cut_after(after);
        let whole = operation(&world).await;
        keyspace.mend();
        for of in [None, Some(ann().namespace())] {
            let of_crew = action.name().starts_with("organization");
            let of = of.map(|own| if of_crew { "crew".parse().unwrap() } else { own });
            let told = match (&of, world.claimed(&"crew".parse().unwrap()).await.unwrap()) {
                (Some(_), None) if of_crew => Vec::new(),
                _ => told(&world, of.clone()).await,
            };
            let said = told.iter().any(|entry| entry.action == action.into());
            assert!(said || !done(&world).await, "{action:?} is unsaid in {of:?} after {after} mutations");
            assert!(said || !whole, "{action:?} is unsaid");
        }
        if whole {
            assert!(done(&world).await);
            return;
        }
    }
}

#[tokio::test]
async fn whatever_a_crash_leaves_of_a_change_is_said() {
    let by = || actor("ann");
    let v1 = || "v1".parse().unwrap();
    never_unsaid(
        Action::TagDelete,
        async |service: &Service| {
            service.delete_manifest(&app(), &v1(), &Expected::Anything, &by()).await.is_ok()
        },
        async |service: &Service| service.manifest(&app(), &v1()).await.is_err(),
    )
    .await;

    let bob = Grantee::User("bob".parse().unwrap());
    never_unsaid(
        Action::GrantPut,
        async |service: &Service| service.grant(&app(), &bob, Some(Level::Read), &by()).await.is_ok(),
        async |service: &Service| !service.grants(&app()).await.unwrap().is_empty(),
    )
    .await;

    let of: RulesOf = "ann".parse().unwrap();
    never_unsaid(
        Action::RulesPut,
        async |service: &Service| service.put_rules(&of, Some(&RuleSet::default()), &by()).await.is_ok(),
        async |service: &Service| service.rules(&of).await.unwrap().is_some(),
    )
    .await;

    let crew: Namespace = "crew".parse().unwrap();
    never_unsaid(
        Action::OrganizationCreate,
        async |service: &Service| service.create_organization(&crew, &ann(), &by()).await.is_ok(),
        async |service: &Service| service.organization(&crew).await.unwrap().is_some(),
    )
    .await;
}

#[tokio::test]
async fn whatever_a_crash_leaves_of_an_identity_is_said() {
    let issuer = "https://id.example.com".parse().unwrap();
    let identity = ForeignIdentity { issuer, subject: "17".parse().unwrap() };
    let (new, id) = (NewIdentity::new(identity.clone(), "Ann"), identity.id());
    never_unsaid(
        Action::IdentityLink,
        async |service: &Service| service.link_identity(&ann(), &new, &actor("ann")).await.is_ok(),
        async |service: &Service| service.identity_user(&id).await.unwrap().is_some(),
    )
    .await;

    let cid = || Account { password_hash: NO_PASSWORD.into(), ..account("cid", Role::User) };
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        keyspace.cut_after(after);
        let whole = world.create_federated_account(&cid(), &new, &actor("cid")).await.is_ok();
        keyspace.mend();
        let told: Vec<_> = told(&world, None).await.into_iter().map(|entry| entry.action).collect();
        let said = |action: Action| told.contains(&action.into());
        let there = world.user(&cid().name).await.unwrap().is_some();
        assert!(said(Action::UserCreate) || !there, "the account is unsaid after {after} mutations");
        let lets_in = world.identity_user(&id).await.unwrap().is_some();
        assert!(said(Action::IdentityLink) || !lets_in, "the identity is unsaid after {after} mutations");
        if whole {
            break;
        }
    }
}

#[tokio::test]
async fn of_a_change_that_another_one_overtook_only_one_entry_is_left() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    for name in ["ann", "bob"] {
        world.create_account(&account(name, Role::User), &Actor::service()).await.unwrap();
    }
    let crew: Namespace = "crew".parse().unwrap();
    world.create_organization(&crew, &ann(), &actor("ann")).await.unwrap();
    let (rival, organization) = (world.service.clone(), crew.clone());
    let bob: AccountName = "bob".parse().unwrap();
    let user = bob.clone();
    keyspace.interpose(async move {
        rival.put_member(&organization, &user, MemberRole::Owner, &actor("ann")).await.unwrap();
    });

    world.put_member(&crew, &bob, MemberRole::Member, &actor("ann")).await.unwrap();
    let entries = told(&world, Some(crew)).await;
    let roles: Vec<_> = entries.iter().filter_map(|entry| entry.target.to.as_deref()).collect();
    assert_eq!(roles, ["member", "owner"], "what conflicted was not written");
}

#[tokio::test]
async fn the_first_key_that_signs_is_said_in_the_log_of_the_hub() {
    use bytes::Bytes;
    use proto::{
        auth::{KeyId, PublicKey, VerificationKey},
        metadata::accounts::SigningKey,
    };

    let world = small_world().await;
    let verification =
        VerificationKey { id: KeyId("key-1".to_owned()), public_key: PublicKey::Ed25519([1; 32]) };
    let created = Timestamp::UNIX_EPOCH;
    let sealed_private_key = Bytes::from_static(b"sealed");
    let key =
        SigningKey { verification, sealed_private_key, created, from: created, until: None, next: None };
    world.found_signing_key(&key).await.unwrap();
    world.found_signing_key(&key).await.unwrap();

    let entries = told(&world, None).await;
    let made: Vec<_> =
        entries.iter().filter(|entry| entry.action == Action::SigningKeyCreate.into()).collect();
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].target.to.as_deref(), &made[0].target.namespace), (Some("key-1"), &None));
}
