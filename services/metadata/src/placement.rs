//! Where a repository is: from its name to its id, and its record, which is made by the first thing put into it.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Namespace, RepositoryName};
use proto::metadata::{Actor, RepositoryError, UploadError, Visibility};
use ulid::Ulid;

use crate::{
    Outcome, Service,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Field, Key, Mutation, READ_LIMIT},
    namespaces::Owner,
    step,
    words::{Entry, Words},
};

/// The state of a repository that may be read and written.
pub(crate) const LIVE: &str = "live";
/// The state of one that is deleted: nothing under its id is written any more.
pub(crate) const DELETING: &str = "deleting";

/// Where a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) id: RepositoryId,
    pub(crate) owner: Owner,
    pub(crate) visibility: Visibility,
}

/// The two that a record can have.
pub(crate) const BOTH: [Visibility; 2] = [Visibility::Private, Visibility::Public];

/// Where a record may be, and which one counts: a name is claimed by one owner, and has one visibility, but where a
/// crash left two, nobody sees what was to be hidden.
const PLACES: [(Owner, Visibility); 4] = [
    (Owner::User, Visibility::Private),
    (Owner::User, Visibility::Public),
    (Owner::Organization, Visibility::Private),
    (Owner::Organization, Visibility::Public),
];

impl Service {
    /// Where `name` is, or none if there is no such repository. It may be remembered: whoever reads checks
    /// `guard` in the same read, whoever writes puts `Target::conditions` into the commit.
    pub(crate) async fn placement(&self, name: &RepositoryName) -> Result<Option<Placement>, Error> {
        if let Some(remembered) = self.0.placements.get(name) {
            return Ok(Some(remembered));
        }

        let found = self.placements(std::slice::from_ref(name)).await?.pop().flatten();
        if let Some(found) = found {
            self.0.placements.insert(name.clone(), found);
        }
        Ok(found)
    }

    /// Where each of `names` is, as it is now.
    pub(crate) async fn placements(&self, names: &[RepositoryName]) -> Result<Vec<Option<Placement>>, Error> {
        let fields: Vec<_> = names.iter().flat_map(Placement::fields).collect();
        let mut values = self.fields(&fields).await?.into_iter();

        names.iter().map(|name| Placement::read(name, &mut values)).collect()
    }

    /// Looks again the next time: what was remembered of `name` has turned out wrong.
    pub(crate) fn forget(&self, name: &RepositoryName) {
        self.0.placements.invalidate(name);
    }

    /// Where `name` is, as it is now.
    pub(crate) async fn placed(&self, name: &RepositoryName) -> Result<Option<Placement>, Error> {
        Ok(self.placements(std::slice::from_ref(name)).await?.pop().flatten())
    }

    /// Where to write what belongs to `name`.
    pub(crate) async fn target(&self, name: &RepositoryName, actor: &Actor) -> Result<Target, Nowhere> {
        if let Some(placement) = self.placement(name).await? {
            return Ok(Target::Existing(placement));
        }
        self.free(name).await?;
        let namespace = name.namespace();
        let owner = self.claimed_or_created(&namespace, actor).await?;

        Ok(self.new_repository(owner.ok_or(Nowhere::NoNamespace(namespace))?))
    }

    /// What is done already in a repository was perhaps done by a call that was not acknowledged, because no replica had it.
    /// Whoever repeats that is told so once a commit behind it is acknowledged.
    pub(crate) async fn settled(&self, id: RepositoryId) -> Result<Outcome, Error> {
        if !self.keyspace().is_replicated() {
            return Ok(Outcome::Committed);
        }
        let (state, name) = (keys::state(id), field::NAME);
        let called = self.fields(&[(state.clone(), name.clone())]).await?.pop().flatten();
        let Some(called) = called else { return Ok(Outcome::Conflicted) };

        let commit = Commit::synced()
            .when(Condition::FieldEquals(state.clone(), name.clone(), called.clone()))
            .then(Mutation::SetField(state, name, called));
        self.commit(step!("settle"), commit).await
    }

    /// A repository that is made by the commit that writes to it.
    pub(crate) fn new_repository(&self, owner: Owner) -> Target {
        self.new_repository_seen_by(owner, self.0.new_repositories)
    }

    /// The same, if it was said who may see it.
    pub(crate) fn new_repository_seen_by(&self, owner: Owner, visibility: Visibility) -> Target {
        Target::New(Placement { id: RepositoryId(self.ulid()), owner, visibility })
    }

    /// A name for one event, link or repository; later ones sort behind earlier ones.
    pub(crate) fn ulid(&self) -> Ulid {
        // What it prints is a ULID: there is nothing to fall back to.
        self.0.ulids.next().parse().unwrap_or_default()
    }

    /// Fields of any number of hashes, not all of one moment if they are many.
    pub(crate) async fn fields(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        let mut values = Vec::with_capacity(fields.len());
        for chunk in fields.chunks(READ_LIMIT) {
            values.extend(self.keyspace().get_many(chunk).await?);
        }
        Ok(values)
    }
}

impl Placement {
    /// Where the id of a repository may be.
    pub(crate) fn fields(name: &RepositoryName) -> [(Key, Field); 4] {
        PLACES.map(|(owner, visibility)| (keys::repository(owner, name, visibility), field::ID))
    }

    /// Reads the next values, which were asked for by `fields`; none: there is no such repository.
    pub(crate) fn read(
        name: &RepositoryName,
        values: &mut impl Iterator<Item = Option<Bytes>>,
    ) -> Result<Option<Self>, Error> {
        let ids = PLACES.map(|_| next(values));
        let found = PLACES.into_iter().zip(ids).find_map(|(place, id)| Some((place, id?)));
        let Some(((owner, visibility), id)) = found else {
            return Ok(None);
        };
        let id = parsed(&keys::repository(owner, name, visibility), &field::ID, Some(&id))?;

        Ok(Some(Self { id: RepositoryId(id), owner, visibility }))
    }
}

impl Placement {
    /// The lists that it is in.
    pub(crate) fn lists(&self) -> Vec<Key> {
        match self.visibility {
            Visibility::Public => vec![keys::REPOSITORIES, keys::PUBLIC_REPOSITORIES],
            Visibility::Private => vec![keys::REPOSITORIES],
        }
    }

    /// No list has it any more, by that name.
    pub(crate) fn unlisted(&self, name: &RepositoryName) -> [Mutation; 2] {
        let listed = keys::listed(name, self.owner);
        [keys::PUBLIC_REPOSITORIES, keys::REPOSITORIES]
            .map(|list| Mutation::RemoveMember(list, listed.clone()))
    }
}

/// The field that says whose id it is, to be read along with whatever is read under the id.
pub(crate) fn guard(placement: &Placement) -> (Key, Field) {
    (keys::state(placement.id), field::NAME)
}

/// Whether what was read under an id belongs to `name`.
pub(crate) fn belongs(guard: Option<&Bytes>, name: &RepositoryName) -> bool {
    guard.is_some_and(|found| found == name.to_string().as_bytes())
}

/// Why there is nowhere to write.
#[derive(Debug)]
pub(crate) enum Nowhere {
    /// The namespace is not there, and the actor may not make it.
    NoNamespace(Namespace),
    /// What was called so is called `to` now.
    Moved {
        repository: RepositoryName,
        to: RepositoryName,
    },
    Engine(Error),
}

impl From<Error> for Nowhere {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Nowhere> for UploadError {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::NoNamespace(namespace) => Self::NamespaceUnknown { namespace },
            Nowhere::Moved { repository, to } => Self::Moved { repository, to },
            Nowhere::Engine(error) => error.into(),
        }
    }
}

impl From<Nowhere> for RepositoryError {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::NoNamespace(namespace) => Self::NamespaceUnknown { namespace },
            Nowhere::Moved { repository, to } => Self::Moved { repository, to },
            Nowhere::Engine(error) => error.into(),
        }
    }
}

/// The repository that a commit writes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// It is there.
    Existing(Placement),
    /// The commit makes it.
    New(Placement),
}

impl Target {
    pub(crate) const fn placement(&self) -> &Placement {
        match self {
            Self::Existing(placement) | Self::New(placement) => placement,
        }
    }

    /// Whether the repository is there already.
    pub(crate) const fn is_there(&self) -> bool {
        matches!(self, Self::Existing(_))
    }

    pub(crate) const fn id(&self) -> RepositoryId {
        self.placement().id
    }

    /// What must still be so for the commit to write to this repository.
    pub(crate) fn conditions(&self, name: &RepositoryName) -> Vec<Condition> {
        match self {
            Self::Existing(Placement { id, .. }) => vec![
                Condition::FieldEquals(keys::state(*id), field::STATE, LIVE.into()),
                Condition::FieldEquals(keys::state(*id), field::NAME, name.to_string().into()),
                Condition::FieldEquals(self.record(name), field::ID, id.to_string().into()),
            ],
            Self::New(_) => {
                let led = Condition::FieldAbsent(keys::moved(name), field::ID);
                self.unplaced(name).into_iter().chain([led]).collect()
            }
        }
    }

    /// There is no repository of that name, whatever it leads to.
    pub(crate) fn unplaced(&self, name: &RepositoryName) -> [Condition; 2] {
        let owner = self.placement().owner;
        BOTH.map(|visibility| Condition::FieldAbsent(keys::repository(owner, name, visibility), field::ID))
    }

    /// Makes the repository, if it is not there: index entries, what hangs off the id, then the record.
    pub(crate) fn founding(&self, name: &RepositoryName, now: Timestamp) -> Vec<Mutation> {
        self.founding_described(name, "", now)
    }

    /// The same with what is said of it.
    pub(crate) fn founding_described(
        &self,
        name: &RepositoryName,
        description: &str,
        now: Timestamp,
    ) -> Vec<Mutation> {
        let Self::New(place) = self else {
            return Vec::new();
        };
        let Placement { id, owner, .. } = place;
        let (state, record, now) = (keys::state(*id), self.record(name), now.as_millisecond().to_string());
        let listed = keys::listed(name, *owner);

        let lists = place.lists().into_iter().map(|list| Mutation::AddMember(list, listed.clone()));
        let words = Words::of(name, description);
        let mut mutations = Entry { name, place: *place }.found_by(&words);
        mutations.extend(lists);
        if !description.is_empty() {
            let described = description.to_owned().into();
            mutations.push(Mutation::SetField(state.clone(), field::DESCRIPTION, described));
        }
        mutations.extend([
            Mutation::SetField(state.clone(), field::WORDS, words.stored()),
            Mutation::SetField(state.clone(), field::STATE, LIVE.into()),
            Mutation::SetField(state.clone(), field::BYTES, "0".into()),
            Mutation::SetField(state, field::NAME, name.to_string().into()),
            Mutation::SetField(record.clone(), field::CREATED, now.clone().into()),
            Mutation::SetField(record.clone(), field::UPDATED, now.into()),
            Mutation::SetField(record, field::ID, id.to_string().into()),
        ]);
        mutations
    }

    /// Counts the commit, and says that tags or manifests have changed.
    pub(crate) fn updated(&self, name: &RepositoryName, now: Timestamp) -> [Mutation; 2] {
        let now = now.as_millisecond().to_string();
        [self.counted(), Mutation::SetField(self.record(name), field::UPDATED, now.into())]
    }

    /// Counts the commit.
    pub(crate) fn counted(&self) -> Mutation {
        Mutation::Increment(keys::state(self.id()), field::REV, 1)
    }

    /// Counts so many bytes more in its namespace.
    pub(crate) fn used(&self, name: &RepositoryName, by: i64) -> Mutation {
        let record = keys::namespace(self.placement().owner, &name.namespace());
        Mutation::Increment(record, field::BYTES, by)
    }

    pub(crate) fn record(&self, name: &RepositoryName) -> Key {
        let Placement { owner, visibility, .. } = self.placement();
        keys::repository(*owner, name, *visibility)
    }
}
