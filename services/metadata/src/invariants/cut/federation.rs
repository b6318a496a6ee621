//! Identities of elsewhere, cut everywhere: whatever lets somebody in is in the list of that user, and no account that a
//! crash has left without its identity is anybody's but that identity's.

use oci::AccountName;
use proto::metadata::{
    AccountError, Accounts as _, Actor, FederatedIdentities as _, Users as _,
    accounts::{Account, NO_PASSWORD, Role},
    federation::{ForeignIdentity, NewIdentity},
    users::UserChange,
};

use super::{Cutting, account, service};
use crate::{
    Service,
    keys::{self, field},
};

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn of(subject: &str) -> NewIdentity {
    let issuer = "https://id.example.com".parse().unwrap();
    NewIdentity::new(ForeignIdentity { issuer, subject: subject.parse().unwrap() }, subject)
}

async fn found(service: &Service, name: &str, subject: &str) -> Result<(), AccountError> {
    let account = Account { password_hash: NO_PASSWORD.into(), ..account(name, Role::User) };
    service.create_federated_account(&account, &of(subject), &Actor::service()).await
}

async fn holder(service: &Service, subject: &str) -> Option<AccountName> {
    service.identity_user(&of(subject).identity.id()).await.unwrap()
}

/// Who gets in by an identity has it in the list, where it can be taken away.
async fn can_be_seen(service: &Service, subject: &str) {
    if let Some(user) = holder(service, subject).await {
        let listed = service.identities(&user).await.unwrap();
        assert!(listed.iter().any(|listed| listed.identity == of(subject).identity), "{user}, {subject}");
    }
}

#[tokio::test]
async fn an_account_with_an_identity_is_completed_by_that_identity_alone() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        keyspace.cut_after(after);
        let cut = found(&service, "ann", "of-ann").await;
        keyspace.mend();
        can_be_seen(&service, "of-ann").await;
        if cut.is_ok() {
            assert_eq!(
                after, 17,
                "seventeen mutations make an account with an identity, and write both down"
            );
            return;
        }

        let rival = found(&service, "ann", "of-eve").await;
        assert_eq!(holder(&service, "of-eve").await, rival.is_ok().then(|| name("ann")));
        let again = found(&service, "ann", "of-ann").await;
        let owner = holder(&service, "of-ann").await;
        match (rival, again) {
            // It was no account yet, and the first to come has it.
            (Ok(()), Err(AccountError::NameTaken { .. })) => assert_eq!(owner, None, "after {after}"),
            // It was one: the identity that it was made for has it, or had it already.
            (Err(AccountError::NameTaken { .. }), Ok(()) | Err(AccountError::IdentityTaken)) => {
                assert_eq!(owner, Some(name("ann")), "after {after}");
            }
            other => panic!("after {after}: {other:?}"),
        }
        can_be_seen(&service, "of-ann").await;
        can_be_seen(&service, "of-eve").await;
    }
}

#[tokio::test]
async fn an_account_that_was_begun_for_an_identity_and_made_with_a_password_is_not_that_identitys() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        keyspace.cut_after(after);
        if found(&service, "ann", "of-ann").await.is_ok() {
            return;
        }
        keyspace.mend();

        if service.create_account(&account("ann", Role::User), &Actor::service()).await.is_ok() {
            found(&service, "ann", "of-ann").await.unwrap_err();
            assert_eq!(holder(&service, "of-ann").await, None, "after {after}");
        }
    }
}

#[tokio::test]
async fn an_account_that_an_administrator_gave_a_password_meanwhile_is_not_completed() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    // All but the identity.
    keyspace.cut_after(14);
    found(&service, "ann", "of-ann").await.unwrap_err();
    assert!(service.user(&name("ann")).await.unwrap().is_some());
    let change = UserChange { password_hash: Some("another".into()), ..UserChange::default() };
    service.change_user(&name("ann"), &change, &Actor::service()).await.unwrap();

    found(&service, "ann", "of-ann").await.unwrap_err();
    assert_eq!(holder(&service, "of-ann").await, None);
}

#[tokio::test]
async fn a_linked_identity() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        for name in ["ann", "bob"] {
            service.create_account(&account(name, Role::User), &Actor::service()).await.unwrap();
        }
        keyspace.cut_after(after);
        let link = async |user: &str| service.link_identity(&name(user), &of("x"), &Actor::service()).await;
        let cut = link("ann").await;
        keyspace.mend();
        can_be_seen(&service, "x").await;
        if cut.is_ok() {
            assert!(after > 1, "nothing could be cut");
            return;
        }

        // What is left in the list of ann does not keep others from having it, nor gives it to ann then.
        link("bob").await.unwrap();
        assert_eq!(link("ann").await, Err(AccountError::IdentityTaken));
        assert_eq!(holder(&service, "x").await, Some(name("bob")));
        assert_eq!(service.identities(&name("ann")).await.unwrap(), []);
        service.link_identity(&name("ann"), &of("y"), &Actor::service()).await.unwrap();
        let listed = service.keyspace().record(&keys::identities(&name("ann"))).await.unwrap().unwrap();
        assert_eq!(listed.len(), 2, "what was left is forgotten: one identity, and Rev");
    }
}

#[tokio::test]
async fn an_unlinked_identity() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        found(&service, "ann", "of-ann").await.unwrap();
        service.link_identity(&name("ann"), &of("other"), &Actor::service()).await.unwrap();
        let id = of("of-ann").identity.id();
        keyspace.cut_after(after);
        let cut = service.unlink_identity(&name("ann"), &id, &Actor::service()).await;
        keyspace.mend();
        can_be_seen(&service, "of-ann").await;
        let again = service.unlink_identity(&name("ann"), &id, &Actor::service()).await;

        let done = cut.is_ok();
        assert!(matches!((cut, again), (_, Err(AccountError::IdentityUnknown { .. })) | (Err(_), Ok(()))));
        assert_eq!(holder(&service, "of-ann").await, None);
        assert!(matches!(found(&service, "ann", "of-ann").await, Err(AccountError::NameTaken { .. })));
        let record = service.keyspace().record(&keys::user(&name("ann"))).await.unwrap().unwrap();
        assert_eq!(record.get(field::ORIGIN), None);
        if done {
            return;
        }
    }
}

#[tokio::test]
async fn of_two_last_identities_that_go_at_once_one_stays() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    found(&service, "ann", "of-ann").await.unwrap();
    service.link_identity(&name("ann"), &of("other"), &Actor::service()).await.unwrap();
    let rival = service.clone();
    keyspace.interpose(async move {
        let other = of("other").identity.id();
        rival.unlink_identity(&name("ann"), &other, &Actor::service()).await.unwrap();
    });

    let id = of("of-ann").identity.id();
    let refused = service.unlink_identity(&name("ann"), &id, &Actor::service()).await;
    assert_eq!(refused, Err(AccountError::LastWayIn { user: name("ann") }));
    assert_eq!(holder(&service, "of-ann").await, Some(name("ann")));
}
