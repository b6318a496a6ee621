//! What every implementation of `Quotas` does, as tests, and how uploads keep to it. The world has no default quota.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use oci::{Namespace, RepositoryName};
use tokio::task::JoinSet;

use super::{ByteLimit, Quota};
use crate::{
    blob::{HashState, Part},
    metadata::{
        Actor, RepositoryError, UploadError,
        accounts::Role,
        uploads::{
            Advance, Mount, Mounted, UploadAddress,
            suite::world::{World, digest, generation, link_of, repository},
        },
    },
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_quota_is_its_own_or_the_default(&world).await;
    what_each_repository_links_is_used(&world).await;
    nothing_is_begun_in_a_full_namespace(&world).await;
    a_part_or_blob_that_does_not_fit_ends_its_upload(&world).await;
    what_is_there_already_needs_no_room(&world).await;
    a_mount_needs_room(&world).await;
    what_is_removed_makes_room(&world).await;
    a_transfer_needs_room_and_takes_what_it_uses_along(&world).await;
    many_pushers_exceed_a_quota_by_no_more_than_they_bring(&world).await;
}

fn namespace(name: &str) -> Namespace {
    name.parse().unwrap()
}

async fn allow(world: &World, name: &str, bytes: u64) {
    let own = Some(ByteLimit::Bytes(bytes));
    world.quotas.put_quota(&namespace(name), own, &Actor::service()).await.unwrap();
}

async fn used(world: &World, name: &str) -> u64 {
    world.quotas.quota(&namespace(name)).await.unwrap().used_bytes
}

fn exceeded(name: &str, used_bytes: u64, limit_bytes: u64, size_bytes: Option<u64>) -> UploadError {
    UploadError::QuotaExceeded { namespace: namespace(name), used_bytes, limit_bytes, size_bytes }
}

/// Pushes content that may be refused.
async fn push(world: &World, name: &RepositoryName, content: &str, actor: &Actor) -> Result<(), UploadError> {
    let session = world.uploads.start(name, actor).await?;
    let held = world.uploads.hold(&session.address, &digest(content)).await?;
    world.uploads.link(&link_of(&held, &digest(content), content.len() as u64), actor).await
}

async fn a_quota_is_its_own_or_the_default(world: &World) {
    world.user("qu-own", Role::User).await;
    let (name, none) = (namespace("qu-own"), ByteLimit::Unlimited);
    let quota = async || world.quotas.quota(&name).await.unwrap();
    assert_eq!(quota().await, Quota { used_bytes: 0, own: None, limit: none });

    for own in [ByteLimit::Bytes(7), ByteLimit::Bytes(u64::MAX), none] {
        for _ in 0..2 {
            world.quotas.put_quota(&name, Some(own), &Actor::service()).await.unwrap();
        }
        assert_eq!(quota().await, Quota { used_bytes: 0, own: Some(own), limit: own });
    }
    world.quotas.put_quota(&name, None, &Actor::service()).await.unwrap();
    assert_eq!(quota().await, Quota { used_bytes: 0, own: None, limit: none });

    let nobody = namespace("qu-nobody");
    let unknown = RepositoryError::NamespaceUnknown { namespace: nobody.clone() };
    assert_eq!(world.quotas.quota(&nobody).await.unwrap_err(), unknown);
    let refused = world.quotas.put_quota(&nobody, Some(none), &Actor::service()).await.unwrap_err();
    assert_eq!(refused, unknown);
}

async fn what_each_repository_links_is_used(world: &World) {
    let actor = world.user("qu-used", Role::User).await;
    let [one, two] = ["qu-used/one", "qu-used/two"].map(repository);
    world.push_blob(&one, "qu-used content", &actor).await;
    assert_eq!(used(world, "qu-used").await, 15);
    world.push_blob(&one, "qu-used content", &actor).await;
    assert_eq!(used(world, "qu-used").await, 15, "a link that is there counts once");
    world.push_blob(&two, "qu-used content", &actor).await;
    assert_eq!(used(world, "qu-used").await, 30, "each repository counts for itself");
    world.repositories.delete_blob(&one, &digest("qu-used content"), &actor).await.unwrap();
    assert_eq!(used(world, "qu-used").await, 15);
}

async fn a_transfer_needs_room_and_takes_what_it_uses_along(world: &World) {
    let (actor, _) = (world.user("qu-from", Role::User).await, world.user("qu-to", Role::User).await);
    let (from, to) = (repository("qu-from/app"), repository("qu-to/app"));
    push(world, &from, "eleven byte", &actor).await.unwrap();
    allow(world, "qu-to", 10).await;
    let refused = world.settings.move_repository(&from, &to, &actor).await.unwrap_err();
    let (namespace, used_bytes, limit_bytes, size_bytes) = (namespace("qu-to"), 0, 10, 11);
    let exceeded = RepositoryError::QuotaExceeded { namespace, used_bytes, limit_bytes, size_bytes };
    assert_eq!(refused, exceeded);

    allow(world, "qu-to", 11).await;
    world.settings.move_repository(&from, &to, &actor).await.unwrap();
    assert_eq!((used(world, "qu-from").await, used(world, "qu-to").await), (0, 11));
    world.settings.delete_repository(&to, &actor).await.unwrap();
    assert_eq!(used(world, "qu-to").await, 0, "what is deleted is used no more");
}

async fn nothing_is_begun_in_a_full_namespace(world: &World) {
    let actor = world.user("qu-full", Role::User).await;
    let name = repository("qu-full/app");
    allow(world, "qu-full", 0).await;
    let refused = world.uploads.start(&name, &actor).await.unwrap_err();
    assert_eq!(refused, exceeded("qu-full", 0, 0, None));

    allow(world, "qu-full", 9).await;
    push(world, &name, "nine byte", &actor).await.unwrap();
    let full = exceeded("qu-full", 9, 9, None);
    assert_eq!(world.uploads.start(&name, &actor).await.unwrap_err(), full);
    let mount = Mount { repository: name, digest: digest("qu-full, elsewhere"), from: Vec::new() };
    assert_eq!(world.uploads.mount(&mount, &actor).await.unwrap_err(), full);
}

async fn is_open(world: &World, address: &UploadAddress) -> bool {
    match world.uploads.session(address).await {
        Ok(_) => true,
        Err(UploadError::UploadUnknown { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn a_part_or_blob_that_does_not_fit_ends_its_upload(world: &World) {
    let actor = world.user("qu-part", Role::User).await;
    let name = repository("qu-part/app");
    allow(world, "qu-part", 10).await;
    let address = world.uploads.start(&name, &actor).await.unwrap().address;
    let part = |offset, size_bytes, number| Advance {
        address: address.clone(),
        part: Part { offset, size_bytes, generation: generation(number) },
        hash: HashState::default(),
    };
    assert_eq!(world.uploads.advance(&part(0, 10, 1)).await, Ok(10));
    assert_eq!(world.uploads.advance(&part(0, 10, 1)).await, Ok(10), "it was recorded before");
    let refused = world.uploads.advance(&part(10, 1, 2)).await.unwrap_err();
    assert_eq!(refused, exceeded("qu-part", 0, 10, Some(11)));
    assert!(!is_open(world, &address).await);

    let session = world.uploads.start(&name, &actor).await.unwrap();
    let content = digest("eleven byte");
    let held = world.uploads.hold(&session.address, &content).await.unwrap();
    let link = link_of(&held, &content, 11);
    let refused = world.uploads.link(&link, &actor).await.unwrap_err();
    assert_eq!(refused, exceeded("qu-part", 0, 10, Some(11)));
    let text = refused.to_string();
    assert_eq!(text, "qu-part has used 0 B of 10 B; this blob of 11 B does not fit");
    assert!(!is_open(world, &session.address).await);
    assert_eq!(world.location(&name, &content).await, None);
    assert_eq!(used(world, "qu-part").await, 0);
}

async fn what_is_there_already_needs_no_room(world: &World) {
    let actor = world.user("qu-again", Role::User).await;
    let name = repository("qu-again/app");
    push(world, &name, "qu-again content", &actor).await.unwrap();
    let session = world.uploads.start(&name, &actor).await.unwrap();
    let content = digest("qu-again content");
    let held = world.uploads.hold(&session.address, &content).await.unwrap();
    allow(world, "qu-again", 1).await;
    world.uploads.link(&link_of(&held, &content, 16), &actor).await.unwrap();
    assert_eq!(used(world, "qu-again").await, 16);
}

async fn a_mount_needs_room(world: &World) {
    let actor = world.user("qu-mount", Role::User).await;
    let [from, to] = ["qu-mount/from", "qu-mount/to"].map(repository);
    push(world, &from, "qu-mount content", &actor).await.unwrap();
    let mount = Mount { repository: to, digest: digest("qu-mount content"), from: vec![from] };

    allow(world, "qu-mount", 31).await;
    let refused = world.uploads.mount(&mount, &actor).await.unwrap_err();
    assert_eq!(refused, exceeded("qu-mount", 16, 31, Some(16)));
    allow(world, "qu-mount", 32).await;
    assert_eq!(world.uploads.mount(&mount, &actor).await.unwrap(), Mounted::Linked);
    assert_eq!(used(world, "qu-mount").await, 32);
    allow(world, "qu-mount", 1).await;
    assert_eq!(world.uploads.mount(&mount, &actor).await.unwrap(), Mounted::Linked, "it is there already");
}

async fn what_is_removed_makes_room(world: &World) {
    let actor = world.user("qu-room", Role::User).await;
    let name = repository("qu-room/app");
    allow(world, "qu-room", 9).await;
    push(world, &name, "nine byte", &actor).await.unwrap();
    push(world, &name, "9 others!", &actor).await.unwrap_err();

    world.repositories.delete_blob(&name, &digest("nine byte"), &actor).await.unwrap();
    push(world, &name, "9 others!", &actor).await.unwrap();
    assert_eq!(used(world, "qu-room").await, 9);
}

async fn many_pushers_exceed_a_quota_by_no_more_than_they_bring(world: &World) {
    let actor = world.user("qu-many", Role::User).await;
    allow(world, "qu-many", 50).await;
    let mut pushers = JoinSet::new();
    for number in 10..26 {
        let (world, actor) = (world.clone(), actor.clone());
        let name = repository(&format!("qu-many/app{}", number % 3));
        pushers.spawn(async move { push(&world, &name, &format!("content {number}"), &actor).await });
    }

    let linked = pushers.join_all().await.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    assert!(linked >= 5, "five fit, and {linked} are linked");
    assert_eq!(used(world, "qu-many").await, 10 * linked, "each that was acknowledged is counted");
    push(world, &repository("qu-many/late"), "one more", &actor).await.unwrap_err();
}
