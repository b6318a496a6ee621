//! Unlinking: a blob that no manifest of a repository needs leaves it. The steps of a link the other way round;
//! what nobody references any more is found in `^idle`, which is written first. Knows nothing of bytes.

use jiff::Timestamp;
use oci::{Digest, RepositoryName};
use proto::metadata::{Actor, RepositoryError};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::BlobLink,
    deletion::{too_many_writers, used},
    events::{Event, Kind},
    failure::next,
    keys::{self, RepositoryId},
    keyspace::{Commit, Condition, Mutation},
    placement::{Placement, Target, belongs, guard},
    step,
};

impl Service {
    /// Unlinks a blob, unless a manifest needs it.
    pub(crate) async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let place = self.place(repository).await?;
            if let Some(link) = self.link_to_remove(repository, place, digest).await?
                && self.remove_link(place, repository, (digest, &link), actor).await? == Outcome::Committed
            {
                return Ok(());
            }
            self.forget(repository);
        }

        Err(too_many_writers(repository, digest))
    }

    /// The link; none if the repository is elsewhere by now.
    async fn link_to_remove(
        &self,
        repository: &RepositoryName,
        place: Placement,
        digest: &Digest,
    ) -> Result<Option<BlobLink>, RepositoryError> {
        let asked = [guard(&place), BlobLink::field(place.id, digest)];
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();
        if !belongs(next(&mut values).as_ref(), repository) {
            return Ok(None);
        }

        let unknown =
            || RepositoryError::BlobUnknown { repository: repository.clone(), digest: digest.clone() };
        let link = BlobLink::read(place.id, digest, &next(&mut values).ok_or_else(unknown)?)?;
        match self.user_of(place.id, digest).await? {
            Some(manifest) => Err(RepositoryError::BlobNeeded { digest: digest.clone(), manifest }),
            None => Ok(Some(link)),
        }
    }

    async fn remove_link(
        &self,
        place: Placement,
        repository: &RepositoryName,
        (digest, link): (&Digest, &BlobLink),
        actor: &Actor,
    ) -> Result<Outcome, RepositoryError> {
        let (target, id) = (Target::Existing(place), place.id);
        let event = Event { kind: Kind::BlobDeleted, tag: None, digest, previous: None };
        // Rev only tells when to drop old events, so that it need not be read for a blob.
        let told = self.told(id, 1, actor, &[event]).await?;

        let commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when_all(unlinkable(id, digest, link))
            .then_all(told)
            .then_all(unlinked(id, digest, link, self.now()))
            .then(target.counted());
        Ok(self.commit(step!("unlink"), commit).await?)
    }
}

/// What must still be so for `link`, as it was read, to go: nobody has touched it, and no manifest needs it.
pub(crate) fn unlinkable(id: RepositoryId, digest: &Digest, link: &BlobLink) -> [Condition; 3] {
    [link.unchanged(id, digest), link.referenced(id, digest), used(id, digest, 0)]
}

/// The link goes. First of all its content is listed where the reaper looks: one entry too many is harmless,
/// and content without a reference and without an entry would stay for ever.
pub(crate) fn unlinked(id: RepositoryId, digest: &Digest, link: &BlobLink, now: Timestamp) -> Vec<Mutation> {
    let idle = Mutation::AddMember(keys::IDLE, keys::idle(now, digest));
    std::iter::once(idle).chain(link.removed(id, digest)).collect()
}
