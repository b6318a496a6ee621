//! Errors of POST /token, as OAuth 2 writes them (RFC 6749 §5.2).

use http::StatusCode;
use serde_json::{Value, json};

/// Why a form is no request for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("grant_type {0:?} is not supported; use password or refresh_token")]
    Unsupported(String),
    #[error("the form has no {0}")]
    Missing(&'static str),
    #[error("the body is no form; send application/x-www-form-urlencoded")]
    NoForm,
    #[error("the form is longer than {limit_bytes} bytes; ask for fewer scopes")]
    TooLong { limit_bytes: usize },
    #[error("the body was cut short; send the form again")]
    Cut,
}

impl GrantError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn body(&self) -> Value {
        let error = match self {
            Self::Unsupported(_) => "unsupported_grant_type",
            _ => "invalid_request",
        };
        json!({ "error": error, "error_description": self.to_string() })
    }
}
