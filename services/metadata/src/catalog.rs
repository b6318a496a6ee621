//! The list of repositories. The public ones have a list of their own, so that an outsider's search never
//! walks private ones.

use oci::RepositoryName;
use proto::metadata::{
    More, Page, PageRequest, RepositoryError, Visibility,
    repositories::{RepositoryEntry, Viewer},
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
    /// The repositories that `viewer` may see.
    pub(crate) async fn list_repositories(
        &self,
        viewer: Viewer,
        page: &PageRequest<RepositoryName>,
    ) -> Result<Page<RepositoryEntry>, RepositoryError> {
        let limit = page.limit.min(LONGEST_PAGE);
        let (mut entries, mut after) = (Vec::new(), page.after.clone());
        loop {
            let names = self.names_behind(viewer, after.as_ref(), limit + 1).await?;
            let exhausted = names.len() <= limit;
            after = names.last().cloned();
            entries.extend(self.entries(viewer, &names).await?);

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
        let key = match viewer {
            Viewer::Outsider => keys::PUBLIC_REPOSITORIES,
            Viewer::Administrator => keys::REPOSITORIES,
        };
        let behind = after.map_or(MemberRange::all(), keys::listed_after);
        let members = self.keyspace().range(&key, behind, limit, Direction::Forward).await?;

        members.iter().map(|member| parsed_member(&key, keys::first_part(member))).collect()
    }

    /// The entries of those names that the viewer may see and that have a record.
    async fn entries(&self, viewer: Viewer, names: &[RepositoryName]) -> Result<Vec<RepositoryEntry>, Error> {
        let placed: Vec<(&RepositoryName, Placement)> = names
            .iter()
            .zip(self.placements(names).await?)
            .filter_map(|(name, placement)| Some((name, placement?)))
            .filter(|(_, placement)| {
                viewer == Viewer::Administrator || placement.visibility == Visibility::Public
            })
            .collect();

        let asked: Vec<_> = placed
            .iter()
            .flat_map(|(name, placement)| {
                [(record(name, placement), field::UPDATED), (keys::state(placement.id), field::BYTES)]
            })
            .collect();
        let mut values = self.fields(&asked).await?.into_iter();
        let mut entries = Vec::with_capacity(placed.len());
        for (name, placement) in placed {
            let updated =
                millisecond(&record(name, &placement), &field::UPDATED, next(&mut values).as_ref())?;
            let size_bytes = parsed(&keys::state(placement.id), &field::BYTES, next(&mut values).as_ref())?;
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

fn record(name: &RepositoryName, placement: &Placement) -> Key {
    keys::repository(placement.owner, name, placement.visibility)
}
