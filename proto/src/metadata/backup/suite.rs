//! What every implementation of `Backup` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{BackupError, PIECE_BYTES};
use crate::metadata::{
    Actor,
    accounts::{NamespaceKind, Role},
    avatars::{Avatar, AvatarOf},
    uploads::suite::world::World,
};

/// No dump that was given up keeps others from theirs for longer.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_dump_comes_in_pieces_and_holds_what_there_is(&world).await;
    a_dump_that_is_given_up_does_not_keep_others_from_theirs(&world).await;
}

async fn dumped(world: &World) -> Vec<Bytes> {
    world.backup.dump(&Actor::operator()).await.unwrap().try_collect().await.unwrap()
}

async fn a_dump_comes_in_pieces_and_holds_what_there_is(world: &World) {
    world.user("bk-ann", Role::User).await;
    let before: usize = dumped(world).await.iter().map(Bytes::len).sum();

    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(60_000, 7);
    for number in 0..10 {
        let name = format!("bk-ann-{number}");
        world.user(&name, Role::User).await;
        let of = AvatarOf { kind: NamespaceKind::User, name: name.parse().unwrap() };
        let avatar = Avatar::new(picture.clone().into()).unwrap();
        world.avatars.put_avatar(&of, Some(&avatar), &Actor::service()).await.unwrap();
    }

    let pieces = dumped(world).await;
    assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES));
    let after: usize = pieces.iter().map(Bytes::len).sum();
    assert!(after > before + 600_000, "{after} bytes hold no more than {before}");
    let whole = pieces.concat();
    assert!(whole.windows(8).any(|bytes| bytes == b"bk-ann-9"));
}

async fn a_dump_that_is_given_up_does_not_keep_others_from_theirs(world: &World) {
    let mut given_up = world.backup.dump(&Actor::operator()).await.unwrap();
    let first = given_up.next().await.unwrap().unwrap();
    assert!(!first.is_empty());
    drop(given_up);

    // An engine without snapshots waits until nobody can be reading any more.
    let mut next = world.backup.dump(&Actor::operator()).await;
    if let Err(error) = &next {
        assert!(matches!(error, BackupError::Taken { .. }), "{error}");
        world.clock.advance(LONGEST_LEASE);
        next = world.backup.dump(&Actor::operator()).await;
    }
    let pieces: Vec<Bytes> = next.unwrap().try_collect().await.unwrap();
    assert!(!pieces.is_empty());
}
