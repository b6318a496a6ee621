//! What every implementation of `AuditLog` does, as tests. In the world nothing has been done before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use oci::{AccountName, Digest, Namespace, Reference, RepositoryName};

use super::{Action, ActionName, Entries, Entry, Filter, Target, WantedEntries};
use crate::{
    auth::Subject,
    metadata::{
        AccountError, Actor, Standing, Via, Visibility,
        accounts::{Account, NO_PASSWORD, Role},
        credentials::{Holder, NewCredential, Trust, suite::new},
        federation::{ForeignIdentity, NewIdentity},
        organizations::{Grantee, Level, MemberRole, Membership, OrganizationProfile},
        repositories::{Expected, NewManifest, Restore},
        rules::RuleSet,
        settings::RepositoryChange,
        uploads::suite::world::{World, account, digest, now, repository},
        users::UserChange,
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    nothing_is_said_of_what_is_not_there(&world).await;
    what_is_done_to_a_user_is_said_with_who_did_it(&world).await;
    what_is_done_in_an_organization_is_said(&world).await;
    secrets_are_said_by_their_ids(&world).await;
    identities_are_said_by_their_issuers(&world).await;
    what_is_done_to_a_repository_is_said(&world).await;
    what_is_deleted_and_restored_is_said(&world).await;
    what_changes_nothing_or_is_refused_is_not_said(&world).await;
    the_hub_has_everything_and_a_namespace_its_own(&world).await;
    entries_are_found_by_what_they_say(&world).await;
    entries_are_found_by_their_time(&world).await;
    a_page_leads_to_the_next(&world).await;
    what_is_too_old_is_not_told(&world).await;
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn space(text: &str) -> Namespace {
    text.parse().unwrap()
}

/// Somebody at the management API, with an access token.
fn by(text: &str) -> Actor {
    Actor {
        subject: Subject::User(name(text)),
        via: Via::Api,
        address: "2001:db8::7".parse().ok(),
        credential: "01JD0000000000000000000007".parse().ok(),
    }
}

async fn log(world: &World, wanted: WantedEntries) -> Entries {
    world.audit.audit_entries(&wanted).await.unwrap()
}

async fn entries(world: &World, of: &str) -> Vec<Entry> {
    log(world, WantedEntries { of: Some(space(of)), limit: 1_000, ..WantedEntries::default() }).await.entries
}

/// What was done last.
async fn last(world: &World, of: &str) -> Entry {
    entries(world, of).await.remove(0)
}

/// What was done, the oldest first.
async fn actions(world: &World, of: &str) -> Vec<String> {
    entries(world, of).await.iter().rev().map(|entry| entry.action.to_string()).collect()
}

/// A target in a namespace.
fn within(namespace: &str) -> Target {
    Target { namespace: Some(space(namespace)), ..Target::default() }
}

fn of_repository(repository: &RepositoryName) -> Target {
    Target { repository: Some(repository.clone()), ..within(repository.namespace().as_str()) }
}

fn said(entry: &Entry) -> (&str, &Target) {
    (entry.action.as_str(), &entry.target)
}

async fn nothing_is_said_of_what_is_not_there(world: &World) {
    let wanted = WantedEntries { of: Some(space("au-none")), limit: 10, ..WantedEntries::default() };
    let unknown = AccountError::OwnerUnknown { name: space("au-none") };
    assert_eq!(world.audit.audit_entries(&wanted).await, Err(unknown));
}

async fn what_is_done_to_a_user_is_said_with_who_did_it(world: &World) {
    world.user("au-boss", Role::Administrator).await;
    world.user("au-ann", Role::User).await;
    let before = now(world);
    let all = UserChange {
        role: Some(Role::Administrator),
        standing: Some(Standing::Disabled),
        password_hash: Some("$another$".into()),
        profile: None,
    };
    world.users.change_user(&name("au-ann"), &all, &by("au-boss")).await.unwrap();

    let expected = ["user.create", "user.disable", "user.role", "user.password"];
    assert_eq!(actions(world, "au-ann").await, expected);
    let role = entries(world, "au-ann").await.remove(1);
    let target =
        Target { user: Some(name("au-ann")), to: Some("administrator".to_owned()), ..within("au-ann") };
    assert_eq!((role.action, role.actor, role.target), (Action::UserRole.into(), by("au-boss"), target));
    assert!(role.at >= before && role.at <= now(world));

    let back = UserChange { standing: Some(Standing::Active), ..UserChange::default() };
    world.users.change_user(&name("au-ann"), &back, &by("au-boss")).await.unwrap();
    assert_eq!(last(world, "au-ann").await.action, Action::UserEnable.into());
    let created = entries(world, "au-boss").await;
    assert_eq!(created[0].target.to.as_deref(), Some("administrator"), "it is said what was made");
}

async fn what_is_done_in_an_organization_is_said(world: &World) {
    for user in ["au-org-ann", "au-org-bob"] {
        world.user(user, Role::User).await;
    }
    let (crew, bob, ann) = (space("au-crew"), name("au-org-bob"), by("au-org-ann"));
    let organizations = &world.organizations;
    organizations.create_organization(&crew, &name("au-org-ann"), &ann).await.unwrap();
    let profile = OrganizationProfile::default();
    organizations.describe_organization(&crew, &profile, &ann).await.unwrap();
    organizations.put_member(&crew, &bob, MemberRole::Member, &ann).await.unwrap();
    let devs = "devs".parse().unwrap();
    organizations.put_team(&crew, &devs, "", &ann).await.unwrap();
    organizations.set_team_member(&crew, &devs, &bob, Membership::In, &ann).await.unwrap();
    organizations.set_team_member(&crew, &devs, &bob, Membership::Out, &ann).await.unwrap();
    organizations.remove_team(&crew, &devs, &ann).await.unwrap();
    organizations.remove_member(&crew, &bob, &ann).await.unwrap();

    let expected = [
        "organization.create",
        "organization.describe",
        "member.put",
        "team.put",
        "team_member.put",
        "team_member.remove",
        "team.remove",
        "member.remove",
    ];
    assert_eq!(actions(world, "au-crew").await, expected);
    let entries = entries(world, "au-crew").await;
    assert!(entries.iter().all(|entry| entry.actor == ann));
    let member = Target { user: Some(bob.clone()), to: Some("member".to_owned()), ..within("au-crew") };
    assert_eq!(said(&entries[5]), ("member.put", &member));
    let in_team = Target { user: Some(bob), team: Some(devs), ..within("au-crew") };
    assert_eq!(said(&entries[3]), ("team_member.put", &in_team));
}

async fn secrets_are_said_by_their_ids(world: &World) {
    world.user("au-sec", Role::User).await;
    let ann = by("au-sec");
    let holders = [
        (Holder::User(name("au-sec")), None, "token"),
        (Holder::Session(name("au-sec")), None, "session"),
        (Holder::Robot("au-sec+ci".parse().unwrap()), None, "robot"),
        (Holder::Robot("au-sec+deploy".parse().unwrap()), Some(trust()), "trust"),
    ];
    for (holder, trust, noun) in holders {
        let credential = NewCredential { trust, ..new(holder.clone()) };
        world.credentials.put_credential(&credential, &ann).await.unwrap();
        let made = last(world, "au-sec").await;
        assert_eq!(made.action.to_string(), format!("{noun}.create"));
        assert_eq!(made.target.credential.as_ref(), Some(&credential.id));
        assert_eq!(made.target.label.as_ref(), Some(&credential.label));
        let robot = if let Holder::Robot(name) = &holder { Some(name.clone()) } else { None };
        assert_eq!(made.target.robot, robot);

        world.credentials.revoke_credential(&holder.owner(), &credential.id, &ann).await.unwrap();
        let revoked = last(world, "au-sec").await;
        assert_eq!(revoked.action.to_string(), format!("{noun}.revoke"));
        assert_eq!(revoked.target, made.target);
        let hash = credential.hash.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert!(!format!("{made:?}{revoked:?}").contains(&hash));
    }
}

fn trust() -> Trust {
    let claims = BTreeMap::from([("sub".to_owned(), "repo:au/app".parse().unwrap())]);
    let (issuer, audience) = ("https://ci.example.com".parse().unwrap(), "hub".parse().unwrap());
    Trust { issuer, audience, claims: claims.try_into().unwrap() }
}

async fn identities_are_said_by_their_issuers(world: &World) {
    let issuer = "https://id.example.com".parse().unwrap();
    let identity = ForeignIdentity { issuer, subject: "au-17".parse().unwrap() };
    let (own, by) = (NewIdentity::new(identity.clone(), "Ann"), by("au-idp"));
    let made = Account { password_hash: NO_PASSWORD.into(), ..account("au-idp", Role::User) };
    world.federation.create_federated_account(&made, &own, &by).await.unwrap();
    let unnamed = ForeignIdentity { subject: "au-18".parse().unwrap(), ..identity.clone() };
    let other = NewIdentity::new(unnamed, "");
    for _ in 0..2 {
        world.federation.link_identity(&made.name, &other, &by).await.unwrap();
    }
    world.federation.unlink_identity(&made.name, &identity.id(), &by).await.unwrap();

    let expected = ["user.create", "identity.link", "identity.link", "identity.unlink"];
    assert_eq!(actions(world, "au-idp").await, expected);
    let entries = entries(world, "au-idp").await;
    assert!(entries.iter().all(|entry| entry.actor == by && entry.target.user.as_ref() == Some(&made.name)));
    let labels: Vec<_> = entries.iter().filter_map(|entry| entry.target.label.as_deref()).collect();
    let ann = "Ann (https://id.example.com)";
    assert_eq!(labels, [ann, "https://id.example.com", ann]);
}

async fn what_is_done_to_a_repository_is_said(world: &World) {
    world.user("au-rep", Role::User).await;
    world.user("au-rep-bob", Role::User).await;
    let (app, ann) = (repository("au-rep/app"), by("au-rep"));
    world.settings.create_repository(&app, Visibility::Private, "", &ann).await.unwrap();
    let described = Some("# App".to_owned());
    let change = RepositoryChange { visibility: Some(Visibility::Public), description: described };
    world.settings.change_repository(&app, &change, &ann).await.unwrap();
    let bob = Grantee::User(name("au-rep-bob"));
    world.organizations.grant(&app, &bob, Some(Level::Write), &ann).await.unwrap();
    world.organizations.grant(&app, &bob, None, &ann).await.unwrap();
    let rules = RuleSet::default();
    world.rules.put_rules(&"au-rep/app".parse().unwrap(), Some(&rules), &ann).await.unwrap();
    world.rules.put_rules(&"au-rep".parse().unwrap(), None, &ann).await.unwrap();

    let expected = [
        "user.create",
        "repository.create",
        "repository.visibility",
        "repository.describe",
        "grant.put",
        "grant.remove",
        "rules.put",
        "rules.remove",
    ];
    assert_eq!(actions(world, "au-rep").await, expected);
    let entries = entries(world, "au-rep").await;
    assert_eq!(entries[0].target, within("au-rep"));
    assert_eq!(entries[1].target, of_repository(&app));
    let user = Some(name("au-rep-bob"));
    let granted = Target { user, to: Some("write".to_owned()), ..of_repository(&app) };
    assert_eq!(entries[3].target, granted);
    let shown = Target { to: Some("public".to_owned()), ..of_repository(&app) };
    assert_eq!(entries[5].target, shown);

    let pushed = repository("au-rep/pushed");
    world.push_blob(&pushed, "au-rep", &ann).await;
    world.push_blob(&pushed, "au-rep, too", &ann).await;
    let made = last(world, "au-rep").await;
    let target = Target { to: Some("private".to_owned()), ..of_repository(&pushed) };
    assert_eq!(said(&made), ("repository.create", &target));
}

fn manifest(repository: &RepositoryName, body: &str, tag: &str) -> NewManifest {
    NewManifest {
        repository: repository.clone(),
        digest: digest(body),
        media_type: oci::ManifestKind::OciManifest.media_type(),
        body: Bytes::from(body.to_owned()),
        needs: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        tags: vec![tag.parse().unwrap()],
        expected: Expected::Anything,
    }
}

async fn what_is_deleted_and_restored_is_said(world: &World) {
    let ann = world.user("au-del", Role::User).await;
    let app = repository("au-del/app");
    let blob = world.push_blob(&app, "au-del, a blob", &ann).await;
    world.repositories.put_manifest(&manifest(&app, "au-del", "v1"), &ann).await.unwrap();
    let pushed = actions(world, "au-del").await;
    assert_eq!(pushed, ["user.create", "repository.create"], "what is pushed is in the history");

    let (tag, whole): (Reference, Digest) = ("v1".parse().unwrap(), digest("au-del"));
    let delete = async |reference: &Reference| {
        world.repositories.delete_manifest(&app, reference, &Expected::Anything, &ann).await.unwrap();
    };
    let restore = async |what: Reference| {
        let restore = Restore { repository: app.clone(), what, to: None };
        world.repositories.restore(&restore, &ann).await.unwrap();
    };
    delete(&tag).await;
    restore(tag.clone()).await;
    delete(&Reference::Digest(whole.clone())).await;
    restore(Reference::Digest(whole.clone())).await;
    world.repositories.delete_blob(&app, &blob, &ann).await.unwrap();

    let tagged =
        Target { tag: Some("v1".parse().unwrap()), digest: Some(whole.clone()), ..of_repository(&app) };
    let untagged = Target { digest: Some(whole), ..of_repository(&app) };
    let removed = Target { digest: Some(blob), ..of_repository(&app) };
    let entries = entries(world, "au-del").await;
    let found: Vec<_> = entries.iter().take(5).map(said).collect();
    let expected = [
        ("blob.delete", &removed),
        ("manifest.restore", &untagged),
        ("manifest.delete", &untagged),
        ("tag.restore", &tagged),
        ("tag.delete", &tagged),
    ];
    assert_eq!(found, expected);
}

async fn what_changes_nothing_or_is_refused_is_not_said(world: &World) {
    let ann = world.user("au-not", Role::User).await;
    let same = UserChange { standing: Some(Standing::Active), ..UserChange::default() };
    world.users.change_user(&name("au-not"), &same, &ann).await.unwrap();
    let crew = space("au-not-crew");
    world.organizations.create_organization(&crew, &name("au-not"), &ann).await.unwrap();
    world.organizations.put_member(&crew, &name("au-not"), MemberRole::Owner, &ann).await.unwrap();
    world.organizations.remove_member(&crew, &name("au-not"), &ann).await.unwrap_err();

    assert_eq!(actions(world, "au-not").await, ["user.create"]);
    assert_eq!(actions(world, "au-not-crew").await, ["organization.create"]);
}

async fn the_hub_has_everything_and_a_namespace_its_own(world: &World) {
    let [one, other] = ["au-one", "au-other"].map(|user| world.user(user, Role::User));
    let (one, other) = (one.await, other.await);
    for actor in [&one, &other] {
        let Subject::User(name) = &actor.subject else { unreachable!("a user") };
        let password = UserChange { password_hash: Some("$x$".into()), ..UserChange::default() };
        world.users.change_user(name, &password, actor).await.unwrap();
    }

    let filter = Filter { action: "user.password".parse().ok(), ..Filter::default() };
    let all = log(world, WantedEntries { filter, limit: 2, ..WantedEntries::default() }).await.entries;
    let of: Vec<_> = all.iter().map(|entry| entry.target.user.clone().unwrap()).collect();
    assert_eq!(of, ["au-other", "au-one"].map(name));
    let own = entries(world, "au-one").await;
    assert!(own.iter().all(|entry| entry.target.namespace == Some(space("au-one"))), "{own:?}");
    assert_eq!(own[0], all[1], "it is the same entry");
}

async fn entries_are_found_by_what_they_say(world: &World) {
    world.user("au-find", Role::User).await;
    let (ann, boss) = (by("au-find"), by("au-boss"));
    let crew = space("au-find-crew");
    world.organizations.create_organization(&crew, &name("au-find"), &ann).await.unwrap();
    for (team, actor) in [("devs", &ann), ("ops", &boss), ("qa", &ann)] {
        world.organizations.put_team(&crew, &team.parse().unwrap(), "", actor).await.unwrap();
    }

    let found = async |filter: Filter| {
        let of = Some(crew.clone());
        let page = log(world, WantedEntries { of, filter, limit: 10, ..WantedEntries::default() }).await;
        assert_eq!(page.next, None);
        page.entries.iter().map(|entry| entry.action.to_string()).collect::<Vec<_>>()
    };
    let action = |text: &str| Filter { action: text.parse().ok(), ..Filter::default() };
    let actor = |actor: &Actor| Filter { actor: Some(actor.subject.clone()), ..Filter::default() };
    assert_eq!(found(action("team")).await.len(), 3);
    assert_eq!(found(action("team.remove")).await.len(), 0);
    assert_eq!(found(actor(&boss)).await, ["team.put"]);
    assert_eq!(found(actor(&ann)).await, ["team.put", "team.put", "organization.create"]);
    let both = Filter { actor: Some(ann.subject.clone()), ..action("organization") };
    assert_eq!(found(both).await, ["organization.create"]);
    let nobody = Filter { actor: Some(Subject::Anonymous), ..Filter::default() };
    assert_eq!(found(nobody).await.len(), 0);
}

async fn entries_are_found_by_their_time(world: &World) {
    let mut times = Vec::new();
    let ann = world.user("au-time", Role::User).await;
    let crew = space("au-time-crew");
    world.organizations.create_organization(&crew, &name("au-time"), &ann).await.unwrap();
    for team in ["a", "b", "c"] {
        world.clock.advance(Duration::from_secs(1));
        times.push(now(world));
        world.organizations.put_team(&crew, &team.parse().unwrap(), "", &ann).await.unwrap();
    }

    let teams = async |since, before| {
        let filter = Filter { since, before, ..Filter::default() };
        let of = Some(crew.clone());
        let page = log(world, WantedEntries { of, filter, limit: 10, ..WantedEntries::default() }).await;
        page.entries.iter().filter_map(|entry| entry.target.team.as_ref().map(ToString::to_string)).collect()
    };
    let found: Vec<String> = teams(Some(times[1]), None).await;
    assert_eq!(found, ["c", "b"], "from then on");
    let found: Vec<String> = teams(None, Some(times[1])).await;
    assert_eq!(found, ["a"], "before, and not then");
    let found: Vec<String> = teams(Some(times[1]), Some(times[2])).await;
    assert_eq!(found, ["b"]);
    let found: Vec<String> = teams(Some(times[2]), Some(times[1])).await;
    assert!(found.is_empty());
}

async fn a_page_leads_to_the_next(world: &World) {
    let ann = world.user("au-page", Role::User).await;
    let crew = space("au-page-crew");
    world.organizations.create_organization(&crew, &name("au-page"), &ann).await.unwrap();
    for number in 0..5 {
        let team = format!("team-{number}").parse().unwrap();
        world.organizations.put_team(&crew, &team, "", &ann).await.unwrap();
    }

    for action in [None, "team".parse().ok()] {
        let filter = Filter { action, ..Filter::default() };
        let mut wanted = WantedEntries { of: Some(crew.clone()), filter, after: None, limit: 2 };
        let mut teams = Vec::new();
        loop {
            let page = log(world, wanted.clone()).await;
            assert!(page.entries.len() <= 2);
            teams.extend(page.entries.iter().filter_map(|entry| entry.target.team.clone()));
            if page.next.is_none() {
                break;
            }
            wanted.after = page.next;
        }
        let teams: Vec<_> = teams.iter().map(ToString::to_string).collect();
        assert_eq!(teams, ["team-4", "team-3", "team-2", "team-1", "team-0"]);
    }
    let exact = WantedEntries { of: Some(crew), limit: 6, ..WantedEntries::default() };
    assert_eq!(log(world, exact).await.next, None, "behind the last there is nothing");
}

async fn what_is_too_old_is_not_told(world: &World) {
    let ann = world.user("au-old", Role::User).await;
    world.clock.advance(Duration::from_hours(399 * 24));
    let password = UserChange { password_hash: Some("$x$".into()), ..UserChange::default() };
    world.users.change_user(&name("au-old"), &password, &ann).await.unwrap();
    assert_eq!(actions(world, "au-old").await, ["user.create", "user.password"]);

    world.clock.advance(Duration::from_hours(2 * 24));
    assert_eq!(actions(world, "au-old").await, ["user.password"]);
    let named = ActionName::from(Action::UserPassword);
    assert_eq!(last(world, "au-old").await.action, named);
}
