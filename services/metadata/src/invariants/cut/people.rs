//! Users and credentials, cut everywhere: no right outlives the telling that it goes, and nobody is left without an
//! administrator.

use std::time::Duration;

use oci::{AccountName, RepositoryName};
use proto::{
    auth::Subject,
    metadata::{
        AccountError, Accounts as _, Actor, Credentials as _, Repositories as _, RepositoryError, Standing,
        Users as _, Via,
        accounts::Role,
        credentials::{CredentialOwner, Holder, Limits, NewCredential, Revoked},
        users::{Profile, UserChange},
    },
};

use super::{super::mended::is_mended, Cutting, World, account, manifest, service, world};
use crate::{
    Service,
    keys::{self, field},
    keyspace::{Commit, Direction, MemberRange, Mutation},
};

pub(super) fn new(number: u8, holder: Holder) -> NewCredential {
    let id = format!("01JD{number:022}").parse().unwrap();
    NewCredential {
        id,
        hash: [number; 32],
        holder,
        label: "label".to_owned(),
        limits: Limits::none(),
        expires: None,
        trust: None,
        revision: None,
    }
}

pub(super) fn ann() -> AccountName {
    "ann".parse().unwrap()
}

fn client(through: Option<&NewCredential>) -> Holder {
    Holder::Offline { user: ann(), through: through.map(|token| token.id.clone()) }
}

fn robot() -> Holder {
    Holder::Robot("ann+ci".parse().unwrap())
}

pub(super) async fn put(service: &Service, credential: &NewCredential) {
    service.put_credential(credential, &Actor::service()).await.unwrap();
}

pub(super) async fn is_there(service: &Service, credential: &NewCredential) -> bool {
    let found = service.credential_by_hash(&credential.hash).await.unwrap();
    let listed = service.credentials(&credential.holder.owner()).await.unwrap();
    let listed = listed.iter().any(|listed| listed.id == credential.id);
    assert_eq!(found.is_some(), listed, "what can be used is listed, and can be revoked");
    listed
}

pub(super) async fn is_told(service: &Service, what: &Revoked) -> bool {
    let told = service.revocations(None).await.unwrap();
    told.iter().any(|revocation| revocation.what == *what)
}

/// Cuts `operation` after each of its mutations and does it again; `holds` is asked after each.
pub(super) async fn cut_and_repeated<E: std::fmt::Debug>(
    prepare: impl AsyncFn(&World),
    operation: impl AsyncFn(&Service) -> Result<(), E>,
    holds: impl AsyncFn(&Service),
) {
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        world.create_account(&account("ann", Role::Administrator), &Actor::service()).await.unwrap();
        prepare(&world).await;

        keyspace.cut_after(after);
        let outcome = operation(&world.service).await;
        keyspace.mend();
        holds(&world.service).await;
        if outcome.is_ok() {
            assert!(after > 1, "the operation has made no commit that could be cut");
            return;
        }
        operation(&world.service).await.unwrap();
        holds(&world.service).await;
        is_mended(&world.service).await;
        holds(&world.service).await;
    }
}

#[tokio::test]
async fn a_new_credential() {
    for holder in [Holder::User(ann()), Holder::Session(ann()), robot(), client(None)] {
        let credential = new(1, holder);
        let keep = async |service: &Service| service.put_credential(&credential, &Actor::service()).await;
        let whole = async |service: &Service| {
            if is_there(service, &credential).await {
                let found = service.credential_by_hash(&credential.hash).await.unwrap().unwrap();
                assert_eq!((found.limits, found.holder), (Limits::none(), credential.holder.clone()));
            }
        };
        cut_and_repeated(async |_: &World| {}, keep, whole).await;
    }
}

#[tokio::test]
async fn a_new_credential_in_place_of_expired_ones() {
    let (first, second) = (new(1, robot()), new(2, robot()));
    let prepare = async |world: &World| {
        let expires = Some(world.now() + Duration::from_secs(1));
        put(world, &NewCredential { expires, ..first.clone() }).await;
        world.clock.advance(Duration::from_secs(1));
    };
    let keep = async |service: &Service| service.put_credential(&second, &Actor::service()).await;
    let one = async |service: &Service| {
        let kept = [is_there(service, &first).await, is_there(service, &second).await];
        assert_ne!(kept, [true, true], "a robot has one secret");
    };
    cut_and_repeated(prepare, keep, one).await;
}

#[tokio::test]
async fn a_revoked_credential() {
    for holder in [Holder::User(ann()), robot()] {
        let credential = new(1, holder);
        let revoke = async |service: &Service| {
            let owner = credential.holder.owner();
            service.revoke_credential(&owner, &credential.id, &Actor::service()).await
        };
        let told = async |service: &Service| {
            let told = is_told(service, &Revoked::Credential(credential.id.clone())).await;
            assert!(told || is_there(service, &credential).await, "it is gone, and nobody was told");
        };
        cut_and_repeated(async |world: &World| put(world, &credential).await, revoke, told).await;
    }
}

#[tokio::test]
async fn a_revoked_credential_with_a_client_that_has_logged_in_with_it() {
    let token = new(1, Holder::User(ann()));
    let docker = new(2, client(Some(&token)));
    let prepare = async |world: &World| {
        put(world, &token).await;
        put(world, &docker).await;
    };
    let revoke = async |service: &Service| {
        service.revoke_credential(&token.holder.owner(), &token.id, &Actor::service()).await
    };
    let ended = async |service: &Service| {
        let [token_lives, docker_lives] = [is_there(service, &token).await, is_there(service, &docker).await];
        assert!(token_lives || !docker_lives, "a client has outlived what it had logged in with");
        for (credential, lives) in [(&token, token_lives), (&docker, docker_lives)] {
            let told = is_told(service, &Revoked::Credential(credential.id.clone())).await;
            assert!(told || lives, "it is gone, and nobody was told");
        }
    };
    cut_and_repeated(prepare, revoke, ended).await;
}

#[tokio::test]
async fn a_user_with_another_password() {
    let (session, token) = (new(1, client(None)), new(2, Holder::User(ann())));
    let prepare = async |world: &World| {
        put(world, &session).await;
        put(world, &token).await;
    };
    let change = UserChange { password_hash: Some("another".into()), ..UserChange::default() };
    let change_it = async |service: &Service| service.change_user(&ann(), &change, &Actor::service()).await;
    let ended = async |service: &Service| {
        use secrecy::ExposeSecret as _;
        let account = service.account(&ann()).await.unwrap().unwrap();
        let told = is_told(service, &Revoked::Subject(Subject::User(ann()))).await;
        let goes_on = is_there(service, &session).await;
        assert!(told || goes_on, "a session ended untold");
        assert!(account.password_hash.expose_secret() == "hash" || (told && !goes_on));
        assert!(is_there(service, &token).await);
    };
    cut_and_repeated(prepare, change_it, ended).await;
}

#[tokio::test]
async fn a_user_who_may_do_less_or_more() {
    let profile = Profile { display_name: "Ann".to_owned(), email: "ann@example.com".to_owned() };
    let less = UserChange {
        role: Some(Role::User),
        standing: Some(Standing::Disabled),
        profile: Some(profile),
        password_hash: None,
    };
    let more = UserChange { role: Some(Role::Administrator), ..UserChange::default() };
    let prepare = async |world: &World| {
        world.create_account(&account("bob", Role::Administrator), &Actor::service()).await.unwrap();
        world.create_account(&account("cid", Role::User), &Actor::service()).await.unwrap();
    };

    let lower = async |service: &Service| service.change_user(&ann(), &less, &Actor::service()).await;
    let told = async |service: &Service| {
        let user = service.user(&ann()).await.unwrap().unwrap();
        let same = (user.role, user.standing) == (Role::Administrator, Standing::Active);
        assert!(same || is_told(service, &Revoked::Subject(Subject::User(ann()))).await);
    };
    cut_and_repeated(prepare, lower, told).await;

    let cid: AccountName = "cid".parse().unwrap();
    let raise = async |service: &Service| service.change_user(&cid, &more, &Actor::service()).await;
    let vouches = async |service: &Service| {
        let user = service.user(&cid).await.unwrap().unwrap();
        if user.role == Role::Administrator {
            let bob = "bob".parse().unwrap();
            service.change_user(&bob, &less, &Actor::service()).await.unwrap();
            service.change_user(&ann(), &less, &Actor::service()).await.unwrap();
        }
    };
    cut_and_repeated(prepare, raise, vouches).await;
}

#[tokio::test]
async fn a_list_of_administrators_that_promises_too_much_is_not_believed() {
    let service = service(Cutting::new()).await;
    for (name, role) in [("ann", Role::Administrator), ("bob", Role::User)] {
        service.create_account(&account(name, role), &Actor::service()).await.unwrap();
    }
    // As a crash leaves it in the middle of making bob one.
    let listed = crate::administrators::listed_administrator(&"bob".parse().unwrap());
    service.keyspace().commit(Commit::synced().then(listed)).await.unwrap();

    let less = UserChange { role: Some(Role::User), ..UserChange::default() };
    let refused = service.change_user(&ann(), &less, &Actor::service()).await.unwrap_err();
    assert_eq!(refused, AccountError::LastAdministrator { user: ann() });
}

#[tokio::test]
async fn administrators_of_before_there_was_a_list_are_found() {
    let keyspace = Cutting::new();
    let founded = service(keyspace.clone()).await;
    for (name, role) in [("ann", Role::Administrator), ("bob", Role::Administrator), ("cid", Role::User)] {
        founded.create_account(&account(name, role), &Actor::service()).await.unwrap();
    }
    let forgotten = Commit::synced()
        .then(Mutation::RemoveSet(keys::ADMINISTRATORS))
        .then(Mutation::RemoveField(keys::SCHEMA, field::ADMINISTRATORS));
    founded.keyspace().commit(forgotten).await.unwrap();
    let less = UserChange { role: Some(Role::User), ..UserChange::default() };
    founded.change_user(&ann(), &less, &Actor::service()).await.unwrap_err();

    let opened = service(keyspace).await;
    opened.change_user(&ann(), &less, &Actor::service()).await.unwrap();
    let last = opened.change_user(&"bob".parse().unwrap(), &less, &Actor::service()).await.unwrap_err();
    assert_eq!(last, AccountError::LastAdministrator { user: "bob".parse().unwrap() });
}

#[tokio::test]
async fn two_administrators_that_go_at_once_do_not_both_go() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    let bob: AccountName = "bob".parse().unwrap();
    for name in ["ann", "bob"] {
        service.create_account(&account(name, Role::Administrator), &Actor::service()).await.unwrap();
    }
    let less = UserChange { role: Some(Role::User), ..UserChange::default() };
    let (rival, first) = (service.clone(), bob.clone());
    let lower = less.clone();
    keyspace.interpose(async move {
        rival.change_user(&first, &lower, &Actor::service()).await.unwrap();
    });

    let refused = service.change_user(&ann(), &less, &Actor::service()).await.unwrap_err();
    assert_eq!(refused, AccountError::LastAdministrator { user: ann() });
    assert_eq!(service.user(&bob).await.unwrap().unwrap().role, Role::User);
}

#[tokio::test]
async fn a_session_that_begins_while_the_password_changes_ends_too() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    service.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    let session = new(1, Holder::Session(ann()));
    let (rival, begun) = (service.clone(), session.clone());
    keyspace.interpose(async move { put(&rival, &begun).await });

    let change = UserChange { password_hash: Some("another".into()), ..UserChange::default() };
    service.change_user(&ann(), &change, &Actor::service()).await.unwrap();
    assert!(!is_there(&service, &session).await);
    let owner = CredentialOwner::User(ann());
    assert_eq!(service.credentials(&owner).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_told_later_stands_behind_what_was_told_before() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    world.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    let [first, second] = [1, 2].map(|number| new(number, Holder::User(ann())));
    for credential in [&first, &second] {
        put(&world, credential).await;
    }
    let owner = CredentialOwner::User(ann());
    let (rival, id, of) = (world.service.clone(), first.id.clone(), owner.clone());
    keyspace.interpose(async move { rival.revoke_credential(&of, &id, &Actor::service()).await.unwrap() });

    // Its place was taken before the rival's, and its commit comes after.
    world.revoke_credential(&owner, &second.id, &Actor::service()).await.unwrap();
    let told = world.revocations(None).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|revocation| revocation.what).collect();
    assert_eq!(told, [first, second].map(|credential| Revoked::Credential(credential.id)));
}

#[tokio::test]
async fn old_revocations_go_when_new_ones_come() {
    let world = world(Cutting::new()).await;
    world.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    let owner = CredentialOwner::User(ann());
    for number in 0..3 {
        let credential = new(number, Holder::User(ann()));
        put(&world, &credential).await;
        world.revoke_credential(&owner, &credential.id, &Actor::service()).await.unwrap();
        world.clock.advance(Duration::from_mins(10));
    }

    let all =
        world.keyspace().range(&keys::REVOKED, MemberRange::all(), 10, Direction::Forward).await.unwrap();
    assert_eq!(all.len(), 2, "what was revoked twenty minutes before the last is gone");
}

#[tokio::test]
async fn the_push_of_a_robot_or_a_user_makes_no_organization() {
    let service = service(Cutting::new()).await;
    service.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    put(&service, &new(1, robot())).await;
    let name: RepositoryName = "team/app".parse().unwrap();
    for subject in [Subject::Robot("ann+ci".parse().unwrap()), Subject::User(ann()), Subject::Anonymous] {
        let actor = Actor { subject, via: Via::Registry, address: None, credential: None };
        let pushed = service.put_manifest(&manifest(&name, "image", &[], &["v1"]), &actor).await;
        let namespace = name.namespace();
        assert_eq!(pushed, Err(RepositoryError::NamespaceUnknown { namespace: namespace.clone() }));
        assert_eq!(service.claimed(&namespace).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_new_account() {
    for after in 0..=10 {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        keyspace.cut_after(after);
        let bob = account("bob", Role::User);
        let cut = service.create_account(&bob, &Actor::service()).await;

        if cut.is_err() {
            service.create_account(&bob, &Actor::service()).await.unwrap();
        }
        assert_eq!(
            cut.is_ok(),
            after == 10,
            "two entries of the audit log and eight mutations make an account"
        );
        assert!(service.account(&bob.name).await.unwrap().is_some());
        service.create_account(&bob, &Actor::service()).await.unwrap_err();
    }
}
