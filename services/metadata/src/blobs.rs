//! What a repository may serve: the right to read a linked blob, and content whose bytes are gone.

use oci::{Digest, Locator, RepositoryName};
use proto::{blob::Grant, metadata::RepositoryError};

use crate::{
    ATTEMPTS, Service,
    content::{BlobLink, Content},
    failure::next,
    keys::{self, field},
    keyspace::{Commit, Condition},
    placement::{Placement, belongs, guard},
    step,
};

impl Service {
    /// The right to read a blob that the repository links.
    pub(crate) async fn granted_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
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
            let expires = self.now() + self.0.lifetimes.grant;
            return Ok(self.0.grants.grant(locator, repository.clone(), link.size_bytes, expires));
        }

        Err(RepositoryError::NameUnknown { repository: repository.clone() })
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
