//! The path grammar of the registry API: parse and print, without a server. A name may contain slashes and
//! words such as `blobs`, so a path is read from its end.

use std::{fmt, str::FromStr};

use crate::{
    Digest, DigestError, NameError, NamespacePath, Reference, ReferenceError, RepositoryName, SessionId, Tag,
};

/// What a path under `/v2` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/_oci/ext/discover`
    RegistryExtensions,
    /// `/v2/<name>/_oci/ext/discover`
    Extensions(RepositoryName),
    /// `/v2/_oci/repositories`, `/v2/<path>/_oci/repositories`
    Repositories(Option<NamespacePath>),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<session>`
    Upload(RepositoryName, SessionId),
    /// `/v2/<name>/manifests/<tag or digest>`
    Manifest(RepositoryName, Reference),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/_oci/tag-history/<tag>`
    TagHistory(RepositoryName, Tag),
}

/// Why a path is about nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It has none of the forms above.
    #[error("the registry API has no such path")]
    NotFound,
    /// The form is right, the repository's name is not.
    #[error("repository name {name:?}: {error}")]
    Name {
        /// What stands where the name should.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// The form is right, the digest is not.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The form is right, the tag is not.
    #[error(transparent)]
    Tag(#[from] crate::TagError),
    /// The form is right, the upload session is not.
    #[error("{0:?} is not the name of an upload session")]
    Session(String),
}

impl Target {
    /// What `path` is about. Percent-encoded characters are decoded first.
    ///
    /// # Errors
    /// `NotFound`, or which part of the path is wrong.
    pub fn parse(path: &str) -> Result<Self, TargetError> {
        let path = decoded(path).ok_or(TargetError::NotFound)?;
        let rest = path.strip_prefix("/v2").ok_or(TargetError::NotFound)?;
        match rest {
            "" | "/" => return Ok(Self::Base),
            "/_catalog" => return Ok(Self::Catalog),
            "/_oci/ext/discover" => return Ok(Self::RegistryExtensions),
            "/_oci/repositories" => return Ok(Self::Repositories(None)),
            _ => {}
        }
        let rest = rest.strip_prefix('/').ok_or(TargetError::NotFound)?;

        let (head, last) =
            rest.strip_suffix('/').unwrap_or(rest).rsplit_once('/').ok_or(TargetError::NotFound)?;
        let slash_at_end = rest.ends_with('/');
        let (before, kind) = head.rsplit_once('/').ok_or(TargetError::NotFound)?;
        match (kind, last) {
            ("blobs", "uploads") => Ok(Self::Uploads(name(before)?)),
            // A trailing slash is part of `uploads/` alone.
            _ if slash_at_end => Err(TargetError::NotFound),
            ("manifests", reference) => Ok(Self::Manifest(name(before)?, self::reference(reference)?)),
            ("referrers", digest) => Ok(Self::Referrers(name(before)?, digest.parse()?)),
            ("tags", "list") => Ok(Self::Tags(name(before)?)),
            ("ext", "discover") => Ok(Self::Extensions(name(extended(before)?)?)),
            ("tag-history", tag) => Ok(Self::TagHistory(name(extended(before)?)?, tag.parse()?)),
            ("_oci", "repositories") => Ok(Self::Repositories(Some(self::path(before)?))),
            ("blobs", digest) => Ok(Self::Blob(name(before)?, digest.parse()?)),
            ("uploads", session) => {
                let before = before.strip_suffix("/blobs").ok_or(TargetError::NotFound)?;
                let named = name(before)?;
                let session = session.parse().map_err(|_| TargetError::Session(shortened(session)))?;
                Ok(Self::Upload(named, session))
            }
            _ => Err(TargetError::NotFound),
        }
    }

    /// The form of the paths of the histories of tags in a repository.
    pub fn tag_histories(name: &RepositoryName) -> String {
        format!("/v2/{name}/_oci/tag-history/<tag>")
    }

    /// The same in a repository of another name; none if it is in no repository.
    #[must_use]
    pub fn in_repository(&self, name: RepositoryName) -> Option<Self> {
        Some(match self.clone() {
            Self::Base | Self::RegistryExtensions | Self::Catalog | Self::Repositories(_) => return None,
            Self::Blob(_, digest) => Self::Blob(name, digest),
            Self::Uploads(_) => Self::Uploads(name),
            Self::Upload(_, session) => Self::Upload(name, session),
            Self::Manifest(_, reference) => Self::Manifest(name, reference),
            Self::Referrers(_, subject) => Self::Referrers(name, subject),
            Self::Tags(_) => Self::Tags(name),
            Self::Extensions(_) => Self::Extensions(name),
            Self::TagHistory(_, tag) => Self::TagHistory(name, tag),
        })
    }

    /// The repository that it is in.
    pub const fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::RegistryExtensions | Self::Catalog | Self::Repositories(_) => None,
            Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Manifest(name, _)
            | Self::Referrers(name, _)
            | Self::Tags(name)
            | Self::Extensions(name)
            | Self::TagHistory(name, _) => Some(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("/v2/"),
            Self::Catalog => f.write_str("/v2/_catalog"),
            Self::RegistryExtensions => f.write_str("/v2/_oci/ext/discover"),
            Self::Extensions(name) => write!(f, "/v2/{name}/_oci/ext/discover"),
            Self::Repositories(None) => f.write_str("/v2/_oci/repositories"),
            Self::Repositories(Some(path)) => write!(f, "/v2/{path}/_oci/repositories"),
            Self::Blob(name, digest) => write!(f, "/v2/{name}/blobs/{digest}"),
            Self::Uploads(name) => write!(f, "/v2/{name}/blobs/uploads/"),
            Self::Upload(name, session) => write!(f, "/v2/{name}/blobs/uploads/{session}"),
            Self::Manifest(name, reference) => write!(f, "/v2/{name}/manifests/{reference}"),
            Self::Referrers(name, digest) => write!(f, "/v2/{name}/referrers/{digest}"),
            Self::Tags(name) => write!(f, "/v2/{name}/tags/list"),
            Self::TagHistory(name, tag) => write!(f, "/v2/{name}/_oci/tag-history/{tag}"),
        }
    }
}

fn name(text: &str) -> Result<RepositoryName, TargetError> {
    RepositoryName::from_str(text).map_err(|error| TargetError::Name { name: shortened(text), error })
}

fn path(text: &str) -> Result<NamespacePath, TargetError> {
    NamespacePath::from_str(text).map_err(|error| TargetError::Name { name: shortened(text), error })
}

/// What stands before the extensions of the specification.
fn extended(text: &str) -> Result<&str, TargetError> {
    text.strip_suffix("/_oci").ok_or(TargetError::NotFound)
}

fn reference(text: &str) -> Result<Reference, TargetError> {
    Reference::from_str(text).map_err(|error| match error {
        ReferenceError::Tag(error) => error.into(),
        ReferenceError::Digest(error) => error.into(),
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// RFC 3986 §2.1; none if a `%` is not followed by two digits or the result is not UTF-8.
fn decoded(path: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !path.contains('%') {
        return Some(path.into());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (&[high, low], tail) = tail.split_first_chunk::<2>()?;
            bytes.push(nibble(high)? << 4 | nibble(low)?);
            rest = tail;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok().map(Into::into)
}

// Not `from_str_radix`, which also takes a plus sign.
fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
