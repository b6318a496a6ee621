//! What the errors of the other services mean to a client of the registry.

use http::StatusCode as S;
use oci::Code;
use proto::{
    auth::AuthError,
    blob::BlobError,
    metadata::{RepositoryError, UploadError},
};

use super::{INTERNAL_ADVICE, Spec, spec};

const LATER: Spec = spec(S::SERVICE_UNAVAILABLE, Code::Unavailable, "try again soon");
const FULL: Spec = spec(
    S::SERVICE_UNAVAILABLE,
    Code::Unavailable,
    "nothing that was acknowledged is lost; the operator must free space, then try again",
);
const INTERNAL: Spec = spec(S::INTERNAL_SERVER_ERROR, Code::Unknown, INTERNAL_ADVICE);
const NO_NAMESPACE: Spec =
    spec(S::NOT_FOUND, Code::NameUnknown, "push under your own name, or ask an administrator to create it");
const MOVED: Spec = spec(
    S::FORBIDDEN,
    Code::Denied,
    "push to that name; to use the old one again, make a repository of it in the management API",
);

pub(super) fn auth(error: &AuthError) -> Spec {
    match error {
        AuthError::WrongCredentials => spec(S::UNAUTHORIZED, Code::Unauthorized, "log in again"),
        AuthError::AccessTokenNeeded => {
            spec(S::UNAUTHORIZED, Code::Unauthorized, "log in with an access token as the password")
        }
        AuthError::UnknownService { .. } => {
            spec(S::BAD_REQUEST, Code::Unsupported, "ask with the service that the challenge names")
        }
        AuthError::Throttled { .. } | AuthError::Overloaded { .. } => {
            spec(S::TOO_MANY_REQUESTS, Code::TooManyRequests, "try again later")
        }
        AuthError::Unavailable { .. } => LATER,
        _ => INTERNAL,
    }
}

pub(super) fn blob(error: &BlobError) -> Spec {
    match error {
        BlobError::DigestMismatch { .. } => {
            spec(S::BAD_REQUEST, Code::DigestInvalid, "upload the exact bytes that have this digest")
        }
        BlobError::TooLong { .. } => {
            spec(S::BAD_REQUEST, Code::SizeInvalid, "send as many bytes as are announced")
        }
        BlobError::PartMissing { .. } => spec(S::NOT_FOUND, Code::BlobUploadUnknown, "start a new upload"),
        BlobError::Missing { .. } => spec(S::NOT_FOUND, Code::BlobUnknown, "push the blob again"),
        BlobError::OutOfRange { .. } => {
            spec(S::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, "ask for a range within the blob")
        }
        BlobError::NoSpace { .. } => FULL,
        BlobError::Unavailable { .. } => LATER,
        _ => INTERNAL,
    }
}

pub(super) fn upload(error: &UploadError) -> Spec {
    match error {
        UploadError::NamespaceUnknown { .. } => NO_NAMESPACE,
        UploadError::Moved { .. } => MOVED,
        UploadError::UploadUnknown { .. } => {
            spec(S::NOT_FOUND, Code::BlobUploadUnknown, "start a new upload")
        }
        UploadError::OffsetMoved { .. } => {
            spec(S::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, "go on at the recorded offset")
        }
        UploadError::TooManyParts { .. } => {
            spec(S::BAD_REQUEST, Code::BlobUploadInvalid, "start a new upload with larger chunks")
        }
        UploadError::QuotaExceeded { .. } => {
            spec(S::FORBIDDEN, Code::Denied, "delete images or ask an administrator for more")
        }
        UploadError::NoSpace { .. } => FULL,
        UploadError::HoldLost { .. } | UploadError::Conflict { .. } | UploadError::Unavailable { .. } => {
            LATER
        }
        _ => INTERNAL,
    }
}

pub(super) fn repository(error: &RepositoryError) -> Spec {
    match error {
        RepositoryError::NameUnknown { .. } => {
            spec(S::NOT_FOUND, Code::NameUnknown, "check the name; the first push makes a repository")
        }
        RepositoryError::NamespaceUnknown { .. } => NO_NAMESPACE,
        RepositoryError::Moved { .. } => MOVED,
        RepositoryError::NameLeadsElsewhere { .. } => spec(
            S::FORBIDDEN,
            Code::Denied,
            "push under another name, or make a repository of this one in the management API",
        ),
        RepositoryError::QuotaExceeded { .. } => spec(S::FORBIDDEN, Code::Denied, "delete something there"),
        RepositoryError::BlobUnknown { .. } => {
            spec(S::NOT_FOUND, Code::BlobUnknown, "check the digest, or push the blob")
        }
        RepositoryError::ManifestUnknown { .. } => {
            spec(S::NOT_FOUND, Code::ManifestUnknown, "check the tag or digest, or push the manifest")
        }
        RepositoryError::ReferencesMissing { .. } => spec(
            S::BAD_REQUEST,
            Code::ManifestBlobUnknown,
            "push what is missing first, then the manifest again",
        ),
        RepositoryError::TagImmutable { .. } => {
            spec(S::CONFLICT, Code::Denied, "push under another tag, or ask its owner to change the rule")
        }
        RepositoryError::TagUnexpected { .. } => {
            spec(S::PRECONDITION_FAILED, Code::Denied, "look what the tag names now, then decide again")
        }
        // distribution-spec, Deleting Manifests and Blobs: 405 is how a registry says that it does not delete this.
        RepositoryError::StillNeeded { .. } => {
            spec(S::METHOD_NOT_ALLOWED, Code::Denied, "delete that index first, or delete the tag alone")
        }
        RepositoryError::BlobNeeded { .. } => {
            spec(S::METHOD_NOT_ALLOWED, Code::Denied, "delete that manifest first, then the blob again")
        }
        RepositoryError::BlobRestorable { .. } => {
            spec(S::METHOD_NOT_ALLOWED, Code::Denied, "it goes by itself after that")
        }
        RepositoryError::NoSpace { .. } => FULL,
        RepositoryError::Conflict { .. } | RepositoryError::Unavailable { .. } => LATER,
        _ => INTERNAL,
    }
}
