//! Answers to requests that were done: their statuses, headers and bodies.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LINK, LOCATION,
        RANGE,
    },
};
use oci::{Descriptor, Digest, ManifestKind, MediaType, RepositoryName, SessionId, Span, Tag, Target};
use proto::{
    ByteStream,
    blob::{Handoff, HandoffPath, RedirectUrl},
    metadata::{repositories::Manifest, uploads::UploadAddress},
};
use serde::Serialize;

use crate::{delivery, headers, urls::Urls};

const OCTET_STREAM: &str = "application/octet-stream";

/// What a digest names never changes, but who may read it does.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";

/// A JSON document.
pub(crate) fn json(document: &impl Serialize) -> Response {
    // Of texts and numbers alone: it cannot fail.
    let text = serde_json::to_vec(document).unwrap_or_default();
    with(StatusCode::OK, [(CONTENT_TYPE, "application/json")], Body::from(text))
}

/// A JSON document that is a page of a list, with where the next one is.
pub(crate) fn page(document: &impl Serialize, next: Option<String>) -> Response {
    let mut response = json(document);
    if let Some(next) = next {
        set(&mut response, LINK, &format!("<{next}>; rel=\"next\""));
    }
    response
}

/// An OCI index that is a page of a list, with where the next one is.
pub(crate) fn index(manifests: &[Descriptor], next: Option<String>) -> Response {
    let media_type = ManifestKind::OciIndex.media_type();
    let mut response = page(&Index { schema_version: 2, media_type: &media_type, manifests }, next);
    set(&mut response, CONTENT_TYPE, media_type.as_str());
    response
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'a MediaType,
    manifests: &'a [Descriptor],
}

/// Says that a list was filtered by artifact type.
pub(crate) fn filtered(mut response: Response) -> Response {
    set(&mut response, headers::FILTERS_APPLIED.clone(), "artifactType");
    response
}

/// The headers of a blob, without the blob.
pub(crate) fn blob_head(digest: &Digest, size_bytes: u64) -> Response {
    let mut response = blob_headers(StatusCode::OK, digest, Body::empty());
    response.headers_mut().insert(CONTENT_LENGTH, size_bytes.into());
    response
}

/// A blob, or the `asked` span of it: `sent` and its bytes.
pub(crate) fn blob(
    digest: &Digest,
    size_bytes: u64,
    asked: Option<Span>,
    (sent, body): (Span, ByteStream),
) -> Response {
    let body = Body::from_stream(body);
    let mut response = match asked {
        None => blob_headers(StatusCode::OK, digest, body),
        Some(span) => {
            let mut response = blob_headers(StatusCode::PARTIAL_CONTENT, digest, body);
            set(&mut response, CONTENT_RANGE, &format!("bytes {}-{}/{size_bytes}", span.first, span.last()));
            response
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, sent.length.into());
    response
}

/// Where the proxy in front of us finds a blob; what the client is to be told about it comes along.
pub(crate) fn blob_handed_off(
    digest: &Digest,
    asked: Option<Span>,
    handoff: Handoff,
    path: &HandoffPath,
) -> Response {
    let fixed = [(CONTENT_TYPE, OCTET_STREAM), (delivery::CACHE_CONTROL.clone(), IMMUTABLE)];
    let mut response = named(with(StatusCode::OK, fixed, Body::empty()), digest);
    // Of a whole file it says that by itself.
    if handoff == Handoff::Replica || asked.is_some() {
        set(&mut response, delivery::ACCEPT_RANGES.clone(), "bytes");
    }
    set(&mut response, delivery::ACCEL_REDIRECT.clone(), &delivery::location(handoff, path));
    response
}

/// Where the client finds a blob at the store, for a while: nobody else is to keep that.
pub(crate) fn blob_redirected(digest: &Digest, url: &RedirectUrl) -> Response {
    let mut response = with(StatusCode::TEMPORARY_REDIRECT, [(CACHE_CONTROL, "no-store")], Body::empty());
    set(&mut response, LOCATION, url.as_str());
    set(&mut response, headers::CONTENT_DIGEST.clone(), &digest.to_string());
    response
}

fn blob_headers(status: StatusCode, digest: &Digest, body: Body) -> Response {
    let fixed = [(CONTENT_TYPE, OCTET_STREAM), (ACCEPT_RANGES, "bytes"), (CACHE_CONTROL, IMMUTABLE)];
    named(with(status, fixed, body), digest)
}

/// The client has the blob already, and may keep it on (RFC 9110 §15.4.5).
pub(crate) fn blob_not_modified(digest: &Digest) -> Response {
    let mut response = not_modified(digest);
    set(&mut response, CACHE_CONTROL, IMMUTABLE);
    response
}

/// The client has it already.
pub(crate) fn not_modified(digest: &Digest) -> Response {
    named(with(StatusCode::NOT_MODIFIED, [], Body::empty()), digest)
}

/// A manifest, exactly as it was pushed.
pub(crate) fn manifest(manifest: Manifest) -> Response {
    let length = manifest.body.len();
    manifest_headers(&manifest.digest, &manifest.media_type, length, Body::from(manifest.body))
}

/// The headers of a manifest, without it.
pub(crate) fn manifest_head(manifest: &Manifest) -> Response {
    let body = Body::from(Bytes::new());
    manifest_headers(&manifest.digest, &manifest.media_type, manifest.body.len(), body)
}

fn manifest_headers(digest: &Digest, media_type: &MediaType, length: usize, body: Body) -> Response {
    let mut response = named(with(StatusCode::OK, [], body), digest);
    set(&mut response, CONTENT_TYPE, media_type.as_str());
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// A manifest was stored.
pub(crate) fn manifest_created(
    urls: &Urls,
    target: &Target,
    digest: &Digest,
    subject: Option<&Digest>,
    tags: &[Tag],
) -> Response {
    let mut response = created(urls, target, digest);
    for tag in tags {
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            response.headers_mut().append(headers::TAG.clone(), value);
        }
    }
    if let Some(subject) = subject {
        set(&mut response, headers::SUBJECT.clone(), &subject.to_string());
    }
    response
}

/// A blob was linked.
pub(crate) fn blob_created(urls: &Urls, repository: &RepositoryName, digest: &Digest) -> Response {
    created(urls, &Target::Blob(repository.clone(), digest.clone()), digest)
}

fn created(urls: &Urls, target: &Target, digest: &Digest) -> Response {
    let mut response = with(StatusCode::CREATED, [], Body::empty());
    set(&mut response, LOCATION, &urls.location(target));
    set(&mut response, headers::CONTENT_DIGEST.clone(), &digest.to_string());
    response
}

/// An upload goes on.
pub(crate) fn upload_accepted(urls: &Urls, address: &UploadAddress, recorded: u64) -> Response {
    upload(StatusCode::ACCEPTED, urls, address, recorded)
}

/// How far an upload has come.
pub(crate) fn upload_status(urls: &Urls, address: &UploadAddress, recorded: u64) -> Response {
    upload(StatusCode::NO_CONTENT, urls, address, recorded)
}

fn upload(status: StatusCode, urls: &Urls, address: &UploadAddress, recorded: u64) -> Response {
    let target = Target::Upload(address.repository.clone(), address.session);
    let mut response = with(status, [], Body::empty());
    set(&mut response, LOCATION, &urls.location(&target));
    set(&mut response, RANGE, &uploaded(recorded));
    set_session(&mut response, address.session);
    response
}

fn set_session(response: &mut Response, session: SessionId) {
    set(response, headers::UPLOAD_UUID.clone(), &session.to_string());
}

/// `Range` of an upload. Nothing and one byte look the same: docker fails on anything else (PROTOCOL 1.2).
pub(crate) fn uploaded(recorded: u64) -> String {
    format!("0-{}", recorded.saturating_sub(1))
}

/// Something was removed, and nothing is left to say.
pub(crate) fn gone() -> Response {
    with(StatusCode::NO_CONTENT, [], Body::empty())
}

/// Something was removed from a list.
pub(crate) fn deleted() -> Response {
    with(StatusCode::ACCEPTED, [], Body::empty())
}

/// Says which content this is.
fn named(mut response: Response, digest: &Digest) -> Response {
    set(&mut response, headers::CONTENT_DIGEST.clone(), &digest.to_string());
    set(&mut response, ETAG, &format!("\"{digest}\""));
    response
}

fn with<const N: usize>(status: StatusCode, fixed: [(HeaderName, &'static str); N], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    // Digests, names and numbers are header values all; others are left out rather than changed.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
