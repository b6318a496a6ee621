//! Parts of an upload that are looked at before it is content: unlike parts of a multipart upload, segments can be read.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Generation, Span};
use proto::{ByteStream, StreamError, stream_of};

use super::{
    Swift,
    failure::unavailable,
    publish::{claimed, remove_segments},
    segment::pieces,
};
use crate::{
    layout::ObjectName,
    store::{Object, StoreError, object::part::State},
};

/// The bytes of `span` of the part `name`, which begin in segments and end in its `tail`.
pub(super) fn read(
    swift: &Swift,
    name: &ObjectName,
    (state, tail): (&State, Bytes),
    span: Span,
) -> Result<Object, StoreError> {
    let pieces = pieces(state).map_err(|error| unavailable("reading", name.as_str(), &error.to_string()))?;
    let first = state.start.saturating_add(span.first).min(state.end);
    let end = first.saturating_add(span.length).min(state.end);

    let mut begins = 0;
    let mut wanted: Vec<(String, Span)> = Vec::new();
    for piece in pieces {
        let within = overlap((first, end), begins, piece.size_bytes);
        wanted.extend(within.map(|span| (piece.key, span)));
        begins += piece.size_bytes;
    }
    let last = overlap((first, end), begins, tail.len() as u64).map(|span| {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(tail.len());
        tail.slice(at(span.first)..at(span.first + span.length))
    });

    let swift = swift.clone();
    let segments = stream::iter(wanted)
        .then(move |(key, span)| {
            let swift = swift.clone();
            async move { segment(&swift, &key, span).await }
        })
        .try_flatten();
    let body: ByteStream = Box::pin(segments.chain(stream_of(last.unwrap_or_default())));
    Ok(Object { size_bytes: state.end - state.start, body })
}

async fn segment(swift: &Swift, key: &str, span: Span) -> Result<ByteStream, StreamError> {
    match swift.container().clone().read(key, span).await {
        Ok(Some(object)) => Ok(object.body),
        Ok(None) => {
            tracing::error!(name = key, "a segment of an upload is not there");
            Err(StreamError::Source)
        }
        Err(error) => {
            tracing::error!(name = key, %error, "a segment of an upload cannot be read");
            Err(StreamError::Source)
        }
    }
}

/// What of `length` bytes that begin at `begins` is between `first` and `end`.
fn overlap((first, end): (u64, u64), begins: u64, length: u64) -> Option<Span> {
    let from = first.max(begins);
    let to = end.min(begins + length);
    (from < to).then(|| Span { first: from - begins, length: to - from })
}

/// Removes the segments of `generation`, unless somebody has claimed them: then they go with that content. A session is
/// over when it is removed, so nobody will claim them afterwards and be heard.
pub(super) async fn remove_unclaimed(swift: &Swift, generation: &Generation) -> Result<(), StoreError> {
    match claimed(swift, generation).await? {
        Some(_) => Ok(()),
        None => remove_segments(swift, generation).await,
    }
}
