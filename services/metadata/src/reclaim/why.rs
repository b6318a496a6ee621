//! Why something is still there: from a tag, an index or the trash down to it, in each repository.

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use proto::metadata::reclaim::{Keeper, Kept, Why};

use crate::{
    Service,
    content::{BlobLink, Content},
    failure::{parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Error, Key},
    placement::Placement,
};

/// Repositories in one step.
const REPOSITORIES: usize = 100;

/// Ways that one repository is asked for, and tags that are named of each.
const WAYS: usize = 10;

/// An index may be in an index; deeper than this nobody looks.
const DEPTH: usize = 8;

impl Service {
    pub(super) async fn keepers(
        &self,
        digest: &Digest,
        after: Option<&RepositoryName>,
    ) -> Result<Why, Error> {
        let values = self.keyspace().get_many(&Content::fields(digest)).await?;
        let content = Content::read(digest, &mut values.into_iter())?;
        let held = self.keyspace().record(&keys::holds(digest)).await?.is_some();

        let (repositories, next) = self.walked(after, REPOSITORIES).await?;
        let mut keepers = Vec::new();
        for (name, place) in repositories {
            for (kept, path) in self.ways(place, digest).await? {
                keepers.push(Keeper { repository: name.clone(), kept, path });
            }
        }
        let (locator, size_bytes) = (content.live().cloned(), content.size_bytes());
        Ok(Why { locator, size_bytes, held, keepers, next })
    }

    /// How the repository keeps `digest`, as a blob and as a manifest.
    async fn ways(&self, place: Placement, digest: &Digest) -> Result<Vec<(Kept, Vec<Digest>)>, Error> {
        let id = place.id;
        let asked = [
            BlobLink::field(id, digest),
            (keys::manifest(id, digest), field::TYPE),
            (keys::trashed(id, digest), field::DELETED),
        ];
        let values = self.keyspace().get_many(&asked).await?;
        let Ok([link, manifest, deleted]) = <[Option<Bytes>; 3]>::try_from(values) else {
            return Ok(Vec::new());
        };

        let path = vec![digest.clone()];
        let mut ways = Vec::new();
        if manifest.is_some() || deleted.is_some() {
            self.climb(id, path.clone(), &mut ways).await?;
        }
        if let Some(link) = link {
            match BlobLink::read(id, digest, &link)?.unused_since_ms {
                Some(since) => ways.push((Kept::Unused { until: self.unused_until(since) }, path)),
                None => self.climb_to_users(id, &path, &mut ways).await?,
            }
        }
        Ok(ways)
    }

    /// From the manifest that `path` begins with to what keeps it.
    async fn climb(
        &self,
        id: RepositoryId,
        path: Vec<Digest>,
        ways: &mut Vec<(Kept, Vec<Digest>)>,
    ) -> Result<(), Error> {
        let Some(manifest) = path.first().filter(|_| ways.len() < WAYS) else { return Ok(()) };
        let deleted = (keys::trashed(id, manifest), field::DELETED);
        if let Some(at) = self.keyspace().get_many(std::slice::from_ref(&deleted)).await?.pop().flatten() {
            let until = self.restorable_until(parsed(&deleted.0, &deleted.1, Some(&at))?);
            ways.push((Kept::Restorable { until }, path));
            return Ok(());
        }

        let tags = self.last_parts(&keys::tagged(id), manifest).await?;
        let before = ways.len();
        if !tags.is_empty() {
            let tags = tags.iter().map(|tag| parsed_member(&keys::tagged(id), tag));
            ways.push((Kept::Tagged(tags.collect::<Result<_, _>>()?), path.clone()));
        }
        self.climb_to_users(id, &path, ways).await?;
        if ways.len() == before {
            ways.push((Kept::Untagged, path));
        }
        Ok(())
    }

    async fn climb_to_users(
        &self,
        id: RepositoryId,
        path: &[Digest],
        ways: &mut Vec<(Kept, Vec<Digest>)>,
    ) -> Result<(), Error> {
        let Some(needed) = path.first().filter(|_| path.len() < DEPTH) else { return Ok(()) };
        let key = keys::uses(id);
        for user in self.last_parts(&key, needed).await? {
            let longer = std::iter::once(parsed_member(&key, &user)?).chain(path.iter().cloned()).collect();
            Box::pin(self.climb(id, longer, ways)).await?;
        }
        Ok(())
    }

    async fn last_parts(&self, key: &Key, digest: &Digest) -> Result<Vec<Bytes>, Error> {
        let members = self.keyspace().range(key, keys::of_digest(digest), WAYS, Direction::Forward).await?;
        Ok(members.iter().map(|member| Bytes::copy_from_slice(keys::last_part(member))).collect())
    }
}
