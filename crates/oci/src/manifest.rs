//! What a registry must know of a manifest: what it needs, what it refers to, what it is (image-spec
//! `manifest.md`, `image-index.md`; Docker image manifest version 2, schema 2). Its bytes stay as they came.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::{Descriptor, Digest, ManifestKind, MediaType};

/// Bytes in a manifest, at most (distribution-spec, Pushing manifests).
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// Descriptors in a manifest, at most.
pub const MAX_DESCRIPTORS: usize = 10_000;

/// Layers that need not be in the registry: their bytes may not be passed on.
const NOT_DISTRIBUTED: [&str; 4] = [
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
];

/// What a manifest says, as far as a registry cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Which kind it is.
    pub kind: ManifestKind,
    /// Its media type.
    pub media_type: MediaType,
    /// What must be in the repository before, each once.
    pub needs: Vec<Need>,
    /// The manifest that it refers to, which need not be there.
    pub subject: Option<Descriptor>,
    /// What it is listed as among the referrers of its subject: its own artifact type, else that of its config.
    pub artifact_type: Option<MediaType>,
    /// What its author adds.
    pub annotations: BTreeMap<String, String>,
    /// Sum of the sizes of what it needs.
    pub declared_bytes: u64,
}

/// Something that a manifest cannot be without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes, as the manifest says.
    pub size: u64,
    /// Where it is to be looked for.
    pub what: Needed,
}

/// Where a needed thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Needed {
    /// Among the blobs.
    Blob,
    /// Among the manifests.
    Manifest,
}

/// Why some bytes are no manifest. Each says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is longer than a manifest may be.
    #[error("the manifest has {found} bytes; {MAX_MANIFEST_BYTES} are allowed")]
    TooLarge {
        /// Bytes it has.
        found: usize,
    },
    /// It is no JSON object.
    #[error("the manifest is not a JSON object: {0}")]
    NotJson(String),
    /// Neither the request nor the manifest says what it is.
    #[error(
        "nothing says what kind of manifest this is: set the Content-Type of the request or its mediaType"
    )]
    NoMediaType,
    /// It is of a kind that is not kept here.
    #[error("manifests of type {0} are not supported; push a Docker schema 2 or an OCI manifest or index")]
    Unsupported(MediaType),
    /// The request says one thing, the manifest another.
    #[error("the request calls it {request}, its mediaType says {manifest}: they must be the same")]
    Contradiction {
        /// Content-Type of the request.
        request: MediaType,
        /// `mediaType` of the manifest.
        manifest: MediaType,
    },
    /// A field is missing or wrong.
    #[error("{field}: {why}")]
    Field {
        /// Where, as in `layers[2].digest`.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// There are too many descriptors.
    #[error("the manifest has more than {MAX_DESCRIPTORS} descriptors")]
    TooMany,
}

fn field(name: &str, why: impl std::fmt::Display) -> ManifestError {
    ManifestError::Field {
        field: name.to_owned(),
        why: why.to_string(),
    }
}

impl ManifestFacts {
    /// Reads the facts from the bytes of a manifest.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(content_type: Option<&MediaType>, body: &[u8]) -> Result<Self, ManifestError> {
        if body.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { found: body.len() });
        }
        let value: Value =
            serde_json::from_slice(body).map_err(|error| ManifestError::NotJson(error.to_string()))?;
        let object = value
            .as_object()
            .ok_or_else(|| ManifestError::NotJson("it is another JSON value".to_owned()))?;

        if object.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            return Err(field("schemaVersion", "must be 2"));
        }
        let media_type = agreed(content_type, optional(&value, "mediaType")?)?;
        let kind = ManifestKind::from_media_type(&media_type)
            .ok_or_else(|| ManifestError::Unsupported(media_type.clone()))?;

        let (needs, config_type) = if kind.is_index() {
            index_needs(&value)?
        } else {
            image_needs(&value)?
        };
        let declared_bytes = needs
            .iter()
            .fold(0_u64, |sum, need| sum.saturating_add(need.size));
        Ok(Self {
            kind,
            media_type,
            needs,
            subject: optional(&value, "subject")?,
            artifact_type: optional(&value, "artifactType")?.or(config_type),
            annotations: optional(&value, "annotations")?.unwrap_or_default(),
            declared_bytes,
        })
    }
}

fn agreed(request: Option<&MediaType>, manifest: Option<MediaType>) -> Result<MediaType, ManifestError> {
    match (request, manifest) {
        (Some(request), Some(manifest)) if *request != manifest => Err(ManifestError::Contradiction {
            request: request.clone(),
            manifest,
        }),
        (Some(request), _) => Ok(request.clone()),
        (None, Some(manifest)) => Ok(manifest),
        (None, None) => Err(ManifestError::NoMediaType),
    }
}

type NeedsAndConfig = (Vec<Need>, Option<MediaType>);

fn image_needs(value: &Value) -> Result<NeedsAndConfig, ManifestError> {
    let config: Descriptor =
        optional(value, "config")?.ok_or_else(|| field("config", "is missing: an image has a config"))?;
    let layers = descriptors(value, "layers")?;

    let distributed = layers
        .iter()
        .filter(|layer| !NOT_DISTRIBUTED.contains(&layer.media_type.as_str()));
    let needs = each_once(std::iter::once(&config).chain(distributed), Needed::Blob);
    Ok((needs, Some(config.media_type)))
}

fn index_needs(value: &Value) -> Result<NeedsAndConfig, ManifestError> {
    let children = descriptors(value, "manifests")?;
    Ok((each_once(children.iter(), Needed::Manifest), None))
}

fn each_once<'a>(descriptors: impl Iterator<Item = &'a Descriptor>, what: Needed) -> Vec<Need> {
    let mut seen = BTreeSet::new();
    descriptors
        .filter(|descriptor| seen.insert(&descriptor.digest))
        .map(|descriptor| Need {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            what,
        })
        .collect()
}

fn descriptors(value: &Value, name: &str) -> Result<Vec<Descriptor>, ManifestError> {
    let list = value
        .get(name)
        .and_then(Value::as_array)
        .ok_or_else(|| field(name, "must be a list"))?;
    if list.len() > MAX_DESCRIPTORS {
        return Err(ManifestError::TooMany);
    }
    list.iter()
        .enumerate()
        .map(|(index, item)| {
            Descriptor::deserialize(item).map_err(|error| field(&format!("{name}[{index}]"), error))
        })
        .collect()
}

fn optional<T: for<'de> Deserialize<'de>>(value: &Value, name: &str) -> Result<Option<T>, ManifestError> {
    let found = value
        .get(name)
        .filter(|found| !found.is_null() && found.as_str() != Some(""));
    found
        .map(|found| T::deserialize(found).map_err(|error| field(name, error)))
        .transpose()
}
