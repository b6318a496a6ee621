//! What every implementation of `Uploads` does, as tests. Each case has a user and names of its own, so that
//! all can run in one world, one after the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Advance, UploadAddress, UploadError};
use crate::{
    auth::Subject,
    blob::{HashState, Part},
    metadata::{AccountError, Actor, Standing, Via, accounts::Role},
};
use world::{account, digest, generation, repository};

pub use world::World;

mod links;
pub(crate) mod world;

fn part(offset: u64, size_bytes: u64, number: u32) -> Part {
    Part { offset, size_bytes, generation: generation(number) }
}

fn advance(address: &UploadAddress, part: Part) -> Advance {
    let state = format!("1 state at {} of {}", part.offset + part.size_bytes, part.generation);
    Advance { address: address.clone(), part, hash: HashState(Bytes::from(state)) }
}

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_session_is_opened_read_and_cancelled(&world).await;
    a_session_needs_a_namespace(&world).await;
    an_administrator_makes_the_organization_it_pushes_to(&world).await;
    a_session_belongs_to_one_repository(&world).await;
    parts_are_recorded_one_after_the_other(&world).await;
    of_two_writers_at_one_offset_one_is_recorded(&world).await;
    a_part_is_recorded_once_however_often_it_is_sent(&world).await;
    a_part_must_begin_where_the_session_is(&world).await;
    a_session_knows_when_its_account_is_gone(&world).await;
    links::run(&world).await;
}

async fn a_session_is_opened_read_and_cancelled(world: &World) {
    let actor = world.user("up-open", Role::User).await;
    let name = repository("up-open/app");

    let opened = world.uploads.start(&name, &actor).await.unwrap();
    assert_eq!(opened.address.repository, name);
    assert_eq!((&opened.subject, opened.standing), (&actor.subject, Standing::Active));
    assert_eq!((opened.offset, opened.parts.len(), &opened.hash), (0, 0, &HashState::default()));
    assert_eq!(world.uploads.session(&opened.address).await.unwrap(), opened);

    world.uploads.cancel(&opened.address, &actor).await.unwrap();
    let unknown = UploadError::UploadUnknown { session: opened.address.session };
    assert_eq!(world.uploads.session(&opened.address).await.unwrap_err(), unknown);
    assert_eq!(world.uploads.cancel(&opened.address, &actor).await.unwrap_err(), unknown);
    let late = advance(&opened.address, part(0, 3, 1));
    assert_eq!(world.uploads.advance(&late).await.unwrap_err(), unknown);
    assert_eq!(world.uploads.hold(&opened.address, &digest("x")).await.unwrap_err(), unknown);
}

async fn a_session_needs_a_namespace(world: &World) {
    let actor = world.user("up-lost", Role::User).await;
    for name in ["up-nobody/app", "v2/app", "users/app"] {
        let name = repository(name);
        let namespace = name.namespace();
        let error = world.uploads.start(&name, &actor).await.unwrap_err();
        assert_eq!(error, UploadError::NamespaceUnknown { namespace });
    }
    world.uploads.start(&repository("up-lost-library-image"), &actor).await.unwrap();
}

async fn an_administrator_makes_the_organization_it_pushes_to(world: &World) {
    let (root, user) =
        (world.user("up-root", Role::Administrator).await, world.user("up-plain", Role::User).await);
    let name = repository("up-made/app");
    world.uploads.start(&name, &user).await.unwrap_err();

    world.uploads.start(&name, &root).await.unwrap();

    world.uploads.start(&name, &user).await.unwrap();
    let taken =
        world.accounts.create_account(&account("up-made", Role::User), &Actor::service()).await.unwrap_err();
    assert!(matches!(taken, AccountError::NameTaken { .. }), "{taken}");
    let reserved = world.uploads.start(&repository("v2/app"), &root).await.unwrap_err();
    assert!(matches!(reserved, UploadError::NamespaceUnknown { .. }), "{reserved}");
}

async fn a_session_belongs_to_one_repository(world: &World) {
    let actor = world.user("up-one", Role::User).await;
    let session = world.uploads.start(&repository("up-one/app"), &actor).await.unwrap().address.session;
    let elsewhere = UploadAddress { repository: repository("up-one/other"), session };

    let unknown = UploadError::UploadUnknown { session };
    assert_eq!(world.uploads.session(&elsewhere).await.unwrap_err(), unknown);
    assert_eq!(world.uploads.advance(&advance(&elsewhere, part(0, 1, 1))).await.unwrap_err(), unknown);
    assert_eq!(world.uploads.hold(&elsewhere, &digest("x")).await.unwrap_err(), unknown);
    assert_eq!(world.uploads.cancel(&elsewhere, &actor).await.unwrap_err(), unknown);
}

async fn parts_are_recorded_one_after_the_other(world: &World) {
    let actor = world.user("up-parts", Role::User).await;
    let address = world.uploads.start(&repository("up-parts/app"), &actor).await.unwrap().address;
    let parts = [part(0, 10, 1), part(10, 5, 2), part(15, 1, 3)];
    let mut last = HashState::default();
    for part in &parts {
        let advance = advance(&address, part.clone());
        last = advance.hash.clone();
        assert_eq!(world.uploads.advance(&advance).await.unwrap(), part.offset + part.size_bytes);
    }

    let session = world.uploads.session(&address).await.unwrap();
    assert_eq!((session.offset, session.parts.as_slice(), session.hash), (16, parts.as_slice(), last));
}

async fn of_two_writers_at_one_offset_one_is_recorded(world: &World) {
    let actor = world.user("up-two", Role::User).await;
    let address = world.uploads.start(&repository("up-two/app"), &actor).await.unwrap().address;
    let mut writers = JoinSet::new();
    for number in 0..8_u32 {
        let (uploads, advance) =
            (world.uploads.clone(), advance(&address, part(0, 10 + u64::from(number), number)));
        writers.spawn(async move { (advance.clone(), uploads.advance(&advance).await) });
    }

    let outcomes = writers.join_all().await;
    let winners: Vec<_> =
        outcomes.iter().filter_map(|(advance, end)| Some((advance, end.as_ref().ok()?))).collect();
    let [(winner, end)] = winners.as_slice() else { panic!("{} writers won", winners.len()) };
    for (_, outcome) in outcomes.iter().filter(|(_, outcome)| outcome.is_err()) {
        assert_eq!(outcome.as_ref().unwrap_err(), &UploadError::OffsetMoved { recorded: **end });
    }
    let session = world.uploads.session(&address).await.unwrap();
    assert_eq!((session.parts, session.hash), (vec![winner.part.clone()], winner.hash.clone()));
}

async fn a_part_is_recorded_once_however_often_it_is_sent(world: &World) {
    let actor = world.user("up-twice", Role::User).await;
    let address = world.uploads.start(&repository("up-twice/app"), &actor).await.unwrap().address;
    let first = advance(&address, part(0, 10, 1));
    world.uploads.advance(&first).await.unwrap();

    assert_eq!(world.uploads.advance(&first).await.unwrap(), 10, "the answer may have been lost");
    world.uploads.advance(&advance(&address, part(10, 10, 2))).await.unwrap();
    assert_eq!(world.uploads.advance(&first).await.unwrap_err(), UploadError::OffsetMoved { recorded: 20 });
    assert_eq!(world.uploads.session(&address).await.unwrap().parts.len(), 2);
}

async fn a_part_must_begin_where_the_session_is(world: &World) {
    let actor = world.user("up-gap", Role::User).await;
    let address = world.uploads.start(&repository("up-gap/app"), &actor).await.unwrap().address;
    world.uploads.advance(&advance(&address, part(0, 10, 1))).await.unwrap();

    for offset in [0, 5, 9, 11, u64::MAX] {
        let error =
            world.uploads.advance(&advance(&address, Part { offset, size_bytes: 0, ..part(0, 0, 9) })).await;
        assert_eq!(error.unwrap_err(), UploadError::OffsetMoved { recorded: 10 });
    }
    assert_eq!(world.uploads.session(&address).await.unwrap().offset, 10);
}

async fn a_session_knows_when_its_account_is_gone(world: &World) {
    world.user("up-owner", Role::User).await;
    let nobody = Actor {
        subject: Subject::User("up-never".parse().unwrap()),
        via: Via::Registry,
        address: None,
        credential: None,
    };
    let anonymous = Actor { subject: Subject::Anonymous, ..nobody.clone() };

    for (actor, standing) in [(nobody, Standing::Disabled), (anonymous, Standing::Active)] {
        let session = world.uploads.start(&repository("up-owner/app"), &actor).await.unwrap();
        let read = world.uploads.session(&session.address).await.unwrap();
        assert_eq!((read.subject, read.standing), (actor.subject, standing));
    }
}
