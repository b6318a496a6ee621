//! What can go wrong, and how HTTP says it: the one place that knows the statuses of errors (distribution-spec,
//! Error codes). What a client reads says what was wrong and what to do; what is ours alone stays in the log.

use std::time::Duration;

use http::StatusCode;
use oci::{
    Code, ContentRangeError, Digest, DigestError, ManifestError, MediaTypeError, NameError, PageSizeError,
    RepositoryName, Scope, TagError, TargetError,
};
use proto::{
    auth::AuthError,
    blob::BlobError,
    metadata::{RepositoryError, UploadError, uploads::UploadAddress},
};

use crate::access::Refusal;

mod answer;
mod contracts;
mod grant;

pub(crate) use answer::{ErrorContext, body};
pub(crate) use grant::GrantError;

/// When to come back if nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{}", match refusal {
        Refusal::NoToken => "this needs a token",
        Refusal::InvalidToken => "the token is not valid (any more)",
        Refusal::InsufficientScope => "the token does not allow this",
    })]
    Unauthorized { wanted: Vec<Scope>, refusal: Refusal },
    #[error("the login is malformed")]
    MalformedLogin,
    #[error("the keys that verify tokens are not known yet")]
    NoKeys,

    #[error("there is nothing at {path}")]
    NoRoute { path: String },
    #[error("{method} is not possible here")]
    MethodNotAllowed { method: String, allow: &'static str },
    #[error(transparent)]
    Path(#[from] TargetError),
    #[error(transparent)]
    PageSize(#[from] PageSizeError),
    #[error("`last`: {0}")]
    LastTag(TagError),
    #[error("`last`: {0}")]
    LastName(NameError),
    #[error(transparent)]
    List(#[from] ListError),

    #[error("the range lies outside of the {size_bytes} bytes of the blob")]
    RangeUnsatisfiable { size_bytes: u64 },

    #[error("the digest is missing")]
    DigestMissing,
    #[error("`{parameter}`: {error}")]
    DigestMalformed { parameter: &'static str, error: DigestError },
    #[error("`from`: {0}")]
    MountSource(NameError),
    #[error("{0}")]
    ContentRange(ContentRangeError),
    #[error("Content-Range says {range_bytes} bytes, Content-Length {body_bytes}")]
    LengthContradiction { range_bytes: u64, body_bytes: u64 },
    #[error("the chunk begins elsewhere than at the end of the upload, which has {recorded} bytes")]
    OutOfOrder { address: UploadAddress, recorded: u64 },
    #[error("the body was cut short; the upload has {recorded} bytes")]
    BodyCut { address: UploadAddress, recorded: u64 },

    #[error("the condition cannot be checked")]
    Condition,
    #[error(transparent)]
    Tags(#[from] TagsError),
    #[error("the manifest is longer than {limit_bytes} bytes")]
    ManifestTooLong { limit_bytes: usize },
    #[error("the body was cut short")]
    ManifestCut,
    #[error("Content-Type: {0}")]
    ContentType(MediaTypeError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("the manifest has the digest {actual}, not {claimed}")]
    ManifestDigest { claimed: Digest, actual: Digest },

    #[error("{0}")]
    Grant(GrantError),

    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("the hold of {digest} was lost twice")]
    HoldLost { digest: Digest },

    #[error("a task ended before its time")]
    Crashed,
}

/// What is wrong with the part of a list that is asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("`last` is not the end of a page of referrers")]
    LastReferrer,
    #[error("`last` is not the end of a page of a history")]
    LastEvent,
    #[error("`{parameter}`: {error}")]
    Time { parameter: &'static str, error: jiff::Error },
    #[error("`artifactType`: {0}")]
    ArtifactType(MediaTypeError),
}

/// What is wrong with the tags that a manifest is put with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TagsError {
    #[error("`tag`: {0}")]
    Malformed(TagError),
    #[error("`tag` is for a manifest that is put by its digest")]
    BesideTag,
    #[error("{count} tags are more than the {limit} that one manifest can be put with")]
    TooMany { count: usize, limit: usize },
}

/// What HTTP and the specification call an error, and what a client does about it.
pub(crate) struct Spec {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) advice: &'static str,
}

const fn spec(status: StatusCode, code: Code, advice: &'static str) -> Spec {
    Spec { status, code, advice }
}

impl ApiError {
    pub(crate) fn spec(&self) -> Spec {
        use StatusCode as S;
        match self {
            Self::Unauthorized { .. } => spec(
                S::UNAUTHORIZED,
                Code::Unauthorized,
                "log in, or ask the owner of the repository for access",
            ),
            Self::MalformedLogin => spec(
                S::UNAUTHORIZED,
                Code::Unauthorized,
                "send `Basic` and base64 of name:password, or no Authorization",
            ),
            Self::NoKeys => spec(S::SERVICE_UNAVAILABLE, Code::Unavailable, "try again soon"),
            Self::NoRoute { .. } => {
                spec(S::NOT_FOUND, Code::Unsupported, "see the registry API: paths begin with /v2")
            }
            Self::MethodNotAllowed { .. } => {
                spec(S::METHOD_NOT_ALLOWED, Code::Unsupported, "use one of the methods in Allow")
            }
            Self::Path(error) => path_spec(error),
            Self::PageSize(_) | Self::LastTag(_) | Self::LastName(_) | Self::List(_) => self.list_spec(),
            Self::RangeUnsatisfiable { .. } => {
                spec(S::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, "ask for a range within the blob")
            }
            Self::Grant(error) => {
                spec(error.status(), Code::Unsupported, "see the registry's token documentation")
            }
            Self::ManifestTooLong { .. }
            | Self::ManifestCut
            | Self::Condition
            | Self::Tags(_)
            | Self::ContentType(_)
            | Self::Manifest(_)
            | Self::ManifestDigest { .. } => self.manifest_spec(),
            Self::Auth(error) => contracts::auth(error),
            Self::Blob(error) => contracts::blob(error),
            Self::Upload(error) => contracts::upload(error),
            Self::Repository(error) => contracts::repository(error),
            Self::HoldLost { .. } => spec(
                S::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "send the PUT again: the upload is still there",
            ),
            Self::Crashed => spec(S::INTERNAL_SERVER_ERROR, Code::Unknown, INTERNAL_ADVICE),
            _ => self.upload_spec(),
        }
    }

    fn list_spec(&self) -> Spec {
        const BEFORE: &str = "take the Link of the page before";
        use StatusCode as S;
        match self {
            Self::PageSize(_) => {
                spec(S::BAD_REQUEST, Code::PaginationNumberInvalid, "ask for n=100, for example")
            }
            Self::LastTag(_) => spec(S::BAD_REQUEST, Code::TagInvalid, BEFORE),
            Self::LastName(_) => spec(S::BAD_REQUEST, Code::NameInvalid, BEFORE),
            Self::List(ListError::ArtifactType(_)) => {
                spec(S::BAD_REQUEST, Code::Unsupported, "write it as type/subtype, or leave it out")
            }
            Self::List(ListError::Time { .. }) => {
                spec(S::BAD_REQUEST, Code::Unsupported, "write it as 2026-01-31T23:59:59Z (RFC 3339)")
            }
            _ => spec(S::BAD_REQUEST, Code::Unsupported, BEFORE),
        }
    }

    fn upload_spec(&self) -> Spec {
        use StatusCode as S;
        match self {
            Self::DigestMissing => {
                spec(S::BAD_REQUEST, Code::DigestInvalid, "add ?digest=sha256:… to the PUT")
            }
            Self::DigestMalformed { .. } => {
                spec(S::BAD_REQUEST, Code::DigestInvalid, "send the digest as algorithm:hex")
            }
            Self::MountSource(_) => spec(
                S::BAD_REQUEST,
                Code::NameInvalid,
                "name the repository to mount from, or leave `from` out",
            ),
            Self::ContentRange(_) => {
                spec(S::BAD_REQUEST, Code::BlobUploadInvalid, "write it as first-last, both included")
            }
            Self::LengthContradiction { .. } => {
                spec(S::BAD_REQUEST, Code::SizeInvalid, "send as many bytes as Content-Range says")
            }
            Self::OutOfOrder { .. } => {
                spec(S::RANGE_NOT_SATISFIABLE, Code::RangeInvalid, "go on at the end of Range")
            }
            _ => spec(
                S::BAD_REQUEST,
                Code::BlobUploadInvalid,
                "ask for the status of the upload and go on at the end of Range",
            ),
        }
    }

    fn manifest_spec(&self) -> Spec {
        use StatusCode as S;
        match self {
            Self::ManifestTooLong { .. } | Self::Manifest(ManifestError::TooLarge { .. }) => spec(
                S::PAYLOAD_TOO_LARGE,
                Code::ManifestInvalid,
                "put large content into a blob and name it in the manifest",
            ),
            Self::ManifestDigest { .. } => spec(
                S::BAD_REQUEST,
                Code::DigestInvalid,
                "push the exact bytes that have the digest in the path",
            ),
            Self::Condition => spec(
                S::BAD_REQUEST,
                Code::Unsupported,
                "for a tag, send `If-Match` with one digest in quotes, or `If-None-Match: *`",
            ),
            Self::Tags(TagsError::Malformed(_)) => {
                spec(S::BAD_REQUEST, Code::TagInvalid, "nothing was stored; correct the tag and push again")
            }
            Self::Tags(TagsError::BesideTag) => {
                spec(S::BAD_REQUEST, Code::Unsupported, "put it by its digest, or by one tag alone")
            }
            // distribution-spec, Pushing Manifests: too many tags in one request are 414.
            Self::Tags(TagsError::TooMany { .. }) => {
                spec(S::URI_TOO_LONG, Code::SizeInvalid, "put the manifest again with the others")
            }
            Self::ManifestCut => spec(S::BAD_REQUEST, Code::ManifestInvalid, "send the manifest again"),
            _ => spec(
                S::BAD_REQUEST,
                Code::ManifestInvalid,
                "correct the manifest or its Content-Type and push again",
            ),
        }
    }

    /// How the repository is called now that was asked for by an old name.
    pub(crate) const fn moved_to(&self) -> Option<&RepositoryName> {
        match self {
            Self::Repository(RepositoryError::Moved { to, .. })
            | Self::Upload(UploadError::Moved { to, .. }) => Some(to),
            _ => None,
        }
    }

    /// When to come back, for those errors that pass.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match (self, self.spec().status) {
            (
                Self::Auth(
                    AuthError::Throttled { retry_after_seconds }
                    | AuthError::Overloaded { retry_after_seconds },
                ),
                _,
            ) => Some(Duration::from_secs(u64::from(*retry_after_seconds))),
            (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Some(RETRY_AFTER),
            _ => None,
        }
    }
}

/// For what only an operator can heal.
pub(crate) const INTERNAL_ADVICE: &str = "tell the operator of the registry the request id";

fn path_spec(error: &TargetError) -> Spec {
    use StatusCode as S;
    match error {
        TargetError::Name { .. } => {
            spec(S::BAD_REQUEST, Code::NameInvalid, "correct the name of the repository")
        }
        TargetError::Digest(_) => spec(S::BAD_REQUEST, Code::DigestInvalid, "correct the digest in the path"),
        TargetError::Tag(_) => spec(S::BAD_REQUEST, Code::TagInvalid, "correct the tag in the path"),
        TargetError::Session(_) => spec(S::NOT_FOUND, Code::BlobUploadUnknown, "start a new upload"),
        _ => spec(
            S::NOT_FOUND,
            Code::Unsupported,
            "see the distribution specification for the paths there are",
        ),
    }
}
