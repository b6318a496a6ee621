//! Media types of manifests and of what they name.

use std::str::FromStr;

use crate::text::checked_text;

const LONGEST: usize = 255;

checked_text! {
    /// `type/subtype` as it was written, without parameters: parsing drops them.
    MediaType
}

/// Why a text is no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a media type of the form type/subtype with at most 255 characters")]
pub struct MediaTypeError(String);

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let bad = || MediaTypeError(text.chars().take(64).collect());
        // RFC 6838 §4.2: restricted-name.
        let restricted = |part: &str| {
            part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };

        let (kind, subtype) = essence.split_once('/').ok_or_else(bad)?;
        if essence.len() > LONGEST || !restricted(kind) || !restricted(subtype) {
            return Err(bad());
        }
        Ok(Self(essence.into()))
    }
}

/// The kinds of manifest that a registry keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// Docker image manifest, schema 2.
    DockerManifest,
    /// Docker manifest list.
    DockerManifestList,
    /// OCI image manifest.
    OciManifest,
    /// OCI image index.
    OciIndex,
}

impl ManifestKind {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::DockerManifest, Self::DockerManifestList, Self::OciManifest, Self::OciIndex];

    /// Its media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerManifestList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> MediaType {
        MediaType(self.as_str().into())
    }

    /// The kind that a media type names, if any.
    pub fn from_media_type(media_type: &MediaType) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == media_type.as_str())
    }

    /// Whether it lists manifests rather than layers.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::DockerManifestList | Self::OciIndex)
    }
}
