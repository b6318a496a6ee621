//! The list of repositories. The public ones have a list of their own, so that an outsider's search never
//! walks private ones.

use std::collections::BTreeSet;

use oci::{NamespacePath, RepositoryName};
use proto::metadata::{
    More, Page, RepositoryError, Visibility,
    repositories::{MAX_ALSO, RepositoryEntry, Viewer, WantedRepositories},
};

use crate::{
    Service,
    failure::{next, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Direction, Error, Key, MemberRange},
    placement::Placement,
    sessions::millisecond,
    tags::LONGEST_PAGE,
};

impl Service {
    /// The repositories that somebody may see.
    pub(crate) async fn list_repositories(
        &self,
        wanted: &WantedRepositories,
    ) -> Result<Page<RepositoryEntry>, RepositoryError> {
        let limit = wanted.page.limit.min(LONGEST_PAGE);
        let besides = looked_up(wanted);
        let (mut entries, mut after) = (Vec::new(), wanted.page.after.clone());
        loop {
            let members = keys::listed_under(wanted.under.as_ref(), after.as_ref());
            let listed = self.names_in(wanted.viewer, members, limit + 1).await?;
            let exhausted = listed.len() <= limit;
            let names =
                merged(listed, &besides, after.as_ref(), if exhausted { More::No } else { More::Yes });
            after = names.last().cloned();
            entries.extend(self.entries(wanted, &names).await?);

            // An index entry may be without a record: then the page is filled from what follows.
            if entries.len() > limit || exhausted {
                let more = if entries.len() > limit { More::Yes } else { More::No };
                entries.truncate(limit);
                return Ok(Page { entries, more });
            }
        }
    }

    pub(crate) async fn names_behind(
        &self,
        viewer: Viewer,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, Error> {
        self.names_in(viewer, keys::listed_under(None, after), limit).await
    }

    /// Those under a path.
    pub(crate) async fn names_under(
        &self,
        path: &NamespacePath,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, Error> {
        self.names_in(Viewer::Administrator, keys::listed_under(Some(path), after), limit).await
    }

    async fn names_in(
        &self,
        viewer: Viewer,
        members: MemberRange,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, Error> {
        let key = match viewer {
            Viewer::Outsider => keys::PUBLIC_REPOSITORIES,
            Viewer::Administrator => keys::REPOSITORIES,
        };
        let members = self.keyspace().range(&key, members, limit, Direction::Forward).await?;

        members.iter().map(|member| parsed_member(&key, keys::first_part(member))).collect()
    }

    /// The entries of those names that the viewer may see and that have a record.
    async fn entries(
        &self,
        wanted: &WantedRepositories,
        names: &[RepositoryName],
    ) -> Result<Vec<RepositoryEntry>, Error> {
        let visible = |name: &RepositoryName, placement: &Placement| {
            wanted.viewer == Viewer::Administrator
                || placement.visibility == Visibility::Public
                || also(wanted).any(|also| also == name)
        };
        let placed: Vec<(&RepositoryName, Placement)> = names
            .iter()
            .zip(self.placements(names).await?)
            .filter_map(|(name, placement)| Some((name, placement?)))
            .filter(|(name, placement)| visible(name, placement))
            .collect();

        let asked: Vec<_> = placed
            .iter()
            .flat_map(|(name, placement)| {
                let [here, there] = records(name, placement).map(|record| (record, field::UPDATED));
                [here, there, (keys::state(placement.id), field::BYTES)]
            })
            .collect();
        let mut values = self.fields(&asked).await?.into_iter();
        let mut entries = Vec::with_capacity(placed.len());
        for (name, placement) in placed {
            let [here, there] = [next(&mut values), next(&mut values)];
            // It may have been deleted, or be called otherwise, since.
            let (Some(updated), Some(bytes)) = (here.or(there), next(&mut values)) else { continue };
            let [record, _] = records(name, &placement);
            let updated = millisecond(&record, &field::UPDATED, Some(&updated))?;
            let size_bytes = parsed(&keys::state(placement.id), &field::BYTES, Some(&bytes))?;
            entries.push(RepositoryEntry {
                name: name.clone(),
                visibility: placement.visibility,
                updated,
                size_bytes,
            });
        }
        Ok(entries)
    }
}

/// What the viewer may see besides.
fn also(wanted: &WantedRepositories) -> impl Iterator<Item = &RepositoryName> {
    wanted.also.iter().take(MAX_ALSO)
}

/// Names that are looked up whether they are listed or not: those that may be seen besides, and the one that is the
/// path itself, whose place in the list is apart from what is under it.
fn looked_up(wanted: &WantedRepositories) -> BTreeSet<RepositoryName> {
    let covered = |name: &&RepositoryName| wanted.under.as_ref().is_none_or(|under| under.covers(name));
    let itself = wanted.under.as_ref().and_then(NamespacePath::repository);
    also(wanted).filter(covered).cloned().chain(itself).collect()
}

/// What is listed, and those looked up besides that stand between `after` and its end, or all if there is no more.
fn merged(
    listed: Vec<RepositoryName>,
    besides: &BTreeSet<RepositoryName>,
    after: Option<&RepositoryName>,
    more: More,
) -> Vec<RepositoryName> {
    let end = listed.last().filter(|_| more == More::Yes).cloned();
    let here = |name: &&RepositoryName| {
        after.is_none_or(|after| *name > after) && end.as_ref().is_none_or(|end| *name <= end)
    };
    let mut names: BTreeSet<RepositoryName> = listed.into_iter().collect();
    names.extend(besides.iter().filter(here).cloned());
    names.into_iter().collect()
}

/// Where the record was, and where it has been moved if who may see the repository has changed since.
pub(crate) fn records(name: &RepositoryName, placement: &Placement) -> [Key; 2] {
    let other = match placement.visibility {
        Visibility::Public => Visibility::Private,
        Visibility::Private => Visibility::Public,
    };
    [placement.visibility, other].map(|visibility| keys::repository(placement.owner, name, visibility))
}
