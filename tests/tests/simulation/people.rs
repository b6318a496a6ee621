//! Who is there: pushers, some of whom share an upload, who mount, delete, undo, pull, sweep; and time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::{Digest, ManifestKind, Need, Needed, Reference, RepositoryName};
use proto::{
    blob::{Append, BlobError, Blobs as _, Delivery, Ended, Finish, Finished, Opened, Part},
    empty_stream,
    metadata::{
        Repositories as _, RepositorySettings as _, UploadError, Uploads as _,
        repositories::{Expected, Intent, NewManifest, Restore},
        uploads::{Advance, Link, Mount, UploadAddress, UploadSession},
    },
    stream_of,
};

use crate::{
    scheduler::{Dice, Mortal, Task},
    world::{World, digest, layer},
};

pub(crate) const IMAGES: usize = 3;
pub(crate) const LAYERS: usize = 3;
const TAGS: [&str; 2] = ["latest", "v1"];

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pushers: usize,
    deleters: usize,
    sweepers: usize,
    pullers: usize,
}

impl Plan {
    pub(crate) fn of(dice: &Dice) -> Self {
        Self {
            pushers: 1 + dice.below(4),
            deleters: dice.below(3),
            sweepers: 1 + dice.below(2),
            pullers: dice.below(2),
        }
    }
}

pub(crate) fn repositories() -> [RepositoryName; 2] {
    ["ann/app", "ann/other"].map(|name| name.parse().unwrap())
}

/// The layers of an image.
pub(crate) fn layers_of(image: usize) -> [usize; 2] {
    [image % LAYERS, (image + 1) % LAYERS]
}

pub(crate) fn image_digest(image: usize) -> Digest {
    digest(body(image).as_bytes())
}

fn body(image: usize) -> String {
    format!("image {image}")
}

/// What is there before the others come, if anything.
pub(crate) fn furniture(world: &World, dice: &Dice) -> Vec<Task> {
    let pushed = (0..dice.below(3)).map(|number| {
        let (world, name, image) = (world.clone(), repositories()[dice.below(2)].clone(), dice.below(IMAGES));
        let work = Box::pin(async move { push(&world, &name, image, TAGS[0]).await });
        Task { name: format!("furnisher {number}"), mortal: Mortal::No, work }
    });
    pushed.collect()
}

/// Everybody, each with choices made beforehand.
pub(crate) fn crowd(world: &World, dice: &Dice, plan: Plan) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut join = |name: String, mortal, work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        tasks.push(Task { name, mortal, work });
    };
    let name = |dice: &Dice| repositories()[dice.below(2)].clone();

    for number in 0..plan.pushers {
        let (world, name, image, tag) = (world.clone(), name(dice), dice.below(IMAGES), TAGS[dice.below(2)]);
        let work = Box::pin(async move { push(&world, &name, image, tag).await });
        join(format!("pusher {number}"), Mortal::Yes, work);
    }
    for number in 0..plan.deleters {
        let (world, name, image, kind) = (world.clone(), name(dice), dice.below(IMAGES), dice.below(4));
        let work = Box::pin(async move { delete(&world, &name, image, kind).await });
        join(format!("deleter {number}"), Mortal::Yes, work);
    }
    for number in 0..plan.sweepers {
        let (world, rounds) = (world.clone(), 1 + dice.below(4));
        let work = Box::pin(async move { sweep(&world, rounds).await });
        join(format!("sweeper {number}"), Mortal::Yes, work);
    }
    for number in 0..plan.pullers {
        let (world, name) = (world.clone(), name(dice));
        let work = Box::pin(async move { pull(&world, &name).await });
        join(format!("puller {number}"), Mortal::No, work);
    }
    if dice.below(3) == 0 {
        let (world, name, number) = (world.clone(), name(dice), dice.below(LAYERS));
        join("again".to_owned(), Mortal::Yes, Box::pin(async move { again(&world, &name, number).await }));
    }
    if dice.below(3) == 0 {
        let (world, to) = (world.clone(), name(dice));
        join("mounter".to_owned(), Mortal::Yes, Box::pin(async move { mount(&world, &to).await }));
    }
    if dice.below(3) == 0 {
        let (world, name, image, tag) = (world.clone(), name(dice), dice.below(IMAGES), TAGS[dice.below(2)]);
        join("tagger".to_owned(), Mortal::Yes, Box::pin(async move { put(&world, &name, image, tag).await }));
    }
    if dice.below(4) == 0 {
        let (world, to) = (world.clone(), name(dice));
        join("duel".to_owned(), Mortal::No, Box::pin(async move { duel(&world, &to).await }));
    }
    let (everywhere, jumps) = (world.clone(), (0..4).map(|_| dice.below(6)).collect::<Vec<_>>());
    join("time".to_owned(), Mortal::No, Box::pin(async move { pass(&everywhere, &jumps).await }));
    let remover = remover(world, dice, &tasks);
    tasks.extend(remover);
    tasks
}

/// Somebody who deletes a whole repository. An upload that counted cannot be published into one that is gone, which is
/// what a duel is about.
fn remover(world: &World, dice: &Dice, tasks: &[Task]) -> Option<Task> {
    let (duels, removes) = (tasks.iter().any(|task| task.name == "duel"), dice.below(4) == 0);
    let (world, name) = (world.clone(), repositories()[dice.below(2)].clone());
    let work = Box::pin(async move {
        let _ = world.metadata.delete_repository(&name, &World::actor()).await;
    });
    (removes && !duels).then(|| Task { name: "remover".to_owned(), mortal: Mortal::Yes, work })
}

/// Time passes: seconds to days, so that holds, graces and windows end in the midst of things.
async fn pass(world: &World, jumps: &[usize]) {
    for jump in jumps {
        world.points.point("time passes").await;
        for _ in 0..20 {
            world.points.point("time stands").await;
        }
        let by = [1, 120, 4_000, 30 * 3_600, 5 * 86_400, 9 * 86_400][*jump];
        world.clock.advance(Duration::from_secs(by));
    }
}

/// Pushes an image as a client does: its layers one after the other, then the manifest.
async fn push(world: &World, name: &RepositoryName, image: usize, tag: &str) {
    for number in layers_of(image) {
        let bytes = layer(number);
        let known = world.metadata.blob(name, &digest(&bytes), Intent::Push).await;
        if known.is_err() && !upload(world, name, &bytes).await {
            return;
        }
    }
    put(world, name, image, tag).await;
}

/// Deletes a blob while another request pushes it.
async fn again(world: &World, name: &RepositoryName, number: usize) {
    let bytes = layer(number);
    let blob = digest(&bytes);
    upload(world, name, &bytes).await;
    let actor = World::actor();
    let delete = world.metadata.delete_blob(name, &blob, &actor);
    let _ = futures_util::future::join(delete, upload(world, name, &bytes)).await;
}

/// Puts the manifest of an image. Days may have passed since its layers were pushed: then they are missing, and
/// that is said.
async fn put(world: &World, name: &RepositoryName, image: usize, tag: &str) {
    let needs = layers_of(image).map(|number| {
        let bytes = layer(number);
        Need { digest: digest(&bytes), size: bytes.len() as u64, what: Needed::Blob }
    });
    let manifest = NewManifest {
        repository: name.clone(),
        digest: image_digest(image),
        media_type: ManifestKind::OciManifest.media_type(),
        body: Bytes::from(body(image)),
        needs: needs.to_vec(),
        subject: None,
        artifact_type: None,
        annotations: std::collections::BTreeMap::new(),
        tags: vec![tag.parse().unwrap()],
        expected: Expected::Anything,
    };
    let _ = world.metadata.put_manifest(&manifest, &World::actor()).await;
}

/// Uploads a blob in two parts; whether it is linked.
async fn upload(world: &World, name: &RepositoryName, bytes: &[u8]) -> bool {
    let Ok(session) = world.metadata.start(name, &World::actor()).await else { return false };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for part in [first, second] {
        if !append(world, &session.address, part).await {
            return false;
        }
    }
    publish(world, &session.address, &digest(bytes)).await
}

/// Appends at the offset that the session has when it is looked at; whether that counted.
async fn append(world: &World, address: &UploadAddress, bytes: &[u8]) -> bool {
    let Ok(session) = world.metadata.session(address).await else { return false };
    let UploadSession { address, parts, offset, hash, .. } = session;
    let (before, expected_bytes) = (parts.last().cloned(), Some(bytes.len() as u64));
    let append = Append { session: address.session, before, offset, hash, expected_bytes };
    let appended = world.blobs.append(append, stream_of(Bytes::copy_from_slice(bytes))).await.unwrap();
    assert_eq!(appended.ended, Ended::Complete);

    let part: Part = appended.part.unwrap();
    world.metadata.advance(&Advance { address, part, hash: appended.hash }).await.is_ok()
}

/// Publishes and links as the edge does; whether it came to that.
async fn publish(world: &World, address: &UploadAddress, digest: &Digest) -> bool {
    for _ in 0..16 {
        let Ok(held) = world.metadata.hold(address, digest).await else { return false };
        let UploadSession { parts, offset, hash, .. } = held.session;
        let (session, existing, digest) = (address.session, held.locator.clone(), digest.clone());
        let finish = Finish { session, parts, offset, hash, digest, existing, expected_bytes: None };
        let (locator, size_bytes) = match world.blobs.finish(finish.clone(), empty_stream()).await {
            Ok(Finished::Published { locator, size_bytes }) => (locator, size_bytes),
            Ok(Finished::Cut(_)) => unreachable!("the last body is empty"),
            // The upload is too old, and its parts have been swept; or they are not what was hashed.
            Err(BlobError::PartMissing { .. } | BlobError::DigestMismatch { .. }) => return false,
            Err(error) => panic!("{error}"),
        };

        let (address, seen) = (address.clone(), held.locator);
        let link = Link { address, digest: finish.digest, size_bytes, locator, seen };
        match world.metadata.link(&link, &World::actor()).await {
            Ok(()) => {
                let _ = world.blobs.discard(&session).await;
                return true;
            }
            Err(UploadError::HoldLost { .. }) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Two requests append different bytes to one upload at the same time. The one that counted is published.
async fn duel(world: &World, name: &RepositoryName) {
    let Ok(session) = world.metadata.start(name, &World::actor()).await else { return };
    let (one, other) = (b"the bytes of one ".as_slice(), b"and of the other ".as_slice());
    let address = &session.address;
    let counted =
        futures_util::future::join(append(world, address, one), append(world, address, other)).await;

    let candidates: &[Vec<u8>] = match counted {
        (true, false) => &[one.to_vec()],
        (false, true) => &[other.to_vec()],
        // One came after the other was done; which was first, the digest says.
        (true, true) => &[[one, other].concat(), [other, one].concat()],
        (false, false) => return,
    };
    for bytes in candidates {
        if publish(world, address, &digest(bytes)).await {
            read(world, name, &digest(bytes)).await;
            return;
        }
    }
    if world.metadata.session(address).await.is_ok() {
        world.violated("an upload that counted cannot be published".to_owned());
    }
}

async fn delete(world: &World, name: &RepositoryName, image: usize, kind: usize) {
    let by_digest = Reference::Digest(image_digest(image));
    let actor = World::actor();
    match kind {
        0 => {
            let tag = "latest".parse().unwrap();
            let _ = world.metadata.delete_manifest(name, &tag, &Expected::Anything, &actor).await;
            let restore = Restore { repository: name.clone(), what: tag, to: None };
            let _ = world.metadata.restore(&restore, &actor).await;
        }
        1 => {
            let _ = world.metadata.delete_manifest(name, &by_digest, &Expected::Anything, &actor).await;
            let restore = Restore { repository: name.clone(), what: by_digest, to: None };
            let _ = world.metadata.restore(&restore, &actor).await;
        }
        2 => {
            let blob = digest(&layer(layers_of(image)[0]));
            let _ = world.metadata.delete_blob(name, &blob, &actor).await;
        }
        _ => {
            let _ = world.metadata.delete_manifest(name, &by_digest, &Expected::Anything, &actor).await;
        }
    }
}

async fn mount(world: &World, to: &RepositoryName) {
    for number in 0..LAYERS {
        let from = repositories().to_vec();
        let mount = Mount { repository: to.clone(), digest: digest(&layer(number)), from };
        let _ = world.metadata.mount(&mount, &World::actor()).await;
    }
}

async fn sweep(world: &World, rounds: usize) {
    let mut sweeper = world.sweeper();
    for _ in 0..rounds {
        sweeper.round().await.unwrap();
        world.clock.advance(Duration::from_secs(90));
    }
}

/// Pulls what the tags name. Whoever was given the right to read bytes gets them, and gets the right ones.
async fn pull(world: &World, name: &RepositoryName) {
    for tag in TAGS {
        let Ok(_manifest) = world.metadata.manifest(name, &tag.parse().unwrap()).await else { continue };
        for number in 0..LAYERS {
            read(world, name, &digest(&layer(number))).await;
        }
    }
}

/// Reads a blob, if it is there; whether it was.
pub(crate) async fn read(world: &World, name: &RepositoryName, digest: &Digest) -> bool {
    let Ok(grant) = world.metadata.blob(name, digest, Intent::Read).await else { return false };
    let body = match world.blobs.open(&grant, None, Delivery::default()).await {
        Ok(Opened::Stream { body, .. }) => body,
        Ok(other) => {
            world.violated(format!("{other:?} for who takes only bytes"));
            return true;
        }
        // A grant is for a minute, and here days may pass in one.
        Err(BlobError::GrantRefused { .. }) => return true,
        Err(BlobError::Missing { .. })
            if grant.expires < service_kit::clock::Clock::now(world.clock.as_ref()) =>
        {
            return true;
        }
        Err(error) => {
            world.violated(format!("{name} links {digest}, but: {error}"));
            return true;
        }
    };
    let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
    if Digest::of_sha256(&pieces.concat()) != *digest {
        world.violated(format!("{name} serves other bytes than those of {digest}"));
    }
    true
}
