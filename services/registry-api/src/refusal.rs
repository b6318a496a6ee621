//! The body of an answer that no handler gave: too many requests are at work, one has panicked, or its
//! head cannot be passed on.

use axum::{body::Body, response::Response};
use http::{HeaderValue, header::CONTENT_TYPE};
use oci::Code;
use serde_json::Value;
use service_kit::http::Refusal;

use crate::{error, headers};

/// Says in the form of the specification why a request was not done. Status and `Retry-After` are not set here.
pub fn refusal(refusal: Refusal) -> Response {
    let (code, message) = match refusal {
        Refusal::Overloaded => (Code::Unavailable, "the registry has too much to do; try again soon"),
        Refusal::TooManyFromAddress => {
            (Code::TooManyRequests, "too many requests at once from your address; make fewer at a time")
        }
        Refusal::HeadersTooLong => {
            (Code::Unsupported, "the headers of the request are too many or too long; send 64 KiB at most")
        }
        Refusal::NoOneHost => {
            (Code::Unsupported, "the request does not name the one host it asks; send one Host header")
        }
        Refusal::Panicked => (Code::Unknown, "the registry has failed; tell its operator the request id"),
    };

    let mut response = Response::new(Body::from(error::body(code, message, Value::Null)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(headers::API_VERSION.clone(), HeaderValue::from_static(headers::API_VERSION_2));
    response
}
