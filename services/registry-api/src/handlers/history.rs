//! What a tag has named over time (distribution-spec, draft #606): an index of descriptors, newest first, with a
//! Link to the rest. A manifest that is gone is still in it.

use std::collections::BTreeMap;

use axum::response::Response;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use oci::{Descriptor, EventId, PageSize, RepositoryName, Tag, Target};
use proto::metadata::{
    RepositoryError,
    repositories::{TagChange, TagEvent, TagHistory, WantedHistory},
};

use crate::{
    Services,
    asked::Asked,
    error::{ApiError, ListError},
    respond, retry,
};

const BEFORE: &str = "before";
const SINCE: &str = "since";
const DIGEST: &str = "digest";
/// Ours: times alone cannot tell apart what happened within a millisecond.
const LAST: &str = "last";

/// A page of the history of a tag; empty if there is none, be it for want of the tag or of the repository.
pub(crate) async fn list(
    services: &Services,
    asked: &Asked,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Response, ApiError> {
    let wanted = wanted(asked, repository, tag)?;
    if wanted.limit == 0 {
        return Ok(respond::index(&[], None));
    }
    let found = match retry::repeated(|| services.repositories.tag_history(&wanted)).await {
        Err(RepositoryError::NameUnknown { .. }) => TagHistory { entries: Vec::new(), next: None },
        found => found?,
    };

    let entries: Vec<Descriptor> = found.entries.into_iter().map(descriptor).collect();
    Ok(respond::index(&entries, found.next.map(|last| next(asked, &wanted, &last))))
}

fn wanted(asked: &Asked, repository: &RepositoryName, tag: &Tag) -> Result<WantedHistory, ApiError> {
    let given = |name| asked.query.get(name).filter(|text| !text.is_empty());
    let time = |parameter: &'static str| {
        let parsed = given(parameter).map(str::parse::<Timestamp>).transpose();
        parsed.map_err(|error| ListError::Time { parameter, error })
    };
    let digest = given(DIGEST).map(str::parse).transpose();
    Ok(WantedHistory {
        repository: repository.clone(),
        tag: tag.clone(),
        before: time(BEFORE)?.map(upwards),
        since: time(SINCE)?,
        digest: digest.map_err(|error| ApiError::DigestMalformed { parameter: DIGEST, error })?,
        after: given(LAST).map(str::parse).transpose().map_err(|_| ListError::LastEvent)?,
        limit: PageSize::parse(asked.query.get("n"))?.get(),
    })
}

/// Histories know milliseconds: what is before a part of one is before the next one.
pub(crate) fn upwards(time: Timestamp) -> Timestamp {
    let up = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    time.round(up).unwrap_or(time)
}

fn descriptor(event: TagEvent) -> Descriptor {
    let change = match event.change {
        TagChange::Created => "created",
        TagChange::Deleted => "deleted",
    };
    let annotations = [("timestamp", event.at.to_string()), ("event", change.to_owned())];
    let annotations =
        annotations.map(|(name, value)| (format!("org.opencontainers.distribution.tag.{name}"), value));
    Descriptor {
        media_type: event.media_type,
        digest: event.digest,
        size: event.size_bytes,
        artifact_type: None,
        annotations: BTreeMap::from(annotations),
        urls: Vec::new(),
    }
}

fn next(asked: &Asked, wanted: &WantedHistory, last: &EventId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("n", &wanted.limit.to_string());
    for (name, time) in [(BEFORE, wanted.before), (SINCE, wanted.since)] {
        if let Some(time) = time {
            query.append_pair(name, &time.to_string());
        }
    }
    if let Some(digest) = &wanted.digest {
        query.append_pair(DIGEST, &digest.to_string());
    }
    query.append_pair(LAST, last.as_str());

    let target = Target::TagHistory(wanted.repository.clone(), wanted.tag.clone());
    format!("{}?{}", asked.urls.location(&target), query.finish())
}
