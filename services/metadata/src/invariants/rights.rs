//! A world of users with rights, and what must be so in it however an operation ends: rights are listed where owners
//! see them, and whoever has lost one has been told of.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use oci::{AccountName, Namespace, RepositoryName, TeamName};
use proto::{
    auth::Subject,
    metadata::{
        Accounts as _, Organizations as _, Uploads as _,
        accounts::{AccessQuestion, FactsOf, Role},
        credentials::Revoked,
        organizations::{Grantee, Level, MemberRole, Membership},
    },
};

use super::{
    cut::{Cutting, Upload, account, actor, digest, held, service},
    fields, members, record,
};
use crate::{
    Service,
    keys::{self, TeamId, field},
    namespaces::Owner,
};

pub(super) const USERS: [&str; 4] = ["ann", "bob", "cid", "dan"];

pub(super) fn user(name: &str) -> AccountName {
    name.parse().unwrap()
}

pub(super) fn team(name: &str) -> TeamName {
    name.parse().unwrap()
}

pub(super) fn crew() -> Namespace {
    "crew".parse().unwrap()
}

pub(super) fn crew_app() -> RepositoryName {
    "crew/app".parse().unwrap()
}

/// Ann and Dan own `crew`. Bob is a member, in the teams `devs` and `ops`, of which `devs` may write to `crew/app`. Cid
/// is nobody there, and may read it.
pub(super) async fn crewed() -> (Arc<Cutting>, Service) {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    for name in USERS {
        service.create_account(&account(name, Role::User), &actor()).await.unwrap();
    }
    let actor = actor();
    service.create_organization(&crew(), &user("ann"), &actor).await.unwrap();
    service.put_member(&crew(), &user("dan"), MemberRole::Owner, &actor).await.unwrap();
    service.put_member(&crew(), &user("bob"), MemberRole::Member, &actor).await.unwrap();
    for name in ["devs", "ops"] {
        service.put_team(&crew(), &team(name), "", &actor).await.unwrap();
        set(&service, name, "bob", Membership::In).await.unwrap();
    }

    let link = held(&service, &crew_app(), &digest("layer 1"), Upload::Reused(1)).await;
    service.link(&link, &actor).await.unwrap();
    let (devs, cid) = (Grantee::Team(team("devs")), Grantee::User(user("cid")));
    service.grant(&crew_app(), &devs, Some(Level::Write), &actor).await.unwrap();
    service.grant(&crew_app(), &cid, Some(Level::Read), &actor).await.unwrap();
    (keyspace, service)
}

pub(super) async fn set(
    service: &Service,
    name: &str,
    who: &str,
    membership: Membership,
) -> Result<(), proto::metadata::AccountError> {
    service.set_team_member(&crew(), &team(name), &user(who), membership, &actor()).await
}

/// What a user is in `crew`, and may do with `crew/app`.
pub(super) type Rights = (Option<MemberRole>, Option<Level>);

pub(super) async fn rights(service: &Service, name: &str) -> Rights {
    let asker = FactsOf::User(user(name));
    let question = AccessQuestion { asker, repositories: vec![crew_app()], namespaces: Vec::new() };
    let facts = service.access_facts(&question).await.unwrap();
    (facts.repositories[0].namespace.role, facts.repositories[0].level)
}

/// The users who have been told of.
pub(super) async fn revoked(service: &Service) -> BTreeSet<AccountName> {
    let entries = members(service, &keys::REVOKED).await;
    let told = entries.iter().map(|entry| serde_json::from_slice(keys::last_part(entry)).unwrap());
    let subjects = told.filter_map(|what| match what {
        Revoked::Subject(Subject::User(name)) => Some(name),
        _ => None,
    });
    subjects.collect()
}

/// What is a right is in the lists, too, and an organization has an owner.
pub(super) async fn rights_are_listed(service: &Service, organization: &Namespace) {
    let organization_record = record(service, &keys::namespace(Owner::Organization, organization)).await;
    let roles = fields::<AccountName, String>(&record(service, &keys::roles(organization)).await);
    let listed = members(service, &keys::members(organization)).await;
    let owners = members(service, &keys::owners(organization)).await;
    let exists = organization_record.get(field::NAME).is_some();
    assert!(!exists || roles.values().any(|role| role == "owner"), "{organization} has no owner");

    let this: Bytes = organization.to_string().into();
    for (name, role) in &roles {
        let member: Bytes = name.to_string().into();
        assert!(listed.contains(&member), "{name} is not listed");
        assert!(role != "owner" || owners.contains(&member), "{name} is not among the owners");
        assert!(members(service, &keys::member_organizations(name)).await.contains(&this));
    }

    let teams: BTreeSet<TeamId> = service.team_ids(organization).await.unwrap().into_values().collect();
    for name in USERS.map(user) {
        let entries = members(service, &keys::user_teams(&name)).await;
        for entry in entries.iter().filter(|entry| keys::first_part(entry) == this) {
            let id = TeamId(std::str::from_utf8(keys::last_part(entry)).unwrap().parse().unwrap());
            assert!(roles.contains_key(&name), "{name} is in a team and no member");
            assert!(teams.contains(&id), "{name} is in a team that is gone");
            let listed = members(service, &keys::team_members(organization, id)).await;
            assert!(listed.contains(&Bytes::from(name.to_string())), "the team does not know {name}");
        }
    }
}
