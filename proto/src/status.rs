//! Error ⇄ status, one mechanism for all contracts: the variant is the reason of an `ErrorInfo`, its fields
//! are the metadata (google.rpc.ErrorInfo), each as JSON text. What does not decode is `Unavailable`: the
//! call failed for a reason that no contract knows.

use std::{borrow::Cow, collections::HashMap, fmt::Display};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt as _};

use crate::{
    auth::{AuthError, IdentityError},
    blob::BlobError,
    metadata::{AccountError, BackupError, OutboxError, ReclaimError, RepositoryError, UploadError},
};

const DOMAIN: &str = "bucket";

// Serde's tag of every error enum.
const REASON: &str = "reason";

// Statuses travel as headers, whose size is limited, and a text may quote what a client sent.
const MAX_MESSAGE_BYTES: usize = 1024;

/// A contract's error, tagged by `reason`.
pub(crate) trait Failure: Serialize + DeserializeOwned + Display {
    /// What the variant is to those who know only gRPC.
    fn code(&self) -> Code;

    /// The variant that says: the service cannot answer now.
    fn unavailable(attempted: Cow<'static, str>) -> Self;
}

/// The status that carries `error`.
#[allow(clippy::needless_pass_by_value)] // so that `map_err` takes it
pub(crate) fn status_of<E: Failure>(error: E) -> Status {
    let mut message = error.to_string();
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));

    match details_of(&error) {
        Some(details) => Status::with_error_details(error.code(), message, details),
        None => Status::new(error.code(), message),
    }
}

fn details_of<E: Failure>(error: &E) -> Option<ErrorDetails> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(error) else {
        return None;
    };
    let Some(Value::String(reason)) = fields.remove(REASON) else {
        return None;
    };

    let metadata: HashMap<String, String> =
        fields.into_iter().map(|(field, value)| (field, value.to_string())).collect();
    Some(ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// The error that `status` carries; `Unavailable` if it carries none of ours.
pub(crate) fn error_of<E: Failure>(attempted: &'static str, status: &Status) -> E {
    let details = status.get_error_details();
    if let Some(error) = details.error_info().and_then(carried) {
        return error;
    }

    tracing::warn!(attempted, code = ?status.code(), said = status.message(), "a call between services failed");
    E::unavailable(Cow::Borrowed(attempted))
}

fn carried<E: Failure>(info: &ErrorInfo) -> Option<E> {
    if info.domain != DOMAIN {
        return None;
    }

    let mut fields = Map::new();
    for (field, text) in &info.metadata {
        fields.insert(field.clone(), serde_json::from_str(text).ok()?);
    }
    fields.insert(REASON.to_owned(), Value::String(info.reason.clone()));
    serde_json::from_value(Value::Object(fields)).ok()
}

impl Failure for BlobError {
    fn code(&self) -> Code {
        match self {
            Self::DigestMismatch { .. } => Code::FailedPrecondition,
            Self::TooLong { .. } | Self::OutOfRange { .. } => Code::OutOfRange,
            Self::PartMissing { .. } | Self::Missing { .. } => Code::DataLoss,
            Self::GrantRefused { .. } => Code::PermissionDenied,
            Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for AuthError {
    fn code(&self) -> Code {
        match self {
            Self::WrongCredentials | Self::AccessTokenNeeded => Code::Unauthenticated,
            Self::UnknownService { .. } => Code::NotFound,
            Self::Throttled { .. } | Self::Overloaded { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for IdentityError {
    fn code(&self) -> Code {
        match self {
            Self::WrongCredentials
            | Self::SecondFactorNeeded
            | Self::AccessTokenNeeded
            | Self::WrongCode
            | Self::SignInNeeded { .. }
            | Self::WorkloadRefused { .. } => Code::Unauthenticated,
            Self::Throttled { .. } | Self::Overloaded { .. } | Self::TooMany { .. } => {
                Code::ResourceExhausted
            }
            Self::Hidden { .. }
            | Self::AccountUnknown { .. }
            | Self::ProviderUnknown { .. }
            | Self::TicketUnknown
            | Self::InvitationUnknown => Code::NotFound,
            Self::Forbidden { .. }
            | Self::SignUpClosed
            | Self::ProviderRefused { .. }
            | Self::LinkNeeded { .. } => Code::PermissionDenied,
            Self::NameTaken { .. }
            | Self::CredentialExists { .. }
            | Self::SecondFactorExists
            | Self::IdentityTaken => Code::AlreadyExists,
            Self::NameReserved { .. }
            | Self::SecondFactorMissing
            | Self::NoMail
            | Self::NoEmail
            | Self::FlowInvalid { .. } => Code::FailedPrecondition,
            Self::PasswordRefused { .. } | Self::EmailRefused { .. } | Self::CredentialRefused { .. } => {
                Code::InvalidArgument
            }
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for UploadError {
    fn code(&self) -> Code {
        match self {
            Self::NamespaceUnknown { .. } | Self::Moved { .. } | Self::UploadUnknown { .. } => Code::NotFound,
            Self::OffsetMoved { .. } | Self::HoldLost { .. } => Code::FailedPrecondition,
            Self::Conflict { .. } => Code::Aborted,
            Self::Damaged { .. } => Code::DataLoss,
            Self::TooManyParts { .. } | Self::QuotaExceeded { .. } | Self::NoSpace { .. } => {
                Code::ResourceExhausted
            }
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for RepositoryError {
    fn code(&self) -> Code {
        match self {
            Self::NameUnknown { .. }
            | Self::NamespaceUnknown { .. }
            | Self::Moved { .. }
            | Self::BlobUnknown { .. }
            | Self::ManifestUnknown { .. }
            | Self::NothingToRestore { .. } => Code::NotFound,
            Self::RepositoryExists { .. } | Self::NameLeadsElsewhere { .. } => Code::AlreadyExists,
            Self::ReferencesMissing { .. }
            | Self::StillNeeded { .. }
            | Self::TagUnexpected { .. }
            | Self::TagImmutable { .. }
            | Self::BlobNeeded { .. }
            | Self::BlobRestorable { .. } => Code::FailedPrecondition,
            Self::Conflict { .. } => Code::Aborted,
            Self::Damaged { .. } => Code::DataLoss,
            Self::QuotaExceeded { .. } | Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for OutboxError {
    fn code(&self) -> Code {
        match self {
            Self::ReaderUnknown { .. } => Code::NotFound,
            Self::Outdated { .. } | Self::Conflict { .. } => Code::Aborted,
            Self::Damaged { .. } => Code::DataLoss,
            Self::TooManyReaders { .. } | Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for ReclaimError {
    fn code(&self) -> Code {
        match self {
            Self::Damaged { .. } => Code::DataLoss,
            Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for BackupError {
    fn code(&self) -> Code {
        match self {
            Self::Taken { .. } => Code::FailedPrecondition,
            Self::Damaged { .. } => Code::DataLoss,
            Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

impl Failure for AccountError {
    fn code(&self) -> Code {
        match self {
            Self::NameTaken { .. }
            | Self::CredentialExists { .. }
            | Self::SecondFactorExists { .. }
            | Self::IdentityTaken => Code::AlreadyExists,
            Self::AccountUnknown { .. }
            | Self::SecondFactorUnknown { .. }
            | Self::TicketUnknown
            | Self::InvitationUnknown
            | Self::OrganizationUnknown { .. }
            | Self::OwnerUnknown { .. }
            | Self::MemberUnknown { .. }
            | Self::TeamUnknown { .. }
            | Self::RepositoryUnknown { .. }
            | Self::SigningKeyUnknown { .. }
            | Self::CredentialUnknown { .. }
            | Self::IdentityUnknown { .. } => Code::NotFound,
            Self::NameReserved { .. }
            | Self::LastOwner { .. }
            | Self::LastAdministrator { .. }
            | Self::LastWayIn { .. }
            | Self::CodeSpent { .. }
            | Self::AccountChanged { .. } => Code::FailedPrecondition,
            Self::Conflict { .. } => Code::Aborted,
            Self::TooMany { .. } | Self::NoSpace { .. } => Code::ResourceExhausted,
            Self::Damaged { .. } => Code::DataLoss,
            Self::Unavailable { .. } => Code::Unavailable,
        }
    }

    fn unavailable(attempted: Cow<'static, str>) -> Self {
        Self::Unavailable { attempted }
    }
}

#[cfg(test)]
mod tests;
