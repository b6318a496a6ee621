//! Manifests: HEAD, GET, PUT, DELETE (distribution-spec, end-3, 7, 9).

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use oci::{Digest, MAX_MANIFEST_BYTES, ManifestFacts, Reference, RepositoryName, Tag, Target};
use proto::metadata::{
    RepositoryError,
    repositories::{Expected, Intent, NewManifest},
};
use service_kit::failpoint;

use crate::{
    Services,
    access::Caller,
    asked::Asked,
    error::{ApiError, TagsError},
    headers, respond, retry,
    warning::{Warning, warned},
};

/// The parameter for a tag besides the digest.
const TAG: &str = "tag";

/// Tags that a manifest can be put with at once. The specification asks for ten at least.
const MOST_TAGS: usize = 100;

/// Layers that need not be here and are looked for, at most: each costs a call.
const MOST_LOOKED_FOR: usize = 8;

/// Which manifest this is, without it.
pub(crate) async fn head(
    services: &Services,
    asked: &Asked,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    let manifest = retry::repeated(|| services.repositories.manifest(repository, reference)).await?;
    if headers::has_already(&asked.headers, &manifest.digest) {
        return Ok(respond::not_modified(&manifest.digest));
    }

    Ok(respond::manifest_head(&manifest))
}

/// The exact bytes of a manifest, in the type it was pushed as, whatever `Accept` says. This is what a pull is, also of
/// what the client has already.
pub(crate) async fn get(
    services: &Services,
    asked: &Asked,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    let manifest = retry::repeated(|| services.repositories.pull(repository, reference)).await?;
    if headers::has_already(&asked.headers, &manifest.digest) {
        return Ok(respond::not_modified(&manifest.digest));
    }

    Ok(respond::manifest(manifest))
}

/// Stores a manifest and moves the tag, if it was put by one.
pub(crate) async fn put(
    services: &Services,
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
    reference: Reference,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(asked, body).await?;
    let (manifest, not_distributed) = parsed(asked, repository, &reference, body)?;
    let actor = asked.actor(caller);
    let put = || services.repositories.put_manifest(&manifest, &actor);
    match manifest.expected {
        Expected::Anything => retry::repeated(put).await?,
        // If it was done, the tag is not as expected any more.
        Expected::Absent | Expected::Digest(_) => retry::unless_done(put).await?,
    }
    failpoint::hit("edge.manifest.stored");

    // A tag in the path needs no header to say that it was made.
    let tags = if matches!(reference, Reference::Digest(_)) { manifest.tags.as_slice() } else { &[] };
    let target = Target::Manifest(repository.clone(), reference);
    let subject = manifest.subject.as_ref();
    let created = respond::manifest_created(&asked.urls, &target, &manifest.digest, subject, tags);
    Ok(warned(created, &warnings(services, &manifest, &not_distributed).await))
}

/// What its pusher may want to know of a manifest that was stored.
async fn warnings(services: &Services, manifest: &NewManifest, not_distributed: &[Digest]) -> Vec<Warning> {
    let fallback = manifest.tags.iter().find(|tag| tag.is_of_referrers());
    let mut warnings: Vec<Warning> = fallback.cloned().map(Warning::FallbackTag).into_iter().collect();
    for layer in not_distributed.iter().take(MOST_LOOKED_FOR) {
        let found = services.repositories.blob(&manifest.repository, layer, Intent::Read).await;
        if matches!(found, Err(RepositoryError::BlobUnknown { .. })) {
            warnings.push(Warning::NotKept(layer.clone()));
        }
    }
    warnings
}

/// The one body that is read whole: at most 4 MiB of it.
async fn read(asked: &Asked, body: Body) -> Result<Bytes, ApiError> {
    let too_long = ApiError::ManifestTooLong { limit_bytes: MAX_MANIFEST_BYTES };
    if headers::content_length(&asked.headers).is_some_and(|length| length > MAX_MANIFEST_BYTES as u64) {
        return Err(too_long);
    }
    match Limited::new(body, MAX_MANIFEST_BYTES).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long),
        Err(_) => Err(ApiError::ManifestCut),
    }
}

/// What is to be stored, and the layers that it names and does not need.
fn parsed(
    asked: &Asked,
    repository: &RepositoryName,
    reference: &Reference,
    body: Bytes,
) -> Result<(NewManifest, Vec<Digest>), ApiError> {
    let facts = ManifestFacts::parse(headers::content_type(&asked.headers)?.as_ref(), &body)?;
    let (digest, tags) = match reference {
        Reference::Tag(_) if asked.query.get(TAG).is_some() => return Err(TagsError::BesideTag.into()),
        Reference::Tag(tag) => (Digest::of_sha256(&body), vec![tag.clone()]),
        Reference::Digest(claimed) => (verified(claimed, &body)?, tags(asked)?),
    };

    let manifest = NewManifest {
        repository: repository.clone(),
        digest,
        media_type: facts.media_type,
        body,
        needs: facts.needs,
        subject: facts.subject.map(|subject| subject.digest),
        artifact_type: facts.artifact_type,
        annotations: facts.annotations,
        tags,
        expected: expected(asked, reference)?,
    };
    Ok((manifest, facts.not_distributed))
}

/// The tags that a manifest is put with by its digest, each once (distribution-spec, end-7b).
fn tags(asked: &Asked) -> Result<Vec<Tag>, ApiError> {
    let mut tags: Vec<Tag> = Vec::new();
    for tag in asked.query.all(TAG) {
        let tag = tag.parse().map_err(TagsError::Malformed)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if tags.len() > MOST_TAGS {
        return Err(TagsError::TooMany { count: tags.len(), limit: MOST_TAGS }.into());
    }
    Ok(tags)
}

/// What the tag must name. A digest always names the same, so that a condition on one is a mistake.
fn expected(asked: &Asked, reference: &Reference) -> Result<Expected, ApiError> {
    match (headers::expected(&asked.headers)?, reference) {
        (Expected::Absent | Expected::Digest(_), Reference::Digest(_)) => Err(ApiError::Condition),
        (expected, _) => Ok(expected),
    }
}

fn verified(claimed: &Digest, body: &[u8]) -> Result<Digest, ApiError> {
    let actual = Digest::of(claimed.algorithm(), body);
    if actual == *claimed {
        Ok(actual)
    } else {
        Err(ApiError::ManifestDigest { claimed: claimed.clone(), actual })
    }
}

/// Removes a tag, or a manifest with its tags.
pub(crate) async fn delete(
    services: &Services,
    asked: &Asked,
    caller: &Caller,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Response, ApiError> {
    let actor = asked.actor(caller);
    let expected = expected(asked, reference)?;
    let delete = || services.repositories.delete_manifest(repository, reference, &expected, &actor);
    retry::unless_done(delete).await?;
    Ok(respond::deleted())
}
