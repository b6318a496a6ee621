//! Invitations, cut everywhere: each makes one account at most, and what counts can be seen and revoked.

use std::time::Duration;

use oci::{AccountName, InvitationId, Namespace};
use proto::{
    auth::Subject,
    metadata::{
        AccountError, Accounts as _, Actor, Invitations as _, Organizations as _,
        accounts::Role,
        invitations::{Joining, NewInvitation},
        organizations::MemberRole,
    },
};

use super::{
    Cutting, World, account,
    people::{ann, cut_and_repeated},
    world,
};
use crate::{Service, keys, keys::field};

fn team() -> Namespace {
    "team".parse().unwrap()
}

fn id() -> InvitationId {
    "01JE0000000000000000000001".parse().unwrap()
}

fn invitation(service: &Service) -> NewInvitation {
    let joining = Some(Joining { organization: team(), role: MemberRole::Member });
    let expires = service.now() + Duration::from_hours(1);
    NewInvitation { id: id(), hash: [4; 32], email: String::new(), joining, expires }
}

async fn founded(world: &World) {
    world.create_organization(&team(), &ann(), &Actor::service()).await.unwrap();
}

async fn invited(world: &World) {
    founded(world).await;
    world.put_invitation(&invitation(world), &Actor::service()).await.unwrap();
}

async fn take(service: &Service, name: &str) -> Result<(), AccountError> {
    service.redeem_invitation(&[4; 32], &account(name, Role::User), &Actor::service()).await
}

/// What can be taken is listed, and can be revoked.
async fn is_listed(service: &Service) {
    let record = service.keyspace().record(&keys::invitation(&keys::hex(&[4; 32]))).await.unwrap();
    let counts = record.unwrap_or_default().get(field::ID).is_some();
    let listed = service.invitations(Some(&team())).await.unwrap();
    assert_eq!(counts, listed.iter().any(|listed| listed.id == id()));
}

#[tokio::test]
async fn an_invitation_that_is_made() {
    let invite =
        async |service: &Service| service.put_invitation(&invitation(service), &Actor::service()).await;
    cut_and_repeated(founded, invite, is_listed).await;
}

#[tokio::test]
async fn an_invitation_that_is_revoked() {
    let revoke =
        async |service: &Service| service.revoke_invitation(Some(&team()), &id(), &Actor::service()).await;
    cut_and_repeated(invited, revoke, is_listed).await;
}

#[tokio::test]
async fn an_invitation_that_is_taken() {
    let accept = async |service: &Service| match take(service, "bob").await {
        // The account was there already when it was cut; an owner can still let bob in.
        Err(AccountError::NameTaken { .. } | AccountError::InvitationUnknown) => Ok(()),
        outcome => outcome,
    };
    let one = async |service: &Service| {
        let bob: AccountName = "bob".parse().unwrap();
        let record = service.keyspace().record(&keys::user(&bob)).await.unwrap().unwrap_or_default();
        if record.get(field::PASSWORD).is_some() {
            let other = take(service, "cid").await;
            assert_eq!(other, Err(AccountError::InvitationUnknown), "it has been taken by bob");
        }
        is_listed(service).await;
    };
    cut_and_repeated(invited, accept, one).await;
}

#[tokio::test]
async fn an_invitation_makes_no_account_when_its_maker_loses_the_right_meanwhile() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    for name in ["ann", "dan"] {
        world.create_account(&account(name, Role::User), &Actor::service()).await.unwrap();
    }
    founded(&world).await;
    let dan: AccountName = "dan".parse().unwrap();
    world.put_member(&team(), &dan, MemberRole::Owner, &Actor::service()).await.unwrap();
    let actor = Actor { subject: Subject::User(ann()), ..Actor::service() };
    world.put_invitation(&invitation(&world), &actor).await.unwrap();
    let rival = world.service.clone();
    keyspace.interpose(async move {
        rival.put_member(&team(), &ann(), MemberRole::Member, &Actor::service()).await.unwrap();
    });

    assert_eq!(take(&world, "bob").await, Err(AccountError::InvitationUnknown));
    assert!(world.account(&"bob".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_invitation_that_is_revoked_while_it_is_taken_makes_no_account() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    world.create_account(&account("ann", Role::User), &Actor::service()).await.unwrap();
    invited(&world).await;
    let rival = world.service.clone();
    keyspace.interpose(async move {
        rival.revoke_invitation(Some(&team()), &id(), &Actor::service()).await.unwrap();
    });

    assert_eq!(take(&world, "bob").await, Err(AccountError::InvitationUnknown));
    assert!(world.account(&"bob".parse().unwrap()).await.unwrap().is_none());
}
