//! What every implementation of `Invitations` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::sync::atomic::{AtomicU32, Ordering};

use oci::{AccountName, InvitationId, Namespace};
use tokio::task::JoinSet;

use super::{INVITATION_LIFETIME, Invitation, Joining, MAX_INVITATIONS, NewInvitation};
use crate::{
    auth::Subject,
    metadata::{
        AccountError, Actor, Standing,
        accounts::Role,
        organizations::MemberRole,
        uploads::suite::world::{World, account, now},
        users::UserChange,
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    an_invitation_waits_where_it_is_for(&world).await;
    an_invitation_makes_one_account(&world).await;
    of_many_who_take_one_invitation_one_succeeds(&world).await;
    who_is_invited_by_an_organization_is_in_it(&world).await;
    what_is_refused_leaves_the_invitation(&world).await;
    a_revoked_invitation_is_gone(&world).await;
    an_invitation_ends(&world).await;
    an_invitation_ends_with_the_rights_of_whoever_made_it(&world).await;
    only_so_many_wait(&world).await;
}

fn new(world: &World, joining: Option<Joining>) -> NewInvitation {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let mut hash = [5; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let expires = now(world).saturating_add(INVITATION_LIFETIME).unwrap();
    let id: InvitationId = format!("01JE{number:022}").parse().unwrap();
    NewInvitation { id, hash, email: format!("{number}@example.com"), joining, expires }
}

async fn put(world: &World, new: &NewInvitation) -> Result<(), AccountError> {
    world.invitations.put_invitation(new, &Actor::service()).await
}

async fn take(world: &World, new: &NewInvitation, name: &str) -> Result<(), AccountError> {
    let account = account(name, Role::User);
    world.invitations.redeem_invitation(&new.hash, &account, &Actor::service()).await
}

async fn waiting(world: &World, organization: Option<&Namespace>) -> Vec<InvitationId> {
    let found = world.invitations.invitations(organization).await.unwrap();
    found.into_iter().map(|invitation| invitation.id).collect()
}

/// An organization with an owner.
async fn organization(world: &World, text: &str) -> Namespace {
    let (name, owner): (Namespace, AccountName) =
        (text.parse().unwrap(), format!("{text}-owner").parse().unwrap());
    let actor = world.user(owner.as_str(), Role::User).await;
    world.organizations.create_organization(&name, &owner, &actor).await.unwrap();
    name
}

async fn an_invitation_waits_where_it_is_for(world: &World) {
    let team = organization(world, "in-team").await;
    let actor = world.user("in-boss", Role::Administrator).await;
    let joining = Joining { organization: team.clone(), role: MemberRole::Member };
    let (plain, into) = (new(world, None), new(world, Some(joining)));
    for invitation in [&plain, &into] {
        world.invitations.put_invitation(invitation, &actor).await.unwrap();
        // The answer to the first time was lost.
        world.invitations.put_invitation(invitation, &actor).await.unwrap();
    }

    let expected = |new: &NewInvitation| Invitation {
        id: new.id.clone(),
        email: new.email.clone(),
        joining: new.joining.clone(),
        by: actor.subject.clone(),
        created: now(world),
        expires: new.expires,
    };
    assert_eq!(world.invitations.invitations(None).await.unwrap(), [expected(&plain)]);
    assert_eq!(world.invitations.invitations(Some(&team)).await.unwrap(), [expected(&into)]);

    let nowhere: Namespace = "in-nowhere".parse().unwrap();
    let unknown = Err(AccountError::OrganizationUnknown { name: nowhere.clone() });
    assert_eq!(world.invitations.invitations(Some(&nowhere)).await.map(drop), unknown);
    let joining = Joining { organization: nowhere, role: MemberRole::Member };
    assert_eq!(put(world, &new(world, Some(joining))).await, unknown);
}

async fn an_invitation_makes_one_account(world: &World) {
    let invitation = new(world, None);
    put(world, &invitation).await.unwrap();
    take(world, &invitation, "in-one").await.unwrap();

    let made = world.users.user(&"in-one".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(made.role, Role::User);
    assert!(!waiting(world, None).await.contains(&invitation.id));
    for name in ["in-one", "in-two"] {
        assert_eq!(take(world, &invitation, name).await, Err(AccountError::InvitationUnknown), "{name}");
    }
    assert_eq!(world.users.user(&"in-two".parse().unwrap()).await.unwrap(), None);
    let never = NewInvitation { hash: [0; 32], ..invitation };
    assert_eq!(take(world, &never, "in-two").await, Err(AccountError::InvitationUnknown));
}

async fn of_many_who_take_one_invitation_one_succeeds(world: &World) {
    let invitation = new(world, None);
    put(world, &invitation).await.unwrap();
    let mut takers = JoinSet::new();
    for number in 0..8 {
        let (world, invitation) = (world.clone(), invitation.clone());
        takers.spawn(async move { take(&world, &invitation, &format!("in-many-{number}")).await });
    }
    let outcomes = takers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");

    let mut made = 0;
    for number in 0..8 {
        let name = format!("in-many-{number}").parse().unwrap();
        made += usize::from(world.users.user(&name).await.unwrap().is_some());
    }
    assert_eq!(made, 1);
}

async fn who_is_invited_by_an_organization_is_in_it(world: &World) {
    let team = organization(world, "in-group").await;
    for (name, role) in [("in-member", MemberRole::Member), ("in-owner", MemberRole::Owner)] {
        let invitation = new(world, Some(Joining { organization: team.clone(), role }));
        put(world, &invitation).await.unwrap();
        take(world, &invitation, name).await.unwrap();

        let user = name.parse().unwrap();
        let page = crate::metadata::PageRequest { after: None, limit: 10 };
        let of_user = world.organizations.organizations_of(&user, &page).await.unwrap();
        assert_eq!(of_user.entries, [(team.clone(), role)]);
    }
    assert_eq!(waiting(world, Some(&team)).await, []);
}

async fn what_is_refused_leaves_the_invitation(world: &World) {
    let invitation = new(world, None);
    put(world, &invitation).await.unwrap();
    world.user("in-taken", Role::User).await;
    let taken = Err(AccountError::NameTaken { name: "in-taken".parse().unwrap() });
    assert_eq!(take(world, &invitation, "in-taken").await, taken);
    let reserved = Err(AccountError::NameReserved { name: "users".parse().unwrap() });
    assert_eq!(take(world, &invitation, "users").await, reserved);
    take(world, &invitation, "in-free").await.unwrap();
}

async fn a_revoked_invitation_is_gone(world: &World) {
    let team = organization(world, "in-revoke").await;
    let invitation = new(world, Some(Joining { organization: team.clone(), role: MemberRole::Member }));
    put(world, &invitation).await.unwrap();
    let revoke = async |organization: Option<&Namespace>| {
        world.invitations.revoke_invitation(organization, &invitation.id, &Actor::service()).await
    };

    assert_eq!(revoke(None).await, Err(AccountError::InvitationUnknown), "it waits elsewhere");
    assert_eq!(revoke(Some(&team)).await, Ok(()));
    assert_eq!(revoke(Some(&team)).await, Err(AccountError::InvitationUnknown));
    assert_eq!(waiting(world, Some(&team)).await, []);
    assert_eq!(take(world, &invitation, "in-late").await, Err(AccountError::InvitationUnknown));
}

async fn an_invitation_ends(world: &World) {
    let invitation = new(world, None);
    put(world, &invitation).await.unwrap();
    world.clock.advance(INVITATION_LIFETIME);

    assert_eq!(waiting(world, None).await, []);
    assert_eq!(take(world, &invitation, "in-late").await, Err(AccountError::InvitationUnknown));
    assert_eq!(world.users.user(&"in-late".parse().unwrap()).await.unwrap(), None);
}

async fn an_invitation_ends_with_the_rights_of_whoever_made_it(world: &World) {
    let team = organization(world, "in-rights").await;
    let (owner, other): (AccountName, AccountName) =
        ("in-rights-owner".parse().unwrap(), "in-rights-other".parse().unwrap());
    world.user(other.as_str(), Role::User).await;
    let service = Actor::service();
    world.organizations.put_member(&team, &other, MemberRole::Owner, &service).await.unwrap();
    world.user("in-stays", Role::Administrator).await;
    let chief = world.user("in-chief", Role::Administrator).await;
    let by_owner = Actor { subject: Subject::User(owner.clone()), ..Actor::service() };
    let by_other = Actor { subject: Subject::User(other.clone()), ..Actor::service() };

    let joining = || Some(Joining { organization: team.clone(), role: MemberRole::Owner });
    let (plain, into) = (new(world, None), new(world, joining()));
    let (owners, others) = (new(world, joining()), new(world, joining()));
    for (invitation, by) in [(&plain, &chief), (&into, &chief), (&owners, &by_owner), (&others, &by_other)] {
        world.invitations.put_invitation(invitation, by).await.unwrap();
    }
    let good = new(world, joining());
    world.invitations.put_invitation(&good, &by_owner).await.unwrap();
    take(world, &good, "in-rightly").await.unwrap();

    let lowered = UserChange { role: Some(Role::User), ..UserChange::default() };
    world.users.change_user(&"in-chief".parse().unwrap(), &lowered, &service).await.unwrap();
    world.organizations.put_member(&team, &owner, MemberRole::Member, &service).await.unwrap();
    let disabled = UserChange { standing: Some(Standing::Disabled), ..UserChange::default() };
    world.users.change_user(&other, &disabled, &service).await.unwrap();
    for (number, invitation) in [plain, into, owners, others].iter().enumerate() {
        let late = take(world, invitation, &format!("in-wrongly-{number}")).await;
        assert_eq!(late, Err(AccountError::InvitationUnknown), "{number}");
    }
}

async fn only_so_many_wait(world: &World) {
    let team = organization(world, "in-full").await;
    let joining = || Some(Joining { organization: team.clone(), role: MemberRole::Member });
    for _ in 0..MAX_INVITATIONS {
        put(world, &new(world, joining())).await.unwrap();
    }
    let full = put(world, &new(world, joining())).await;
    assert!(matches!(full, Err(AccountError::TooMany { limit: MAX_INVITATIONS, .. })), "{full:?}");

    put(world, &new(world, None)).await.unwrap();
    world.clock.advance(INVITATION_LIFETIME);
    put(world, &new(world, joining())).await.unwrap();
    assert_eq!(waiting(world, Some(&team)).await.len(), 1);
}
