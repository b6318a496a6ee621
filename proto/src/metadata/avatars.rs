//! Pictures of users and organizations: small, and of kinds that no browser runs anything in.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use oci::Namespace;
use serde::{Deserialize, Serialize};

pub use client::AvatarsClient;

use super::{Actor, RepositoryError, accounts::NamespaceKind};

pub mod client;
pub mod server;
#[cfg(feature = "suite")]
pub mod suite;

/// Bytes of a picture, at most.
pub const LARGEST_AVATAR_BYTES: usize = 256 << 10;

/// Pictures of users and organizations. Who may change one is not decided here.
#[async_trait]
pub trait Avatars: Send + Sync + 'static {
    /// The picture; none: it has none, or there is no such user or organization.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn avatar(&self, of: &AvatarOf) -> Result<Option<Avatar>, RepositoryError>;

    /// Puts a picture in place of what there is, or removes it.
    ///
    /// # Errors
    /// `NamespaceUnknown`; `Conflict`; `Unavailable`.
    async fn put_avatar(
        &self,
        of: &AvatarOf,
        avatar: Option<&Avatar>,
        actor: &Actor,
    ) -> Result<(), RepositoryError>;
}

/// Whose picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarOf {
    /// A user or an organization.
    pub kind: NamespaceKind,
    /// Its name.
    pub name: Namespace,
}

/// A picture: what it begins with says its kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Avatar {
    kind: ImageKind,
    body: Bytes,
}

/// What kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// PNG (RFC 2083).
    Png,
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// WebP (RFC 9649).
    Webp,
}

/// Why bytes are no avatar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvatarError {
    /// Their beginning is that of no kind that is taken.
    #[error("the picture is neither PNG nor JPEG nor WebP")]
    UnknownKind,
    /// They are too many.
    #[error("the picture has {found} bytes, allowed are {LARGEST_AVATAR_BYTES}")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
}

impl Avatar {
    /// The picture that these bytes are.
    ///
    /// # Errors
    /// They are none that is taken.
    pub fn new(body: Bytes) -> Result<Self, AvatarError> {
        if body.len() > LARGEST_AVATAR_BYTES {
            return Err(AvatarError::TooLarge { found: body.len() });
        }
        let kind = ImageKind::of(&body).ok_or(AvatarError::UnknownKind)?;
        Ok(Self { kind, body })
    }

    /// Its kind.
    pub const fn kind(&self) -> ImageKind {
        self.kind
    }

    /// Its bytes.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Debug for Avatar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = (self.kind, self.body.len());
        f.debug_struct("Avatar").field("kind", &kind).field("bytes", &bytes).finish()
    }
}

impl ImageKind {
    /// By the first bytes alone: names and headers can say anything.
    fn of(body: &[u8]) -> Option<Self> {
        if body.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if body.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if body.starts_with(b"RIFF") && body.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// How it is called in `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Avatar, AvatarError, ImageKind, LARGEST_AVATAR_BYTES};

    #[test]
    fn a_picture_is_known_by_what_it_begins_with() {
        let kind = |body: &'static [u8]| Avatar::new(Bytes::from_static(body)).map(|avatar| avatar.kind());
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n..."), Ok(ImageKind::Png));
        assert_eq!(kind(b"\xff\xd8\xff\xe0..."), Ok(ImageKind::Jpeg));
        assert_eq!(kind(b"RIFF\x04\0\0\0WEBP"), Ok(ImageKind::Webp));
        for other in [&b""[..], b"\x89PNG", b"GIF89a", b"RIFF\x04\0\0\0WAVE", b"<svg/>", b"<html>"] {
            assert_eq!(kind(other), Err(AvatarError::UnknownKind), "{other:?}");
        }
    }

    #[test]
    fn a_picture_is_small() {
        let of = |length: usize| {
            let mut body = b"\x89PNG\r\n\x1a\n".to_vec();
            body.resize(length, 0);
            Avatar::new(body.into()).map(drop)
        };
        assert_eq!(of(LARGEST_AVATAR_BYTES), Ok(()));
        assert_eq!(
            of(LARGEST_AVATAR_BYTES + 1),
            Err(AvatarError::TooLarge { found: LARGEST_AVATAR_BYTES + 1 })
        );
    }
}
