//! The answer that says what went wrong: status, headers and the body of the specification.

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use oci::{Action, Code, Resource, Scope, Target};
use proto::{
    auth::AuthError,
    blob::BlobError,
    metadata::{RepositoryError, uploads::UploadAddress},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use service_kit::request_id;

use super::ApiError;
use crate::{access::Refusal, headers, respond, urls::Urls};

/// What an error must know of the request that it answers.
#[derive(Debug)]
pub(crate) struct ErrorContext<'a> {
    /// Where the registry is, for its clients.
    pub(crate) urls: &'a Urls,
    /// The registry's name in challenges.
    pub(crate) service: &'a str,
}

impl ApiError {
    /// The answer for the client; what it may not know goes to the log.
    pub(crate) fn answer(&self, context: &ErrorContext<'_>) -> Response {
        let spec = self.spec();
        if spec.status.is_server_error() {
            tracing::warn!(error = %self, "a request failed");
        }

        let text = match self {
            Self::Grant(error) => error.body().to_string(),
            _ => body(spec.code, &self.message(), self.detail()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = spec.status;
        self.set_headers(response.headers_mut(), context);
        response
    }

    fn message(&self) -> String {
        let spec = self.spec();
        if spec.code == Code::Unknown {
            return format!("the registry has failed; {}", spec.advice);
        }
        format!("{self}; {}", spec.advice)
    }

    fn set_headers(&self, headers: &mut HeaderMap, context: &ErrorContext<'_>) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, wait.as_secs().into());
        }

        match self {
            Self::Unauthorized { wanted, refusal } => {
                set(headers, WWW_AUTHENTICATE, &challenge(context, wanted, *refusal));
            }
            Self::MalformedLogin | Self::Auth(AuthError::WrongCredentials) => {
                set(headers, WWW_AUTHENTICATE, &format!("Basic realm=\"{}\"", context.service));
            }
            Self::MethodNotAllowed { allow, .. } => set(headers, ALLOW, allow),
            // RFC 9110 §15.5.6: a 405 says what is possible now.
            Self::Repository(RepositoryError::StillNeeded { .. }) => set(headers, ALLOW, "GET, HEAD, PUT"),
            Self::Repository(RepositoryError::BlobNeeded { .. } | RepositoryError::BlobRestorable { .. }) => {
                set(headers, ALLOW, "GET, HEAD");
            }
            Self::RangeUnsatisfiable { size_bytes }
            | Self::Blob(BlobError::OutOfRange { size_bytes, .. }) => {
                set(headers, CONTENT_RANGE, &format!("bytes */{size_bytes}"));
            }
            Self::OutOfOrder { address, recorded } | Self::BodyCut { address, recorded } => {
                set_upload(headers, context.urls, address, *recorded);
            }
            _ => {}
        }
    }

    fn detail(&self) -> Value {
        match self {
            Self::Unauthorized { wanted, .. } if !wanted.is_empty() => wanted_detail(wanted),
            Self::NoRoute { path } => json!({ "path": path }),
            Self::MethodNotAllowed { method, allow } => json!({ "method": method, "allow": allow }),
            Self::RangeUnsatisfiable { size_bytes } => json!({ "size_bytes": size_bytes }),
            Self::OutOfOrder { address, recorded } | Self::BodyCut { address, recorded } => {
                json!({ "session": address.session, "recorded": recorded })
            }
            Self::LengthContradiction { range_bytes, body_bytes } => {
                json!({ "content_range_bytes": range_bytes, "content_length_bytes": body_bytes })
            }
            Self::ManifestTooLong { limit_bytes } => json!({ "limit_bytes": limit_bytes }),
            Self::ManifestDigest { claimed, actual } => json!({ "claimed": claimed, "actual": actual }),
            Self::Auth(error) => fields(error),
            Self::Blob(error) => fields(error),
            Self::Upload(error) => fields(error),
            Self::Repository(error) => fields(error),
            _ => Value::Null,
        }
    }
}

/// The body of an error; one that only an operator can heal names the request and nothing else.
pub(crate) fn body(code: Code, message: &str, detail: Value) -> String {
    let mut detail = if code == Code::Unknown { Value::Null } else { detail };
    if detail.is_null() {
        detail = Value::Object(Map::new());
    }
    if let (Value::Object(fields), Some(id)) = (&mut detail, request_id::current()) {
        fields.insert("request_id".to_owned(), Value::String(id.to_string()));
    }
    json!({ "errors": [{ "code": code.as_str(), "message": message, "detail": detail }] }).to_string()
}

/// RFC 6750 §3, as distribution's `auth/token.md` has it.
fn challenge(context: &ErrorContext<'_>, wanted: &[Scope], refusal: Refusal) -> String {
    let mut text = format!("Bearer realm=\"{}\",service=\"{}\"", context.urls.realm(), context.service);
    if !wanted.is_empty() {
        let scopes: Vec<String> = wanted.iter().map(Scope::to_string).collect();
        text = format!("{text},scope=\"{}\"", scopes.join(" "));
    }
    match refusal {
        Refusal::NoToken => {}
        Refusal::InvalidToken => text.push_str(",error=\"invalid_token\""),
        Refusal::InsufficientScope => text.push_str(",error=\"insufficient_scope\""),
    }
    text
}

fn wanted_detail(wanted: &[Scope]) -> Value {
    let one = |scope: &Scope, action: &Action| {
        let (kind, name) = match &scope.resource {
            Resource::Repository(name) => ("repository", name.as_str()),
            Resource::Catalog => ("registry", "catalog"),
        };
        json!({ "Type": kind, "Name": name, "Action": action.to_string() })
    };
    wanted.iter().flat_map(|scope| scope.actions.iter().map(move |action| one(scope, action))).collect()
}

/// The fields of a contract's error.
fn fields(error: &impl Serialize) -> Value {
    match serde_json::to_value(error) {
        Ok(Value::Object(mut fields)) => {
            // Its name between services; clients have the code.
            fields.remove("reason");
            Value::Object(fields)
        }
        _ => Value::Null,
    }
}

fn set_upload(headers: &mut HeaderMap, urls: &Urls, address: &UploadAddress, recorded: u64) {
    let target = Target::Upload(address.repository.clone(), address.session);
    set(headers, LOCATION, &urls.location(&target));
    set(headers, RANGE, &respond::uploaded(recorded));
    set(headers, headers::UPLOAD_UUID.clone(), &address.session.to_string());
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What is no header value is left out rather than changed.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
