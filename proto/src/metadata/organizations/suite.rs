//! What every implementation of `Organizations` does, and what decisions hear of it, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::{AccountName, Namespace, RepositoryName, TeamName};
use tokio::{join, task::JoinSet};

use super::{Grantee, Level, MAX_TEAMS, MemberRole, Membership, Organization, OrganizationProfile, Team};
use crate::metadata::{
    AccountError, Actor, More, Page, PageRequest, Standing, Visibility,
    accounts::{AccessFacts, AccessQuestion, FactsOf, NamespaceFacts, NamespaceKind, RepositoryFacts, Role},
    uploads::suite::world::{World, account, now, repository},
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    an_organization_is_what_was_made_and_said_of_it(&world).await;
    of_many_who_make_one_organization_one_succeeds(&world).await;
    names_of_users_and_organizations_exclude_each_other(&world).await;
    only_an_active_user_makes_an_organization(&world).await;
    all_organizations_come_in_pages(&world).await;
    members_come_in_pages_and_change_roles(&world).await;
    the_last_owner_neither_leaves_nor_becomes_less(&world).await;
    of_two_last_owners_who_go_at_once_one_stays(&world).await;
    teams_are_of_members_only(&world).await;
    a_member_who_is_removed_is_in_no_team(&world).await;
    a_new_team_of_an_old_name_has_nothing(&world).await;
    there_are_only_so_many_teams(&world).await;
    the_highest_grant_counts(&world).await;
    grants_are_for_those_who_are_there(&world).await;
    facts_come_in_the_order_asked(&world).await;
    who_pushes_first_as_an_administrator_owns_the_organization(&world).await;
}

fn name(text: &str) -> Namespace {
    text.parse().unwrap()
}

fn user(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn team(text: &str) -> TeamName {
    text.parse().unwrap()
}

fn of_team(text: &str) -> Grantee {
    Grantee::Team(team(text))
}

fn of_user(text: &str) -> Grantee {
    Grantee::User(user(text))
}

const fn page<T>(after: Option<T>, limit: usize) -> PageRequest<T> {
    PageRequest { after, limit }
}

async fn all_organizations_come_in_pages(world: &World) {
    Org::made(world, "all-b").await;
    Org::made(world, "all-a").await;
    let ours = |name: &Namespace| name.as_str().starts_with("all-");

    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.organizations.organizations(&page(after, 1)).await.unwrap();
        after = page.entries.last().cloned();
        found.extend(page.entries);
        if page.more == More::No {
            break;
        }
    }
    found.retain(ours);
    assert_eq!(found, [name("all-a"), name("all-b")]);
}

/// An organization with its first owner, who does what the cases do.
struct Org<'a> {
    world: &'a World,
    name: Namespace,
    actor: Actor,
}

impl<'a> Org<'a> {
    /// `<name>-owner` makes the organization `name`.
    async fn made(world: &'a World, text: &str) -> Self {
        let owner = format!("{text}-owner");
        let actor = world.user(&owner, Role::User).await;
        world.organizations.create_organization(&name(text), &user(&owner), &actor).await.unwrap();
        Self { world, name: name(text), actor }
    }

    async fn put(&self, who: &str, role: MemberRole) -> Result<(), AccountError> {
        self.world.organizations.put_member(&self.name, &user(who), role, &self.actor).await
    }

    async fn remove(&self, who: &str) -> Result<(), AccountError> {
        self.world.organizations.remove_member(&self.name, &user(who), &self.actor).await
    }

    async fn new_member(&self, who: &str) {
        self.world.user(who, Role::User).await;
        self.put(who, MemberRole::Member).await.unwrap();
    }

    async fn put_team(&self, text: &str) -> Result<(), AccountError> {
        self.world.organizations.put_team(&self.name, &team(text), "", &self.actor).await
    }

    async fn remove_team(&self, text: &str) -> Result<(), AccountError> {
        self.world.organizations.remove_team(&self.name, &team(text), &self.actor).await
    }

    async fn set(&self, text: &str, who: &str, membership: Membership) -> Result<(), AccountError> {
        let (team, who) = (team(text), user(who));
        self.world.organizations.set_team_member(&self.name, &team, &who, membership, &self.actor).await
    }

    async fn team_members(&self, text: &str) -> Vec<AccountName> {
        let all = page(None, 1_000);
        self.world.organizations.team_members(&self.name, &team(text), &all).await.unwrap().entries
    }

    async fn pushed(&self, text: &str) -> RepositoryName {
        let repository = repository(&format!("{}/{text}", self.name));
        self.world.push_blob(&repository, repository.as_str(), &self.actor).await;
        repository
    }

    async fn grant(
        &self,
        repository: &RepositoryName,
        grantee: &Grantee,
        level: Option<Level>,
    ) -> Result<(), AccountError> {
        self.world.organizations.grant(repository, grantee, level, &self.actor).await
    }

    async fn roles(&self, of: &[&str]) -> Vec<Option<MemberRole>> {
        let mut roles = Vec::new();
        for who in of {
            let namespaces = vec![self.name.clone()];
            roles.push(facts(self.world, who, Vec::new(), namespaces).await.namespaces[0].role);
        }
        roles
    }
}

async fn facts(
    world: &World,
    who: &str,
    repositories: Vec<RepositoryName>,
    namespaces: Vec<Namespace>,
) -> AccessFacts {
    let question = AccessQuestion { asker: FactsOf::User(user(who)), repositories, namespaces };
    world.accounts.access_facts(&question).await.unwrap()
}

async fn level(world: &World, who: &str, repository: &RepositoryName) -> Option<Level> {
    facts(world, who, vec![repository.clone()], Vec::new()).await.repositories[0].level
}

async fn an_organization_is_what_was_made_and_said_of_it(world: &World) {
    let unknown = || AccountError::OrganizationUnknown { name: name("or-said") };
    let profile = OrganizationProfile {
        display_name: "Said & Done".to_owned(),
        description: "*much*".to_owned(),
        email: "said@example.org".to_owned(),
    };
    let actor = Actor::service();
    assert_eq!(world.organizations.organization(&name("or-said")).await.unwrap(), None);
    let refused = world.organizations.describe_organization(&name("or-said"), &profile, &actor).await;
    assert_eq!(refused.unwrap_err(), unknown());
    assert_eq!(world.organizations.teams(&name("or-said")).await.unwrap_err(), unknown());
    assert_eq!(world.organizations.members(&name("or-said"), &page(None, 9)).await.unwrap_err(), unknown());

    let org = Org::made(world, "or-said").await;
    let made =
        Organization { name: org.name.clone(), profile: OrganizationProfile::default(), created: now(world) };
    assert_eq!(world.organizations.organization(&org.name).await.unwrap(), Some(made.clone()));

    world.organizations.describe_organization(&org.name, &profile, &org.actor).await.unwrap();
    let said = Organization { profile, ..made };
    assert_eq!(world.organizations.organization(&org.name).await.unwrap(), Some(said));
    assert_eq!(org.roles(&["or-said-owner", "or-said-nobody"]).await, [Some(MemberRole::Owner), None]);
    assert_eq!(world.organizations.organization(&name("or-said-owner")).await.unwrap(), None);
}

async fn of_many_who_make_one_organization_one_succeeds(world: &World) {
    let mut makers = JoinSet::new();
    for number in 0..16 {
        let actor = world.user(&format!("or-race-{number}"), Role::User).await;
        let organizations = world.organizations.clone();
        makers.spawn(async move {
            let owner = user(&format!("or-race-{number}"));
            organizations.create_organization(&name("or-race"), &owner, &actor).await.map(|()| owner)
        });
    }

    let outcomes = makers.join_all().await;
    let made: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(made.len(), 1);
    let taken = AccountError::NameTaken { name: name("or-race") };
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|error| *error == taken)));
    let members = world.organizations.members(&name("or-race"), &page(None, 100)).await.unwrap();
    assert_eq!(members.entries, [(made[0].clone(), MemberRole::Owner)], "who has lost is nothing there");
}

async fn names_of_users_and_organizations_exclude_each_other(world: &World) {
    let org = Org::made(world, "or-name").await;
    let taken = |text: &str| AccountError::NameTaken { name: name(text) };
    let create = |text: &'static str| {
        let (organizations, actor) = (&world.organizations, &org.actor);
        async move { organizations.create_organization(&name(text), &user("or-name-owner"), actor).await }
    };

    let as_user = world.accounts.create_account(&account("or-name", Role::User), &Actor::service()).await;
    assert_eq!(as_user.unwrap_err(), taken("or-name"));
    assert_eq!(create("or-name").await.unwrap_err(), taken("or-name"));
    assert_eq!(create("or-name-owner").await.unwrap_err(), taken("or-name-owner"));
    for reserved in ["library", "users", "v2"] {
        let refused = AccountError::NameReserved { name: name(reserved) };
        assert_eq!(create(reserved).await.unwrap_err(), refused);
    }
}

async fn only_an_active_user_makes_an_organization(world: &World) {
    let mut disabled = account("or-disabled", Role::User);
    disabled.standing = Standing::Disabled;
    world.accounts.create_account(&disabled, &Actor::service()).await.unwrap();

    for who in ["or-disabled", "or-nobody"] {
        let made =
            world.organizations.create_organization(&name("or-none"), &user(who), &Actor::service()).await;
        assert_eq!(made.unwrap_err(), AccountError::AccountUnknown { name: user(who) });
    }
    assert_eq!(world.organizations.organization(&name("or-none")).await.unwrap(), None);
}

async fn members_come_in_pages_and_change_roles(world: &World) {
    let org = Org::made(world, "or-pages").await;
    for who in ["or-pages-b", "or-pages-a", "or-pages-c"] {
        org.new_member(who).await;
    }
    org.put("or-pages-c", MemberRole::Owner).await.unwrap();
    org.put("or-pages-c", MemberRole::Owner).await.unwrap();

    let (member, owner) = (MemberRole::Member, MemberRole::Owner);
    let first = world.organizations.members(&org.name, &page(None, 2)).await.unwrap();
    let expected = vec![(user("or-pages-a"), member), (user("or-pages-b"), member)];
    assert_eq!(first, Page { entries: expected, more: More::Yes });
    let rest = world.organizations.members(&org.name, &page(Some(user("or-pages-b")), 2)).await.unwrap();
    let expected = vec![(user("or-pages-c"), owner), (user("or-pages-owner"), owner)];
    assert_eq!(rest, Page { entries: expected, more: More::No });

    let other = name("or-pages-2");
    world.organizations.create_organization(&other, &user("or-pages-a"), &org.actor).await.unwrap();
    let theirs = world.organizations.organizations_of(&user("or-pages-a"), &page(None, 1)).await.unwrap();
    assert_eq!(theirs, Page { entries: vec![(org.name.clone(), member)], more: More::Yes });
    let after = Some(org.name.clone());
    let theirs = world.organizations.organizations_of(&user("or-pages-a"), &page(after, 9)).await.unwrap();
    assert_eq!(theirs, Page { entries: vec![(other, owner)], more: More::No });

    let unknown = AccountError::AccountUnknown { name: user("or-nobody") };
    assert_eq!(org.put("or-nobody", member).await.unwrap_err(), unknown);
}

async fn the_last_owner_neither_leaves_nor_becomes_less(world: &World) {
    let org = Org::made(world, "or-last").await;
    let owner = "or-last-owner";
    org.new_member("or-last-a").await;
    let last = AccountError::LastOwner { organization: org.name.clone(), user: user(owner) };
    assert_eq!(org.remove(owner).await.unwrap_err(), last);
    assert_eq!(org.put(owner, MemberRole::Member).await.unwrap_err(), last);
    assert_eq!(org.roles(&[owner]).await, [Some(MemberRole::Owner)]);

    org.put("or-last-a", MemberRole::Owner).await.unwrap();
    org.put(owner, MemberRole::Member).await.unwrap();
    org.remove(owner).await.unwrap();
    assert_eq!(org.roles(&[owner, "or-last-a"]).await, [None, Some(MemberRole::Owner)]);
    let unknown = AccountError::MemberUnknown { organization: org.name.clone(), user: user(owner) };
    assert_eq!(org.remove(owner).await.unwrap_err(), unknown);
    let theirs = world.organizations.organizations_of(&user(owner), &page(None, 9)).await.unwrap();
    assert_eq!(theirs, Page { entries: vec![], more: More::No });
}

async fn of_two_last_owners_who_go_at_once_one_stays(world: &World) {
    let org = Org::made(world, "or-both").await;
    let (one, other) = ("or-both-owner", "or-both-a");
    org.new_member(other).await;
    for _ in 0..8 {
        org.put(one, MemberRole::Owner).await.unwrap();
        org.put(other, MemberRole::Owner).await.unwrap();

        let outcomes = join!(org.remove(one), org.put(other, MemberRole::Member));
        let refused = [outcomes.0, outcomes.1].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        assert!(matches!(refused[..], [AccountError::LastOwner { .. }]), "{refused:?}");
        let owners = org.roles(&[one, other]).await;
        assert_eq!(owners.iter().filter(|role| **role == Some(MemberRole::Owner)).count(), 1);
    }
}

async fn teams_are_of_members_only(world: &World) {
    let org = Org::made(world, "or-teams").await;
    world.user("or-teams-a", Role::User).await;
    let unknown = AccountError::TeamUnknown { organization: org.name.clone(), team: team("devs") };
    assert_eq!(org.set("devs", "or-teams-owner", Membership::In).await.unwrap_err(), unknown);
    assert_eq!(org.remove_team("devs").await.unwrap_err(), unknown);

    org.put_team("devs").await.unwrap();
    org.put_team("admins").await.unwrap();
    let said = world.organizations.put_team(&org.name, &team("devs"), "*they*", &org.actor).await;
    said.unwrap();
    let described = |text: &str, said: &str| Team { name: team(text), description: said.to_owned() };
    let teams = world.organizations.teams(&org.name).await.unwrap();
    assert_eq!(teams, [described("admins", ""), described("devs", "*they*")]);

    let outsider = AccountError::MemberUnknown { organization: org.name.clone(), user: user("or-teams-a") };
    assert_eq!(org.set("devs", "or-teams-a", Membership::In).await.unwrap_err(), outsider);
    org.put("or-teams-a", MemberRole::Member).await.unwrap();
    for _ in 0..2 {
        org.set("devs", "or-teams-a", Membership::In).await.unwrap();
        assert_eq!(org.team_members("devs").await, [user("or-teams-a")]);
    }
    for _ in 0..2 {
        org.set("devs", "or-teams-a", Membership::Out).await.unwrap();
        assert_eq!(org.team_members("devs").await, []);
    }
}

async fn a_member_who_is_removed_is_in_no_team(world: &World) {
    let org = Org::made(world, "or-gone").await;
    let app = org.pushed("app").await;
    org.new_member("or-gone-a").await;
    for text in ["devs", "ops"] {
        org.put_team(text).await.unwrap();
        org.set(text, "or-gone-a", Membership::In).await.unwrap();
        org.grant(&app, &of_team(text), Some(Level::Write)).await.unwrap();
    }
    assert_eq!(level(world, "or-gone-a", &app).await, Some(Level::Write));

    org.remove("or-gone-a").await.unwrap();
    assert_eq!(level(world, "or-gone-a", &app).await, None);
    org.put("or-gone-a", MemberRole::Member).await.unwrap();
    assert_eq!(level(world, "or-gone-a", &app).await, None, "who comes again is in no team");
    assert_eq!(org.team_members("devs").await, []);
    assert_eq!(org.team_members("ops").await, []);
}

async fn a_new_team_of_an_old_name_has_nothing(world: &World) {
    let org = Org::made(world, "or-again").await;
    let app = org.pushed("app").await;
    org.new_member("or-again-a").await;
    org.put_team("devs").await.unwrap();
    org.set("devs", "or-again-a", Membership::In).await.unwrap();
    org.grant(&app, &of_team("devs"), Some(Level::Admin)).await.unwrap();
    assert_eq!(level(world, "or-again-a", &app).await, Some(Level::Admin));

    org.remove_team("devs").await.unwrap();
    assert_eq!(level(world, "or-again-a", &app).await, None);
    assert_eq!(world.organizations.grants(&app).await.unwrap(), []);

    org.put_team("devs").await.unwrap();
    assert_eq!(org.team_members("devs").await, []);
    org.set("devs", "or-again-a", Membership::In).await.unwrap();
    assert_eq!(level(world, "or-again-a", &app).await, None);
    org.grant(&app, &of_team("devs"), Some(Level::Read)).await.unwrap();
    assert_eq!(level(world, "or-again-a", &app).await, Some(Level::Read));
    assert_eq!(world.organizations.grants(&app).await.unwrap(), [(of_team("devs"), Level::Read)]);
}

async fn there_are_only_so_many_teams(world: &World) {
    let org = Org::made(world, "or-many").await;
    for number in 0..MAX_TEAMS {
        org.put_team(&format!("team-{number}")).await.unwrap();
    }

    let refused = org.put_team("one-more").await.unwrap_err();
    assert!(matches!(refused, AccountError::TooMany { limit: MAX_TEAMS, .. }), "{refused}");
    org.put_team("team-7").await.unwrap();
    org.remove_team("team-7").await.unwrap();
    org.put_team("one-more").await.unwrap();
    assert_eq!(world.organizations.teams(&org.name).await.unwrap().len(), MAX_TEAMS);
}

async fn the_highest_grant_counts(world: &World) {
    let org = Org::made(world, "or-max").await;
    let (app, other) = (org.pushed("app").await, org.pushed("other").await);
    let who = "or-max-a";
    org.new_member(who).await;
    for text in ["readers", "writers"] {
        org.put_team(text).await.unwrap();
        org.set(text, who, Membership::In).await.unwrap();
    }
    org.grant(&app, &of_user(who), Some(Level::Read)).await.unwrap();
    assert_eq!(level(world, who, &app).await, Some(Level::Read));
    org.grant(&app, &of_team("writers"), Some(Level::Write)).await.unwrap();
    org.grant(&app, &of_team("readers"), Some(Level::Read)).await.unwrap();
    assert_eq!(level(world, who, &app).await, Some(Level::Write));
    assert_eq!(level(world, who, &other).await, None, "a grant is on one repository");
    assert_eq!(level(world, "or-max-owner", &app).await, None);

    let grants = world.organizations.grants(&app).await.unwrap();
    let expected =
        [(of_user(who), Level::Read), (of_team("readers"), Level::Read), (of_team("writers"), Level::Write)];
    assert_eq!(grants, expected);

    org.grant(&app, &of_user(who), Some(Level::Admin)).await.unwrap();
    assert_eq!(level(world, who, &app).await, Some(Level::Admin));
    for _ in 0..2 {
        org.grant(&app, &of_user(who), None).await.unwrap();
        org.grant(&app, &of_team("writers"), None).await.unwrap();
    }
    assert_eq!(level(world, who, &app).await, Some(Level::Read));
    org.set("readers", who, Membership::Out).await.unwrap();
    assert_eq!(level(world, who, &app).await, None);
}

async fn grants_are_for_those_who_are_there(world: &World) {
    let org = Org::made(world, "or-there").await;
    let app = org.pushed("app").await;
    let read = Some(Level::Read);
    let absent = repository("or-there/absent");
    let refused = AccountError::RepositoryUnknown { repository: absent.clone() };
    assert_eq!(org.grant(&absent, &of_user("or-there-owner"), read).await.unwrap_err(), refused);
    assert_eq!(world.organizations.grants(&absent).await.unwrap_err(), refused);

    let refused = AccountError::AccountUnknown { name: user("or-nobody") };
    assert_eq!(org.grant(&app, &of_user("or-nobody"), read).await.unwrap_err(), refused);
    let refused = AccountError::TeamUnknown { organization: org.name.clone(), team: team("devs") };
    assert_eq!(org.grant(&app, &of_team("devs"), read).await.unwrap_err(), refused);

    // A user's own repositories have collaborators, but no teams.
    let own = repository("or-there-owner/app");
    world.push_blob(&own, "or-there-owner", &org.actor).await;
    world.user("or-there-a", Role::User).await;
    org.grant(&own, &of_user("or-there-a"), Some(Level::Write)).await.unwrap();
    assert_eq!(level(world, "or-there-a", &own).await, Some(Level::Write));
    org.put_team("devs").await.unwrap();
    let refused = AccountError::TeamUnknown { organization: name("or-there-owner"), team: team("devs") };
    assert_eq!(org.grant(&own, &of_team("devs"), read).await.unwrap_err(), refused);
}

async fn facts_come_in_the_order_asked(world: &World) {
    let org = Org::made(world, "or-facts").await;
    let app = org.pushed("app").await;
    org.new_member("or-facts-a").await;
    org.grant(&app, &of_user("or-facts-a"), Some(Level::Write)).await.unwrap();
    let organization =
        |role| NamespaceFacts { name: org.name.clone(), kind: Some(NamespaceKind::Organization), role };
    let own = NamespaceFacts { name: name("or-facts-a"), kind: Some(NamespaceKind::User), role: None };
    let nobodys = NamespaceFacts { name: name("or-free"), kind: None, role: None };
    let fact = |text: &str, visibility, namespace: &NamespaceFacts, level| RepositoryFacts {
        name: repository(text),
        visibility,
        namespace: namespace.clone(),
        level,
        moved: None,
    };

    let repositories =
        ["or-free/x", "or-facts/app", "or-facts-a/x", "or-facts/absent"].map(repository).to_vec();
    let namespaces = ["or-facts-a", "or-free", "or-facts"].map(name).to_vec();
    let member = organization(Some(MemberRole::Member));
    let found = facts(world, "or-facts-a", repositories.clone(), namespaces.clone()).await;
    let private = Some(Visibility::Private);
    let expected = [
        fact("or-free/x", None, &nobodys, None),
        fact("or-facts/app", private, &member, Some(Level::Write)),
        fact("or-facts-a/x", None, &own, None),
        fact("or-facts/absent", None, &member, None),
    ];
    assert_eq!(found.repositories, expected);
    assert_eq!(found.namespaces, [own.clone(), nobodys.clone(), member]);
    assert_eq!(found.account.unwrap().name, user("or-facts-a"));

    for asker in [FactsOf::Anonymous, FactsOf::User(user("or-nobody")), FactsOf::Credential([9; 32])] {
        let (repositories, namespaces) = (repositories.clone(), namespaces.clone());
        let question = AccessQuestion { asker, repositories, namespaces };
        let found = world.accounts.access_facts(&question).await.unwrap();
        assert!(found.account.is_none() && found.credential.is_none());
        assert_eq!(found.repositories[1], fact("or-facts/app", private, &organization(None), None));
        assert_eq!(found.namespaces, [own.clone(), nobodys.clone(), organization(None)]);
    }
}

async fn who_pushes_first_as_an_administrator_owns_the_organization(world: &World) {
    let actor = world.user("or-admin", Role::Administrator).await;
    world.push_blob(&repository("or-pushed/app"), "or-pushed", &actor).await;

    let members = world.organizations.members(&name("or-pushed"), &page(None, 9)).await.unwrap();
    assert_eq!(members.entries, [(user("or-admin"), MemberRole::Owner)]);
    let theirs = world.organizations.organizations_of(&user("or-admin"), &page(None, 9)).await.unwrap();
    assert_eq!(theirs.entries, [(name("or-pushed"), MemberRole::Owner)]);
}
