//! The error codes of the registry API (distribution-spec, Error codes; Docker's in addition). Which HTTP
//! status goes with one is known at the edge alone.

use std::fmt;

/// An error code, as a client reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The repository has no such blob.
    BlobUnknown,
    /// The upload cannot be gone on with.
    BlobUploadInvalid,
    /// There is no such upload session.
    BlobUploadUnknown,
    /// Whoever asks may not do this.
    Denied,
    /// The digest is none, or not that of the content.
    DigestInvalid,
    /// The manifest needs content that the repository does not have.
    ManifestBlobUnknown,
    /// The manifest cannot be read.
    ManifestInvalid,
    /// The repository has no such manifest.
    ManifestUnknown,
    /// The manifest's signature does not hold.
    ManifestUnverified,
    /// The name follows no grammar of ours.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The page size is no number.
    PaginationNumberInvalid,
    /// The range lies outside of the content.
    RangeInvalid,
    /// The content has another length than was said.
    SizeInvalid,
    /// The tag follows no grammar of ours.
    TagInvalid,
    /// Whoever asks does so too often.
    TooManyRequests,
    /// Who asks is not known.
    Unauthorized,
    /// The registry cannot answer now.
    Unavailable,
    /// Something went wrong in the registry.
    Unknown,
    /// The registry does not do this.
    Unsupported,
}

impl Code {
    /// As it stands in an error body.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
