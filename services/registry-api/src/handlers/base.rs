//! GET /v2/: is this a registry, and is the token good? (distribution-spec, end-1)

use axum::response::Response;
use serde_json::json;

use crate::respond;

/// It is, and it was.
pub(crate) fn get() -> Response {
    respond::json(&json!({}))
}
