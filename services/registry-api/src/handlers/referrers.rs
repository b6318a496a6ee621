//! What refers to a manifest (distribution-spec, end-12): an index of at most 100 descriptors or about 1 MiB, with
//! a Link to the rest. What clients have listed under the fallback tag is folded in.

use std::collections::HashSet;

use axum::response::Response;
use oci::{Descriptor, Digest, ManifestKind, MediaType, RepositoryName, Target};
use proto::metadata::{
    More, RepositoryError,
    repositories::{MAX_LISTED_ANNOTATION_BYTES, Manifest, ReferrerPlace, Referrers, WantedReferrers},
};

use crate::{
    Services,
    asked::Asked,
    error::{ApiError, ListError},
    respond, retry,
};

/// Entries of one page, at most.
const PAGE: usize = 100;
/// Bytes of JSON after which a page ends.
const PAGE_BYTES: usize = 1 << 20;

const ARTIFACT_TYPE: &str = "artifactType";
const LAST: &str = "last";

/// A page of referrers; empty if there are none, be it for want of the subject or of the repository.
pub(crate) async fn list(
    services: &Services,
    asked: &Asked,
    repository: &RepositoryName,
    subject: &Digest,
) -> Result<Response, ApiError> {
    let wanted = wanted(asked, repository, subject)?;
    let found = match retry::repeated(|| services.repositories.referrers(&wanted)).await {
        Err(RepositoryError::NameUnknown { .. }) => {
            Referrers { entries: Vec::new(), more: More::No, fallback: None }
        }
        found => found?,
    };

    let (entries, more) = folded(found, &wanted);
    let response = respond::index(&entries, next(asked, &wanted, entries.last(), more));
    Ok(if wanted.artifact_type.is_some() { respond::filtered(response) } else { response })
}

fn wanted(asked: &Asked, repository: &RepositoryName, subject: &Digest) -> Result<WantedReferrers, ApiError> {
    let given = |name| asked.query.get(name).filter(|text| !text.is_empty());
    let artifact_type = given(ARTIFACT_TYPE).map(str::parse).transpose().map_err(ListError::ArtifactType)?;
    let after = given(LAST).map(|last| place(last).ok_or(ListError::LastReferrer)).transpose()?;
    Ok(WantedReferrers {
        repository: repository.clone(),
        subject: subject.clone(),
        artifact_type,
        after,
        limit: PAGE,
    })
}

/// Both lists in one order, each digest once, up to the end of a page.
fn folded(found: Referrers, wanted: &WantedReferrers) -> (Vec<Descriptor>, More) {
    let Referrers { mut entries, more, fallback } = found;
    // What is listed behind the end of this page may stand in the next one too.
    let end = entries.last().map(ReferrerPlace::of).filter(|_| more == More::Yes);
    let on_page = |entry: &Descriptor| {
        let place = ReferrerPlace::of(entry);
        wanted.after.as_ref().is_none_or(|after| place > *after)
            && end.as_ref().is_none_or(|end| place <= *end)
            && wanted.artifact_type.as_ref().is_none_or(|wanted| entry.artifact_type.as_ref() == Some(wanted))
    };
    let mut known: HashSet<Digest> = entries.iter().map(|entry| entry.digest.clone()).collect();
    for entry in fallback.as_ref().map(listed).unwrap_or_default() {
        if on_page(&entry) && known.insert(entry.digest.clone()) {
            entries.push(entry);
        }
    }
    entries.sort_by_cached_key(ReferrerPlace::of);

    let fitting = fitting(&entries);
    let more = if fitting < entries.len() { More::Yes } else { more };
    entries.truncate(fitting);
    (entries, more)
}

/// What clients have listed under the fallback tag. Something else under that name lists nothing.
fn listed(fallback: &Manifest) -> Vec<Descriptor> {
    let is_index = ManifestKind::from_media_type(&fallback.media_type).is_some_and(ManifestKind::is_index);
    let mut entries =
        if is_index { Descriptor::all_in_index(&fallback.body).unwrap_or_default() } else { Vec::new() };
    for entry in &mut entries {
        let bytes: usize = entry.annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_LISTED_ANNOTATION_BYTES {
            entry.annotations.clear();
        }
        // The manifest is had from here.
        entry.urls.clear();
    }
    entries
}

/// How many entries make a page.
fn fitting(entries: &[Descriptor]) -> usize {
    let mut size_bytes = 0;
    let fits = |entry: &&Descriptor| {
        let before = size_bytes;
        size_bytes += serde_json::to_vec(entry).map_or(0, |text| text.len());
        before < PAGE_BYTES
    };
    entries.iter().take(PAGE).take_while(fits).count()
}

fn next(asked: &Asked, wanted: &WantedReferrers, last: Option<&Descriptor>, more: More) -> Option<String> {
    let last = last.filter(|_| more == More::Yes)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(artifact_type) = &wanted.artifact_type {
        query.append_pair(ARTIFACT_TYPE, artifact_type.as_str());
    }
    let artifact_type = last.artifact_type.as_ref().map_or("", MediaType::as_str);
    query.append_pair(LAST, &format!("{artifact_type},{}", last.digest));

    let target = Target::Referrers(wanted.repository.clone(), wanted.subject.clone());
    Some(format!("{}?{}", asked.urls.location(&target), query.finish()))
}

/// What `next` wrote. No media type and no digest has a comma.
fn place(last: &str) -> Option<ReferrerPlace> {
    let (artifact_type, digest) = last.split_once(',')?;
    let artifact_type = match artifact_type {
        "" => None,
        text => Some(text.parse().ok()?),
    };
    Some(ReferrerPlace { artifact_type, digest: digest.parse().ok()? })
}
