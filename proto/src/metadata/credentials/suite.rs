//! What every implementation of `Credentials` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use oci::CredentialId;
use tokio::task::JoinSet;

use super::{
    Credential, CredentialOwner, CredentialUse, Holder, LONGEST_ABSENCE, Limits, MAX_CREDENTIALS,
    MAX_OFFLINE, NewCredential, Permission, REVOCATIONS_KEPT, Revocation, Revoked,
};
use crate::{
    auth::Subject,
    metadata::{
        AccountError, Actor, Standing, Via,
        accounts::{FactsOf, Role, suite::about},
        uploads::suite::world::{World, now, repository},
    },
};

const HOUR: Duration = Duration::from_hours(1);

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_credential_is_kept_as_it_was_made(&world).await;
    keeping_it_again_is_harmless(&world).await;
    it_is_somebodys_who_is_there(&world).await;
    the_name_of_a_robot_is_free_when_it_is_gone(&world).await;
    there_are_only_so_many_and_expired_ones_do_not_count(&world).await;
    many_at_once_do_not_pass_the_limit(&world).await;
    a_revoked_credential_is_gone_and_told(&world).await;
    its_last_use_moves_by_minutes(&world).await;
    revocations_are_told_in_order_and_for_a_time(&world).await;
    no_revocation_is_missed_by_who_reads_on(&world).await;
    an_upload_goes_on_while_its_robot_is_good(&world).await;
    a_client_is_forgotten_when_it_stays_away(&world).await;
    of_many_clients_the_one_that_was_away_longest_is_forgotten(&world).await;
    a_client_ends_with_what_it_has_logged_in_with(&world).await;
}

fn numbered(number: u32) -> CredentialId {
    format!("01JD{number:022}").parse().unwrap()
}

/// A credential without an end, whose id and hash no other has.
pub(crate) fn new(holder: Holder) -> NewCredential {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let (label, limits) = (format!("no. {number}"), Limits::none());
    NewCredential {
        id: numbered(number),
        hash,
        holder,
        label,
        limits,
        expires: None,
        trust: None,
        revision: None,
    }
}

async fn put(world: &World, credential: &NewCredential) -> Result<(), AccountError> {
    world.credentials.put_credential(credential, &Actor::service()).await
}

async fn listed(world: &World, owner: &CredentialOwner) -> Vec<CredentialId> {
    let credentials = world.credentials.credentials(owner).await.unwrap();
    credentials.into_iter().map(|credential| credential.id).collect()
}

async fn revoke(world: &World, owner: &CredentialOwner, id: &CredentialId) -> Result<(), AccountError> {
    world.credentials.revoke_credential(owner, id, &Actor::service()).await
}

async fn found(world: &World, credential: &NewCredential) -> Option<Credential> {
    let question = about(FactsOf::Credential(credential.hash));
    world.accounts.access_facts(&question).await.unwrap().credential
}

async fn told(world: &World, after: Option<&Revocation>) -> Vec<Revocation> {
    world.credentials.revocations(after.map(|after| &after.id)).await.unwrap()
}

fn user(name: &str) -> Holder {
    Holder::User(name.parse().unwrap())
}

fn session(name: &str) -> Holder {
    Holder::Session(name.parse().unwrap())
}

fn robot(name: &str) -> Holder {
    Holder::Robot(name.parse().unwrap())
}

fn client(name: &str, through: Option<&NewCredential>) -> Holder {
    Holder::Offline { user: name.parse().unwrap(), through: through.map(|token| token.id.clone()) }
}

async fn a_credential_is_kept_as_it_was_made(world: &World) {
    world.user("cr-kept", Role::User).await;
    let (created, expires) = (now(world), now(world) + HOUR);
    let repositories = vec!["cr-kept/*".to_owned().try_into().unwrap()];
    let limits = Limits { repositories, actions: [Permission::Pull].into() };
    let token = NewCredential { limits, expires: Some(expires), ..new(user("cr-kept")) };
    assert_eq!(found(world, &token).await, None);
    put(world, &token).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let (signed_in, ci) = (new(session("cr-kept")), new(robot("cr-kept+ci")));
    put(world, &signed_in).await.unwrap();
    put(world, &ci).await.unwrap();

    let kept = Credential {
        id: token.id.clone(),
        holder: token.holder.clone(),
        label: token.label.clone(),
        limits: token.limits.clone(),
        created,
        expires: Some(expires),
        used: None,
        trust: None,
    };
    assert_eq!(found(world, &token).await, Some(kept));
    let facts = world.accounts.access_facts(&about(FactsOf::Credential(signed_in.hash))).await.unwrap();
    assert_eq!(facts.account.unwrap().name.as_str(), "cr-kept");
    let facts = world.accounts.access_facts(&about(FactsOf::Credential(ci.hash))).await.unwrap();
    assert_eq!(facts.account.unwrap().name.as_str(), "cr-kept", "whose namespace it is");
    assert_eq!(facts.credential.unwrap().holder, ci.holder);

    assert_eq!(listed(world, &token.holder.owner()).await, [token.id, signed_in.id]);
    assert_eq!(listed(world, &ci.holder.owner()).await, [ci.id]);
}

async fn keeping_it_again_is_harmless(world: &World) {
    world.user("cr-again", Role::User).await;
    let credentials = [new(user("cr-again")), new(robot("cr-again+ci"))];
    for credential in &credentials {
        put(world, credential).await.unwrap();
        put(world, credential).await.unwrap();
        assert_eq!(listed(world, &credential.holder.owner()).await, std::slice::from_ref(&credential.id));
    }
}

async fn it_is_somebodys_who_is_there(world: &World) {
    let unknown = AccountError::OwnerUnknown { name: "cr-nobody".parse().unwrap() };
    for holder in [user("cr-nobody"), session("cr-nobody"), robot("cr-nobody+ci")] {
        let credential = new(holder);
        assert_eq!(put(world, &credential).await, Err(unknown.clone()));
        assert_eq!(found(world, &credential).await, None);
        let owner = credential.holder.owner();
        assert_eq!(world.credentials.credentials(&owner).await, Err(unknown.clone()));
    }
    put(world, &new(robot("library+ci"))).await.unwrap();
}

async fn the_name_of_a_robot_is_free_when_it_is_gone(world: &World) {
    world.user("cr-robot", Role::User).await;
    let make = |expires| NewCredential { expires, ..new(robot("cr-robot+ci")) };
    let (first, second) = (make(None), make(Some(now(world) + HOUR)));
    let taken = AccountError::CredentialExists { name: "cr-robot+ci".parse().unwrap() };
    put(world, &first).await.unwrap();
    put(world, &new(robot("cr-robot+cd"))).await.unwrap();
    assert_eq!(put(world, &second).await, Err(taken.clone()));

    let owner = first.holder.owner();
    revoke(world, &owner, &first.id).await.unwrap();
    put(world, &second).await.unwrap();
    let third = make(None);
    assert_eq!(put(world, &third).await, Err(taken));
    world.clock.advance(HOUR);
    assert_eq!(listed(world, &owner).await.len(), 2, "what has expired is listed until it is replaced");
    put(world, &third).await.unwrap();

    assert_eq!(found(world, &second).await, None);
    assert!(listed(world, &owner).await.contains(&third.id));
    let gone = AccountError::CredentialUnknown { id: second.id.clone() };
    assert_eq!(revoke(world, &owner, &second.id).await, Err(gone), "its successor is not it");
}

async fn there_are_only_so_many_and_expired_ones_do_not_count(world: &World) {
    world.user("cr-many", Role::User).await;
    for number in 0..MAX_CREDENTIALS {
        let expires = (number % 2 == 0).then(|| now(world) + HOUR);
        put(world, &NewCredential { expires, ..new(session("cr-many")) }).await.unwrap();
    }
    let one_more = new(user("cr-many"));
    let Err(AccountError::TooMany { limit, .. }) = put(world, &one_more).await else {
        panic!("there are more than there may be");
    };
    assert_eq!(limit, MAX_CREDENTIALS);

    world.clock.advance(HOUR);
    put(world, &one_more).await.unwrap();
    assert_eq!(listed(world, &one_more.holder.owner()).await.len(), MAX_CREDENTIALS / 2 + 1);
}

async fn many_at_once_do_not_pass_the_limit(world: &World) {
    world.user("cr-race", Role::User).await;
    for _ in 0..MAX_CREDENTIALS - 2 {
        put(world, &new(user("cr-race"))).await.unwrap();
    }
    let mut makers = JoinSet::new();
    for _ in 0..6 {
        let (credentials, credential) = (world.credentials.clone(), new(user("cr-race")));
        makers.spawn(async move { credentials.put_credential(&credential, &Actor::service()).await });
    }

    let outcomes = makers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2, "{outcomes:?}");
    assert_eq!(listed(world, &user("cr-race").owner()).await.len(), MAX_CREDENTIALS);
}

async fn a_revoked_credential_is_gone_and_told(world: &World) {
    world.user("cr-gone", Role::User).await;
    world.user("cr-other", Role::User).await;
    for holder in [user("cr-gone"), session("cr-gone"), robot("cr-gone+ci")] {
        let credential = new(holder);
        let (owner, id) = (credential.holder.owner(), &credential.id);
        put(world, &credential).await.unwrap();
        let unknown = AccountError::CredentialUnknown { id: id.clone() };
        for others in [user("cr-other").owner(), robot("cr-other+ci").owner()] {
            assert_eq!(revoke(world, &others, id).await, Err(unknown.clone()));
        }
        assert!(found(world, &credential).await.is_some());

        let before = told(world, None).await;
        let at = now(world);
        revoke(world, &owner, id).await.unwrap();
        assert_eq!(found(world, &credential).await, None);
        assert!(listed(world, &owner).await.is_empty());
        let new = told(world, before.last()).await;
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].what, Revoked::Credential(id.clone()));
        assert!(new[0].at >= at, "what was signed until then is refused");
        assert_eq!(revoke(world, &owner, id).await, Err(unknown));
    }
}

async fn its_last_use_moves_by_minutes(world: &World) {
    world.user("cr-used", Role::User).await;
    let (token, ci) = (new(user("cr-used")), new(robot("cr-used+ci")));
    put(world, &token).await.unwrap();
    put(world, &ci).await.unwrap();
    let used = async |at: Timestamp| {
        let by = |credential: &NewCredential, owner| CredentialUse { id: credential.id.clone(), owner, at };
        let absent = CredentialUse { id: numbered(999_999), owner: token.holder.owner(), at };
        let nobodys = by(&token, user("cr-nobody").owner());
        let uses = [absent, by(&token, token.holder.owner()), nobodys, by(&ci, ci.holder.owner())];
        world.credentials.used(&uses).await.unwrap();
        let found = [found(world, &token).await, found(world, &ci).await];
        found.map(|credential| credential.unwrap().used)
    };

    let first = now(world);
    assert_eq!(used(first).await, [Some(first); 2]);
    assert_eq!(used(first + Duration::from_secs(59)).await, [Some(first); 2]);
    let later = first + Duration::from_mins(1);
    assert_eq!(used(later).await, [Some(later); 2]);
    assert_eq!(used(first).await, [Some(later); 2], "what is told late does not move it back");

    revoke(world, &token.holder.owner(), &token.id).await.unwrap();
    let gone = CredentialUse { id: token.id.clone(), owner: token.holder.owner(), at: later + HOUR };
    world.credentials.used(&[gone]).await.unwrap();
    assert_eq!(found(world, &token).await, None);
}

async fn revocations_are_told_in_order_and_for_a_time(world: &World) {
    world.user("cr-told", Role::User).await;
    world.clock.advance(REVOCATIONS_KEPT + Duration::from_secs(1));
    assert_eq!(told(world, None).await, [], "what is old is not told any more");

    let credentials = [new(user("cr-told")), new(user("cr-told")), new(user("cr-told"))];
    for credential in &credentials {
        put(world, credential).await.unwrap();
        revoke(world, &credential.holder.owner(), &credential.id).await.unwrap();
    }
    let all = told(world, None).await;
    let revoked: Vec<_> = all.iter().map(|revocation| revocation.what.clone()).collect();
    assert_eq!(revoked, credentials.map(|credential| Revoked::Credential(credential.id)));
    assert!(all.is_sorted_by_key(|revocation| &revocation.id));
    assert_eq!(told(world, Some(&all[0])).await, all[1..]);
    assert_eq!(told(world, all.last()).await, []);
}

async fn no_revocation_is_missed_by_who_reads_on(world: &World) {
    world.user("cr-feed", Role::User).await;
    let owner = user("cr-feed").owner();
    let mut revokers = JoinSet::new();
    for _ in 0..12 {
        let credential = new(user("cr-feed"));
        put(world, &credential).await.unwrap();
        let (credentials, owner) = (world.credentials.clone(), owner.clone());
        revokers.spawn(async move {
            credentials.revoke_credential(&owner, &credential.id, &Actor::service()).await.unwrap();
        });
    }

    let before = told(world, None).await;
    let (mut read, mut last) = (before.len(), before.last().cloned());
    while !revokers.is_empty() {
        let _ended = revokers.try_join_next();
        let new = told(world, last.as_ref()).await;
        read += new.len();
        last = new.last().cloned().or(last);
        tokio::task::yield_now().await;
    }
    read += told(world, last.as_ref()).await.len();
    assert_eq!(read, told(world, None).await.len(), "each comes behind what was read before it");
}

async fn an_upload_goes_on_while_its_robot_is_good(world: &World) {
    let owner = world.user("cr-upload", Role::User).await;
    world.push_blob(&repository("cr-upload/app"), "cr-upload", &owner).await;
    let robot = NewCredential { expires: Some(now(world) + HOUR), ..new(robot("cr-upload+ci")) };
    let subject = Subject::Robot("cr-upload+ci".parse().unwrap());
    let actor = Actor { subject, via: Via::Registry, address: None, credential: None };
    let start = async || world.uploads.start(&repository("cr-upload/app"), &actor).await.unwrap();
    assert_eq!(start().await.standing, Standing::Disabled, "there is no such robot");

    put(world, &robot).await.unwrap();
    let started = start().await;
    assert_eq!((&started.subject, started.standing), (&actor.subject, Standing::Active));
    world.clock.advance(HOUR);
    let session = world.uploads.session(&started.address).await.unwrap();
    assert_eq!(session.standing, Standing::Disabled, "it has expired");
}

async fn use_now(world: &World, credential: &NewCredential) {
    let (id, owner) = (credential.id.clone(), credential.holder.owner());
    world.credentials.used(&[CredentialUse { id, owner, at: now(world) }]).await.unwrap();
}

async fn a_client_is_forgotten_when_it_stays_away(world: &World) {
    world.user("cr-away", Role::User).await;
    let docker = new(client("cr-away", None));
    put(world, &docker).await.unwrap();
    let facts = world.accounts.access_facts(&about(FactsOf::Credential(docker.hash))).await.unwrap();
    assert_eq!(facts.account.unwrap().name.as_str(), "cr-away");
    assert_eq!(listed(world, &docker.holder.owner()).await, std::slice::from_ref(&docker.id));

    for _ in 0..2 {
        world.clock.advance(LONGEST_ABSENCE.saturating_sub(HOUR));
        assert!(found(world, &docker).await.unwrap().is_good(now(world)));
        use_now(world, &docker).await;
    }
    world.clock.advance(LONGEST_ABSENCE);
    assert!(!found(world, &docker).await.unwrap().is_good(now(world)));

    let bounded = NewCredential { expires: Some(now(world) + HOUR), ..new(client("cr-away", None)) };
    put(world, &bounded).await.unwrap();
    assert_eq!(found(world, &docker).await, None, "what nobody came back with goes when another one comes");
    use_now(world, &bounded).await;
    world.clock.advance(HOUR);
    assert!(!found(world, &bounded).await.unwrap().is_good(now(world)), "coming back does not move its end");
}

async fn of_many_clients_the_one_that_was_away_longest_is_forgotten(world: &World) {
    world.user("cr-many-clients", Role::User).await;
    let token = new(user("cr-many-clients"));
    put(world, &token).await.unwrap();
    let clients: Vec<_> = (0..MAX_OFFLINE).map(|_| new(client("cr-many-clients", None))).collect();
    for client in &clients {
        put(world, client).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    world.clock.advance(Duration::from_mins(1));
    use_now(world, &clients[0]).await;

    put(world, &new(client("cr-many-clients", None))).await.unwrap();

    assert!(found(world, &clients[0]).await.is_some());
    assert_eq!(found(world, &clients[1]).await, None);
    assert!(found(world, &clients[2]).await.is_some());
    assert!(found(world, &token).await.is_some());
    for _ in 1..MAX_CREDENTIALS {
        put(world, &new(user("cr-many-clients"))).await.unwrap();
    }
    assert_eq!(listed(world, &token.holder.owner()).await.len(), MAX_CREDENTIALS + MAX_OFFLINE);
}

async fn a_client_ends_with_what_it_has_logged_in_with(world: &World) {
    world.user("cr-through", Role::User).await;
    let (token, other) = (new(user("cr-through")), new(user("cr-through")));
    put(world, &token).await.unwrap();
    put(world, &other).await.unwrap();
    let (docker, podman) = (new(client("cr-through", Some(&token))), new(client("cr-through", Some(&token))));
    let elsewhere = new(client("cr-through", Some(&other)));
    for client in [&docker, &podman, &elsewhere] {
        put(world, client).await.unwrap();
    }

    let before = told(world, None).await;
    revoke(world, &token.holder.owner(), &token.id).await.unwrap();

    for gone in [&token, &docker, &podman] {
        assert_eq!(found(world, gone).await, None);
    }
    assert!(found(world, &elsewhere).await.is_some());
    let mut told: Vec<_> = told(world, before.last()).await.into_iter().map(|told| told.what).collect();
    told.sort_by_key(|what| format!("{what:?}"));
    let mut expected = [&token, &docker, &podman].map(|gone| Revoked::Credential(gone.id.clone()));
    expected.sort_by_key(|what| format!("{what:?}"));
    assert_eq!(told, expected);

    let late = new(client("cr-through", Some(&token)));
    let unknown = AccountError::CredentialUnknown { id: token.id.clone() };
    assert_eq!(put(world, &late).await, Err(unknown), "no client comes after it");
    assert_eq!(listed(world, &other.holder.owner()).await.len(), 2);
}
