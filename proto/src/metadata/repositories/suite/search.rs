//! Looking for repositories: who finds what, in which order, page by page, while it changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use crate::metadata::{
    Actor, Visibility,
    accounts::Role,
    organizations::{Grantee, Level, MemberRole, Membership},
    repositories::{Found, Reader, WantedSearch},
    settings::RepositoryChange,
    uploads::suite::world::{World, repository},
};

pub(super) async fn run(world: &World) {
    what_is_found_comes_in_order_and_in_pages(world).await;
    all_words_must_be_found(world).await;
    what_changes_is_found_as_it_is(world).await;
    everybody_finds_what_they_may_read(world).await;
    a_limited_credential_finds_what_it_is_for(world).await;
}

fn reader(user: &str) -> Reader {
    Reader::User(user.parse().unwrap())
}

fn looking(reader: Reader, query: &str) -> WantedSearch {
    let query = Some(query).filter(|query| !query.is_empty());
    WantedSearch {
        reader,
        within: Vec::new(),
        under: None,
        query: query.map(|query| query.parse().unwrap()),
        after: None,
        limit: 1_000,
    }
}

async fn page(world: &World, wanted: &WantedSearch) -> Found {
    world.repositories.search(wanted).await.unwrap()
}

/// The names, of all pages one after the other.
async fn all(world: &World, mut wanted: WantedSearch) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let found = page(world, &wanted).await;
        assert!(found.repositories.len() <= wanted.limit);
        names.extend(found.repositories.iter().map(|found| found.entry.name.to_string()));
        wanted.after = found.next;
        if wanted.after.is_none() {
            return names;
        }
    }
}

async fn found(world: &World, reader: Reader, query: &str) -> Vec<String> {
    all(world, looking(reader, query)).await
}

async fn create(world: &World, name: &str, visibility: Visibility, description: &str) {
    let actor = Actor::service();
    world.settings.create_repository(&repository(name), visibility, description, &actor).await.unwrap();
}

async fn what_is_found_comes_in_order_and_in_pages(world: &World) {
    let _ = world.user("se-order", Role::User).await;
    for (name, description) in [
        ("se-order/zz", "A Sequoia."),
        ("se-order/sequoias", ""),
        ("se-order/b-sequoia", ""),
        ("se-order/a-sequoia", "sequoia sequoiadendron"),
        ("se-order/sequoia", ""),
        ("library/sequoia", ""),
    ] {
        create(world, name, Visibility::Public, description).await;
    }

    let expected = [
        "library/sequoia",
        "se-order/sequoia",
        "se-order/a-sequoia",
        "se-order/b-sequoia",
        "se-order/zz",
        "se-order/sequoias",
    ];
    for (query, limit) in [("SEQUOIA", 1_000), ("sequo", 1), ("sequoi", 2), ("sequoia", 5), ("sequoia", 6)] {
        let wanted = WantedSearch { limit, ..looking(Reader::Outsider, query) };
        assert_eq!(all(world, wanted).await, expected, "{query}, {limit} to a page");
    }
    let wanted = WantedSearch {
        under: Some("se-order/a-sequoia".parse().unwrap()),
        ..looking(Reader::Outsider, "sequoia")
    };
    let one = page(world, &wanted).await;
    assert_eq!((one.repositories.len(), one.next), (1, None));
    assert_eq!(one.repositories[0].summary, "sequoia sequoiadendron");
}

async fn all_words_must_be_found(world: &World) {
    let _ = world.user("se-words", Role::User).await;
    create(world, "se-words/larch-proxy", Visibility::Public, "Fast & small: a reverse proxy").await;
    create(world, "se-words/larch", Visibility::Public, "").await;

    let proxy = ["se-words/larch-proxy"];
    for query in ["larch proxy", "PRO larch", "larch-pro", "larch/rev", "larchproxy", "larch fas sma"] {
        assert_eq!(found(world, Reader::Outsider, query).await, proxy, "{query}");
    }
    for query in ["larch slow", "arch-proxy", " ", "-", "larchs"] {
        assert_eq!(found(world, Reader::Outsider, query).await, [""; 0], "{query}");
    }
}

async fn what_changes_is_found_as_it_is(world: &World) {
    let (_, name) = (world.user("se-change", Role::User).await, repository("se-change/alder"));
    let (admin, actor) = (|| Reader::Administrator, Actor::service());
    create(world, "se-change/alder", Visibility::Public, "tamarack").await;
    let changed = async |visibility, description: Option<&str>| {
        let change = RepositoryChange { visibility, description: description.map(str::to_owned) };
        world.settings.change_repository(&name, &change, &actor).await.unwrap();
    };

    changed(Some(Visibility::Private), Some("hemlock")).await;
    assert_eq!(found(world, Reader::Outsider, "hemlock").await, [""; 0]);
    assert_eq!(found(world, admin(), "tamarack").await, [""; 0]);
    assert_eq!(found(world, admin(), "hemlock").await, ["se-change/alder"]);
    changed(Some(Visibility::Public), None).await;
    assert_eq!(found(world, Reader::Outsider, "hemlock").await, ["se-change/alder"]);

    world.settings.move_repository(&name, &repository("se-change/cypress"), &actor).await.unwrap();
    assert_eq!(found(world, admin(), "alder").await, [""; 0]);
    for query in ["cypress", "hemlock"] {
        assert_eq!(found(world, Reader::Outsider, query).await, ["se-change/cypress"]);
    }
    world.settings.delete_repository(&repository("se-change/cypress"), &actor).await.unwrap();
    for query in ["cypress", "hemlock"] {
        assert_eq!(found(world, admin(), query).await, [""; 0]);
    }
}

async fn everybody_finds_what_they_may_read(world: &World) {
    let actor = Actor::service();
    for user in ["se-ann", "se-bob", "se-cid", "se-dan"] {
        let _ = world.user(user, Role::User).await;
    }
    let crew = "se-crew".parse().unwrap();
    let [ann, bob, cid] = ["se-ann", "se-bob", "se-cid"].map(|user| user.parse().unwrap());
    world.organizations.create_organization(&crew, &ann, &actor).await.unwrap();
    world.organizations.put_member(&crew, &bob, MemberRole::Member, &actor).await.unwrap();
    let team = "rowans".parse().unwrap();
    world.organizations.put_team(&crew, &team, "", &actor).await.unwrap();
    for name in ["se-crew/rowan-a", "se-crew/rowan-b", "se-cid/rowan-c"] {
        create(world, name, Visibility::Private, "").await;
    }
    create(world, "se-dan/rowan-d", Visibility::Public, "").await;
    let grant = async |name: &str, grantee: Grantee, level| {
        world.organizations.grant(&repository(name), &grantee, level, &actor).await.unwrap();
    };
    grant("se-crew/rowan-a", Grantee::Team(team.clone()), Some(Level::Read)).await;
    grant("se-cid/rowan-c", Grantee::User(bob.clone()), Some(Level::Write)).await;
    let (a, b, c, d) = ("se-crew/rowan-a", "se-crew/rowan-b", "se-cid/rowan-c", "se-dan/rowan-d");

    let sees = async |reader: Reader, expected: &[&str]| {
        assert_eq!(found(world, reader.clone(), "rowan").await, expected, "{reader:?}");
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        for limit in [7, 1_000] {
            let listed = all(world, WantedSearch { limit, ..looking(reader.clone(), "") }).await;
            let listed: Vec<_> = listed.iter().filter(|name| name.contains("/rowan-")).collect();
            assert_eq!(listed, sorted.iter().collect::<Vec<_>>(), "{reader:?}");
        }
    };
    sees(Reader::Outsider, &[d]).await;
    sees(Reader::Administrator, &[c, a, b, d]).await;
    sees(reader("se-ann"), &[a, b, d]).await;
    sees(reader("se-bob"), &[c, d]).await;
    sees(reader("se-cid"), &[c, d]).await;
    sees(reader("se-dan"), &[d]).await;
    sees(Reader::Robot(crew.clone()), &[a, b, d]).await;

    world.organizations.set_team_member(&crew, &team, &bob, Membership::In, &actor).await.unwrap();
    sees(reader("se-bob"), &[c, a, d]).await;
    grant("se-cid/rowan-c", Grantee::User(bob.clone()), None).await;
    sees(reader("se-bob"), &[a, d]).await;
    world.organizations.remove_member(&crew, &bob, &actor).await.unwrap();
    sees(reader("se-bob"), &[d]).await;
    world.organizations.put_member(&crew, &cid, MemberRole::Owner, &actor).await.unwrap();
    sees(reader("se-cid"), &[c, a, b, d]).await;
}

async fn a_limited_credential_finds_what_it_is_for(world: &World) {
    let _ = world.user("se-limit", Role::User).await;
    for name in ["se-limit/aspen-a", "se-limit/aspen-b"] {
        create(world, name, Visibility::Private, "").await;
    }
    create(world, "se-limit/aspen-c", Visibility::Public, "").await;

    for within in ["se-limit/aspen-b", "se-limit/aspen-b*"] {
        for (query, limit) in [("aspen", 1), ("aspen", 2), ("", 1), ("", 1_000)] {
            let within = vec![within.to_owned().try_into().unwrap()];
            let mut found =
                all(world, WantedSearch { within, limit, ..looking(reader("se-limit"), query) }).await;
            found.retain(|name| name.starts_with("se-limit/"));
            assert_eq!(found, ["se-limit/aspen-b", "se-limit/aspen-c"]);
        }
    }
}
