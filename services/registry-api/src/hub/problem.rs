//! What can go wrong, and how HTTP says it (RFC 9457): the one place that knows the statuses of errors in the management
//! API. What a client reads says what was wrong; what is ours alone stays in the log.

use std::{collections::BTreeMap, fmt::Display};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode as S,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use oci::Namespace;
use proto::{
    auth::IdentityError,
    metadata::{AccountError, RepositoryError},
};
use serde::Serialize;
use serde_json::{Map, Value};
use service_kit::request_id;

const MEDIA_TYPE: &str = "application/problem+json";

/// When to come back if nobody knows better.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Characters of what a client sent that are told back, at most.
const LONGEST_ECHO: usize = 256;

/// Why a request was not done.
#[derive(Debug, thiserror::Error, Serialize)]
#[serde(untagged)]
pub(super) enum Problem {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Repository(RepositoryError),
}

/// Where an old name leads is told only by who has found out that it may be known.
impl From<RepositoryError> for Problem {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(match error {
            RepositoryError::Moved { repository, .. } => RepositoryError::NameUnknown { repository },
            other => other,
        })
    }
}

/// What is wrong with a request as it was sent.
#[derive(Debug, thiserror::Error, Serialize)]
#[serde(tag = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RequestError {
    #[error("there is nothing at {path}; /api/v1/openapi.json says what there is")]
    NotFound { path: String },
    #[error("{method} is not possible here; Allow says what is")]
    MethodNotAllowed { method: String },
    #[error("the path cannot be read: {why}")]
    PathInvalid { why: String },
    #[error("the parameter {parameter} cannot be used: {why}")]
    ParameterInvalid { parameter: &'static str, why: String },

    #[error("the login is malformed: send `Basic` and base64 of name:password, or `Bearer` and a secret")]
    MalformedLogin,
    #[error(
        "this is no secret of this hub: as `Bearer` send one that begins with bucket_, or `Basic` and base64 of \
         name:password; the registry's tokens are for the registry alone"
    )]
    ForeignBearer,
    #[error("sign in with a name and a password")]
    NoPassword,
    #[error("a robot has no account; ask as a user")]
    NoUser,
    #[error("there is no session; it is ended with its own secret")]
    NoSession,

    #[error("{of} has no picture")]
    NoPicture { of: Namespace },

    #[error("the body must be of the type application/json")]
    MediaType,
    #[error("the body must be of the type image/png, image/jpeg, image/webp or application/octet-stream")]
    PictureType,
    #[error("the body is longer than {limit_bytes} bytes")]
    BodyTooLong { limit_bytes: usize },
    #[error("the body was cut short")]
    BodyCut,
    #[error("the body is no JSON: {why}")]
    NoJson { why: String },
    #[error("{}", match field.as_str() {
        "" => why.clone(),
        field => format!("{field} cannot be used: {why}"),
    })]
    FieldInvalid { field: String, why: String },
}

impl RequestError {
    pub(super) fn no_route(path: &str) -> Self {
        Self::NotFound { path: echo(path) }
    }

    pub(super) fn path(why: &str) -> Self {
        Self::PathInvalid { why: echo(why) }
    }

    pub(super) fn parameter(parameter: &'static str, why: &impl Display) -> Self {
        Self::ParameterInvalid { parameter, why: echo(&why.to_string()) }
    }

    /// `field` as a path into the document; empty or `.`: all of it.
    pub(super) fn field(field: &str, why: impl Display) -> Self {
        Self::FieldInvalid { field: echo(field.trim_matches('.')), why: echo(&why.to_string()) }
    }

    fn status(&self) -> S {
        match self {
            Self::NotFound { .. } | Self::NoSession | Self::NoPicture { .. } => S::NOT_FOUND,
            Self::MethodNotAllowed { .. } => S::METHOD_NOT_ALLOWED,
            Self::MalformedLogin | Self::ForeignBearer | Self::NoPassword => S::UNAUTHORIZED,
            Self::NoUser => S::FORBIDDEN,
            Self::MediaType | Self::PictureType => S::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLong { .. } => S::PAYLOAD_TOO_LARGE,
            Self::PathInvalid { .. }
            | Self::ParameterInvalid { .. }
            | Self::BodyCut
            | Self::NoJson { .. } => S::BAD_REQUEST,
            Self::FieldInvalid { .. } => S::UNPROCESSABLE_ENTITY,
        }
    }
}

fn echo(text: &str) -> String {
    text.chars().take(LONGEST_ECHO).collect()
}

fn identity(error: &IdentityError) -> S {
    use IdentityError as E;
    match error {
        E::WrongCredentials
        | E::SecondFactorNeeded
        | E::AccessTokenNeeded
        | E::WrongCode
        | E::SignInNeeded { .. }
        | E::WorkloadRefused { .. } => S::UNAUTHORIZED,
        E::Throttled { .. } | E::Overloaded { .. } => S::TOO_MANY_REQUESTS,
        E::Hidden { .. }
        | E::AccountUnknown { .. }
        | E::ProviderUnknown { .. }
        | E::TicketUnknown
        | E::InvitationUnknown => S::NOT_FOUND,
        E::Forbidden { .. } | E::SignUpClosed | E::ProviderRefused { .. } | E::LinkNeeded { .. } => {
            S::FORBIDDEN
        }
        E::FlowInvalid { .. } => S::BAD_REQUEST,
        E::NameTaken { .. }
        | E::NameReserved { .. }
        | E::CredentialExists { .. }
        | E::IdentityTaken
        | E::SecondFactorExists
        | E::SecondFactorMissing
        | E::NoEmail
        | E::NoMail
        | E::TooMany { .. } => S::CONFLICT,
        E::PasswordRefused { .. } | E::EmailRefused { .. } | E::CredentialRefused { .. } => {
            S::UNPROCESSABLE_ENTITY
        }
        E::Unavailable { .. } => S::SERVICE_UNAVAILABLE,
        _ => S::INTERNAL_SERVER_ERROR,
    }
}

fn account(error: &AccountError) -> S {
    use AccountError as E;
    match error {
        E::NameTaken { .. }
        | E::NameReserved { .. }
        | E::LastOwner { .. }
        | E::LastAdministrator { .. }
        | E::LastWayIn { .. }
        | E::IdentityTaken
        | E::CredentialExists { .. }
        | E::SecondFactorExists { .. }
        | E::AccountChanged { .. }
        | E::TooMany { .. } => S::CONFLICT,
        E::SecondFactorUnknown { .. }
        | E::TicketUnknown
        | E::InvitationUnknown
        | E::AccountUnknown { .. }
        | E::OrganizationUnknown { .. }
        | E::OwnerUnknown { .. }
        | E::MemberUnknown { .. }
        | E::TeamUnknown { .. }
        | E::RepositoryUnknown { .. }
        | E::CredentialUnknown { .. }
        | E::IdentityUnknown { .. } => S::NOT_FOUND,
        E::Conflict { .. } | E::NoSpace { .. } | E::Unavailable { .. } => S::SERVICE_UNAVAILABLE,
        _ => S::INTERNAL_SERVER_ERROR,
    }
}

fn repository(error: &RepositoryError) -> S {
    use RepositoryError as E;
    match error {
        E::NameUnknown { .. } | E::NamespaceUnknown { .. } | E::ManifestUnknown { .. } => S::NOT_FOUND,
        E::QuotaExceeded { .. } => S::FORBIDDEN,
        E::RepositoryExists { .. }
        | E::NameLeadsElsewhere { .. }
        | E::TagImmutable { .. }
        | E::TagUnexpected { .. } => S::CONFLICT,
        E::Conflict { .. } | E::NoSpace { .. } | E::Unavailable { .. } => S::SERVICE_UNAVAILABLE,
        _ => S::INTERNAL_SERVER_ERROR,
    }
}

impl Problem {
    fn status(&self) -> S {
        match self {
            Self::Request(error) => error.status(),
            Self::Identity(error) => identity(error),
            Self::Account(error) => account(error),
            Self::Repository(error) => repository(error),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        match (self, self.status()) {
            (
                Self::Identity(
                    IdentityError::Throttled { retry_after_seconds }
                    | IdentityError::Overloaded { retry_after_seconds },
                ),
                _,
            ) => Some(*retry_after_seconds),
            (_, S::SERVICE_UNAVAILABLE) => Some(RETRY_AFTER_SECONDS),
            _ => None,
        }
    }

    /// The members of the document; those of the error besides the ones that every problem has.
    fn document(&self) -> BTreeMap<String, Value> {
        let status = self.status();
        let (kind, detail, fields) = if status == S::INTERNAL_SERVER_ERROR {
            let detail = "the hub has failed; tell its operator the request id".to_owned();
            ("internal".to_owned(), detail, Map::new())
        } else {
            let mut fields = self.fields();
            (kind(&mut fields), self.to_string(), fields)
        };

        let mut document: BTreeMap<_, _> = fields.into_iter().collect();
        document.insert("type".to_owned(), format!("urn:bucket:problem:{kind}").into());
        document.insert("title".to_owned(), kind.replace('-', " ").into());
        document.insert("status".to_owned(), status.as_u16().into());
        document.insert("detail".to_owned(), detail.into());
        if let Some(id) = request_id::current() {
            document.insert("request_id".to_owned(), id.to_string().into());
        }
        document
    }

    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// What the contracts call it, as a client reads it.
fn kind(fields: &mut Map<String, Value>) -> String {
    let reason = fields.remove("reason");
    match reason.as_ref().and_then(Value::as_str) {
        // Whether there is such a thing is what it hides.
        Some("HIDDEN") => "not-found".to_owned(),
        Some(reason) => reason.to_ascii_lowercase().replace('_', "-"),
        None => "unknown".to_owned(),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, "a request failed");
        }

        // Of texts and numbers alone: it cannot fail.
        let text = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
