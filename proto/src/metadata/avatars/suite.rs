//! What every implementation of `Avatars` does, as tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this module is a test"
)]

use bytes::Bytes;

use super::{Avatar, AvatarOf, ImageKind, LARGEST_AVATAR_BYTES};
use crate::metadata::{
    Actor, RepositoryError,
    accounts::{NamespaceKind, Role},
    uploads::suite::world::World,
};

/// All cases.
///
/// # Panics
/// If the implementation does not do what the contract says.
pub async fn run(world: World) {
    a_picture_is_what_was_put_last(&world).await;
    only_what_is_there_has_a_picture(&world).await;
}

fn of(kind: NamespaceKind, name: &str) -> AvatarOf {
    AvatarOf { kind, name: name.parse().unwrap() }
}

fn png() -> Avatar {
    let mut body = b"\x89PNG\r\n\x1a\n".to_vec();
    body.resize(LARGEST_AVATAR_BYTES, 7);
    Avatar::new(body.into()).unwrap()
}

async fn put(world: &World, of: &AvatarOf, avatar: Option<&Avatar>) -> Result<(), RepositoryError> {
    world.avatars.put_avatar(of, avatar, &Actor::service()).await
}

async fn a_picture_is_what_was_put_last(world: &World) {
    world.user("av-ann", Role::User).await;
    let (ann, jpeg) = (of(NamespaceKind::User, "av-ann"), Bytes::from_static(b"\xff\xd8\xff\xe0jpeg"));
    let jpeg = Avatar::new(jpeg).unwrap();
    assert_eq!(world.avatars.avatar(&ann).await.unwrap(), None);

    for avatar in [&png(), &jpeg, &jpeg] {
        put(world, &ann, Some(avatar)).await.unwrap();
        assert_eq!(world.avatars.avatar(&ann).await.unwrap().as_ref(), Some(avatar));
    }
    assert_eq!(jpeg.kind(), ImageKind::Jpeg);
    for _ in 0..2 {
        put(world, &ann, None).await.unwrap();
        assert_eq!(world.avatars.avatar(&ann).await.unwrap(), None);
    }
}

async fn only_what_is_there_has_a_picture(world: &World) {
    world.user("av-bob", Role::User).await;
    for nobody in [of(NamespaceKind::User, "av-none"), of(NamespaceKind::Organization, "av-bob")] {
        let unknown = RepositoryError::NamespaceUnknown { namespace: nobody.name.clone() };
        assert_eq!(put(world, &nobody, Some(&png())).await.unwrap_err(), unknown);
        assert_eq!(put(world, &nobody, None).await.unwrap_err(), unknown);
        assert_eq!(world.avatars.avatar(&nobody).await.unwrap(), None);
    }

    let library = of(NamespaceKind::Organization, "library");
    put(world, &library, Some(&png())).await.unwrap();
    assert_eq!(world.avatars.avatar(&library).await.unwrap(), Some(png()));
}
