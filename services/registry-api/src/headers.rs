//! The headers of the registry API: their names, and what a request says in them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName,
    header::{
        AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
    },
};
use oci::{ByteRange, ContentRange, Digest, MediaType};
use proto::{auth::Credentials, metadata::repositories::Expected};

use crate::error::ApiError;

/// Says that this is a registry of the second version.
pub(crate) static API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// Its value.
pub(crate) const API_VERSION_2: &str = "registry/2.0";
/// The digest of what is in the body.
pub(crate) static CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The upload session.
pub(crate) static UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// A tag that was made besides.
pub(crate) static TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The subject of the manifest that was pushed.
pub(crate) static SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// The filters that a list was made with.
pub(crate) static FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// What `Authorization` carries.
#[derive(Debug)]
pub(crate) enum Authorization<'a> {
    /// There is no such header.
    None,
    /// A token.
    Bearer(&'a str),
    /// A name and a password, encoded.
    Basic(&'a str),
    /// Neither.
    Unreadable,
}

/// What the request proves.
pub(crate) fn authorization(headers: &HeaderMap) -> Authorization<'_> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Authorization::None };
    let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')) else {
        return Authorization::Unreadable;
    };

    match (scheme, rest.trim()) {
        (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => Authorization::Bearer(token),
        (scheme, encoded) if scheme.eq_ignore_ascii_case("basic") => Authorization::Basic(encoded),
        _ => Authorization::Unreadable,
    }
}

/// The name and the password in what followed `Basic` (RFC 7617); none if it is malformed.
pub(crate) fn credentials(encoded: &str) -> Option<Credentials> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credentials { username: username.to_owned(), password: password.into() })
}

/// The length of the body, if the client says it.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.trim().parse().ok()
}

/// Which bytes of the upload the body is.
pub(crate) fn content_range(headers: &HeaderMap) -> Result<Option<ContentRange>, ApiError> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let range = value.to_str().unwrap_or("what is no text").trim().parse();
    range.map(Some).map_err(ApiError::ContentRange)
}

/// The type of the body, if the client says it.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<MediaType>, ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let parsed = value.to_str().unwrap_or("what is no text").parse();
    parsed.map(Some).map_err(ApiError::ContentType)
}

/// The range of the blob that is wanted. `If-Range` with anything but the digest in quotes means: all of it
/// (RFC 9110 §13.1.5; what may differ in its bytes must not be put together).
pub(crate) fn range(headers: &HeaderMap, digest: &Digest) -> Option<ByteRange> {
    let strong = format!("\"{digest}\"");
    let unchanged = headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == strong.as_bytes());
    let range = ByteRange::parse(text(headers, &RANGE)?)?;
    unchanged.then_some(range)
}

/// Whether the client has this content already (RFC 9110 §13.1.2; some write the digest without quotes).
pub(crate) fn has_already(headers: &HeaderMap, digest: &Digest) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || names(tag, digest))
}

/// What must be so for a tag to be moved or removed (RFC 9110 §13.1). Only what a tag can be compared with is
/// taken: one digest in `If-Match`, or `*` in `If-None-Match`; another condition must not be passed over.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let (matching, other) = (one(headers, &IF_MATCH)?, one(headers, &IF_NONE_MATCH)?);
    match (matching, other) {
        (None, None) => Ok(Expected::Anything),
        (None, Some("*")) => Ok(Expected::Absent),
        (Some(digest), None) => {
            let digest = digest.trim_matches('"').parse();
            digest.map(Expected::Digest).map_err(|_| ApiError::Condition)
        }
        _ => Err(ApiError::Condition),
    }
}

/// The value of a header that may be there once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| ApiError::Condition),
        _ => Err(ApiError::Condition),
    }
}

fn names(tag: &str, digest: &Digest) -> bool {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digest.to_string()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, header};
    use oci::Digest;
    use secrecy::ExposeSecret as _;

    use super::{Authorization, authorization, credentials, has_already, range};

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_scheme_of_authorization_is_written_in_any_case() {
        let headers = with(header::AUTHORIZATION, "bEaReR  a.b.c");
        assert!(matches!(authorization(&headers), Authorization::Bearer("a.b.c")));
        let headers = with(header::AUTHORIZATION, "Negotiate abc");
        assert!(matches!(authorization(&headers), Authorization::Unreadable));
        let headers = with(header::AUTHORIZATION, "Bearer");
        assert!(matches!(authorization(&headers), Authorization::Unreadable));
    }

    #[test]
    fn a_password_may_contain_colons_and_anything_else_is_no_login() {
        let given = credentials("YW5uOmE6Yg==").unwrap();
        assert_eq!((given.username.as_str(), given.password.expose_secret()), ("ann", "a:b"));
        for malformed in ["YW5u", "%%%", "/w=="] {
            assert!(credentials(malformed).is_none(), "{malformed}");
        }
    }

    #[test]
    fn content_is_known_by_its_digest_however_it_is_quoted() {
        let digest = Digest::of_sha256(b"x");
        let tags = [format!("\"{digest}\""), digest.to_string(), format!("W/\"{digest}\""), "*".to_owned()];
        for tag in tags {
            assert!(has_already(&with(header::IF_NONE_MATCH, &tag), &digest), "{tag}");
            assert!(
                has_already(&with(header::IF_NONE_MATCH, &format!("\"other\", {tag}")), &digest),
                "{tag}"
            );
        }
        assert!(!has_already(&with(header::IF_NONE_MATCH, "\"other\""), &digest));
    }

    #[test]
    fn a_range_of_something_else_is_no_range() {
        let digest = Digest::of_sha256(b"x");
        let mut headers = with(header::RANGE, "bytes=1-2");
        assert!(range(&headers, &digest).is_some());

        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"other\""));
        assert!(range(&headers, &digest).is_none());

        headers.insert(header::IF_RANGE, format!("\"{digest}\"").parse().unwrap());
        assert!(range(&headers, &digest).is_some());
    }
}
