//! The body of a request: one JSON object, read whole, in which nothing is passed over.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::{Problem, RequestError};

/// Longer bodies are refused.
pub(super) const LONGEST_BODY_BYTES: usize = 256 << 10;

/// A document, checked as far as its type goes.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(RequestError::MediaType.into());
        }
        Ok(Self(document(&read(body).await?)?))
    }
}

/// A document that may be left out.
pub(super) struct MaybeJson<T>(pub(super) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json(&parts.headers) {
            return Err(RequestError::MediaType.into());
        }
        Ok(Self(Some(document(&bytes)?)))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    essence(headers).eq_ignore_ascii_case("application/json")
}

/// The type of the body without its parameters, or nothing.
pub(super) fn essence(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// The whole body, within the limit.
pub(super) async fn read(body: Body) -> Result<Bytes, RequestError> {
    match Limited::new(body, LONGEST_BODY_BYTES).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(RequestError::BodyTooLong { limit_bytes: LONGEST_BODY_BYTES })
        }
        Err(_) => Err(RequestError::BodyCut),
    }
}

fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RequestError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    // serde reads the fields of a struct from an array too.
    if read.is_ok() && bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(RequestError::field("", "the body is no JSON object"));
    }

    let document = read.map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner();
        match why.classify() {
            Category::Data => RequestError::field(&field(&path, &why.to_string()), &why),
            _ => RequestError::NoJson { why: why.to_string() },
        }
    })?;
    reader.end().map_err(|why| RequestError::NoJson { why: why.to_string() })?;
    Ok(document)
}

/// What is wrong with the fields of the whole document, serde says of the whole: that one is missing, or there twice.
fn field(path: &str, why: &str) -> String {
    let said = ["missing field `", "duplicate field `"].iter().find_map(|start| why.strip_prefix(start));
    let name = said.and_then(|rest| rest.split('`').next());
    name.filter(|_| path == ".").unwrap_or(path).to_owned()
}
