//! The blobs of a manifest that goes for good: those that it alone uses begin their grace, and for each other one
//! another user must still be there, or two that go at once would each leave it to the other.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, Needed};

use crate::{
    Service,
    content::BlobLink,
    deletion::used,
    keys::{self, RepositoryId},
    keyspace::{Condition, Direction, Error, Mutation},
};

/// What becomes of what a manifest uses.
pub(crate) struct Release {
    id: RepositoryId,
    manifest: Digest,
    needs: Vec<Digest>,
    /// Those that no other manifest uses, and whether this one's edge is still there: a crash may have removed it.
    freed: Vec<(Digest, BlobLink, usize)>,
    /// Edges from a blob to another user.
    others: Vec<Bytes>,
}

impl Service {
    pub(crate) async fn release(
        &self,
        id: RepositoryId,
        manifest: &Digest,
        needs: Vec<(Needed, Digest)>,
    ) -> Result<Release, Error> {
        let blobs: Vec<&Digest> =
            needs.iter().filter(|(what, _)| *what == Needed::Blob).map(|(_, blob)| blob).collect();
        let asked: Vec<_> = blobs.iter().map(|blob| BlobLink::field(id, blob)).collect();
        let links = self.fields(&asked).await?;

        let (mut freed, mut others) = (Vec::new(), Vec::new());
        for (blob, link) in blobs.into_iter().zip(links) {
            let ours = keys::use_of(blob, manifest);
            let users =
                self.keyspace().range(&keys::uses(id), keys::of_digest(blob), 2, Direction::Forward).await?;
            let edges = users.len();
            match (users.into_iter().find(|user| *user != ours), link) {
                (Some(other), _) => others.push(other),
                (None, Some(link)) => freed.push((blob.clone(), BlobLink::read(id, blob, &link)?, edges)),
                (None, None) => {}
            }
        }
        let needs = needs.into_iter().map(|(_, need)| need).collect();
        Ok(Release { id, manifest: manifest.clone(), needs, freed, others })
    }
}

impl Release {
    /// What was read is still so.
    pub(crate) fn unchanged(&self) -> Vec<Condition> {
        let id = self.id;
        let freed = self
            .freed
            .iter()
            .flat_map(|(blob, link, edges)| [used(id, blob, *edges), link.unchanged(id, blob)]);
        let others = self.others.iter().map(|other| Condition::has_member(keys::uses(id), other.clone()));
        freed.chain(others).collect()
    }

    /// The edges go last: a release that was cut off is done again from them.
    pub(crate) fn mutations(&self, now: Timestamp) -> Vec<Mutation> {
        let id = self.id;
        let freed = self.freed.iter().flat_map(|(blob, link, _)| link.left_unused(id, blob, now));
        let edges = self
            .needs
            .iter()
            .map(|need| Mutation::RemoveMember(keys::uses(id), keys::use_of(need, &self.manifest)));
        freed.chain(edges).collect()
    }
}
