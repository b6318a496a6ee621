//! Deleting a repository: one commit says that nothing under its id is written any more, and takes its name away, so
//! that it is gone for everybody and the name is free. What it held is removed later, step by step (`reclaim/purging.rs`).

use oci::RepositoryName;
use proto::metadata::{Actor, RepositoryError, audit::Action, credentials::Revoked};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    failure::next,
    keys::{self, field},
    keyspace::{Commit, Condition, Mutation},
    placement::{BOTH, DELETING, Placement, Target},
    step,
    words::{Words, unindexed},
};

impl Service {
    pub(crate) async fn take_away(
        &self,
        name: &RepositoryName,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(place) = self.placed(name).await? else { return Err(self.absent(name).await) };
            let (state, id) = (keys::state(place.id), place.id.to_string());
            let asked = [field::NAME, field::WORDS].map(|field| (state.clone(), field));
            let mut values = self.fields(&asked).await?.into_iter();
            let (called, words) = (next(&mut values), next(&mut values));
            if called.as_deref() != Some(name.as_str().as_bytes()) {
                // What a crash has left of a move is no repository.
                return Err(self.absent(name).await);
            }

            let audit = Audit::of_repository(Action::RepositoryDelete, place.owner, name);
            let (unchanged, size_bytes) = self.linked_bytes(place).await?;
            let commit = Commit::synced()
                .when(unchanged)
                .when(Condition::unchanged(state.clone(), field::WORDS, words.clone()))
                .when(Condition::FieldEquals(state.clone(), field::NAME, name.to_string().into()))
                .when(Condition::FieldEquals(
                    Target::Existing(place).record(name),
                    field::ID,
                    id.clone().into(),
                ))
                .telling(self.telling(&[Revoked::Repository(name.clone())]).await?)
                .then_all(self.audited(actor, &audit).await?)
                .telling(self.told_of_deletion(place.id, name, actor).await?)
                // Listed first: who purges looks whether it is deleted.
                .then(Mutation::AddMember(keys::PURGE, id.into()))
                .then(Mutation::SetField(state, field::STATE, DELETING.into()))
                .then_all(nameless(
                    place,
                    name,
                    &Words::read(words.as_ref()),
                    Some(Target::Existing(place).used(name, -size_bytes)),
                ));
            let outcome = self.commit(step!("delete_repository"), commit).await?;
            self.forget(name);
            if outcome == Outcome::Committed {
                return Ok(());
            }
        }

        Err(RepositoryError::Conflict { attempted: format!("deleting {name}").into() })
    }
}

/// Nobody finds it any more by its name, which goes last: until then it says what is still to be done. Its namespace
/// counts it no more once nothing takes that off again, and as long as it is listed, so that a crash is mended.
pub(crate) fn nameless(
    place: Placement,
    name: &RepositoryName,
    words: &Words,
    uncounted: Option<Mutation>,
) -> impl Iterator<Item = Mutation> + use<> {
    let records = BOTH.map(|seen| Mutation::RemoveRecord(keys::repository(place.owner, name, seen)));
    let called = Mutation::RemoveField(keys::state(place.id), field::NAME);
    let unindexed = unindexed(place, name, words);
    records.into_iter().chain(uncounted).chain(unindexed).chain(place.unlisted(name)).chain([called])
}
