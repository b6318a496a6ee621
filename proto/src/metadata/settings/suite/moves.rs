//! Repositories that are called otherwise: what is found by either name, and what ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use oci::{Digest, Reference, RepositoryName};
use tokio::task::JoinSet;

use super::{create, details, is_shown, show};
use crate::metadata::{
    Actor, PageRequest, RepositoryError, UploadError, Visibility,
    accounts::{AccessQuestion, FactsOf, RepositoryFacts, Role, suite::about},
    credentials::Revoked,
    organizations::{Grantee, Level, MemberRole, Membership},
    reclaim::suite::{image, put},
    repositories::{Expected, Intent, NewManifest, WantedHistory, WantedReferrers},
    rules::{RuleSet, RulesOf},
    uploads::suite::world::{World, digest, link_of, repository},
};

const DAY: Duration = Duration::from_hours(24);

pub(super) async fn run(world: &World) {
    all_that_it_holds_is_found_by_the_new_name(world).await;
    by_the_old_name_everybody_is_told_the_new_one(world).await;
    facts_of_an_old_name_are_those_of_the_repository(world).await;
    chains_and_circles_of_names_lead_to_the_repository(world).await;
    a_move_can_be_repeated(world).await;
    a_name_is_taken_only_if_it_is_free(world).await;
    a_new_repository_ends_what_its_name_led_to(world).await;
    a_transfer_ends_the_rights_of_teams_and_no_others(world).await;
    an_upload_that_was_begun_by_the_old_name_is_told_the_new_one(world).await;
    pushes_meanwhile_are_done_or_told_the_new_name(world).await;
    of_many_movers_one_succeeds(world).await;
    who_may_not_see_it_any_more_is_told_to_edges(world).await;
    an_old_name_leads_somewhere_for_a_time(world).await;
}

pub(super) async fn rename(world: &World, from: &str, to: &str) -> Result<(), RepositoryError> {
    world.settings.move_repository(&repository(from), &repository(to), &Actor::service()).await
}

pub(super) fn moved(from: &str, to: &str) -> RepositoryError {
    RepositoryError::Moved { repository: repository(from), to: repository(to) }
}

pub(super) fn unknown(name: &str) -> RepositoryError {
    RepositoryError::NameUnknown { repository: repository(name) }
}

pub(super) async fn told(world: &World, name: &str) -> bool {
    let told = world.credentials.revocations(None).await.unwrap();
    let what = Revoked::Repository(repository(name));
    told.iter().any(|revocation| revocation.what == what)
}

/// A repository with an image that `v1` names.
pub(super) async fn pushed(world: &World, name: &str, actor: &Actor) -> (NewManifest, Digest) {
    let repository = repository(name);
    let blob = world.push_blob(&repository, &format!("{name}: a layer"), actor).await;
    let image = image(&repository, &format!("{name}: an image"), &blob, &["v1"]);
    put(world, &image, actor).await;
    (image, blob)
}

async fn named(world: &World, name: &str) -> Result<Digest, RepositoryError> {
    let found = world.repositories.manifest(&repository(name), &"v1".parse().unwrap()).await;
    found.map(|manifest| manifest.digest)
}

async fn facts(world: &World, asker: FactsOf, name: &str) -> RepositoryFacts {
    let question = AccessQuestion { repositories: vec![repository(name)], ..about(asker) };
    world.accounts.access_facts(&question).await.unwrap().repositories.remove(0)
}

async fn all_that_it_holds_is_found_by_the_new_name(world: &World) {
    let actor = world.user("mv-ann", Role::User).await;
    let (image, blob) = pushed(world, "mv-ann/app", &actor).await;
    let (old, new) = (repository("mv-ann/app"), repository("mv-ann/deep/tool"));
    let rules: RuleSet = serde_json::from_str(r#"{"immutable":[{"tags":"v*"}]}"#).unwrap();
    world.rules.put_rules(&RulesOf::Repository(old.clone()), Some(&rules), &actor).await.unwrap();
    show(world, &old, Visibility::Public).await.unwrap();
    let before = details(world, "mv-ann/app").await;

    rename(world, "mv-ann/app", "mv-ann/deep/tool").await.unwrap();

    let mut after = details(world, "mv-ann/deep/tool").await;
    assert_eq!(after.name, new);
    after.name = old.clone();
    assert_eq!(after, before, "nothing else is said of it");
    assert_eq!(named(world, "mv-ann/deep/tool").await.unwrap(), image.digest);
    assert!(world.location(&new, &blob).await.is_some());
    assert_eq!(world.rules.rules(&RulesOf::Repository(new.clone())).await.unwrap(), Some(rules));
    assert!(is_shown(world, &new).await && !is_shown(world, &old).await);
    let again = self::image(&new, "mv-ann: another image", &blob, &["w1"]);
    world.repositories.put_manifest(&again, &actor).await.unwrap();
}

async fn by_the_old_name_everybody_is_told_the_new_one(world: &World) {
    let actor = world.user("mv-old", Role::User).await;
    let (image, blob) = pushed(world, "mv-old/app", &actor).await;
    rename(world, "mv-old/app", "mv-old/tool").await.unwrap();
    let old = repository("mv-old/app");
    let told = moved("mv-old/app", "mv-old/tool");

    let repositories = &world.repositories;
    let page = PageRequest { after: None, limit: 9 };
    assert_eq!(named(world, "mv-old/app").await, Err(told.clone()));
    let by_digest = Reference::Digest(image.digest.clone());
    assert_eq!(repositories.manifest(&old, &by_digest).await, Err(told.clone()));
    for intent in [Intent::Read, Intent::Push] {
        assert_eq!(repositories.blob(&old, &blob, intent).await.unwrap_err(), told);
    }
    assert_eq!(repositories.tags(&old, &page).await, Err(told.clone()));
    let (subject, limit) = (image.digest.clone(), 9);
    let referrers =
        WantedReferrers { repository: old.clone(), subject, artifact_type: None, after: None, limit };
    assert_eq!(repositories.referrers(&referrers).await, Err(told.clone()));
    let tag = "v1".parse().unwrap();
    let (repository, before, since) = (old.clone(), None, None);
    let history = WantedHistory { repository, tag, before, since, digest: None, after: None, limit };
    assert_eq!(repositories.tag_history(&history).await, Err(told.clone()));
    assert_eq!(world.settings.repository(&old).await, Err(told.clone()));

    assert_eq!(repositories.put_manifest(&image, &actor).await, Err(told.clone()));
    let deleted = repositories.delete_manifest(&old, &by_digest, &Expected::Anything, &actor).await;
    assert_eq!(deleted, Err(told.clone()));
    assert_eq!(show(world, &old, Visibility::Public).await, Err(told.clone()));
    assert_eq!(world.settings.delete_repository(&old, &actor).await, Err(told));
    let (repository, to) = (old.clone(), super::repository("mv-old/tool"));
    let refused = UploadError::Moved { repository, to };
    assert_eq!(world.uploads.start(&old, &actor).await.unwrap_err(), refused);
}

async fn facts_of_an_old_name_are_those_of_the_repository(world: &World) {
    let actor = world.user("mv-facts", Role::User).await;
    world.user("mv-facts-b", Role::User).await;
    pushed(world, "mv-facts/app", &actor).await;
    let bob = Grantee::User("mv-facts-b".parse().unwrap());
    let (old, write) = (repository("mv-facts/app"), Some(Level::Write));
    world.organizations.grant(&old, &bob, write, &actor).await.unwrap();
    rename(world, "mv-facts/app", "mv-facts/tool").await.unwrap();

    for (asker, level) in
        [(FactsOf::User("mv-facts-b".parse().unwrap()), Some(Level::Write)), (FactsOf::Anonymous, None)]
    {
        let found = facts(world, asker.clone(), "mv-facts/app").await;
        assert_eq!((found.visibility, found.level), (None, None), "there is none of that name");
        let now = facts(world, asker, "mv-facts/tool").await;
        assert_eq!((now.visibility, now.level), (Some(Visibility::Private), level));
        assert_eq!(found.moved, Some(Box::new(now)));
    }
    assert_eq!(facts(world, FactsOf::Anonymous, "mv-facts/none").await.moved, None);
}

async fn chains_and_circles_of_names_lead_to_the_repository(world: &World) {
    let actor = world.user("mv-chain", Role::User).await;
    let (image, _) = pushed(world, "mv-chain/a", &actor).await;
    for (from, to) in [("a", "b"), ("b", "c")] {
        rename(world, &format!("mv-chain/{from}"), &format!("mv-chain/{to}")).await.unwrap();
    }
    for old in ["mv-chain/a", "mv-chain/b"] {
        assert_eq!(named(world, old).await, Err(moved(old, "mv-chain/c")));
    }

    rename(world, "mv-chain/c", "mv-chain/a").await.unwrap();
    assert_eq!(named(world, "mv-chain/a").await, Ok(image.digest.clone()));
    for old in ["mv-chain/b", "mv-chain/c"] {
        assert_eq!(named(world, old).await, Err(moved(old, "mv-chain/a")));
    }
    rename(world, "mv-chain/a", "mv-chain/a").await.unwrap();
    assert_eq!(named(world, "mv-chain/a").await, Ok(image.digest));
}

async fn a_move_can_be_repeated(world: &World) {
    let actor = world.user("mv-twice", Role::User).await;
    pushed(world, "mv-twice/app", &actor).await;
    for _ in 0..2 {
        rename(world, "mv-twice/app", "mv-twice/tool").await.unwrap();
    }
    let elsewhere = rename(world, "mv-twice/app", "mv-twice/other").await;
    assert_eq!(elsewhere, Err(moved("mv-twice/app", "mv-twice/tool")));
    assert_eq!(rename(world, "mv-twice/none", "mv-twice/x").await, Err(unknown("mv-twice/none")));
}

async fn a_name_is_taken_only_if_it_is_free(world: &World) {
    let actor = world.user("mv-taken", Role::User).await;
    for name in ["mv-taken/a", "mv-taken/b", "mv-taken/c"] {
        pushed(world, name, &actor).await;
    }
    let exists = RepositoryError::RepositoryExists { repository: repository("mv-taken/b") };
    assert_eq!(rename(world, "mv-taken/a", "mv-taken/b").await, Err(exists));
    let nobody = RepositoryError::NamespaceUnknown { namespace: "mv-nobody".parse().unwrap() };
    assert_eq!(rename(world, "mv-taken/a", "mv-nobody/a").await, Err(nobody));

    rename(world, "mv-taken/c", "mv-taken/d").await.unwrap();
    let leads = RepositoryError::NameLeadsElsewhere { repository: repository("mv-taken/c") };
    assert_eq!(rename(world, "mv-taken/a", "mv-taken/c").await, Err(leads));
    assert!(named(world, "mv-taken/a").await.is_ok());
}

async fn a_new_repository_ends_what_its_name_led_to(world: &World) {
    let actor = world.user("mv-new", Role::User).await;
    let (image, blob) = pushed(world, "mv-new/app", &actor).await;
    rename(world, "mv-new/app", "mv-new/tool").await.unwrap();
    assert!(!told(world, "mv-new/app").await, "the same have the same rights");

    create(world, "mv-new/app", Visibility::Private).await.unwrap();
    assert!(told(world, "mv-new/app").await, "tokens by the old name were for another repository");
    let empty = named(world, "mv-new/app").await.unwrap_err();
    assert!(matches!(empty, RepositoryError::ManifestUnknown { .. }), "{empty}");
    assert_eq!(facts(world, FactsOf::Anonymous, "mv-new/app").await.moved, None);
    assert_eq!(world.location(&repository("mv-new/app"), &blob).await, None);
    assert_eq!(named(world, "mv-new/tool").await.unwrap(), image.digest);

    // It had another name, and leads there from now on.
    rename(world, "mv-new/app", "mv-new/other").await.unwrap();
    assert_eq!(named(world, "mv-new/app").await, Err(moved("mv-new/app", "mv-new/other")));
}

async fn a_transfer_ends_the_rights_of_teams_and_no_others(world: &World) {
    let (ann, _, _) = (
        world.user("mv-own", Role::User).await,
        world.user("mv-in-team", Role::User).await,
        world.user("mv-collab", Role::User).await,
    );
    let org = "mv-org".parse().unwrap();
    let organizations = &world.organizations;
    organizations.create_organization(&org, &"mv-own".parse().unwrap(), &ann).await.unwrap();
    let (team, member) = ("devs".parse().unwrap(), "mv-in-team".parse().unwrap());
    organizations.put_member(&org, &member, MemberRole::Member, &ann).await.unwrap();
    organizations.put_team(&org, &team, "", &ann).await.unwrap();
    organizations.set_team_member(&org, &team, &member, Membership::In, &ann).await.unwrap();
    let (image, _) = pushed(world, "mv-org/app", &ann).await;
    let (of_team, collaborator) = (Grantee::Team(team), Grantee::User("mv-collab".parse().unwrap()));
    let app = repository("mv-org/app");
    organizations.grant(&app, &of_team, Some(Level::Admin), &ann).await.unwrap();
    organizations.grant(&app, &collaborator, Some(Level::Read), &ann).await.unwrap();

    rename(world, "mv-org/app", "mv-own/app").await.unwrap();

    assert!(told(world, "mv-org/app").await && told(world, "mv-own/app").await);
    assert_eq!(named(world, "mv-own/app").await.unwrap(), image.digest);
    let grants = organizations.grants(&repository("mv-own/app")).await.unwrap();
    assert_eq!(grants, [(collaborator.clone(), Level::Read)]);
    let level =
        async |user: &str, name: &str| facts(world, FactsOf::User(user.parse().unwrap()), name).await.level;
    assert_eq!(level("mv-in-team", "mv-own/app").await, None);
    assert_eq!(level("mv-collab", "mv-own/app").await, Some(Level::Read));
    let old = facts(world, FactsOf::User("mv-in-team".parse().unwrap()), "mv-org/app").await;
    assert_eq!(old.moved.unwrap().level, None);

    // Nor do they come back with it.
    rename(world, "mv-own/app", "mv-org/app").await.unwrap();
    assert_eq!(level("mv-in-team", "mv-org/app").await, None);
    assert_eq!(organizations.grants(&app).await.unwrap(), [(collaborator, Level::Read)]);
}

async fn an_upload_that_was_begun_by_the_old_name_is_told_the_new_one(world: &World) {
    let actor = world.user("mv-up", Role::User).await;
    pushed(world, "mv-up/app", &actor).await;
    let old = repository("mv-up/app");
    let begun = async |content: &str| {
        let session = world.uploads.start(&old, &actor).await.unwrap();
        let digest = digest(content);
        let held = world.uploads.hold(&session.address, &digest).await.unwrap();
        link_of(&held, &digest, content.len() as u64)
    };
    let (first, second) = (begun("mv-up: one").await, begun("mv-up: two").await);
    rename(world, "mv-up/app", "mv-up/tool").await.unwrap();
    let told = UploadError::Moved { repository: old.clone(), to: repository("mv-up/tool") };
    assert_eq!(world.uploads.link(&first, &actor).await, Err(told));

    // What has the name now is another repository, and not the one that the push was for.
    create(world, "mv-up/app", Visibility::Private).await.unwrap();
    let unknown = UploadError::UploadUnknown { session: second.address.session };
    assert_eq!(world.uploads.link(&second, &actor).await, Err(unknown));
    assert_eq!(details(world, "mv-up/app").await.size_bytes, 0);
}

async fn pushes_meanwhile_are_done_or_told_the_new_name(world: &World) {
    let actor = world.user("mv-busy", Role::User).await;
    let (_, blob) = pushed(world, "mv-busy/a", &actor).await;
    let mut pushes = JoinSet::new();
    for number in 0..16 {
        let (world, actor) = (world.clone(), actor.clone());
        let name = repository(if number % 2 == 0 { "mv-busy/a" } else { "mv-busy/b" });
        let image = image(&name, &format!("mv-busy {number}"), &blob, &[&format!("p{number}")]);
        pushes.spawn(async move { (image.clone(), world.repositories.put_manifest(&image, &actor).await) });
    }
    rename(world, "mv-busy/a", "mv-busy/b").await.unwrap();

    for (image, outcome) in pushes.join_all().await {
        match outcome {
            Ok(()) => {
                let tag = Reference::Tag(image.tags[0].clone());
                let found = world.repositories.manifest(&repository("mv-busy/b"), &tag).await.unwrap();
                assert_eq!(found.digest, image.digest, "what was acknowledged is there");
            }
            // It came too late, or, by the new name, too early.
            Err(RepositoryError::Moved { .. } | RepositoryError::ReferencesMissing { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn of_many_movers_one_succeeds(world: &World) {
    let actor = world.user("mv-race", Role::User).await;
    for number in 0..8 {
        pushed(world, &format!("mv-race/{number}"), &actor).await;
    }
    let mut movers = JoinSet::new();
    for number in 0..8 {
        let world = world.clone();
        movers.spawn(async move { rename(&world, &format!("mv-race/{number}"), "mv-race/app").await });
    }
    let outcomes = movers.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let mut there = 0;
    for number in 0..8 {
        let name = format!("mv-race/{number}");
        match named(world, &name).await {
            Ok(_) => there += 1,
            Err(error) => assert_eq!(error, moved(&name, "mv-race/app")),
        }
    }
    assert_eq!(there, 7);
}

async fn who_may_not_see_it_any_more_is_told_to_edges(world: &World) {
    world.user("mv-hide", Role::User).await;
    create(world, "mv-hide/app", Visibility::Public).await.unwrap();
    let name: RepositoryName = repository("mv-hide/app");
    for seen in [Visibility::Public, Visibility::Private] {
        assert!(!told(world, "mv-hide/app").await);
        show(world, &name, seen).await.unwrap();
    }
    assert!(told(world, "mv-hide/app").await);
}

async fn an_old_name_leads_somewhere_for_a_time(world: &World) {
    let actor = world.user("mv-time", Role::User).await;
    pushed(world, "mv-time/app", &actor).await;
    pushed(world, "mv-time/again", &actor).await;
    rename(world, "mv-time/app", "mv-time/tool").await.unwrap();
    rename(world, "mv-time/again", "mv-time/x").await.unwrap();

    world.clock.advance(89 * DAY);
    assert_eq!(named(world, "mv-time/app").await, Err(moved("mv-time/app", "mv-time/tool")));
    world.clock.advance(DAY);
    assert_eq!(named(world, "mv-time/app").await, Err(unknown("mv-time/app")));
    assert_eq!(facts(world, FactsOf::Anonymous, "mv-time/app").await.moved, None);

    // The name is free, before and after what is left of it is removed.
    pushed(world, "mv-time/app", &actor).await;
    while world.reclaim.purge().await.unwrap().more == crate::metadata::More::Yes {}
    pushed(world, "mv-time/again", &actor).await;
    rename(world, "mv-time/x", "mv-time/y").await.unwrap();
    assert_eq!(named(world, "mv-time/x").await, Err(moved("mv-time/x", "mv-time/y")));
}
