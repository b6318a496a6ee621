//! Repositories that are called otherwise or deleted, cut everywhere: at any moment one of the two names is the right one
//! and nothing is read or written by the other, and what is deleted goes wholly.

use std::time::Duration;

use oci::{Needed, Reference, RepositoryName};
use proto::metadata::{
    More, Organizations as _, Reclaim as _, ReclaimError, Repositories as _, RepositoryError,
    RepositorySettings as _, UploadError, Uploads as _, Visibility,
    organizations::{Grantee, Level},
    repositories::Expected,
    settings::RepositoryChange,
};

use super::{
    super::{Strictness, check, members, mended::is_mended, record},
    Cutting, Upload, World, actor, app, cut_everywhere, digest, furnished, held, manifest, world,
};
use crate::{
    Service,
    keys::{self, RepositoryId, field},
};

fn tool() -> RepositoryName {
    "ann/tool".parse().unwrap()
}

fn in_team() -> RepositoryName {
    "team/app".parse().unwrap()
}

/// The furnished world, and an organization that ann owns.
async fn prepared(world: &World) {
    furnished(world).await;
    organized(world).await;
}

async fn organized(world: &World) {
    let (team, ann) = ("team".parse().unwrap(), "ann".parse().unwrap());
    world.create_organization(&team, &ann, &actor()).await.unwrap();
    let grantee = Grantee::User("ann".parse().unwrap());
    world.grant(&app(), &grantee, Some(Level::Read), &actor()).await.unwrap();
}

async fn is_found(service: &Service, name: &RepositoryName) -> bool {
    let found = service.manifest(name, &"v1".parse().unwrap()).await;
    assert!(!matches!(found, Err(RepositoryError::Unavailable { .. })));
    found.is_ok()
}

async fn rename(
    service: &Service,
    from: &RepositoryName,
    to: &RepositoryName,
) -> Result<(), RepositoryError> {
    service.move_repository(from, to, &actor()).await
}

async fn checked(service: &Service, names: &[RepositoryName], strictness: Strictness) {
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(service, names, &manifests, strictness).await;
}

#[tokio::test]
async fn at_any_moment_one_of_two_names_is_the_right_one() {
    for to in [tool(), in_team()] {
        let names = [app(), to.clone()];
        for after in 0.. {
            let keyspace = Cutting::new();
            let world = world(keyspace.clone()).await;
            prepared(&world).await;

            keyspace.cut_after(after);
            let outcome = rename(&world, &app(), &to).await;
            keyspace.mend();
            checked(&world, &names, Strictness::AfterCuts).await;
            let [by_old, by_new] = [is_found(&world, &app()).await, is_found(&world, &to).await];
            assert_ne!(by_old, by_new, "after {after} mutations");
            let (right, wrong) = if by_old { (app(), to.clone()) } else { (to.clone(), app()) };
            let pushed = |name| manifest(name, "image 3", &[(Needed::Blob, &digest("layer 1"))], &["v3"]);
            world.put_manifest(&pushed(&right), &actor()).await.unwrap();
            world.put_manifest(&pushed(&wrong), &actor()).await.unwrap_err();
            if outcome.is_ok() {
                assert!(by_new && after > 5);
                checked(&world, &names, Strictness::Exact).await;
                break;
            }

            rename(&world, &app(), &to).await.unwrap();
            assert!(is_found(&world, &to).await);
            let moved = RepositoryError::Moved { repository: app(), to: to.clone() };
            assert_eq!(world.manifest(&app(), &"v1".parse().unwrap()).await, Err(moved));
            // A namespace may have counted it twice.
            world.unlink(None).await.unwrap();
            checked(&world, &names, Strictness::Mended).await;
        }
    }
}

#[tokio::test]
async fn what_a_cut_move_has_left_is_mended_by_the_next_sweep() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        prepared(&world).await;
        let public = RepositoryChange { visibility: Some(Visibility::Public), description: None };
        world.change_repository(&app(), &public, &actor()).await.unwrap();

        keyspace.cut_after(after);
        let outcome = rename(&world, &app(), &in_team()).await;
        keyspace.mend();
        let before = is_found(&world, &app()).await;
        world.unlink(None).await.unwrap();

        let placed = [world.placed(&app()).await.unwrap(), world.placed(&in_team()).await.unwrap()];
        assert_eq!(placed.map(|place| place.is_some()), [before, !before], "after {after} mutations");
        checked(&world, &[app(), in_team()], Strictness::AfterCuts).await;
        // The name is free, or leads on, but is nobody's dead end.
        let free = if before { in_team() } else { app() };
        world.create_repository(&free, Visibility::Private, "", &actor()).await.unwrap();
        if outcome.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn what_a_cut_move_has_left_is_mended_by_a_check() {
    for to in [tool(), in_team()] {
        for after in 0.. {
            let keyspace = Cutting::new();
            let world = world(keyspace.clone()).await;
            prepared(&world).await;
            keyspace.cut_after(after);
            let outcome = rename(&world, &app(), &to).await;
            keyspace.mend();

            is_mended(&world).await;
            assert_ne!(is_found(&world, &app()).await, is_found(&world, &to).await);
            checked(&world, &[app(), to.clone()], Strictness::Mended).await;
            if outcome.is_ok() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn whoever_was_decided_before_a_move_decides_anew() {
    let moved = || RepositoryError::Moved { repository: app(), to: tool() };
    let begun = async || {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        prepared(&world).await;
        let link = held(&world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
        let rival = world.service.clone();
        keyspace.interpose(async move { rename(&rival, &app(), &tool()).await.unwrap() });
        (keyspace, world, link)
    };

    let (keyspace, world, _) = begun().await;
    let pushed = manifest(&app(), "image 3", &[(Needed::Blob, &digest("layer 1"))], &["v3"]);
    assert_eq!(world.put_manifest(&pushed, &actor()).await, Err(moved()));
    assert!(!keyspace.is_interposed());

    let (_, world, link) = begun().await;
    let told = UploadError::Moved { repository: app(), to: tool() };
    assert_eq!(world.link(&link, &actor()).await, Err(told));

    let (_, world, _) = begun().await;
    let tag = "v1".parse().unwrap();
    let deleted = world.delete_manifest(&app(), &Reference::Tag(tag), &Expected::Anything, &actor()).await;
    assert_eq!(deleted, Err(moved()));

    let (_, world, _) = begun().await;
    assert_eq!(world.delete_repository(&app(), &actor()).await, Err(moved()));
    assert!(is_found(&world, &tool()).await, "what was renamed is not what was to be deleted");

    let (_, world, _) = begun().await;
    assert_eq!(rename(&world, &app(), &in_team()).await, Err(moved()));
    checked(&world, &[app(), tool(), in_team()], Strictness::Exact).await;
}

#[tokio::test]
async fn a_move_and_a_push_that_makes_its_name_do_not_both_win() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    prepared(&world).await;
    let rival = world.service.clone();
    keyspace.interpose(async move {
        rival.put_manifest(&manifest(&tool(), "image 3", &[], &["v3"]), &actor()).await.unwrap();
    });
    let exists = RepositoryError::RepositoryExists { repository: tool() };
    assert_eq!(rename(&world, &app(), &tool()).await, Err(exists));
    checked(&world, &[app(), tool()], Strictness::Exact).await;

    let keyspace = Cutting::new();
    let world = self::world(keyspace.clone()).await;
    prepared(&world).await;
    let rival = world.service.clone();
    keyspace.interpose(async move { rename(&rival, &app(), &tool()).await.unwrap() });
    // It goes where the name leads by then.
    world.put_manifest(&manifest(&tool(), "image 3", &[], &["v3"]), &actor()).await.unwrap();
    assert!(is_found(&world, &tool()).await);
    checked(&world, &[app(), tool()], Strictness::Exact).await;
}

async fn drained(service: &Service) -> Result<(), ReclaimError> {
    while service.purge().await?.more == More::Yes {}
    Ok(())
}

/// Tags, manifests, an index, a deleted manifest, links that are used and unused, grants and a history.
async fn filled(world: &World) -> RepositoryId {
    furnished(world).await;
    added(world).await
}

async fn added(world: &World) -> RepositoryId {
    organized(world).await;
    let link = held(world, &app(), &digest("layer 3"), Upload::Reused(1)).await;
    world.link(&link, &actor()).await.unwrap();
    let gone = Reference::Digest(digest("image 1"));
    world.delete_manifest(&app(), &gone, &Expected::Anything, &actor()).await.unwrap();
    world.placed(&app()).await.unwrap().unwrap().id
}

async fn nothing_is_left(service: &Service, id: RepositoryId) {
    for key in [keys::state(id), keys::tag(id), keys::pushed(id), keys::blobs(id), keys::grants(id)] {
        assert_eq!(record(service, &key).await.len(), 0, "{key}");
    }
    let sets = [
        keys::tags(id),
        keys::recent(id),
        keys::tagged(id),
        keys::untagged(id),
        keys::uses(id),
        keys::unused(id),
        keys::referrers(id),
        keys::history(id),
        keys::events(id),
        keys::trash(id),
        keys::PURGE,
        keys::DIRTY,
    ];
    for key in sets {
        assert!(members(service, &key).await.is_empty(), "{key}");
    }
    for body in ["image 1", "image 2", "index"].map(digest) {
        assert_eq!(record(service, &keys::manifest(id, &body)).await.len(), 0);
        assert_eq!(record(service, &keys::trashed(id, &body)).await.len(), 0);
    }
    let idle = members(service, &keys::IDLE).await;
    for layer in ["layer 1", "layer 2", "layer 3"].map(digest) {
        assert_eq!(record(service, &keys::refs(&layer)).await.len(), 0, "{layer} is referenced");
        let listed = idle.iter().any(|member| keys::last_part(member) == layer.to_string().as_bytes());
        assert!(listed, "nobody looks whether {layer} is needed");
    }
}

#[tokio::test]
async fn a_deletion_is_begun_or_not_and_then_completed() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let world = world(keyspace.clone()).await;
        let id = filled(&world).await;

        keyspace.cut_after(after);
        let outcome = world.delete_repository(&app(), &actor()).await;
        keyspace.mend();
        let begun = record(&world, &keys::state(id)).await.text(field::STATE) != Some("live");
        let pushed = manifest(&app(), "image 3", &[], &["v3"]);
        let written = world.put_manifest(&pushed, &actor()).await;
        let same = record(&world, &keys::state(id)).await.text(field::NAME) == Some(app().as_str());
        assert!(written.is_ok() || same, "the name is free once it is taken away: {written:?}");
        drained(&world).await.unwrap();

        match (begun, &outcome) {
            (false, Err(_)) => {
                let v2 = "v2".parse().unwrap();
                world.manifest(&app(), &v2).await.unwrap();
                checked(&world, &[app()], Strictness::Exact).await;
                world.delete_repository(&app(), &actor()).await.unwrap();
                drained(&world).await.unwrap();
            }
            (true, _) => {}
            (false, Ok(())) => panic!("it was deleted and is not"),
        }
        for key in [keys::state(id), keys::blobs(id), keys::tag(id)] {
            assert_eq!(record(&world, &key).await.len(), 0, "{key} after {after} mutations");
        }
        if written.is_ok() && begun {
            world.manifest(&app(), &"v3".parse().unwrap()).await.unwrap();
            checked(&world, &[app()], Strictness::Exact).await;
        } else {
            let anew = manifest(&app(), "image 3", &[], &["v3"]);
            world.put_manifest(&anew, &actor()).await.unwrap();
        }
        if outcome.is_ok() {
            assert!(after > 3);
            return;
        }
    }
}

#[tokio::test]
async fn what_was_deleted_is_removed_to_the_end() {
    let prepare = async |world: &World| {
        let id = added(world).await;
        world.delete_repository(&app(), &actor()).await.unwrap();
        id
    };
    let purge = async |service: &Service, id: &RepositoryId| {
        drained(service).await?;
        nothing_is_left(service, *id).await;
        Ok::<(), ReclaimError>(())
    };
    cut_everywhere(purge, prepare).await;
}

#[tokio::test]
async fn the_bytes_of_what_was_deleted_come_back() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    let id = filled(&world).await;
    world.delete_repository(&app(), &actor()).await.unwrap();
    drained(&world).await.unwrap();
    nothing_is_left(&world, id).await;

    world.clock.advance(Duration::from_hours(2));
    while world.reap().await.unwrap().more == More::Yes {}
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(world.garbage(10).await.unwrap().len(), 3, "three layers");
}

#[tokio::test]
async fn a_push_that_was_decided_before_a_deletion_is_not_in_what_is_deleted() {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    prepared(&world).await;
    let rival = world.service.clone();
    keyspace.interpose(async move { rival.delete_repository(&app(), &actor()).await.unwrap() });
    world.put_manifest(&manifest(&app(), "image 3", &[], &["v3"]), &actor()).await.unwrap();
    drained(&world).await.unwrap();

    let found = world.manifest(&app(), &"v3".parse().unwrap()).await.unwrap();
    assert_eq!(found.digest, digest("image 3"), "what was acknowledged is there");
    checked(&world, &[app()], Strictness::Exact).await;
}
