//! Deleting tags and manifests: the steps of a push the other way round, so that a crash leaves no tag without
//! its manifest and no manifest whose blobs may be reclaimed.

use oci::{Digest, Needed, Reference, RepositoryName, Tag};
use proto::metadata::{Actor, RepositoryError};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::BlobLink,
    events::{Event, Kind},
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Mutation, Record},
    manifests::recorded_needs,
    placement::{Placement, Target},
    step,
    tags::TagBefore,
};

/// Tags that one commit removes, at most.
const TAGS_AT_ONCE: usize = 500;

impl Service {
    /// Removes a tag and leaves the manifest.
    pub(crate) async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else { return Err(name_unknown(repository)) };
            let tags = self.tags_before(&placement, std::slice::from_ref(tag)).await?;
            let here = self.is_at(repository, &placement).await?;
            if here && tags.iter().all(|tag| tag.digest.is_none()) {
                return Err(unknown(repository, Reference::Tag(tag.clone())));
            }

            if here && self.remove_tags(repository, &placement, &tags, actor).await? == Outcome::Committed {
                return Ok(());
            }
            self.forget(repository);
        }

        Err(conflict(repository, &Reference::Tag(tag.clone())))
    }

    /// Removes a manifest with all tags that name it.
    pub(crate) async fn delete_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let reference = || Reference::Digest(digest.clone());
        let mut conflicts = 0;
        while conflicts < ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else { return Err(name_unknown(repository)) };
            let here = self.is_at(repository, &placement).await?;
            let record = self.keyspace().record(&keys::manifest(placement.id, digest)).await?;
            let record = match record.filter(|record| record.get(field::TYPE).is_some()) {
                Some(record) if here => record,
                None if here => return Err(unknown(repository, reference())),
                _ => {
                    self.forget(repository);
                    conflicts += 1;
                    continue;
                }
            };
            self.refuse_if_needed(&placement, digest).await?;

            let tagged = self.tags_of(&placement, digest).await?;
            let tags = self.tags_before(&placement, &tagged).await?;
            // More than fit into one commit go first; the last commit removes the rest with the manifest.
            if tags.len() > TAGS_AT_ONCE {
                let some = tags.get(..TAGS_AT_ONCE).unwrap_or_default();
                let outcome = self.remove_tags(repository, &placement, some, actor).await?;
                conflicts += usize::from(outcome == Outcome::Conflicted);
                continue;
            }
            let commit = self.removing(repository, &placement, digest, &record, &tags, actor).await?;
            if self.commit(step!("delete_manifest"), commit).await? == Outcome::Committed {
                return Ok(());
            }
            self.forget(repository);
            conflicts += 1;
        }

        Err(conflict(repository, &reference()))
    }
}
