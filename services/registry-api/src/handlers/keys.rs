//! The keys that verify tokens, for whoever verifies them without us (RFC 7517).

use axum::response::Response;
use http::{HeaderValue, header::CACHE_CONTROL};

use crate::{Registry, error::ApiError, respond};

/// Shorter than the next key is told before it signs, so that nobody meets a key that they were not told of.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// All that are told.
pub(crate) fn get(registry: &Registry) -> Result<Response, ApiError> {
    let keys = registry.access.keys()?;
    let mut response = respond::json(&*keys);
    response.headers_mut().insert(CACHE_CONTROL, CACHED);
    Ok(response)
}
