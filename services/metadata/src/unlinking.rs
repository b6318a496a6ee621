//! Unlinking: a blob that no manifest of a repository needs leaves it. The steps of a link the other way round;
//! what nobody references any more is found in `^idle`, which is written first. Knows nothing of bytes.

use oci::{Digest, RepositoryName};
use proto::metadata::{Actor, RepositoryError, audit::Action};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    content::BlobLink,
    deletion::{too_many_writers, used},
    events::{Event, Kind},
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error},
    placement::{Placement, Target, belongs, guard},
    step,
};

/// Users of a blob that are looked at, to name one that is not deleted.
const USERS: usize = 100;

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
        self.refuse_if_used(place.id, digest).await?;
        Ok(Some(link))
    }

    /// Names a manifest that needs the blob, or one that would if it were restored.
    async fn refuse_if_used(&self, id: RepositoryId, blob: &Digest) -> Result<(), RepositoryError> {
        let key = keys::uses(id);
        let users = self.keyspace().range(&key, keys::of_digest(blob), USERS, Direction::Forward).await?;
        let users: Vec<Digest> = users
            .iter()
            .map(|user| parsed_member(&key, keys::last_part(user)))
            .collect::<Result<_, Error>>()?;
        let asked = users.iter().map(|user| (keys::trashed(id, user), field::DELETED)).collect::<Vec<_>>();
        let deleted = self.fields(&asked).await?;

        let digest = blob.clone();
        match users.iter().zip(&deleted).find(|(_, deleted)| deleted.is_none()) {
            Some((manifest, _)) => Err(RepositoryError::BlobNeeded { digest, manifest: manifest.clone() }),
            None => match users.first().zip(asked.first()).zip(deleted.first()) {
                Some(((manifest, (key, field)), at)) => {
                    let until = self.restorable_until(parsed(key, field, at.as_ref())?);
                    Err(RepositoryError::BlobRestorable { digest, manifest: manifest.clone(), until })
                }
                None => Ok(()),
            },
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
        let audit = Audit::of_repository(Action::BlobDelete, place.owner, repository).digest(digest);

        let commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when_all(unlinkable(id, digest, link))
            .then_all(self.audited(actor, &audit).await?)
            .telling(told)
            .then_all(link.removed((&target, repository), digest, self.ulid()))
            .then(target.counted());
        Ok(self.commit(step!("unlink"), commit).await?)
    }
}

/// What must still be so for `link`, as it was read, to go: nobody has touched it, and no manifest needs it.
pub(crate) fn unlinkable(id: RepositoryId, digest: &Digest, link: &BlobLink) -> [Condition; 3] {
    [link.unchanged(id, digest), link.referenced(id, digest), used(id, digest, 0)]
}
