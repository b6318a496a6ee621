//! Old names of repositories. What was called so is found by its id for a time, so that neither chains of names nor
//! circles need be followed. A repository that is called so now counts before what was. Knows nothing of rights: whoever
//! is told where a name leads must be one who may know.

use bytes::Bytes;
use jiff::Timestamp;
use oci::RepositoryName;
use proto::metadata::{RepositoryError, credentials::Revoked};

use crate::{
    ATTEMPTS, Outcome, Service,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation},
    placement::Nowhere,
    step,
};

/// What an old name leads to.
#[derive(Debug, Clone)]
pub(crate) struct Moved {
    pub(crate) id: RepositoryId,
    pub(crate) to: RepositoryName,
}

/// The record of an old name, as it was read.
pub(crate) struct OldName {
    key: Key,
    recorded: Bytes,
    id: RepositoryId,
    until_ms: i64,
}

impl OldName {
    fn fields(name: &RepositoryName) -> [(Key, Field); 2] {
        [field::ID, field::UNTIL].map(|field| (keys::moved(name), field))
    }

    /// Reads the next values, which were asked for by `fields`.
    fn read(
        name: &RepositoryName,
        values: &mut impl Iterator<Item = Option<Bytes>>,
    ) -> Result<Option<Self>, Error> {
        let (key, id, until) = (keys::moved(name), next(values), next(values));
        let Some(recorded) = id else { return Ok(None) };

        let id = RepositoryId(parsed(&key, &field::ID, Some(&recorded))?);
        let until_ms = parsed(&key, &field::UNTIL, until.as_ref())?;
        Ok(Some(Self { key, recorded, id, until_ms }))
    }

    /// It leads where it led.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::FieldEquals(self.key.clone(), field::ID, self.recorded.clone())
    }

    pub(crate) fn removed(&self) -> Mutation {
        Mutation::RemoveRecord(self.key.clone())
    }

    pub(crate) const fn id(&self) -> RepositoryId {
        self.id
    }

    fn lives(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.until_ms
    }
}

/// `name` leads to a repository until then. It counts only once there is no repository of that name.
pub(crate) fn leading(name: &RepositoryName, id: RepositoryId, until: Timestamp) -> [Mutation; 3] {
    let (key, until_ms) = (keys::moved(name), until.as_millisecond());
    [
        Mutation::AddMember(keys::OLD_NAMES, keys::leads_until(until_ms, name)),
        Mutation::SetField(key.clone(), field::UNTIL, until_ms.to_string().into()),
        Mutation::SetField(key, field::ID, id.to_string().into()),
    ]
}

impl Service {
    /// Where each of `names` leads, none of which is that of a repository.
    pub(crate) async fn moved(&self, names: &[RepositoryName]) -> Result<Vec<Option<Moved>>, Error> {
        let now = self.now();
        let old = self.old_names(names).await?;
        let ids = old.into_iter().map(|old| old.filter(|old| old.lives(now)).map(|old| old.id));
        let ids: Vec<Option<RepositoryId>> = ids.collect();
        let asked: Vec<_> = ids.iter().flatten().map(|id| (keys::state(*id), field::NAME)).collect();
        let mut called = self.fields(&asked).await?.into_iter();

        let found = ids.into_iter().map(|id| {
            // One that is deleted has no name.
            let Some((id, name)) = id.and_then(|id| Some((id, next(&mut called)?))) else { return Ok(None) };
            let to = parsed(&keys::state(id), &field::NAME, Some(&name))?;
            Ok(Some(Moved { id, to }))
        });
        found.collect()
    }

    async fn old_names(&self, names: &[RepositoryName]) -> Result<Vec<Option<OldName>>, Error> {
        let asked: Vec<_> = names.iter().flat_map(OldName::fields).collect();
        let mut values = self.fields(&asked).await?.into_iter();
        names.iter().map(|name| OldName::read(name, &mut values)).collect()
    }

    /// The record of an old name, whether it still leads anywhere or not.
    pub(crate) async fn old_name(&self, name: &RepositoryName) -> Result<Option<OldName>, Error> {
        Ok(self.old_names(std::slice::from_ref(name)).await?.pop().flatten())
    }

    /// Where what was called `name` is.
    pub(crate) async fn moved_from(&self, name: &RepositoryName) -> Result<Option<Moved>, Error> {
        Ok(self.moved(std::slice::from_ref(name)).await?.pop().flatten())
    }

    /// What is said of a name that no repository has.
    pub(crate) async fn absent(&self, name: &RepositoryName) -> RepositoryError {
        let repository = name.clone();
        match self.moved_from(name).await {
            Ok(Some(Moved { to, .. })) => RepositoryError::Moved { repository, to },
            Ok(None) => RepositoryError::NameUnknown { repository },
            Err(error) => error.into(),
        }
    }

    /// Whether a push may make a repository of that name: not where others still find what was called so. What is left
    /// of a name that leads nowhere any more goes.
    pub(crate) async fn free(&self, name: &RepositoryName) -> Result<(), Nowhere> {
        for _ in 0..ATTEMPTS {
            let Some(old) = self.old_name(name).await? else { return Ok(()) };
            if let Some(Moved { to, .. }) = self.moved_from(name).await? {
                return Err(Nowhere::Moved { repository: name.clone(), to });
            }

            // Tokens that were given for it are for what was called so.
            let told = self.telling(&[Revoked::Repository(name.clone())]).await?;
            let commit = Commit::synced().when(old.unchanged()).telling(told).then(old.removed());
            if self.commit(step!("free_name"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(Error::Unavailable { attempted: "freeing a name" }.into())
    }
}
