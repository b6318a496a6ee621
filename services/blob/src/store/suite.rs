//! What every store must do, as behaviours.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the whole file is a test")]

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use oci::{ContentId, Digest, SessionId, Span};

use super::{Store, StoreError};
use crate::layout::{ObjectName, Place};

const WHOLE: Span = Span { first: 0, length: u64::MAX };

/// Runs all behaviours on a store that is empty.
///
/// # Panics
/// If one does not hold.
pub async fn run(store: &dyn Store) {
    what_is_committed_is_there(store).await;
    nothing_is_there_before_it_is_committed(store).await;
    what_is_dropped_was_never_there(store).await;
    a_span_of_what_exists_is_read(store).await;
    what_is_not_there_is_no_error(store).await;
    no_parts_become_an_empty_object(store).await;
    one_part_becomes_content_and_stays(store).await;
    many_parts_become_content_in_order(store).await;
    a_missing_part_publishes_nothing(store).await;
    an_upload_is_removed_alone(store).await;
    what_is_removed_is_read_to_its_end(store).await;
    an_object_is_removed_alone(store).await;
    objects_are_listed_in_order(store).await;
    what_is_large_goes_on_from_part_to_part(store).await;
    what_was_begun_twice_counts_once(store).await;
    a_check_leaves_nothing_behind(store).await;
}

async fn what_is_committed_is_there(store: &dyn Store) {
    let name = part(1, 0);

    let mut writer = store.write(&name, None).await.unwrap();
    for piece in ["in ", "three ", "pieces"] {
        writer.append(piece.into()).await.unwrap();
    }
    writer.commit().await.unwrap();

    assert_eq!(store.size(&name).await.unwrap(), Some(15));
    assert_eq!(read(store, &name, WHOLE).await, "in three pieces");
}

async fn nothing_is_there_before_it_is_committed(store: &dyn Store) {
    let name = part(2, 0);

    let mut writer = store.write(&name, None).await.unwrap();
    writer.append("not yet".into()).await.unwrap();

    assert_eq!(store.size(&name).await.unwrap(), None);
    assert!(store.read(&name, WHOLE).await.unwrap().is_none());
    writer.commit().await.unwrap();
    assert_eq!(read(store, &name, WHOLE).await, "not yet");
}

async fn what_is_dropped_was_never_there(store: &dyn Store) {
    let name = part(3, 0);

    let mut writer = store.write(&name, None).await.unwrap();
    writer.append("never".into()).await.unwrap();
    drop(writer);

    assert_eq!(store.size(&name).await.unwrap(), None);
}

async fn a_span_of_what_exists_is_read(store: &dyn Store) {
    let content: Bytes = (0..200_003_u32).flat_map(u32::to_le_bytes).collect();
    let name = part(4, 0);
    write(store, &name, content.clone()).await;
    let all = content.len();

    for (from, to) in [(0, 0), (0, 1), (1, 262_145), (262_144, 524_288), (all - 1, all), (all, all), (0, all)]
    {
        let span = Span { first: from as u64, length: (to - from) as u64 };
        assert!(read(store, &name, span).await == content[from..to], "from {from} to {to}");
    }

    let behind = Span { first: all as u64 + 1, length: 1 };
    assert_eq!(read(store, &name, behind).await, "");
    let across = Span { first: all as u64 - 2, length: 9 };
    assert!(read(store, &name, across).await == content[all - 2..]);
}

async fn an_object_is_removed_alone(store: &dyn Store) {
    let [gone, stays, next] = [1, 2, 3].map(|number| again(20, number));
    let part = part(20, 0);
    write(store, &part, Bytes::from("bytes")).await;
    store.publish(std::slice::from_ref(&part), &gone).await.unwrap();
    store.publish(std::slice::from_ref(&part), &stays).await.unwrap();

    store.remove(&gone).await.unwrap();
    store.remove(&gone).await.unwrap();

    assert_eq!(store.size(&gone).await.unwrap(), None);
    assert_eq!(read(store, &stays, WHOLE).await, "bytes");
    store.remove(&stays).await.unwrap();
    store.publish(std::slice::from_ref(&part), &next).await.unwrap();
}

async fn objects_are_listed_in_order(store: &dyn Store) {
    let digest = Digest::of_sha256(&21_u32.to_le_bytes());
    let shard = u8::from_str_radix(&digest.hex()[..2], 16).unwrap();
    let place = Place::Contents(digest.algorithm(), shard);
    let names: Vec<ObjectName> = (1..=5).map(|number| again(21, number)).collect();
    for name in names.iter().rev() {
        store.publish(&[], name).await.unwrap();
    }

    let all = store.list(place, None, 100).await.unwrap();
    assert!(all.is_sorted() && names.iter().all(|name| all.contains(name)), "{all:?}");
    let mut found: Vec<ObjectName> = Vec::new();
    loop {
        let page = store.list(place, found.last(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, all);

    let part = part(21, 0);
    write(store, &part, Bytes::from("bytes")).await;
    assert!(store.list(Place::Uploads, None, 100).await.unwrap().contains(&part));
    assert_eq!(store.list(Place::Contents(oci::Algorithm::Sha512, 1), None, 100).await.unwrap(), []);
}

async fn what_is_not_there_is_no_error(store: &dyn Store) {
    let name = part(5, 0);

    assert_eq!(store.size(&name).await.unwrap(), None);
    assert!(store.read(&name, WHOLE).await.unwrap().is_none());
    store.remove_upload(&session(5)).await.unwrap();
}

async fn no_parts_become_an_empty_object(store: &dyn Store) {
    let name = content(6);

    store.publish(&[], &name).await.unwrap();

    assert_eq!(store.size(&name).await.unwrap(), Some(0));
    assert_eq!(read(store, &name, WHOLE).await, "");
}

async fn one_part_becomes_content_and_stays(store: &dyn Store) {
    let (one, name) = (part(7, 0), content(7));
    write(store, &one, "one part").await;

    store.publish(std::slice::from_ref(&one), &name).await.unwrap();

    assert_eq!(read(store, &name, WHOLE).await, "one part");
    assert_eq!(read(store, &one, WHOLE).await, "one part");
}

async fn many_parts_become_content_in_order(store: &dyn Store) {
    let (one, two, three, name) = (part(8, 0), part(8, 5), part(8, 10), content(8));
    write(store, &one, "one, ").await;
    write_after(store, &two, Some(&one), "two, ").await;
    write_after(store, &three, Some(&two), "three").await;
    let parts = [one, two.clone(), three];
    assert_eq!(store.sizes(&parts).await.unwrap(), [Some(5), Some(5), Some(5)]);

    store.publish(&parts, &name).await.unwrap();

    assert_eq!(read(store, &name, WHOLE).await, "one, two, three");
    assert_eq!(read(store, &two, WHOLE).await, "two, ");
}

async fn a_missing_part_publishes_nothing(store: &dyn Store) {
    let (there, lost, name) = (part(9, 0), part(9, 5), content(9));
    write(store, &there, "there").await;
    let sizes = store.sizes(&[there.clone(), lost.clone()]).await.unwrap();
    assert_eq!(sizes, [Some(5), None]);

    for parts in [vec![lost.clone()], vec![there, lost.clone()]] {
        match store.publish(&parts, &name).await {
            Err(StoreError::Missing { name }) => assert_eq!(name, lost),
            other => panic!("{other:?} of publishing without {lost}"),
        }
        assert_eq!(store.size(&name).await.unwrap(), None);
    }
}

async fn an_upload_is_removed_alone(store: &dyn Store) {
    let (one, two, other, name) = (part(10, 0), part(10, 3), part(11, 0), content(10));
    write(store, &one, "one").await;
    write_after(store, &two, Some(&one), "two").await;
    write(store, &other, "another upload's").await;
    store.publish(std::slice::from_ref(&one), &name).await.unwrap();

    store.remove_upload(&session(10)).await.unwrap();

    assert_eq!(store.size(&one).await.unwrap(), None);
    assert_eq!(store.size(&two).await.unwrap(), None);
    assert_eq!(read(store, &other, WHOLE).await, "another upload's");
    assert_eq!(read(store, &name, WHOLE).await, "one");
}

async fn what_is_removed_is_read_to_its_end(store: &dyn Store) {
    let bytes = Bytes::from(vec![7; 1_000_000]);
    let name = part(12, 0);
    write(store, &name, bytes.clone()).await;
    let object = store.read(&name, WHOLE).await.unwrap().unwrap();

    store.remove_upload(&session(12)).await.unwrap();

    let pieces: Vec<Bytes> = object.body.try_collect().await.unwrap();
    assert!(pieces.concat() == bytes);
}

async fn a_check_leaves_nothing_behind(store: &dyn Store) {
    store.check().await.unwrap();
    store.check().await.unwrap();
}

async fn what_is_large_goes_on_from_part_to_part(store: &dyn Store) {
    let content_of = |length: usize, seed: usize| -> Bytes {
        (0..length).map(|at| u8::try_from((at / 7 + at / 4_093 + seed) % 251).unwrap()).collect()
    };
    // Below, across, and exactly at the end of what a store may cut uploads into.
    let pieces = [3 << 20, (13 << 20) + 5, 100, (8 << 20) - 105, 1];
    let pieces: Vec<Bytes> = pieces.iter().zip(0..).map(|(length, seed)| content_of(*length, seed)).collect();
    let (mut parts, mut offset): (Vec<ObjectName>, u64) = (Vec::new(), 0);
    for piece in &pieces {
        let name = part(30, offset);
        let mut writer = store.write(&name, parts.last()).await.unwrap();
        for batch in piece.chunks(1 << 20) {
            writer.append(Bytes::copy_from_slice(batch)).await.unwrap();
        }
        writer.commit().await.unwrap();
        offset += piece.len() as u64;
        parts.push(name);
    }
    let lengths: Vec<Option<u64>> = pieces.iter().map(|piece| Some(piece.len() as u64)).collect();
    assert_eq!(store.sizes(&parts).await.unwrap(), lengths);

    let name = store.publish(&parts, &content(30)).await.unwrap();
    let again = store.publish(&parts, &content(30)).await.unwrap();

    let whole = pieces.concat();
    for name in [&name, &again] {
        assert_eq!(store.size(name).await.unwrap(), Some(whole.len() as u64));
        assert!(read(store, name, WHOLE).await == whole);
    }
    let span = Span { first: (8 << 20) - 3, length: 6 };
    assert_eq!(read(store, &name, span).await, whole[(8 << 20) - 3..(8 << 20) + 3]);

    store.remove_upload(&session(30)).await.unwrap();
    assert!(read(store, &name, WHOLE).await == whole);
    store.remove(&name).await.unwrap();
    assert_eq!(store.size(&name).await.unwrap(), None);
}

/// A process dies while it writes a part, another one writes the same bytes again, and what the first one had begun
/// comes to nothing.
async fn what_was_begun_twice_counts_once(store: &dyn Store) {
    let bytes = Bytes::from(vec![9; 9 << 20]);
    let (abandoned, counted, name) = (part(31, 0), again_part(31), content(31));
    let mut writer = store.write(&abandoned, None).await.unwrap();
    writer.append(bytes.clone()).await.unwrap();
    drop(writer);

    write(store, &counted, bytes.clone()).await;
    let name = store.publish(&[counted], &name).await.unwrap();

    assert_eq!(store.size(&abandoned).await.unwrap(), None);
    store.remove_upload(&session(31)).await.unwrap();
    assert!(read(store, &name, WHOLE).await == bytes);
}

async fn write(store: &dyn Store, name: &ObjectName, bytes: impl Into<Bytes>) {
    write_after(store, name, None, bytes).await;
}

async fn write_after(
    store: &dyn Store,
    name: &ObjectName,
    before: Option<&ObjectName>,
    bytes: impl Into<Bytes>,
) {
    let mut writer = store.write(name, before).await.unwrap();
    writer.append(bytes.into()).await.unwrap();
    writer.commit().await.unwrap();
}

async fn read(store: &dyn Store, name: &ObjectName, span: Span) -> Bytes {
    let object = store.read(name, span).await.unwrap().unwrap();
    assert_eq!(Some(object.size_bytes), store.size(name).await.unwrap());
    let pieces: Vec<Bytes> = object.body.try_collect().await.unwrap();
    pieces.concat().into()
}

fn session(number: u32) -> SessionId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn part(number: u32, offset: u64) -> ObjectName {
    ObjectName::part(&session(number), offset, &format!("{number:013}{offset:013}").parse().unwrap())
}

/// The first part of the same upload, as another request brings it.
fn again_part(number: u32) -> ObjectName {
    ObjectName::part(&session(number), 0, &format!("3{number:025}").parse().unwrap())
}

/// The same content, brought by another upload.
fn again(number: u32, upload: u32) -> ObjectName {
    let content = ContentId::plain(Digest::of_sha256(&number.to_le_bytes()));
    ObjectName::content(&content, &format!("2{upload:025}").parse().unwrap())
}

fn content(number: u32) -> ObjectName {
    let content = ContentId::plain(Digest::of_sha256(&number.to_le_bytes()));
    ObjectName::content(&content, &format!("1{number:025}").parse().unwrap())
}
