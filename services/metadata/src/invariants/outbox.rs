//! Readers of the outbox, cut everywhere, beside writers that are late, and away for too long: no event is passed over
//! in silence.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oci::{EventId, RepositoryId};
use proto::metadata::{
    More, Outbox as _, OutboxError, Reclaim as _, Repositories as _, RepositorySettings as _,
    outbox::{Batch, Gap, ReaderName, WantedEvents},
    repositories::NewManifest,
};

use service_kit::clock::{Clock as _, ManualClock};

use super::{
    backup::over,
    cut::{Cutting, actor, app, digest, furnished, manifest, service, world, world_at},
    members,
    stirred::Stirred,
};
use crate::{
    Service, keys,
    keyspace::{Commit, Keyspace as _, Mutation},
};

fn scan() -> ReaderName {
    "scan".parse().unwrap()
}

async fn read(service: &Service) -> Result<Vec<Batch>, OutboxError> {
    let wanted = WantedEvents { reader: scan(), after: None, limit: 1_000 };
    Ok(service.events(&wanted).await?.batches)
}

fn ids(batches: &[Batch]) -> BTreeSet<EventId> {
    batches.iter().flat_map(|batch| &batch.events).map(|event| event.id.clone()).collect()
}

async fn acknowledge(service: &Service, batches: &[Batch]) -> Result<(), OutboxError> {
    for Batch { repository, receipt, .. } in batches {
        service.acknowledge(&scan(), repository, receipt).await?;
    }
    Ok(())
}

fn image(body: &str, tag: &str) -> NewManifest {
    manifest(&app(), body, &[], &[tag])
}

async fn push(service: &Service, body: &str, tag: &str) {
    service.put_manifest(&image(body, tag), &actor()).await.unwrap();
}

/// Those in the outbox of the repository, whoever has read them.
async fn all(service: &Service) -> BTreeSet<EventId> {
    let id = service.placed(&app()).await.unwrap().unwrap().id;
    let members = members(service, &keys::events(id)).await;
    members
        .iter()
        .map(|member| std::str::from_utf8(keys::first_part(member)).unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn no_event_is_lost_wherever_reading_is_cut() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        furnished(&service).await;
        let before = all(&service).await;
        service.add_reader(&scan()).await.unwrap();
        push(&service, "image 8", "v8").await;

        keyspace.cut_after(after);
        let first = read(&service).await;
        let seen = first.as_deref().map(ids).unwrap_or_default();
        let acknowledged = match &first {
            Ok(batches) => acknowledge(&service, batches).await,
            Err(error) => Err(error.clone()),
        };
        keyspace.mend();
        push(&service, "image 9", "v9").await;

        let left = ids(&read(&service).await.unwrap());
        for event in all(&service).await.difference(&before) {
            assert!(seen.contains(event) || left.contains(event), "{event} is lost, cut after {after}");
        }
        if acknowledged.is_ok() {
            assert_eq!(left.len(), 2, "what was acknowledged does not come again");
            return;
        }
    }
}

#[tokio::test]
async fn no_event_is_lost_if_a_reader_is_added_twice_after_a_cut() {
    for after in 0.. {
        let keyspace = Cutting::new();
        let service = service(keyspace.clone()).await;
        furnished(&service).await;
        keyspace.cut_after(after);
        let outcome = service.add_reader(&scan()).await;
        keyspace.mend();
        service.add_reader(&scan()).await.unwrap();
        push(&service, "image 8", "v8").await;
        assert!(ids(&read(&service).await.unwrap()).len() >= 2);
        if outcome.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn what_is_written_late_is_not_behind_what_was_acknowledged() {
    let keyspace = Cutting::new();
    let service = service(keyspace.clone()).await;
    furnished(&service).await;
    service.add_reader(&scan()).await.unwrap();
    let rival = service.clone();
    keyspace.interpose(async move {
        push(&rival, "image 8", "v8").await;
        let batches = read(&rival).await.unwrap();
        acknowledge(&rival, &batches).await.unwrap();
    });

    push(&service, "image 9", "v9").await;
    assert!(!keyspace.is_interposed());
    let left = read(&service).await.unwrap();
    let digests: Vec<_> =
        left.iter().flat_map(|batch| &batch.events).map(|event| event.digest.clone()).collect();
    assert!(digests.contains(&Some(digest("image 9"))), "{left:?}");
}

#[tokio::test]
async fn a_clock_that_is_behind_what_was_acknowledged_keeps_nobody_from_writing() {
    let keyspace = Cutting::new();
    let ahead = world(keyspace.clone()).await;
    furnished(&ahead.service).await;
    ahead.add_reader(&scan()).await.unwrap();
    push(&ahead.service, "image 8", "v8").await;
    acknowledge(&ahead.service, &read(&ahead.service).await.unwrap()).await.unwrap();

    let clock = Arc::new(ManualClock::new(ahead.clock.now() - Duration::from_hours(24)));
    let behind = world_at(keyspace, clock).await;
    push(&behind.service, "image 9", "v9").await;
    let left = read(&behind.service).await.unwrap();
    let digests: Vec<_> =
        left.iter().flat_map(|batch| &batch.events).map(|event| event.digest.clone()).collect();
    assert_eq!(digests, [Some(digest("image 9")), Some(digest("image 9"))], "the push and the tag");
}

#[tokio::test]
async fn the_places_of_a_reader_that_was_removed_go() {
    let service = service(Cutting::new()).await;
    furnished(&service).await;
    service.add_reader(&scan()).await.unwrap();
    push(&service, "image 8", "v8").await;
    acknowledge(&service, &read(&service).await.unwrap()).await.unwrap();
    let key = keys::read(service.placed(&app()).await.unwrap().unwrap().id);
    service.unlink(None).await.unwrap();
    assert_eq!(members(&service, &key).await.len(), 1, "it reads still");

    service.remove_reader(&scan()).await.unwrap();
    service.unlink(None).await.unwrap();
    assert!(members(&service, &key).await.is_empty());
}

#[tokio::test]
async fn a_reader_that_was_away_for_too_long_is_told_so() {
    let service = service(Cutting::new()).await;
    furnished(&service).await;
    service.add_reader(&scan()).await.unwrap();
    for number in 0..700 {
        push(&service, &format!("image {number}"), "latest").await;
    }

    let id: RepositoryId = service.placed(&app()).await.unwrap().unwrap().id.to_string().parse().unwrap();
    let mut batches = read(&service).await.unwrap();
    batches.retain(|batch| batch.repository == id);
    assert_eq!(batches[0].gap, Gap::Lost);
    acknowledge(&service, &batches).await.unwrap();
    push(&service, "image 700", "latest").await;
    let after = read(&service).await.unwrap();
    assert!(after.iter().all(|batch| batch.gap == Gap::None), "{after:?}");
    assert!(!after.is_empty());
}

#[tokio::test]
async fn the_last_events_are_not_forgotten_while_they_come_to_a_reader() {
    let keyspace = Cutting::new();
    let rival = service(keyspace.clone()).await;
    rival.add_reader(&scan()).await.unwrap();
    furnished(&rival).await;
    let id = rival.placed(&app()).await.unwrap().unwrap().id;
    rival.delete_repository(&app(), &actor()).await.unwrap();
    while rival.purge().await.unwrap().more == More::Yes {}
    let (list, key) = (keys::dirty(&scan()), keys::events(id));

    // So much has happened that it has not come to the reader yet.
    let others =
        (0..200).map(|number| Mutation::AddMember(keys::DIRTY, ulid::Ulid(number).to_string().into()));
    let crowd = Commit::synced()
        .then(Mutation::RemoveMember(list.clone(), id.to_string().into()))
        .then(Mutation::AddMember(keys::DIRTY, id.to_string().into()))
        .then_all(others);
    keyspace.commit(crowd).await.unwrap();
    let stirred = Stirred::over(keyspace);
    let world = over(stirred.clone()).await;
    let spreading = rival.clone();
    stirred.once_read(list, async move { spreading.spread().await.unwrap() });
    world.forget_last_events().await.unwrap();
    assert!(!members(&rival, &key).await.is_empty(), "nobody has read them");
}
