//! Reclaim, undo and what they meet: cut off anywhere, and with a rival in the one order that hurts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oci::{Digest, Needed, Reference};
use proto::metadata::{
    More, Reclaim as _, ReclaimError, Repositories as _, RepositoryError, UploadError, Uploads as _,
    reclaim::Found,
    repositories::{Expected, Intent, Restore},
    uploads::{Mount, Mounted},
};

use super::{
    Strictness, check,
    cut::{
        Cutting, Upload, World, actor, app, cut_everywhere, digest, furnished, held, locator, manifest,
        other, world,
    },
    members,
};
use crate::{Service, keys};

const DAY: Duration = Duration::from_hours(24);

/// A sweep after `later`: walks and reaps until nothing is due. The bytes are somebody else's business.
pub(super) async fn try_sweep(world: &World, later: Duration) -> Result<(), ReclaimError> {
    world.clock.advance(later);
    swept(&world.service).await
}

pub(super) async fn sweep(world: &World, later: Duration) {
    try_sweep(world, later).await.unwrap();
}

/// What rules let go.
pub(super) async fn retained(service: &Service) -> Result<u64, ReclaimError> {
    let (mut manifests, mut cursor) = (0, None);
    loop {
        let step = service.retain(cursor.as_deref()).await?;
        manifests += step.manifests;
        cursor = step.next;
        if cursor.is_none() {
            return Ok(manifests);
        }
    }
}

async fn swept(service: &Service) -> Result<(), ReclaimError> {
    retained(service).await?;
    let mut after = None;
    loop {
        let unlinked = service.unlink(after.as_ref()).await?;
        after = unlinked.next;
        if after.is_none() && unlinked.more == More::No {
            break;
        }
    }
    while service.reap().await?.more == More::Yes {}
    Ok(())
}

/// Everything that the furnishing has pushed is deleted.
async fn cleared(service: &Service) {
    for body in ["index", "image 2", "image 1"] {
        service.delete_manifest(&app(), &by_digest(body), &Expected::Anything, &actor()).await.unwrap();
    }
}

async fn fresh() -> (Arc<Cutting>, World) {
    let keyspace = Cutting::new();
    let world = world(keyspace.clone()).await;
    furnished(&world.service).await;
    (keyspace, world)
}

async fn holds(keyspace: &Cutting, world: &World) {
    assert!(!keyspace.is_interposed(), "no commit was made");
    let manifests = ["image 1", "image 2", "image 3", "index"].map(digest);
    check(&world.service, &[app(), other()], &manifests, Strictness::Exact).await;
}

fn by_digest(body: &str) -> Reference {
    Reference::Digest(digest(body))
}

fn undo(what: &str) -> Restore {
    let what = what.parse().unwrap_or_else(|_| by_digest(what));
    Restore { repository: app(), what, to: None }
}

async fn has_blob(service: &Service, blob: &str) -> bool {
    service.blob(&app(), &digest(blob), Intent::Read).await.is_ok()
}

#[tokio::test]
async fn what_is_deleted_goes_after_the_undo_window_and_the_grace() {
    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    sweep(&world, 6 * DAY).await;
    assert!(has_blob(&world.service, "layer 1").await, "it can still be restored");

    sweep(&world, 2 * DAY).await;
    assert!(has_blob(&world.service, "layer 1").await, "its grace has only begun");
    sweep(&world, 2 * DAY).await;
    assert!(!has_blob(&world.service, "layer 1").await);
    sweep(&world, DAY).await;

    assert_eq!(members(&world.service, &keys::IDLE).await.len(), 0);
    assert_eq!(members(&world.service, &keys::GARBAGE).await.len(), 2, "the bytes of two layers");
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(world.garbage(10).await.unwrap().len(), 2);
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn a_sweep_of_what_nobody_needs() {
    let prepare = async |world: &World| {
        cleared(&world.service).await;
        world.clock.advance(8 * DAY);
    };
    cut_everywhere(async |service: &Service, (): &()| swept(service).await, prepare).await;

    let prepare = async |world: &World| {
        cleared(&world.service).await;
        sweep(world, 8 * DAY).await;
        world.clock.advance(2 * DAY);
    };
    cut_everywhere(async |service: &Service, (): &()| swept(service).await, prepare).await;

    let prepare = async |world: &World| {
        cleared(&world.service).await;
        sweep(world, 8 * DAY).await;
        sweep(world, 2 * DAY).await;
        world.clock.advance(DAY);
    };
    cut_everywhere(async |service: &Service, (): &()| swept(service).await, prepare).await;
}

#[tokio::test]
async fn a_sweep_that_was_cut_off_is_finished_by_the_next() {
    for after in 0..60 {
        let (keyspace, world) = fresh().await;
        cleared(&world.service).await;
        for later in [8 * DAY, 2 * DAY, DAY, DAY] {
            keyspace.cut_after(after % 12);
            let _cut = try_sweep(&world, later).await;
            keyspace.mend();
            sweep(&world, Duration::ZERO).await;
        }
        sweep(&world, 2 * DAY).await;
        sweep(&world, DAY).await;

        assert_eq!(members(&world.service, &keys::IDLE).await.len(), 0, "cut after {after}");
        // A reaping that was cut off between record and queue leaves bytes that only the store knows.
        let locators = ["layer 1", "layer 2"].map(|layer| locator(&digest(layer), 1)).to_vec();
        world.audit(&Found { locators, sessions: Vec::new() }).await.unwrap();
        world.clock.advance(DAY);
        let garbage = world.garbage(10).await.unwrap();
        let places: BTreeSet<String> =
            garbage.iter().map(|discarded| discarded.locator.to_string()).collect();
        assert_eq!(places.len(), 2, "cut after {after}");
    }
}

#[tokio::test]
async fn an_undo() {
    let restore = async |service: &Service, what: &String| match service.restore(&undo(what), &actor()).await
    {
        // What a cut restoration has already brought back cannot be brought back again.
        Err(RepositoryError::NothingToRestore { .. }) => Ok(()),
        outcome => outcome.map(drop),
    };
    for what in ["multi".to_owned(), digest("index").to_string(), digest("image 1").to_string()] {
        let prepare = async |world: &World| {
            cleared(&world.service).await;
            what.clone()
        };
        cut_everywhere(restore, prepare).await;
    }
}

#[tokio::test]
async fn a_deleted_index_comes_back_with_its_children() {
    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    assert_eq!(world.restore(&undo("multi"), &actor()).await.unwrap(), digest("index"));

    for reference in ["multi".parse().unwrap(), by_digest("image 2"), "v2".parse().unwrap()] {
        world.manifest(&app(), &reference).await.unwrap();
    }
    let gone = world.manifest(&app(), &by_digest("image 1")).await.unwrap_err();
    assert!(matches!(gone, RepositoryError::ManifestUnknown { .. }), "{gone}");
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn a_push_brings_back_what_was_deleted() {
    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    let layer = digest("layer 1");
    let again = manifest(&app(), "image 1", &[(Needed::Blob, &layer)], &["again"]);
    world.put_manifest(&again, &actor()).await.unwrap();

    sweep(&world, 30 * DAY).await;
    sweep(&world, 30 * DAY).await;
    assert!(has_blob(&world.service, "layer 1").await);
    assert!(!has_blob(&world.service, "layer 2").await);
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn a_blob_is_taken_into_use_while_it_is_unlinked() {
    let (keyspace, world) = fresh().await;
    let layer = digest("layer 3");
    let link = held(&world, &app(), &layer, Upload::Written(3)).await;
    world.link(&link, &actor()).await.unwrap();

    world.clock.advance(2 * DAY);
    let rival = world.service.clone();
    let image = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["v3"]);
    keyspace.interpose(async move { rival.put_manifest(&image, &actor()).await.unwrap() });
    swept(&world).await.unwrap();
    assert!(has_blob(&world, "layer 3").await);
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn a_blob_is_unlinked_while_it_is_taken_into_use() {
    let (keyspace, world) = fresh().await;
    let layer = digest("layer 3");
    let link = held(&world, &app(), &layer, Upload::Written(3)).await;
    world.link(&link, &actor()).await.unwrap();

    world.clock.advance(2 * DAY);
    let rival = world.service.clone();
    keyspace.interpose(async move { swept(&rival).await.unwrap() });
    let image = manifest(&app(), "image 3", &[(Needed::Blob, &layer)], &["v3"]);
    let refused = world.put_manifest(&image, &actor()).await.unwrap_err();
    assert_eq!(refused, RepositoryError::ReferencesMissing { missing: vec![layer] });
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn who_asks_in_order_to_push_is_not_disappointed() {
    for intent in [Intent::Push, Intent::Read] {
        let (keyspace, world) = fresh().await;
        let layer = digest("layer 3");
        let link = held(&world, &app(), &layer, Upload::Written(3)).await;
        world.link(&link, &actor()).await.unwrap();

        world.clock.advance(DAY * 3 / 4);
        world.blob(&app(), &layer, intent).await.unwrap();
        sweep(&world, DAY * 3 / 4).await;
        assert_eq!(has_blob(&world, "layer 3").await, intent == Intent::Push);
        holds(&keyspace, &world).await;
    }
}

#[tokio::test]
async fn a_mount_of_what_is_here_already_keeps_it() {
    let (keyspace, world) = fresh().await;
    let layer = digest("layer 3");
    let link = held(&world, &app(), &layer, Upload::Written(3)).await;
    world.link(&link, &actor()).await.unwrap();

    world.clock.advance(DAY * 3 / 4);
    let mount = Mount { repository: app(), digest: layer, from: vec![app()] };
    let mounted = world.mount(&mount, &actor()).await.unwrap();
    assert!(matches!(mounted, Mounted::Linked), "{mounted:?}");
    sweep(&world, DAY * 3 / 4).await;
    assert!(has_blob(&world, "layer 3").await);
    holds(&keyspace, &world).await;
}

/// Content without a reference: its only link is gone, its bytes are not reaped yet.
async fn idle(world: &World) -> Digest {
    let layer = digest("layer 3");
    let link = held(world, &app(), &layer, Upload::Written(3)).await;
    world.link(&link, &actor()).await.unwrap();
    sweep(world, 2 * DAY).await;
    assert!(!has_blob(world, "layer 3").await);
    world.clock.advance(Duration::from_mins(5));
    layer
}

#[tokio::test]
async fn content_is_held_while_it_is_reaped() {
    let (keyspace, world) = fresh().await;
    let layer = idle(&world).await;
    let session = world.start(&other(), &actor()).await.unwrap();
    let (rival, address, digest) = (world.service.clone(), session.address.clone(), layer.clone());
    keyspace.interpose(async move { drop(rival.hold(&address, &digest).await.unwrap()) });

    world.reap().await.unwrap();
    let held = world.hold(&session.address, &layer).await.unwrap();
    assert!(held.locator.is_some(), "a hold that comes first is not passed over");
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn content_is_reaped_while_it_is_held() {
    let (keyspace, world) = fresh().await;
    let layer = idle(&world).await;
    let session = world.start(&other(), &actor()).await.unwrap();
    let rival = world.service.clone();
    keyspace.interpose(async move { assert_eq!(rival.reap().await.unwrap().contents, 1) });

    let held = world.hold(&session.address, &layer).await.unwrap();
    assert!(held.locator.is_none(), "who holds looks afterwards");
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn an_expired_hold_does_not_keep_content_or_link_it() {
    let (keyspace, world) = fresh().await;
    let layer = idle(&world).await;
    let link = held(&world, &other(), &layer, Upload::Reused(4)).await;
    world.clock.advance(Duration::from_hours(2));
    sweep(&world, Duration::ZERO).await;
    sweep(&world, Duration::from_mins(5)).await;

    let lost = UploadError::HoldLost { digest: layer };
    assert_eq!(world.link(&link, &actor()).await.unwrap_err(), lost);
    assert_eq!(members(&world, &keys::GARBAGE).await.len(), 1);
    assert_eq!(members(&world, &keys::IDLE).await.len(), 0);
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn two_that_go_at_once_do_not_leave_their_blob_to_each_other() {
    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    world.clock.advance(8 * DAY);
    let rival = world.service.clone();
    keyspace.interpose(async move { swept(&rival).await.unwrap() });

    swept(&world).await.unwrap();
    sweep(&world, 2 * DAY).await;
    assert!(!has_blob(&world, "layer 1").await);
    holds(&keyspace, &world).await;
}

#[tokio::test]
async fn what_is_restored_while_it_is_given_up_is_whole_or_gone() {
    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    world.clock.advance(8 * DAY);
    let rival = world.service.clone();
    keyspace.interpose(async move { drop(rival.restore(&undo("latest"), &actor()).await.unwrap()) });
    swept(&world).await.unwrap();
    sweep(&world, 3 * DAY).await;
    world.manifest(&app(), &"latest".parse().unwrap()).await.unwrap();
    assert!(has_blob(&world, "layer 1").await);
    holds(&keyspace, &world).await;

    let (keyspace, world) = fresh().await;
    cleared(&world.service).await;
    world.clock.advance(8 * DAY);
    let rival = world.service.clone();
    keyspace.interpose(async move { swept(&rival).await.unwrap() });
    let refused = world.restore(&undo("latest"), &actor()).await.unwrap_err();
    assert!(matches!(refused, RepositoryError::NothingToRestore { .. }), "{refused}");
    holds(&keyspace, &world).await;
}
