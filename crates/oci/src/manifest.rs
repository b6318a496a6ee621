//! What a registry must know of a manifest: what it needs, what it refers to, what it is (image-spec
//! `manifest.md`, `image-index.md`; Docker image manifest version 2, schema 2). Its bytes stay as they came.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Descriptor, Digest, ManifestKind, MediaType,
    document::{Document, misspelt},
};

/// Bytes in a manifest, at most (distribution-spec, Pushing manifests).
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// Layers of an image, or children of an index, at most.
pub const MAX_DESCRIPTORS: usize = 10_000;

/// Layers that need not be in the registry: their bytes may not be passed on.
const NOT_DISTRIBUTED: [&str; 5] = [
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
];

/// Where the fields of the manifest itself are.
const TOP: &str = "";

/// The fields of manifests and indexes that somebody acts on.
const FIELDS: [&str; 8] =
    ["annotations", "artifactType", "config", "layers", "manifests", "mediaType", "schemaVersion", "subject"];
/// Those of descriptors.
const DESCRIPTOR_FIELDS: [&str; 8] =
    ["annotations", "artifactType", "data", "digest", "mediaType", "platform", "size", "urls"];

/// What a manifest says, as far as a registry cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Which kind it is.
    pub kind: ManifestKind,
    /// Its media type.
    pub media_type: MediaType,
    /// What must be in the repository before, each once.
    pub needs: Vec<Need>,
    /// Layers that it names and that need not be there, each once.
    pub not_distributed: Vec<Digest>,
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
    /// There are too many layers or children.
    #[error("the manifest has more than {MAX_DESCRIPTORS} layers or children")]
    TooMany,
}

fn field(name: &str, why: impl std::fmt::Display) -> ManifestError {
    ManifestError::Field { field: name.to_owned(), why: why.to_string() }
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
        let Document(value) =
            serde_json::from_slice(body).map_err(|error| ManifestError::NotJson(error.to_string()))?;
        let object =
            value.as_object().ok_or_else(|| ManifestError::NotJson("it is another JSON value".to_owned()))?;

        check_spelling(object, TOP, &FIELDS)?;
        check_schema(object.get("schemaVersion"))?;
        let media_type = agreed(content_type, optional(&value, TOP, "mediaType")?)?;
        let kind = ManifestKind::from_media_type(&media_type)
            .ok_or_else(|| ManifestError::Unsupported(media_type.clone()))?;

        check_unambiguous(&value, kind)?;
        let Referenced { needs, not_distributed, config_type } =
            if kind.is_index() { of_index(&value)? } else { of_image(&value)? };
        let declared_bytes = needs.iter().fold(0_u64, |sum, need| sum.saturating_add(need.size));
        Ok(Self {
            kind,
            media_type,
            needs,
            not_distributed,
            subject: present(&value, "subject").map(|found| descriptor(found, "subject")).transpose()?,
            artifact_type: optional(&value, TOP, "artifactType")?.or(config_type),
            annotations: optional(&value, TOP, "annotations")?.unwrap_or_default(),
            declared_bytes,
        })
    }
}

impl Descriptor {
    /// What an index lists, in its order.
    ///
    /// # Errors
    /// It is no index.
    pub fn all_in_index(body: &[u8]) -> Result<Vec<Self>, ManifestError> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| ManifestError::NotJson(error.to_string()))?;
        descriptors(&value, "manifests")
    }
}

/// A manifest that could be read as another kind too could show two clients two images (CVE-2021-41190).
fn check_unambiguous(value: &Value, kind: ManifestKind) -> Result<(), ManifestError> {
    let foreign: &[&str] = if kind.is_index() { &["config", "layers"] } else { &["manifests"] };
    match foreign.iter().find(|name| present(value, name).is_some()) {
        Some(name) => Err(field(name, format!("does not belong into {}", kind.as_str()))),
        None => Ok(()),
    }
}

fn check_spelling(object: &Map<String, Value>, at: &str, fields: &[&str]) -> Result<(), ManifestError> {
    match misspelt(object, fields) {
        Some(key) => {
            Err(field(&path(at, key), "some clients ignore case: write it as the specification does"))
        }
        None => Ok(()),
    }
}

fn check_schema(version: Option<&Value>) -> Result<(), ManifestError> {
    match version.map(Value::as_u64) {
        Some(Some(2)) => Ok(()),
        Some(Some(1)) => Err(field(
            "schemaVersion",
            "must be 2, not 1: push with a client that writes schema 2 or OCI manifests",
        )),
        Some(_) => Err(field("schemaVersion", "must be the number 2")),
        None => Err(field("schemaVersion", "is missing; it must be 2")),
    }
}

fn agreed(request: Option<&MediaType>, manifest: Option<MediaType>) -> Result<MediaType, ManifestError> {
    match (request, manifest) {
        (Some(request), Some(manifest)) if *request != manifest => {
            Err(ManifestError::Contradiction { request: request.clone(), manifest })
        }
        (Some(request), _) => Ok(request.clone()),
        (None, Some(manifest)) => Ok(manifest),
        (None, None) => Err(ManifestError::NoMediaType),
    }
}

/// What a manifest names.
struct Referenced {
    needs: Vec<Need>,
    not_distributed: Vec<Digest>,
    config_type: Option<MediaType>,
}

fn of_image(value: &Value) -> Result<Referenced, ManifestError> {
    let config =
        present(value, "config").ok_or_else(|| field("config", "is missing: an image has a config"))?;
    let config = descriptor(config, "config")?;
    let (elsewhere, distributed): (Vec<_>, Vec<_>) = descriptors(value, "layers")?
        .into_iter()
        .partition(|layer| NOT_DISTRIBUTED.contains(&layer.media_type.as_str()));

    let needs = each_once(std::iter::once(&config).chain(&distributed), Needed::Blob);
    let elsewhere = each_once(elsewhere.iter(), Needed::Blob).into_iter().map(|layer| layer.digest);
    Ok(Referenced { needs, not_distributed: elsewhere.collect(), config_type: Some(config.media_type) })
}

fn of_index(value: &Value) -> Result<Referenced, ManifestError> {
    let needs = each_once(descriptors(value, "manifests")?.iter(), Needed::Manifest);
    Ok(Referenced { needs, not_distributed: Vec::new(), config_type: None })
}

fn each_once<'a>(descriptors: impl Iterator<Item = &'a Descriptor>, what: Needed) -> Vec<Need> {
    let mut seen = BTreeSet::new();
    descriptors
        .filter(|descriptor| seen.insert(&descriptor.digest))
        .map(|descriptor| Need { digest: descriptor.digest.clone(), size: descriptor.size, what })
        .collect()
}

fn descriptors(value: &Value, name: &str) -> Result<Vec<Descriptor>, ManifestError> {
    let list = present(value, name).ok_or_else(|| field(name, "is missing"))?;
    let list = list.as_array().ok_or_else(|| field(name, "must be a list"))?;
    if list.len() > MAX_DESCRIPTORS {
        return Err(ManifestError::TooMany);
    }
    list.iter().enumerate().map(|(index, item)| descriptor(item, &format!("{name}[{index}]"))).collect()
}

// Field by field, because what serde says of a whole descriptor does not say which of its fields is wrong.
fn descriptor(value: &Value, at: &str) -> Result<Descriptor, ManifestError> {
    let object = value
        .as_object()
        .ok_or_else(|| field(at, "must be a descriptor: an object with mediaType, digest and size"))?;
    check_spelling(object, at, &DESCRIPTOR_FIELDS)?;
    Ok(Descriptor {
        media_type: required(value, at, "mediaType")?,
        digest: required(value, at, "digest")?,
        size: required(value, at, "size")?,
        artifact_type: optional(value, at, "artifactType")?,
        annotations: optional(value, at, "annotations")?.unwrap_or_default(),
        urls: optional(value, at, "urls")?.unwrap_or_default(),
    })
}

fn required<T: for<'de> Deserialize<'de>>(value: &Value, at: &str, name: &str) -> Result<T, ManifestError> {
    optional(value, at, name)?.ok_or_else(|| field(&path(at, name), "is missing"))
}

fn optional<T: for<'de> Deserialize<'de>>(
    value: &Value,
    at: &str,
    name: &str,
) -> Result<Option<T>, ManifestError> {
    present(value, name).map(T::deserialize).transpose().map_err(|error| field(&path(at, name), error))
}

// Clients write null, and an empty text, for what they leave out.
fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|found| !found.is_null() && found.as_str() != Some(""))
}

fn path(at: &str, name: &str) -> String {
    if at == TOP { name.to_owned() } else { format!("{at}.{name}") }
}
