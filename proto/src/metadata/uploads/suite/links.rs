//! From held content to a linked blob: holds, links, mounts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::{Digest, RepositoryName};
use tokio::task::JoinSet;

use super::world::{HOLD_LIFETIME, World, digest, link_of, locator, repository};
use crate::metadata::{
    Actor, RepositoryError,
    accounts::Role,
    repositories::Intent,
    uploads::{Held, Link, Mount, Mounted, UploadAddress, UploadError, UploadSession},
};

pub(super) async fn run(world: &World) {
    content_that_nobody_has_is_linked_where_it_was_written(world).await;
    content_that_is_there_is_linked_where_it_is(world).await;
    a_repository_appears_with_its_first_link(world).await;
    a_hold_expires(world).await;
    a_link_needs_a_hold_of_the_same_session(world).await;
    of_two_pushers_of_one_content_one_place_wins(world).await;
    a_link_can_be_repeated(world).await;
    missing_bytes_are_replaced_by_the_next_push(world).await;
    quarantined_content_cannot_be_linked_where_it_was(world).await;
    a_mount_links_what_its_source_has(world).await;
    a_mount_without_a_source_opens_a_session(world).await;
    a_mount_looks_wherever_it_is_told_to_and_nowhere_else(world).await;
    many_pushers_of_many_blobs_all_succeed(world).await;
}

async fn content_that_nobody_has_is_linked_where_it_was_written(world: &World) {
    let actor = world.user("up-fresh", Role::User).await;
    let name = repository("up-fresh/app");
    let (content, session) = (digest("up-fresh"), world.uploads.start(&name, &actor).await.unwrap());
    assert_eq!(world.location(&name, &content).await, None);

    let held = world.uploads.hold(&session.address, &content).await.unwrap();
    assert_eq!((held.session, held.locator), (session.clone(), None));
    let link = Link {
        address: session.address.clone(),
        digest: content.clone(),
        size_bytes: 8,
        locator: locator(&content, 1),
        seen: None,
    };
    world.uploads.link(&link, &actor).await.unwrap();

    let grant = world.repositories.blob(&name, &content, Intent::Read).await.unwrap();
    assert_eq!((grant.locator, grant.size_bytes, grant.repository), (locator(&content, 1), 8, name));
    let ended = UploadError::UploadUnknown { session: session.address.session };
    assert_eq!(world.uploads.session(&session.address).await.unwrap_err(), ended);
}

async fn content_that_is_there_is_linked_where_it_is(world: &World) {
    let actor = world.user("up-again", Role::User).await;
    let (one, other) = (repository("up-again/one"), repository("up-again/other"));
    let content = world.push_blob(&one, "up-again", &actor).await;

    let session = world.uploads.start(&other, &actor).await.unwrap();
    let held = world.uploads.hold(&session.address, &content).await.unwrap();
    assert_eq!(held.locator, Some(locator(&content, 1)));
    world.uploads.link(&link_of(&held, &content, 8), &actor).await.unwrap();

    assert_eq!(world.location(&other, &content).await, world.location(&one, &content).await);
}

async fn a_repository_appears_with_its_first_link(world: &World) {
    let actor = world.user("up-new", Role::User).await;
    let name = repository("up-new/app");
    let unknown = RepositoryError::NameUnknown { repository: name.clone() };

    world.uploads.start(&name, &actor).await.unwrap();
    assert_eq!(world.repositories.blob(&name, &digest("x"), Intent::Read).await.unwrap_err(), unknown);

    let content = world.push_blob(&name, "up-new", &actor).await;
    assert!(world.location(&name, &content).await.is_some());
    let other = world.repositories.blob(&name, &digest("x"), Intent::Read).await.unwrap_err();
    assert!(matches!(other, RepositoryError::BlobUnknown { .. }), "{other}");
}

async fn a_hold_expires(world: &World) {
    let actor = world.user("up-hold", Role::User).await;
    let (name, content) = (repository("up-hold/app"), digest("up-hold"));
    let address = world.uploads.start(&name, &actor).await.unwrap().address;
    let held = world.uploads.hold(&address, &content).await.unwrap();
    let link = link_of(&held, &content, 7);

    world.clock.advance(HOLD_LIFETIME);
    let lost = UploadError::HoldLost { digest: content.clone() };
    assert_eq!(world.uploads.link(&link, &actor).await.unwrap_err(), lost);
    assert_eq!(world.location(&name, &content).await, None);

    world.uploads.hold(&address, &content).await.unwrap();
    world.uploads.link(&link, &actor).await.unwrap();
    assert!(world.location(&name, &content).await.is_some());
}

async fn a_link_needs_a_hold_of_the_same_session(world: &World) {
    let actor = world.user("up-mine", Role::User).await;
    let (name, content) = (repository("up-mine/app"), digest("up-mine"));
    let held = hold(world, &name, &content, &actor).await;
    let other = world.uploads.start(&name, &actor).await.unwrap();

    let link = Link { address: other.address, ..link_of(&held, &content, 7) };
    let lost = UploadError::HoldLost { digest: content };
    assert_eq!(world.uploads.link(&link, &actor).await.unwrap_err(), lost);
}

async fn hold(world: &World, name: &RepositoryName, content: &Digest, actor: &Actor) -> Held {
    let session: UploadSession = world.uploads.start(name, actor).await.unwrap();
    world.uploads.hold(&session.address, content).await.unwrap()
}

async fn of_two_pushers_of_one_content_one_place_wins(world: &World) {
    let actor = world.user("up-race", Role::User).await;
    let content = digest("up-race");
    let mut pushers = Vec::new();
    for number in 1..=6_u32 {
        let name = repository(&format!("up-race/app{}", number % 3));
        let held = hold(world, &name, &content, &actor).await;
        pushers.push((name, Link { locator: locator(&content, number), ..link_of(&held, &content, 7) }));
    }

    let mut racing = JoinSet::new();
    for (_, link) in pushers.clone() {
        let (uploads, actor) = (world.uploads.clone(), actor.clone());
        racing.spawn(async move { uploads.link(&link, &actor).await });
    }
    for outcome in racing.join_all().await {
        outcome.unwrap();
    }

    let winner = world.location(&pushers[0].0, &content).await.unwrap();
    for (name, _) in &pushers {
        assert_eq!(world.location(name, &content).await.as_ref(), Some(&winner));
    }
}

async fn a_link_can_be_repeated(world: &World) {
    let actor = world.user("up-repeat", Role::User).await;
    let (name, content) = (repository("up-repeat/app"), digest("up-repeat"));
    let held = hold(world, &name, &content, &actor).await;
    let link = link_of(&held, &content, 9);

    world.uploads.link(&link, &actor).await.unwrap();
    world.uploads.link(&link, &actor).await.unwrap();
    world.push_blob(&name, "up-repeat", &actor).await;

    assert_eq!(world.location(&name, &content).await, Some(locator(&content, 1)));
    let elsewhere =
        UploadAddress { repository: repository("up-repeat/never"), session: link.address.session };
    let unknown = world.uploads.link(&Link { address: elsewhere, ..link }, &actor).await.unwrap_err();
    assert!(matches!(unknown, UploadError::UploadUnknown { .. }), "{unknown}");
}

async fn missing_bytes_are_replaced_by_the_next_push(world: &World) {
    let actor = world.user("up-heal", Role::User).await;
    let name = repository("up-heal/app");
    let content = world.push_blob(&name, "up-heal", &actor).await;
    let held = hold(world, &name, &content, &actor).await;
    assert_eq!(held.locator, Some(locator(&content, 1)));

    let link = Link { locator: locator(&content, 2), ..link_of(&held, &content, 7) };
    world.uploads.link(&link, &actor).await.unwrap();
    assert_eq!(world.location(&name, &content).await, Some(locator(&content, 2)));
}

async fn quarantined_content_cannot_be_linked_where_it_was(world: &World) {
    let actor = world.user("up-gone", Role::User).await;
    let name = repository("up-gone/app");
    let content = world.push_blob(&name, "up-gone", &actor).await;
    let stale = hold(world, &name, &content, &actor).await;
    world.repositories.quarantine(&locator(&content, 1)).await.unwrap();

    let lost = UploadError::HoldLost { digest: content.clone() };
    assert_eq!(world.uploads.link(&link_of(&stale, &content, 7), &actor).await.unwrap_err(), lost);
    assert_eq!(world.location(&name, &content).await, None);

    let held = hold(world, &name, &content, &actor).await;
    assert_eq!(held.locator, None);
    let link = Link { locator: locator(&content, 2), ..link_of(&held, &content, 7) };
    world.uploads.link(&link, &actor).await.unwrap();
    assert_eq!(world.location(&name, &content).await, Some(locator(&content, 2)));
}

async fn a_mount_links_what_its_source_has(world: &World) {
    let actor = world.user("up-mount", Role::User).await;
    let (from, name) = (repository("up-mount/base"), repository("up-mount/app"));
    let content = world.push_blob(&from, "up-mount", &actor).await;
    let mount = Mount { repository: name.clone(), digest: content.clone(), from: vec![from] };

    for _ in 0..2 {
        assert_eq!(world.uploads.mount(&mount, &actor).await.unwrap(), Mounted::Linked);
    }
    let grant = world.repositories.blob(&name, &content, Intent::Read).await.unwrap();
    assert_eq!((grant.locator, grant.size_bytes), (locator(&content, 1), 8));
}

async fn a_mount_without_a_source_opens_a_session(world: &World) {
    let actor = world.user("up-unmount", Role::User).await;
    let (from, name) = (repository("up-unmount/base"), repository("up-unmount/app"));
    let content = world.push_blob(&from, "up-unmount", &actor).await;
    let mount = |from: &str, digest: &Digest| Mount {
        repository: name.clone(),
        digest: digest.clone(),
        from: vec![repository(from)],
    };

    let nowhere = [mount("up-unmount/none", &content), mount("up-unmount/base", &digest("unknown"))];
    for mount in nowhere {
        let Mounted::Started(session) = world.uploads.mount(&mount, &actor).await.unwrap() else {
            panic!("there is nothing to mount");
        };
        assert_eq!(world.uploads.session(&session.address).await.unwrap(), session);
        assert_eq!(session.address.repository, name);
    }

    world.repositories.quarantine(&locator(&content, 1)).await.unwrap();
    let mounted = world.uploads.mount(&mount("up-unmount/base", &content), &actor).await.unwrap();
    assert!(matches!(mounted, Mounted::Started(_)), "its bytes are gone");
    let foreign = Mount { repository: repository("up-nobody/app"), ..mount("up-unmount/base", &content) };
    let refused = world.uploads.mount(&foreign, &actor).await.unwrap_err();
    assert!(matches!(refused, UploadError::NamespaceUnknown { .. }), "{refused}");
}

async fn a_mount_looks_wherever_it_is_told_to_and_nowhere_else(world: &World) {
    let actor = world.user("up-where", Role::User).await;
    let [name, none, base] = ["app", "none", "base"].map(|part| repository(&format!("up-where/{part}")));
    let content = world.push_blob(&base, "up-where", &actor).await;
    let mount = |from: &[&RepositoryName]| Mount {
        repository: name.clone(),
        digest: content.clone(),
        from: from.iter().map(|name| (*name).clone()).collect(),
    };

    for from in [&[][..], &[&none], &[&name, &none]] {
        let mounted = world.uploads.mount(&mount(from), &actor).await.unwrap();
        assert!(matches!(mounted, Mounted::Started(_)), "{from:?}");
    }
    let many: Vec<RepositoryName> =
        (0..98).map(|number| repository(&format!("up-where/n{number}"))).collect();
    let everywhere: Vec<&RepositoryName> = many.iter().chain([&none, &base]).collect();
    assert_eq!(world.uploads.mount(&mount(&everywhere), &actor).await.unwrap(), Mounted::Linked);
    assert_eq!(world.location(&name, &content).await, Some(locator(&content, 1)));
    assert_eq!(
        world.uploads.mount(&mount(&[]), &actor).await.unwrap(),
        Mounted::Linked,
        "it is here already"
    );
}

async fn many_pushers_of_many_blobs_all_succeed(world: &World) {
    let actor = world.user("up-many", Role::User).await;
    let mut pushers = JoinSet::new();
    for number in 0..24_u32 {
        let (world, actor) = (world.clone(), actor.clone());
        pushers.spawn(async move {
            let name = repository("up-many/app");
            let content = format!("up-many {number}");
            let digest = world.push_blob(&name, &content, &actor).await;
            (
                world.repositories.blob(&name, &digest, Intent::Read).await.unwrap().size_bytes,
                content.len() as u64,
            )
        });
    }

    for (found, sent) in pushers.join_all().await {
        assert_eq!(found, sent);
    }
}
