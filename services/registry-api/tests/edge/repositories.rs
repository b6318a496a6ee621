//! Repositories that hold what a test puts into them.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use oci::{Digest, Locator, Reference, RepositoryName, Tag};
use proto::{
    blob::Grant,
    metadata::{
        Actor, More, Page, PageRequest, Repositories, RepositoryError, Visibility,
        repositories::{
            Expected, Found, FoundRepository, Intent, Manifest, NewManifest, Place, Reader, Referrers,
            RepositoryEntry, Restore, TagHistory, Viewer, WantedHistory, WantedReferrers, WantedRepositories,
            WantedSearch,
        },
    },
};

use crate::services::{Calls, Faults, When, locator};

#[derive(Default)]
pub(crate) struct FakeRepositories {
    pub(crate) calls: Calls,
    pub(crate) faults: Faults<RepositoryError>,
    pub(crate) blobs: Mutex<BTreeMap<Digest, u64>>,
    pub(crate) stored: Mutex<Vec<NewManifest>>,
    pub(crate) names: Mutex<Vec<RepositoryName>>,
    pub(crate) tags: Mutex<Vec<Tag>>,
    pub(crate) expected: Mutex<Vec<Expected>>,
    pub(crate) referrers: Mutex<Option<Referrers>>,
    pub(crate) history: Mutex<Option<TagHistory>>,
    pub(crate) wanted_histories: Mutex<Vec<WantedHistory>>,
    pub(crate) wanted_repositories: Mutex<Vec<WantedRepositories>>,
    pub(crate) wanted_searches: Mutex<Vec<WantedSearch>>,
    pub(crate) wanted_referrers: Mutex<Vec<WantedReferrers>>,
}

impl FakeRepositories {
    fn found(&self, repository: &RepositoryName, reference: &Reference) -> Result<Manifest, RepositoryError> {
        let named = |stored: &&NewManifest| match reference {
            Reference::Tag(tag) => stored.tags.contains(tag),
            Reference::Digest(digest) => stored.digest == *digest,
        };
        let stored = self.stored.lock().unwrap();
        let found = stored.iter().find(named).ok_or_else(|| RepositoryError::ManifestUnknown {
            repository: repository.clone(),
            reference: reference.clone(),
        })?;
        let NewManifest { digest, media_type, body, .. } = found.clone();
        Ok(Manifest { digest, media_type, body })
    }
}

#[async_trait]
impl Repositories for FakeRepositories {
    async fn restore(&self, _: &Restore, _: &Actor) -> Result<Digest, RepositoryError> {
        unreachable!("the edge restores nothing")
    }

    async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        _: Intent,
    ) -> Result<Grant, RepositoryError> {
        self.calls.note("blob");
        self.faults.check("blob", When::Before)?;
        let unknown =
            || RepositoryError::BlobUnknown { repository: repository.clone(), digest: digest.clone() };
        let size_bytes = *self.blobs.lock().unwrap().get(digest).ok_or_else(unknown)?;
        Ok(Grant {
            locator: locator(digest, 7),
            repository: repository.clone(),
            size_bytes,
            expires: Timestamp::MAX,
            mac: [0; 32],
        })
    }

    async fn delete_blob(&self, _: &RepositoryName, _: &Digest, _: &Actor) -> Result<(), RepositoryError> {
        self.calls.note("delete_blob");
        self.faults.check("delete_blob", When::Before)
    }

    async fn quarantine(&self, _: &Locator) -> Result<(), RepositoryError> {
        self.calls.note("quarantine");
        self.faults.check("quarantine", When::Before)
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        self.calls.note("manifest");
        self.faults.check("manifest", When::Before)?;
        self.found(repository, reference)
    }

    async fn pull(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RepositoryError> {
        self.calls.note("pull");
        self.faults.check("pull", When::Before)?;
        self.found(repository, reference)
    }

    async fn put_manifest(&self, manifest: &NewManifest, _: &Actor) -> Result<(), RepositoryError> {
        self.calls.note("put_manifest");
        self.faults.check("put_manifest", When::Before)?;
        self.stored.lock().unwrap().push(manifest.clone());
        self.faults.check("put_manifest", When::After)
    }

    async fn delete_manifest(
        &self,
        _: &RepositoryName,
        _: &Reference,
        expected: &Expected,
        _: &Actor,
    ) -> Result<(), RepositoryError> {
        self.calls.note("delete_manifest");
        self.expected.lock().unwrap().push(expected.clone());
        self.faults.check("delete_manifest", When::Before)
    }

    async fn referrers(&self, wanted: &WantedReferrers) -> Result<Referrers, RepositoryError> {
        self.calls.note("referrers");
        self.faults.check("referrers", When::Before)?;
        self.wanted_referrers.lock().unwrap().push(wanted.clone());
        let found = self.referrers.lock().unwrap().clone();
        let mut found = found.unwrap_or(Referrers { entries: Vec::new(), more: More::No, fallback: None });
        found
            .entries
            .retain(|entry| wanted.artifact_type.is_none() || entry.artifact_type == wanted.artifact_type);
        Ok(found)
    }

    async fn tags(&self, _: &RepositoryName, page: &PageRequest<Tag>) -> Result<Page<Tag>, RepositoryError> {
        self.calls.note("tags");
        self.faults.check("tags", When::Before)?;
        Ok(page_of(&self.tags.lock().unwrap(), page))
    }

    async fn tag_history(&self, wanted: &WantedHistory) -> Result<TagHistory, RepositoryError> {
        self.calls.note("tag_history");
        self.faults.check("tag_history", When::Before)?;
        self.wanted_histories.lock().unwrap().push(wanted.clone());
        let history = self.history.lock().unwrap().clone();
        Ok(history.unwrap_or(TagHistory { entries: Vec::new(), next: None }))
    }

    async fn repositories(
        &self,
        wanted: &WantedRepositories,
    ) -> Result<Page<RepositoryEntry>, RepositoryError> {
        self.calls.note("repositories");
        self.wanted_repositories.lock().unwrap().push(wanted.clone());
        let mut names = self.names.lock().unwrap().clone();
        names.retain(|name| wanted.viewer == Viewer::Administrator || wanted.also.contains(name));
        names.retain(|name| wanted.under.as_ref().is_none_or(|under| under.covers(name)));
        let Page { entries, more } = page_of(&names, &wanted.page);
        Ok(Page { entries: entries.into_iter().map(entry).collect(), more })
    }

    /// What has the query in its name, if anybody but an outsider looks.
    async fn search(&self, wanted: &WantedSearch) -> Result<Found, RepositoryError> {
        self.calls.note("search");
        self.faults.check("search", When::Before)?;
        self.wanted_searches.lock().unwrap().push(wanted.clone());
        let mut names = self.names.lock().unwrap().clone();
        names.retain(|name| wanted.reader != Reader::Outsider && covered(wanted, name));
        let after = match &wanted.after {
            Some(Place::Name(name)) => Some(name.clone()),
            _ => None,
        };
        let Page { entries, more } = page_of(&names, &PageRequest { after, limit: wanted.limit });
        let next = entries.last().filter(|_| more == More::Yes).cloned().map(Place::Name);
        let found = |name| FoundRepository { entry: entry(name), summary: "An app".to_owned() };
        Ok(Found { repositories: entries.into_iter().map(found).collect(), next })
    }
}

fn covered(wanted: &WantedSearch, name: &RepositoryName) -> bool {
    wanted.under.as_ref().is_none_or(|under| under.covers(name))
        && wanted.query.as_ref().is_none_or(|query| name.as_str().contains(query.as_str()))
}

fn entry(name: RepositoryName) -> RepositoryEntry {
    RepositoryEntry { name, visibility: Visibility::Private, updated: Timestamp::UNIX_EPOCH, size_bytes: 0 }
}

pub(crate) fn page_of<T: Ord + Clone>(all: &[T], page: &PageRequest<T>) -> Page<T> {
    let behind: Vec<T> =
        all.iter().filter(|entry| page.after.as_ref().is_none_or(|after| *entry > after)).cloned().collect();
    let more = if behind.len() > page.limit { More::Yes } else { More::No };
    Page { entries: behind.into_iter().take(page.limit).collect(), more }
}
