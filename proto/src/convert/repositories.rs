//! Manifests and lists as messages.

use std::{fmt::Display, str::FromStr};

use oci::{Need, Needed, RepositoryName, Tag};

use super::{
    BadField, Wire, enumeration, parsed, parsed_all, parsed_option, printed, printed_all, read, read_all,
    timestamp, written_all,
};
use crate::{
    metadata::{
        Actor, More, Page, PageRequest, Visibility,
        repositories::{
            Expected, Intent, Manifest, NewManifest, RepositoryEntry, Restore, Viewer, WantedRepositories,
        },
    },
    wire,
};

enumeration!(Visibility, wire::Visibility, "visibility", [Public, Private]);
enumeration!(Needed, wire::Needed, "what", [Blob, Manifest]);
enumeration!(Viewer, wire::Viewer, "viewer", [Outsider, Administrator]);
enumeration!(Intent, wire::Intent, "intent", [Read, Push]);

impl Wire for Manifest {
    type Message = wire::ManifestResponse;

    fn to_message(&self) -> wire::ManifestResponse {
        wire::ManifestResponse {
            digest: self.digest.to_string(),
            media_type: self.media_type.to_string(),
            body: self.body.clone(),
        }
    }

    fn from_message(message: wire::ManifestResponse) -> Result<Self, BadField> {
        Ok(Self {
            digest: parsed("digest", &message.digest)?,
            media_type: parsed("media_type", &message.media_type)?,
            body: message.body,
        })
    }
}

impl Wire for Expected {
    type Message = Option<String>;

    fn to_message(&self) -> Option<String> {
        match self {
            Self::Anything => None,
            Self::Absent => Some(String::new()),
            Self::Digest(digest) => Some(digest.to_string()),
        }
    }

    fn from_message(message: Option<String>) -> Result<Self, BadField> {
        match message.as_deref() {
            None => Ok(Self::Anything),
            Some("") => Ok(Self::Absent),
            Some(digest) => parsed("expected", digest).map(Self::Digest),
        }
    }
}

impl Wire for RepositoryEntry {
    type Message = wire::RepositoryEntry;

    fn to_message(&self) -> wire::RepositoryEntry {
        wire::RepositoryEntry {
            name: self.name.to_string(),
            visibility: self.visibility.to_message(),
            updated_ms: self.updated.as_millisecond(),
            size_bytes: self.size_bytes,
        }
    }

    fn from_message(message: wire::RepositoryEntry) -> Result<Self, BadField> {
        Ok(Self {
            name: parsed("name", &message.name)?,
            visibility: Visibility::from_message(message.visibility)?,
            updated: timestamp("updated_ms", message.updated_ms)?,
            size_bytes: message.size_bytes,
        })
    }
}

impl Wire for More {
    type Message = bool;

    fn to_message(&self) -> bool {
        match self {
            Self::Yes => true,
            Self::No => false,
        }
    }

    fn from_message(message: bool) -> Result<Self, BadField> {
        Ok(if message { Self::Yes } else { Self::No })
    }
}

impl Wire for Page<Tag> {
    type Message = wire::TagsResponse;

    fn to_message(&self) -> wire::TagsResponse {
        wire::TagsResponse { tags: printed_all(&self.entries), more: self.more.to_message() }
    }

    fn from_message(message: wire::TagsResponse) -> Result<Self, BadField> {
        let wire::TagsResponse { tags, more } = message;
        Ok(Self { entries: parsed_all("tags", &tags)?, more: More::from_message(more)? })
    }
}

impl Wire for Page<RepositoryEntry> {
    type Message = wire::RepositoriesResponse;

    fn to_message(&self) -> wire::RepositoriesResponse {
        wire::RepositoriesResponse { repositories: written_all(&self.entries), more: self.more.to_message() }
    }

    fn from_message(message: wire::RepositoriesResponse) -> Result<Self, BadField> {
        let wire::RepositoriesResponse { repositories, more } = message;
        Ok(Self { entries: read_all(repositories)?, more: More::from_message(more)? })
    }
}

impl Wire for Need {
    type Message = wire::Need;

    fn to_message(&self) -> wire::Need {
        wire::Need { digest: self.digest.to_string(), size_bytes: self.size, what: self.what.to_message() }
    }

    fn from_message(message: wire::Need) -> Result<Self, BadField> {
        let wire::Need { digest, size_bytes, what } = message;
        Ok(Self { digest: parsed("digest", &digest)?, size: size_bytes, what: Needed::from_message(what)? })
    }
}

pub(crate) fn put_manifest_request(manifest: &NewManifest, actor: &Actor) -> wire::PutManifestRequest {
    wire::PutManifestRequest {
        repository: manifest.repository.to_string(),
        digest: manifest.digest.to_string(),
        media_type: manifest.media_type.to_string(),
        body: manifest.body.clone(),
        needs: written_all(&manifest.needs),
        subject: printed(manifest.subject.as_ref()),
        artifact_type: printed(manifest.artifact_type.as_ref()),
        tags: printed_all(&manifest.tags),
        annotations: manifest.annotations.clone().into_iter().collect(),
        expected: manifest.expected.to_message(),
        actor: Some(actor.to_message()),
    }
}

pub(crate) fn put_manifest(message: wire::PutManifestRequest) -> Result<(NewManifest, Actor), BadField> {
    let manifest = NewManifest {
        repository: parsed("repository", &message.repository)?,
        digest: parsed("digest", &message.digest)?,
        media_type: parsed("media_type", &message.media_type)?,
        body: message.body,
        needs: read_all(message.needs)?,
        subject: parsed_option("subject", message.subject.as_deref())?,
        artifact_type: parsed_option("artifact_type", message.artifact_type.as_deref())?,
        annotations: message.annotations.into_iter().collect(),
        tags: parsed_all("tags", &message.tags)?,
        expected: Expected::from_message(message.expected)?,
    };
    Ok((manifest, read("actor", message.actor)?))
}

/// Callers of the first release do not say what for: they read.
pub(crate) fn intent(message: i32) -> Result<Intent, BadField> {
    if message == i32::from(wire::Intent::Unspecified) {
        Ok(Intent::Read)
    } else {
        Intent::from_message(message)
    }
}

pub(crate) fn restore_request(restore: &Restore, actor: &Actor) -> wire::RestoreRequest {
    wire::RestoreRequest {
        repository: restore.repository.to_string(),
        what: restore.what.to_string(),
        to: printed(restore.to.as_ref()),
        actor: Some(actor.to_message()),
    }
}

pub(crate) fn restore(message: wire::RestoreRequest) -> Result<(Restore, Actor), BadField> {
    let restore = Restore {
        repository: parsed("repository", &message.repository)?,
        what: parsed("what", &message.what)?,
        to: parsed_option("to", message.to.as_deref())?,
    };
    Ok((restore, read("actor", message.actor)?))
}

pub(crate) fn tags_request(repository: &RepositoryName, page: &PageRequest<Tag>) -> wire::TagsRequest {
    let (after, limit) = page_fields(page);
    wire::TagsRequest { repository: repository.to_string(), after, limit }
}

impl Wire for WantedRepositories {
    type Message = wire::RepositoriesRequest;

    fn to_message(&self) -> wire::RepositoriesRequest {
        let (after, limit) = page_fields(&self.page);
        wire::RepositoriesRequest {
            viewer: self.viewer.to_message(),
            after,
            limit,
            under: printed(self.under.as_ref()),
            also: printed_all(&self.also),
        }
    }

    fn from_message(message: wire::RepositoriesRequest) -> Result<Self, BadField> {
        Ok(Self {
            viewer: Viewer::from_message(message.viewer)?,
            under: parsed_option("under", message.under.as_deref())?,
            also: parsed_all("also", &message.also)?,
            page: page(&message.after, message.limit)?,
        })
    }
}

/// Where a page begins, empty for the beginning, and how long it may be.
pub(crate) fn page_fields<T: Display>(page: &PageRequest<T>) -> (String, u32) {
    let after = printed(page.after.as_ref()).unwrap_or_default();
    (after, u32::try_from(page.limit).unwrap_or(u32::MAX))
}

/// Reads where a page begins, empty for the beginning, and how long it may be.
pub(crate) fn page<T: FromStr<Err: Display>>(after: &str, limit: u32) -> Result<PageRequest<T>, BadField> {
    let after = Some(after).filter(|after| !after.is_empty());
    let limit = usize::try_from(limit).map_err(|why| BadField::unreadable("limit", why))?;
    Ok(PageRequest { after: parsed_option("after", after)?, limit })
}
