//! Answers to what was done: their statuses, headers and bodies.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header::LOCATION};
use serde::Serialize;

use super::problem::Problem;
use crate::respond;

/// Something was made, and is at `location` from now on.
pub(super) fn created(location: &str, document: &impl Serialize) -> Response {
    let mut response = at(location, document);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// Something is at `location` now.
pub(super) fn at(location: &str, document: &impl Serialize) -> Response {
    let mut response = respond::json(document);
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Something is called otherwise now, and is at `location`.
pub(super) fn moved(location: &str, document: &impl Serialize) -> Response {
    let mut response = at(location, document);
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response
}

/// It is as it was asked to be.
pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// It is not there any more, if it ever was: who deletes again after a lost answer hears the same.
pub(super) fn gone<E>(result: Result<(), E>, absent: impl Fn(&E) -> bool) -> Result<Response, Problem>
where
    Problem: From<E>,
{
    match result {
        Err(error) if !absent(&error) => Err(error.into()),
        _ => Ok(done()),
    }
}
