//! What a repository may serve: the right to read a linked blob, and content whose bytes are gone.

use oci::{Digest, Locator, RepositoryName};
use proto::{
    blob::Grant,
    metadata::{RepositoryError, repositories::Intent},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::{BlobLink, Content},
    failure::next,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error},
    placement::{Placement, belongs, guard},
    step,
};

impl Service {
    /// The right to read a blob that the repository links.
    pub(crate) async fn granted_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        intent: Intent,
    ) -> Result<Grant, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else {
                break;
            };
            let (right, found) = self.linked_content(&placement, repository, digest).await?;
            if !right {
                self.forget(repository);
                continue;
            }

            let unknown =
                || RepositoryError::BlobUnknown { repository: repository.clone(), digest: digest.clone() };
            let (link, locator) = found.ok_or_else(unknown)?;
            if intent == Intent::Push && !self.kept_for_pusher(placement.id, digest, &link).await? {
                continue;
            }
            let expires = self.now() + self.0.lifetimes.grant;
            return Ok(self.0.grants.grant(locator, repository.clone(), link.size_bytes, expires));
        }

        Err(self.absent(repository).await)
    }

    /// Who is told that a blob is here will not bring it: an unused link begins its grace anew, once a good part
    /// of it is over. Whether the link was still what it was.
    pub(crate) async fn kept_for_pusher(
        &self,
        id: RepositoryId,
        digest: &Digest,
        link: &BlobLink,
    ) -> Result<bool, Error> {
        let fresh = (self.now() - self.0.reclaim.unused_grace / 2).as_millisecond();
        if link.unused_since_ms.is_none_or(|since| since > fresh) {
            return Ok(true);
        }
        let commit = Commit::relaxed().when(link.unchanged(id, digest)).then_all(link.left_unused(
            id,
            digest,
            self.now(),
        ));
        Ok(self.commit(step!("keep"), commit).await? == Outcome::Committed)
    }

    /// Says that the bytes at `locator` are gone.
    pub(crate) async fn quarantine_content(&self, locator: &Locator) -> Result<(), RepositoryError> {
        let digest = &locator.content.digest;
        let commit = Commit::synced()
            .when(Condition::FieldEquals(keys::image(digest), field::LOCATOR, locator.to_string().into()))
            .then_all(Content::quarantined(locator, digest, self.now()));

        // A record that has changed points to other bytes by now.
        let _either_way = self.commit(step!("quarantine"), commit).await?;
        Ok(())
    }

    /// Whether the id is the repository's, and the link with the place of its bytes, if they can be served.
    async fn linked_content(
        &self,
        placement: &Placement,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(bool, Option<(BlobLink, Locator)>), RepositoryError> {
        let mut asked = vec![guard(placement), BlobLink::field(placement.id, digest)];
        asked.extend(Content::fields(digest));
        let mut values = self.keyspace().get_many(&asked).await?.into_iter();

        let right = belongs(next(&mut values).as_ref(), repository);
        let link = next(&mut values).map(|value| BlobLink::read(placement.id, digest, &value)).transpose()?;
        let content = Content::read(digest, &mut values)?;
        Ok((right, link.zip(content.live().cloned())))
    }
}
