//! Every operation on organizations, cut off after each mutation, and in the one order with a rival that hurts; teams
//! that are too many to be told of at once; and organizations of a release that knew no members.

use oci::{AccountName, Namespace};
use proto::metadata::{
    AccountError, Accounts as _, Organizations as _, PageRequest,
    accounts::Role,
    organizations::{Grantee, Level, MemberRole, Membership},
};

use super::{
    cut::{account, actor, service},
    members,
    mended::is_mended,
    rights::{Rights, USERS, crew, crew_app, crewed, revoked, rights, rights_are_listed, set, team, user},
};
use crate::{
    Service, keys,
    keyspace::{Commit, Keyspace as _, Mutation},
    revoking::TOLD_AT_ONCE,
};

/// Does `operation` in a new world for each mutation that it could be cut after, and then again. What a cut removal has
/// removed already cannot be removed again.
async fn cut_everywhere(operation: impl AsyncFn(&Service) -> Result<(), AccountError>) {
    for after in 0.. {
        let (keyspace, service) = crewed().await;
        let told = revoked(&service).await;
        assert!(told.is_empty(), "nobody has lost anything yet");
        let mut before = Vec::new();
        for name in USERS {
            before.push(rights(&service, name).await);
        }

        keyspace.cut_after(after);
        let outcome = operation(&service).await;
        keyspace.mend();
        losses_are_told(&service, &before).await;
        rights_are_listed(&service, &crew()).await;
        if outcome.is_ok() {
            assert!(after > 0, "the operation has made no commit that could be cut");
            return;
        }

        match operation(&service).await {
            Ok(()) | Err(AccountError::MemberUnknown { .. } | AccountError::TeamUnknown { .. }) => {}
            Err(error) => panic!("after {after}: {error}"),
        }
        losses_are_told(&service, &before).await;
        rights_are_listed(&service, &crew()).await;

        // Nobody does it again, but what it has left is mended.
        let (keyspace, service) = crewed().await;
        keyspace.cut_after(after);
        let _cut = operation(&service).await;
        keyspace.mend();
        is_mended(&service).await;
        losses_are_told(&service, &before).await;
        rights_are_listed(&service, &crew()).await;
    }
}

async fn losses_are_told(service: &Service, before: &[Rights]) {
    let told = revoked(service).await;
    for (name, (role, level)) in USERS.iter().zip(before) {
        let now = rights(service, name).await;
        let less = now.0 < *role || now.1 < *level;
        assert!(!less || told.contains(&user(name)), "{name} has lost a right in silence");
    }
}

#[tokio::test]
async fn members_who_come_change_and_go() {
    for (name, role) in [
        ("cid", MemberRole::Member),
        ("cid", MemberRole::Owner),
        ("bob", MemberRole::Owner),
        ("dan", MemberRole::Member),
    ] {
        cut_everywhere(async |service: &Service| {
            service.put_member(&crew(), &user(name), role, &actor()).await
        })
        .await;
    }
    for name in ["bob", "dan"] {
        cut_everywhere(async |service: &Service| service.remove_member(&crew(), &user(name), &actor()).await)
            .await;
    }
}

#[tokio::test]
async fn teams_that_come_and_go_and_who_is_in_them() {
    for name in ["testers", "devs"] {
        cut_everywhere(async |service: &Service| {
            service.put_team(&crew(), &team(name), "what they do", &actor()).await
        })
        .await;
    }
    cut_everywhere(async |service: &Service| service.remove_team(&crew(), &team("devs"), &actor()).await)
        .await;
    cut_everywhere(async |service: &Service| set(service, "devs", "ann", Membership::In).await).await;
    cut_everywhere(async |service: &Service| set(service, "devs", "bob", Membership::Out).await).await;
}

#[tokio::test]
async fn grants_that_rise_fall_and_go() {
    let (devs, ops) = (Grantee::Team(team("devs")), Grantee::Team(team("ops")));
    let (cid, bob) = (Grantee::User(user("cid")), Grantee::User(user("bob")));
    for (grantee, level) in [
        (&devs, Some(Level::Read)),
        (&devs, None),
        (&ops, Some(Level::Admin)),
        (&cid, None),
        (&bob, Some(Level::Admin)),
    ] {
        cut_everywhere(async |service: &Service| service.grant(&crew_app(), grantee, level, &actor()).await)
            .await;
    }
}

#[tokio::test]
async fn an_organization_whose_making_was_cut_is_made_by_its_founder_only() {
    let band: Namespace = "band".parse().unwrap();
    for after in 0.. {
        let (keyspace, service) = crewed().await;
        keyspace.cut_after(after);
        let outcome = service.create_organization(&band, &user("ann"), &actor()).await;
        keyspace.mend();
        rights_are_listed(&service, &band).await;
        if outcome.is_ok() {
            assert_eq!(after, 12, "so many mutations make an organization");
            return;
        }

        // The first two are entries of the audit log, the third is the founder's name, the fourth the claim.
        let other = service.create_organization(&band, &user("bob"), &actor()).await;
        assert_eq!(other.is_ok(), after < 4, "after {after}");
        let again = service.create_organization(&band, &user("ann"), &actor()).await;
        assert_eq!(again.is_ok(), after >= 4, "after {after}");
        rights_are_listed(&service, &band).await;
        let page = PageRequest { after: None, limit: 9 };
        assert_eq!(service.members(&band, &page).await.unwrap().entries.len(), 1);
    }
}

#[tokio::test]
async fn a_member_leaves_while_put_into_a_team() {
    let (keyspace, service) = crewed().await;
    service.put_team(&crew(), &team("testers"), "", &actor()).await.unwrap();
    let rival = service.clone();
    keyspace.interpose(async move { rival.remove_member(&crew(), &user("bob"), &actor()).await.unwrap() });

    let refused = set(&service, "testers", "bob", Membership::In).await.unwrap_err();
    assert_eq!(refused, AccountError::MemberUnknown { organization: crew(), user: user("bob") });
    rights_are_listed(&service, &crew()).await;
}

#[tokio::test]
async fn a_member_is_put_into_a_team_while_removed() {
    let (keyspace, service) = crewed().await;
    service.put_team(&crew(), &team("testers"), "", &actor()).await.unwrap();
    let rival = service.clone();
    keyspace.interpose(async move {
        set(&rival, "devs", "bob", Membership::Out).await.unwrap();
        set(&rival, "testers", "bob", Membership::In).await.unwrap();
    });

    service.remove_member(&crew(), &user("bob"), &actor()).await.unwrap();
    assert_eq!(members(&service, &keys::user_teams(&user("bob"))).await.len(), 0);
    rights_are_listed(&service, &crew()).await;
}

#[tokio::test]
async fn a_team_goes_while_it_is_granted_something() {
    let (keyspace, service) = crewed().await;
    let rival = service.clone();
    keyspace.interpose(async move { rival.remove_team(&crew(), &team("ops"), &actor()).await.unwrap() });

    let ops = Grantee::Team(team("ops"));
    let refused = service.grant(&crew_app(), &ops, Some(Level::Read), &actor()).await.unwrap_err();
    assert_eq!(refused, AccountError::TeamUnknown { organization: crew(), team: team("ops") });
}

#[tokio::test]
async fn somebody_joins_a_team_while_it_loses_what_it_has() {
    let (keyspace, service) = crewed().await;
    let rival = service.clone();
    keyspace.interpose(async move { set(&rival, "devs", "dan", Membership::In).await.unwrap() });
    let devs = Grantee::Team(team("devs"));
    service.grant(&crew_app(), &devs, Some(Level::Read), &actor()).await.unwrap();
    assert!(revoked(&service).await.contains(&user("dan")), "who has come last loses it like the others");

    let rival = service.clone();
    keyspace.interpose(async move { set(&rival, "devs", "ann", Membership::In).await.unwrap() });
    service.remove_team(&crew(), &team("devs"), &actor()).await.unwrap();
    assert!(revoked(&service).await.contains(&user("ann")));
    rights_are_listed(&service, &crew()).await;
}

#[tokio::test]
async fn the_other_owner_leaves_while_one_does() {
    let (keyspace, service) = crewed().await;
    let rival = service.clone();
    keyspace.interpose(async move { rival.remove_member(&crew(), &user("ann"), &actor()).await.unwrap() });

    let refused = service.remove_member(&crew(), &user("dan"), &actor()).await.unwrap_err();
    assert_eq!(refused, AccountError::LastOwner { organization: crew(), user: user("dan") });
    rights_are_listed(&service, &crew()).await;
}

/// Some more than one commit tells of, in the team `devs`.
async fn crowd(service: &Service) -> Vec<AccountName> {
    let names: Vec<AccountName> =
        (0..TOLD_AT_ONCE + 50).map(|number| user(&format!("user-{number}"))).collect();
    for name in &names {
        service.create_account(&account(name.as_str(), Role::User), &actor()).await.unwrap();
        service.put_member(&crew(), name, MemberRole::Member, &actor()).await.unwrap();
        set(service, "devs", name.as_str(), Membership::In).await.unwrap();
    }
    names
}

#[tokio::test]
async fn a_crowd_that_loses_a_right_is_told_of_to_the_last() {
    let (_, service) = crewed().await;
    let names = crowd(&service).await;
    let devs = Grantee::Team(team("devs"));
    service.grant(&crew_app(), &devs, Some(Level::Read), &actor()).await.unwrap();

    let told = revoked(&service).await;
    assert!(names.iter().all(|name| told.contains(name)));
    assert_eq!(rights(&service, "user-7").await.1, Some(Level::Read));
}

#[tokio::test]
async fn a_crowd_whose_team_goes_is_in_no_team() {
    let (_, service) = crewed().await;
    let names = crowd(&service).await;
    service.remove_team(&crew(), &team("devs"), &actor()).await.unwrap();

    let told = revoked(&service).await;
    for name in &names {
        assert!(told.contains(name));
        assert_eq!(members(&service, &keys::user_teams(name)).await.len(), 0);
    }
    assert_eq!(rights(&service, "user-7").await, (Some(MemberRole::Member), None));
}

#[tokio::test]
async fn the_founder_owns_what_an_earlier_release_has_made() {
    let (keyspace, earlier) = crewed().await;
    let forgotten = Commit::synced()
        .then(Mutation::RemoveRecord(keys::roles(&crew())))
        .then(Mutation::RemoveSet(keys::owners(&crew())))
        .then(Mutation::RemoveSet(keys::members(&crew())))
        .then(Mutation::RemoveSet(keys::member_organizations(&user("ann"))));
    keyspace.commit(forgotten).await.unwrap();
    assert_eq!(rights(&earlier, "ann").await.0, None);

    let service = service(keyspace.clone()).await;
    assert_eq!(rights(&service, "ann").await.0, Some(MemberRole::Owner));
    assert_eq!(rights(&service, "dan").await.0, None);
    let page = PageRequest { after: None, limit: 9 };
    let theirs = service.organizations_of(&user("ann"), &page).await.unwrap();
    assert_eq!(theirs.entries, [(crew(), MemberRole::Owner)]);
}

#[tokio::test]
async fn a_founder_who_has_left_stays_away() {
    let (keyspace, earlier) = crewed().await;
    earlier.remove_member(&crew(), &user("ann"), &actor()).await.unwrap();

    let service = service(keyspace.clone()).await;
    assert_eq!(rights(&service, "ann").await.0, None);
    assert_eq!(rights(&service, "dan").await.0, Some(MemberRole::Owner));
}
