//! What a namespace uses, counted anew from what its repositories say: for those that an earlier release has left, which
//! did not count, and for what a crash has left on an engine that is not atomic.

use bytes::Bytes;
use oci::{Namespace, NamespacePath, RepositoryName};
use proto::metadata::repositories::Viewer;

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Mutation, RANGE_LIMIT},
    namespaces::Owner,
    placement::{Placement, belongs},
    step,
};

/// With more repositories than this, only the namespace's own counter is watched while they are read.
const WATCHED: usize = 2_000;

/// A namespace that is said to use what it does not.
pub(crate) struct Miscounted {
    said: i64,
    used: i64,
    /// All that was added up, as it was read.
    pub(crate) as_read: Vec<Condition>,
    pub(crate) corrected: Mutation,
}

impl Service {
    /// Counts all namespaces, if none has been counted by this or a later release.
    pub(crate) async fn prepare_quotas(&self) -> Result<(), Error> {
        let counted = (keys::SCHEMA, field::COUNTED);
        if self.fields(std::slice::from_ref(&counted)).await?.pop().flatten().is_some() {
            return Ok(());
        }

        let mut after: Option<RepositoryName> = None;
        loop {
            let names = self.names_behind(Viewer::Administrator, after.as_ref(), RANGE_LIMIT).await?;
            self.recount_of(&names, after.as_ref()).await?;
            after = names.last().filter(|_| names.len() == RANGE_LIMIT).cloned();
            if after.is_none() {
                break;
            }
        }
        let (key, field) = counted;
        let commit = Commit::synced().then(Mutation::SetField(key, field, "used".into()));
        let _unconditional = self.commit(step!("prepare_quotas"), commit).await?;
        Ok(())
    }

    /// Counts the namespaces that begin in a page of all repositories, which is the one behind `after`.
    pub(crate) async fn recount_of(
        &self,
        page: &[RepositoryName],
        after: Option<&RepositoryName>,
    ) -> Result<(), Error> {
        let mut last = after.map(RepositoryName::namespace);
        for name in page {
            let namespace = name.namespace();
            if last.as_ref() != Some(&namespace) {
                self.recount(&namespace).await?;
                last = Some(namespace);
            }
        }
        Ok(())
    }

    /// Corrects what a namespace is said to use. What changes all the time meanwhile is looked at the next time.
    pub(crate) async fn recount(&self, namespace: &Namespace) -> Result<(), Error> {
        let Some(owner) = self.claimed(namespace).await? else { return Ok(()) };
        for _ in 0..ATTEMPTS {
            let Some(found) = self.miscounted(owner, namespace).await? else { return Ok(()) };
            let Miscounted { said, used, as_read, corrected } = found;
            let commit = Commit::synced().when_all(as_read).then(corrected);
            if self.commit(step!("recount"), commit).await? == Outcome::Committed {
                tracing::info!(%namespace, said, used, "what a namespace uses was corrected");
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is said of a namespace and is not the sum of what its repositories say.
    pub(crate) async fn miscounted(
        &self,
        owner: Owner,
        namespace: &Namespace,
    ) -> Result<Option<Miscounted>, Error> {
        let record = keys::namespace(owner, namespace);
        let asked = [field::BYTES, field::MOVES].map(|field| (record.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let (read, moves) = (next(&mut values), next(&mut values));
        let repositories = self.used_by_repositories(namespace).await?;
        let used = repositories.iter().fold(0_i64, |sum, (_, bytes, _)| sum.saturating_add(*bytes));
        let said: i64 = read.as_ref().map_or(Ok(0), |read| parsed(&record, &field::BYTES, Some(read)))?;
        if said == used {
            return Ok(None);
        }

        let unchanged = |(id, _, read): &(RepositoryId, i64, Bytes)| {
            Condition::FieldEquals(keys::state(*id), field::BYTES, read.clone())
        };
        let mut as_read = vec![
            Condition::FieldPresent(record.clone(), field::NAME),
            Condition::unchanged(record.clone(), field::BYTES, read),
            Condition::unchanged(record.clone(), field::MOVES, moves),
        ];
        as_read.extend(repositories.iter().take(WATCHED).map(unchanged));
        let corrected = Mutation::SetField(record, field::BYTES, used.to_string().into());
        Ok(Some(Miscounted { said, used, as_read, corrected }))
    }

    /// Each repository of the namespace with the bytes that it links, as a number and as it was read.
    async fn used_by_repositories(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<(RepositoryId, i64, Bytes)>, Error> {
        let Ok(under) = namespace.as_str().parse::<NamespacePath>() else { return Ok(Vec::new()) };
        let (mut used, mut after) = (Vec::new(), None);
        loop {
            let names = self.names_under(&under, after.as_ref(), RANGE_LIMIT).await?;
            let places = names.iter().zip(self.placements(&names).await?);
            let places: Vec<_> = places.filter_map(|(name, place)| Some((name, place?))).collect();
            let asked =
                |place: &Placement| [field::NAME, field::BYTES].map(|field| (keys::state(place.id), field));
            let asked: Vec<_> = places.iter().flat_map(|(_, place)| asked(place)).collect();
            let mut values = self.fields(&asked).await?.into_iter();
            for (name, place) in places {
                let (guard, read) = (next(&mut values), next(&mut values));
                // What a crash has left of a move is no repository.
                if let Some(read) = read.filter(|_| belongs(guard.as_ref(), name)) {
                    let bytes = parsed(&keys::state(place.id), &field::BYTES, Some(&read))?;
                    used.push((place.id, bytes, read));
                }
            }
            after = names.last().filter(|_| names.len() == RANGE_LIMIT).cloned();
            if after.is_none() {
                return Ok(used);
            }
        }
    }
}
