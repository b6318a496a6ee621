//! What every implementation of `Outbox` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::collections::BTreeMap;

use oci::{ManifestKind, Reference};

use super::{Batch, EventKind, Gap, MAX_READERS, OutboxError, ReaderName, Receipt, WantedEvents};
use crate::metadata::{
    Actor, More, Visibility,
    accounts::Role,
    repositories::{Expected, NewManifest},
    uploads::suite::world::{World, digest, repository},
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    who_is_no_reader_reads_nothing(&world).await;
    events_come_in_order_until_they_are_acknowledged(&world).await;
    each_reader_has_a_place_of_its_own(&world).await;
    a_page_ends_and_goes_on(&world).await;
    what_was_not_read_cannot_be_acknowledged(&world).await;
    the_last_events_of_a_deleted_repository_are_delivered(&world).await;
    there_are_only_so_many_readers(&world).await;
}

fn reader(name: &str) -> ReaderName {
    name.parse().unwrap()
}

async fn add(world: &World, name: &str) -> ReaderName {
    world.outbox.add_reader(&reader(name)).await.unwrap();
    reader(name)
}

async fn batches(world: &World, reader: &ReaderName, limit: usize) -> Vec<Batch> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let wanted = WantedEvents { reader: reader.clone(), after, limit };
        let read = world.outbox.events(&wanted).await.unwrap();
        all.extend(read.batches);
        after = read.next;
        if after.is_none() {
            return all;
        }
    }
}

/// What there is of one repository.
async fn of(world: &World, reader: &ReaderName, name: &str) -> Option<Batch> {
    let name = repository(name);
    batches(world, reader, 1_000).await.into_iter().find(|batch| batch.name.as_ref() == Some(&name))
}

fn kinds(batch: &Batch) -> Vec<EventKind> {
    batch.events.iter().map(|event| event.kind).collect()
}

async fn acknowledge(world: &World, reader: &ReaderName, batch: &Batch) {
    world.outbox.acknowledge(reader, &batch.repository, &batch.receipt).await.unwrap();
}

async fn push(world: &World, actor: &Actor, name: &str, tag: &str) {
    let body = format!("{name}:{tag}");
    let manifest = NewManifest {
        repository: repository(name),
        digest: digest(&body),
        media_type: ManifestKind::OciIndex.media_type(),
        body: body.into(),
        needs: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: BTreeMap::new(),
        expected: Expected::Anything,
        tags: vec![tag.parse().unwrap()],
    };
    world.repositories.put_manifest(&manifest, actor).await.unwrap();
}

async fn who_is_no_reader_reads_nothing(world: &World) {
    let nobody = reader("nobody");
    let unknown = OutboxError::ReaderUnknown { reader: nobody.clone() };
    let wanted = WantedEvents { reader: nobody.clone(), after: None, limit: 10 };
    assert_eq!(world.outbox.events(&wanted).await, Err(unknown.clone()));

    let (id, through) =
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(), "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
    let receipt = Receipt { through, entries: 1 };
    assert_eq!(world.outbox.acknowledge(&nobody, &id, &receipt).await, Err(unknown));
    world.outbox.remove_reader(&nobody).await.unwrap();
}

async fn events_come_in_order_until_they_are_acknowledged(world: &World) {
    let (actor, scan) = (world.user("ob-order", Role::User).await, add(world, "scan").await);
    push(world, &actor, "ob-order/app", "v1").await;
    push(world, &actor, "ob-order/app", "v2").await;

    let expected =
        [EventKind::ManifestPushed, EventKind::TagMoved, EventKind::ManifestPushed, EventKind::TagMoved];
    for _ in 0..2 {
        let batch = of(world, &scan, "ob-order/app").await.unwrap();
        assert_eq!((kinds(&batch), batch.gap, batch.more), (expected.to_vec(), Gap::None, More::No));
        assert!(batch.events.is_sorted_by_key(|event| event.id.clone()));
        let moved = batch.events.iter().find(|event| event.kind == EventKind::TagMoved).unwrap();
        assert_eq!((moved.tag.as_ref().unwrap().as_str(), &moved.subject), ("v1", &actor.subject));
    }

    let batch = of(world, &scan, "ob-order/app").await.unwrap();
    acknowledge(world, &scan, &batch).await;
    assert_eq!(of(world, &scan, "ob-order/app").await, None);
    acknowledge(world, &scan, &batch).await;
    let tag = Reference::Tag("v1".parse().unwrap());
    let name = repository("ob-order/app");
    world.repositories.delete_manifest(&name, &tag, &Expected::Anything, &actor).await.unwrap();
    let batch = of(world, &scan, "ob-order/app").await.unwrap();
    assert_eq!(kinds(&batch), [EventKind::TagDeleted]);
}

async fn each_reader_has_a_place_of_its_own(world: &World) {
    let (actor, hooks, audit) =
        (world.user("ob-two", Role::User).await, add(world, "hooks").await, add(world, "audit").await);
    push(world, &actor, "ob-two/app", "v1").await;

    let batch = of(world, &hooks, "ob-two/app").await.unwrap();
    acknowledge(world, &hooks, &batch).await;
    assert_eq!(of(world, &hooks, "ob-two/app").await, None);
    assert_eq!(of(world, &audit, "ob-two/app").await.unwrap(), batch);
    push(world, &actor, "ob-two/app", "v2").await;
    assert_eq!(of(world, &hooks, "ob-two/app").await.unwrap().events.len(), 2);
    assert_eq!(of(world, &audit, "ob-two/app").await.unwrap().events.len(), 4);

    world.outbox.remove_reader(&audit).await.unwrap();
    assert!(!world.outbox.readers().await.unwrap().contains(&audit));
    assert!(world.outbox.readers().await.unwrap().contains(&hooks));
    let wanted = WantedEvents { reader: audit.clone(), after: None, limit: 1 };
    assert_eq!(world.outbox.events(&wanted).await, Err(OutboxError::ReaderUnknown { reader: audit }));
}

async fn a_page_ends_and_goes_on(world: &World) {
    let (actor, index) = (world.user("ob-page", Role::User).await, add(world, "index").await);
    for number in 0..5 {
        push(world, &actor, "ob-page/app", &format!("v{number}")).await;
    }

    let mut events = Vec::new();
    for round in 0.. {
        assert!(round < 20, "it does not end");
        let read = batches(world, &index, 3).await;
        let Some(batch) = read.iter().find(|batch| batch.name == Some(repository("ob-page/app"))) else {
            break;
        };
        assert!(batch.events.len() <= 3);
        events.extend(batch.events.iter().map(|event| event.id.clone()));
        for batch in &read {
            acknowledge(world, &index, batch).await;
        }
    }
    assert_eq!(events.len(), 10);
    assert!(events.is_sorted());
}

async fn what_was_not_read_cannot_be_acknowledged(world: &World) {
    let (actor, mail) = (world.user("ob-old", Role::User).await, add(world, "mail").await);
    push(world, &actor, "ob-old/app", "v1").await;
    let read = of(world, &mail, "ob-old/app").await.unwrap();
    push(world, &actor, "ob-old/app", "v2").await;
    let later = of(world, &mail, "ob-old/app").await.unwrap();

    let more = Receipt { entries: read.receipt.entries, ..later.receipt.clone() };
    let outdated = OutboxError::Outdated { repository: read.repository.clone() };
    assert_eq!(world.outbox.acknowledge(&mail, &read.repository, &more).await, Err(outdated.clone()));

    // Nor can what has not happened yet, which would keep it from happening.
    for entries in [0, later.receipt.entries] {
        let forged = Receipt { through: "7ZZZZZZZZZ0000000000000000".parse().unwrap(), entries };
        let outcome = world.outbox.acknowledge(&mail, &read.repository, &forged).await;
        assert_eq!(outcome, Err(outdated.clone()));
    }
    assert_eq!(of(world, &mail, "ob-old/app").await, Some(later));
    push(world, &actor, "ob-old/app", "v3").await;
}

async fn the_last_events_of_a_deleted_repository_are_delivered(world: &World) {
    let (actor, last) = (world.user("ob-gone", Role::User).await, add(world, "last").await);
    world
        .settings
        .create_repository(&repository("ob-gone/app"), Visibility::Private, "", &actor)
        .await
        .unwrap();
    push(world, &actor, "ob-gone/app", "v1").await;
    let id = of(world, &last, "ob-gone/app").await.unwrap().repository;
    world.settings.delete_repository(&repository("ob-gone/app"), &actor).await.unwrap();
    while world.reclaim.purge().await.unwrap().more == More::Yes {}

    let read = batches(world, &last, 1_000).await;
    let batch = read.into_iter().find(|batch| batch.repository == id).unwrap();
    assert_eq!((&batch.name, batch.events.len()), (&None, 3));
    let gone = batch.events.last().unwrap();
    assert_eq!(
        (gone.kind, &gone.repository),
        (EventKind::RepositoryDeleted, &Some(repository("ob-gone/app")))
    );
    acknowledge(world, &last, &batch).await;
    assert!(batches(world, &last, 1_000).await.iter().all(|batch| batch.repository != id));
}

async fn there_are_only_so_many_readers(world: &World) {
    let there = world.outbox.readers().await.unwrap().len();
    for number in there..MAX_READERS {
        let _ = add(world, &format!("reader-{number}")).await;
    }
    let limit = OutboxError::TooManyReaders { limit: MAX_READERS };
    assert_eq!(world.outbox.add_reader(&reader("another")).await, Err(limit));
    world.outbox.add_reader(&reader("scan")).await.unwrap();
    assert_eq!(world.outbox.readers().await.unwrap().len(), MAX_READERS);
}
