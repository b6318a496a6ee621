//! The contract `RepositorySettings`. Who may see a repository and how it is called is where its record is: that is
//! moved, and nothing that hangs off the repository's id.

use async_trait::async_trait;
use bytes::Bytes;
use oci::RepositoryName;
use proto::metadata::{
    Actor, RepositoryError, RepositorySettings, Visibility,
    audit::Action,
    credentials::Revoked,
    settings::{RepositoryChange, RepositoryDetails},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    accounts::Word as _,
    audit::Audit,
    failure::{next, parsed},
    keys::{self, field},
    keyspace::{Commit, Condition, Error, Key, Mutation},
    old_names::OldName,
    placement::{Placement, Target, belongs},
    revocations::Telling,
    sessions::millisecond,
    step,
    words::Entry,
};

#[async_trait]
impl RepositorySettings for Service {
    async fn create_repository(
        &self,
        name: &RepositoryName,
        visibility: Visibility,
        description: &str,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            if self.placed(name).await?.is_some() {
                return Err(RepositoryError::RepositoryExists { repository: name.clone() });
            }
            let (namespace, target) = self.foundable(name, visibility).await?;
            let led = self.old_name(name).await?;
            let commit = Commit::synced()
                .when(Condition::FieldPresent(namespace, field::NAME))
                .when_all(target.unplaced(name))
                .then_all(self.founding_audited(&target, name, actor).await?)
                .when(unchanged(name, led.as_ref()))
                .telling(self.led_no_more(name, led.as_ref()).await?)
                .then_all(target.founding_described(name, description, self.now()))
                .then_all(led.as_ref().map(OldName::removed));
            if self.commit(step!("create_repository"), commit).await? == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("creating {name}").into() })
    }

    async fn repository(&self, name: &RepositoryName) -> Result<RepositoryDetails, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(place) = self.placed(name).await? else { return Err(self.absent(name).await) };
            // Its record may just have been moved.
            if let Some(details) = self.details(name, place).await? {
                return Ok(details);
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("reading what is said of {name}").into() })
    }

    async fn change_repository(
        &self,
        name: &RepositoryName,
        change: &RepositoryChange,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for attempt in 0..ATTEMPTS {
            let Some(place) = self.placed(name).await? else { return Err(self.absent(name).await) };
            let target = Target::Existing(place);
            let described = change.description.as_ref().map(|description| {
                Mutation::SetField(keys::state(place.id), field::DESCRIPTION, description.clone().into())
            });

            let to = Placement { visibility: change.visibility.unwrap_or(place.visibility), ..place };
            let (from, to) = (Entry { name, place }, Entry { name, place: to });
            let reindexing = self.reindexing(from, to, change.description.as_deref()).await?;

            let mut commit = Commit::synced()
                .when_all(target.conditions(name))
                .when(reindexing.unchanged())
                .telling(self.hidden(name, place, change.visibility).await?)
                .then_all(reindexing.before())
                .then_all(described);
            if let Some(visibility) = change.visibility {
                commit = self.moving(name, place, (visibility, attempt), commit).await?;
            }
            let commit = commit.then_all(reindexing.after());
            let audited = self.all_audited(actor, audits(place, name, change)).await?;
            let outcome = self.commit(step!("change_repository"), commit.beginning_with(audited)).await?;
            self.forget(name);
            if outcome == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("changing {name}").into() })
    }

    async fn move_repository(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        self.call_otherwise(from, to, actor).await
    }

    async fn delete_repository(&self, name: &RepositoryName, actor: &Actor) -> Result<(), RepositoryError> {
        self.take_away(name, actor).await
    }
}

/// What must be so for a record to be written anew, and the writing.
pub(crate) type Copied = (Vec<Condition>, Vec<Mutation>);

impl Service {
    /// Tokens for what was called `name` end: they would be good for what will be called so.
    async fn led_no_more(&self, name: &RepositoryName, led: Option<&OldName>) -> Result<Telling, Error> {
        match led {
            Some(_) => self.telling(&[Revoked::Repository(name.clone())]).await,
            None => Ok(Telling::default()),
        }
    }

    /// Tokens that anybody got for a public repository end when it is to be private.
    async fn hidden(
        &self,
        name: &RepositoryName,
        place: Placement,
        to: Option<Visibility>,
    ) -> Result<Telling, Error> {
        match (place.visibility, to) {
            (Visibility::Public, Some(Visibility::Private)) => {
                self.telling(&[Revoked::Repository(name.clone())]).await
            }
            _ => Ok(Telling::default()),
        }
    }

    /// The record of the namespace, and a new repository in it.
    pub(crate) async fn foundable(
        &self,
        name: &RepositoryName,
        visibility: Visibility,
    ) -> Result<(Key, Target), RepositoryError> {
        let namespace = name.namespace();
        let unknown = || RepositoryError::NamespaceUnknown { namespace: namespace.clone() };
        let owner = self.claimed(&namespace).await?.ok_or_else(unknown)?;
        let record = keys::namespace(owner, &namespace);
        // A crash may have left the claim alone.
        let found = self.fields(&[(record.clone(), field::NAME)]).await?.pop().flatten();
        let _exists = found.ok_or_else(unknown)?;

        Ok((record, self.new_repository_seen_by(owner, visibility)))
    }

    async fn details(
        &self,
        name: &RepositoryName,
        place: Placement,
    ) -> Result<Option<RepositoryDetails>, Error> {
        let (state, record) = (keys::state(place.id), Target::Existing(place).record(name));
        let asked = [
            (state.clone(), field::NAME),
            (state.clone(), field::BYTES),
            (state.clone(), field::DESCRIPTION),
            (record.clone(), field::CREATED),
            (record.clone(), field::UPDATED),
            (keys::pulled(place.id), field::PULLS),
            (keys::pulled(place.id), field::LAST),
        ];
        let mut values = self.fields(&asked).await?.into_iter();
        let [guard, size_bytes, description, created, updated] = [(); 5].map(|()| next(&mut values));
        let [pulls, last] = [(); 2].map(|()| next(&mut values));
        if !belongs(guard.as_ref(), name) || created.is_none() {
            return Ok(None);
        }

        let (pulls, last_pulled) = self.pulls_of(place.id, pulls.as_ref(), last.as_ref())?;
        let description = description.map(|found| parsed(&state, &field::DESCRIPTION, Some(&found)));
        Ok(Some(RepositoryDetails {
            name: name.clone(),
            visibility: place.visibility,
            description: description.transpose()?.unwrap_or_default(),
            created: millisecond(&record, &field::CREATED, created.as_ref())?,
            updated: millisecond(&record, &field::UPDATED, updated.as_ref())?,
            size_bytes: parsed(&state, &field::BYTES, size_bytes.as_ref())?,
            pulls,
            last_pulled,
        }))
    }

    /// Moves the record to where everybody finds it, or nobody. It is there before it goes from where it was; what a
    /// crash has left of an earlier move goes too.
    async fn moving(
        &self,
        name: &RepositoryName,
        place: Placement,
        (to, attempt): (Visibility, usize),
        commit: Commit,
    ) -> Result<Commit, Error> {
        let listed = keys::listed(name, place.owner);
        let record = |visibility| keys::repository(place.owner, name, visibility);
        let (public, private) = (record(Visibility::Public), record(Visibility::Private));
        let (conditions, moved) = if place.visibility == to {
            (Vec::new(), Vec::new())
        } else {
            self.copied((record(place.visibility), record(to)), place, attempt).await?
        };
        let commit = commit.when_all(conditions);

        Ok(match to {
            Visibility::Public => commit
                .then(Mutation::AddMember(keys::PUBLIC_REPOSITORIES, listed))
                .then_all(moved)
                .then(Mutation::RemoveRecord(private)),
            Visibility::Private => commit
                .then_all(moved)
                .then(Mutation::RemoveRecord(public))
                .then(Mutation::RemoveMember(keys::PUBLIC_REPOSITORIES, listed)),
        })
    }

    /// Writes the record anew; the id comes last, because it is what makes it count.
    pub(crate) async fn copied(
        &self,
        (from, to): (Key, Key),
        place: Placement,
        attempt: usize,
    ) -> Result<Copied, Error> {
        let asked = [field::CREATED, field::UPDATED].map(|field| (from.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let [created, updated] = [next(&mut values), next(&mut values)];
        let set = |field, value: Bytes| Mutation::SetField(to.clone(), field, value);

        let mut conditions = vec![Condition::unchanged(from.clone(), field::CREATED, created.clone())];
        let updated = match attempt {
            0 => {
                conditions.push(Condition::unchanged(from, field::UPDATED, updated.clone()));
                updated
            }
            // Pushes come between: one was just now, and waiting for a pause could take long.
            _ => Some(self.now().as_millisecond().to_string().into()),
        };
        let times = [(field::CREATED, created), (field::UPDATED, updated)];
        let mut moved: Vec<_> =
            times.into_iter().filter_map(|(field, value)| Some(set(field, value?))).collect();
        moved.push(set(field::ID, place.id.to_string().into()));
        Ok((conditions, moved))
    }
}

/// What is new of a repository; who could see it already is not.
fn audits(place: Placement, name: &RepositoryName, change: &RepositoryChange) -> Vec<Audit> {
    let of = |action| Audit::of_repository(action, place.owner, name);
    let moved = change.visibility.filter(|to| *to != place.visibility);
    let moved = moved.map(|to| of(Action::RepositoryVisibility).to(to.word()));
    let described = change.description.as_ref().map(|_| of(Action::RepositoryDescribe));
    moved.into_iter().chain(described).collect()
}

/// The name leads where it led, if anywhere.
fn unchanged(name: &RepositoryName, led: Option<&OldName>) -> Condition {
    led.map_or_else(|| Condition::FieldAbsent(keys::moved(name), field::ID), OldName::unchanged)
}
