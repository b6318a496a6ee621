//! Pictures as messages.

use super::{BadField, Wire, enumeration, parsed};
use crate::{
    metadata::{
        accounts::NamespaceKind,
        avatars::{Avatar, AvatarOf, ImageKind},
    },
    wire,
};

enumeration!(ImageKind, wire::ImageKind, "kind", [Png, Jpeg, Webp]);

impl Wire for AvatarOf {
    type Message = wire::AvatarRequest;

    fn to_message(&self) -> wire::AvatarRequest {
        wire::AvatarRequest { kind: self.kind.to_message(), name: self.name.to_string() }
    }

    fn from_message(message: wire::AvatarRequest) -> Result<Self, BadField> {
        let wire::AvatarRequest { kind, name } = message;
        Ok(Self { kind: NamespaceKind::from_message(kind)?, name: parsed("name", &name)? })
    }
}

impl Wire for Avatar {
    type Message = wire::AvatarImage;

    fn to_message(&self) -> wire::AvatarImage {
        wire::AvatarImage { kind: self.kind().to_message(), body: self.body().clone() }
    }

    fn from_message(message: wire::AvatarImage) -> Result<Self, BadField> {
        let wire::AvatarImage { kind, body } = message;
        let said = ImageKind::from_message(kind)?;
        let avatar = Self::new(body).map_err(|why| BadField::unreadable("body", why))?;
        if avatar.kind() == said {
            Ok(avatar)
        } else {
            Err(BadField::unreadable("kind", "the picture begins like one of another kind"))
        }
    }
}
