//! Repositories: tags, then manifests, then links, then references, so that what points is older than what it points to.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use oci::{Digest, RepositoryName};
use proto::metadata::Visibility;
use sha2::{Digest as _, Sha256};

use super::{Consistency, Cursor, DumpError, Entry, Found, Walk};
use crate::{
    failure::parsed_member,
    keys::{self, RepositoryId, field},
    keyspace::{Field, Key},
    namespaces::Owner,
};

/// Where a member names a manifest.
type PartOf = fn(&Bytes) -> &[u8];

/// The manifests of one repository that were put out: it is the only thing here that grows with what there is, by some
/// 40 bytes a manifest.
struct Seen(HashSet<[u8; 16]>);

impl Seen {
    /// Whether this is the first time.
    fn first(&mut self, digest: &Digest) -> bool {
        let whole: [u8; 32] = Sha256::digest(digest.to_string()).into();
        let mut short = [0; 16];
        short.copy_from_slice(&whole[..16]);
        self.0.insert(short)
    }
}

impl Walk<'_> {
    /// What a name stands for, be it public or private.
    pub(super) async fn named(&mut self, owner: Owner, name: &RepositoryName) -> Result<Found, DumpError> {
        let looks = match self.consistency {
            Consistency::OneMoment => 1,
            // Whoever shows or hides it meanwhile has made the other record before this one went.
            Consistency::InMotion => 2,
        };
        for _ in 0..looks {
            if self.recorded(owner, name).await? == Found::Yes {
                return Ok(Found::Yes);
            }
        }
        Ok(Found::No)
    }

    /// Both records are asked at one time, of which one is there.
    async fn recorded(&mut self, owner: Owner, name: &RepositoryName) -> Result<Found, DumpError> {
        let records = [Visibility::Public, Visibility::Private]
            .map(|visibility| keys::repository(owner, name, visibility));
        let asked: Vec<_> = records.iter().map(|record| (record.clone(), field::ID)).collect();
        let ids = self.keyspace.get_many(&asked).await?;

        let mut found = Found::No;
        for (record, id) in records.into_iter().zip(ids) {
            let put = self.hash(record.clone()).await?;
            if let Some(id) = id {
                self.repository(RepositoryId(parsed_member(&record, &id)?)).await?;
                // Unless the record went before it was read.
                if put == Found::Yes {
                    found = Found::Yes;
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn repository(&mut self, id: RepositoryId) -> Result<(), DumpError> {
        self.leaves(keys::of_repository(id)).await?;
        self.manifests(id).await?;
        self.trash(id).await?;
        self.links(id).await
    }

    /// Each manifest is named by its tags, or as one that has none, and by what it needs.
    async fn manifests(&mut self, id: RepositoryId) -> Result<(), DumpError> {
        let mut seen = Seen(HashSet::new());
        let lists: [(Key, PartOf); 3] = [
            (keys::tagged(id), keys::first_part),
            (keys::untagged(id), keys::first_part),
            (keys::uses(id), keys::last_part),
        ];
        for (list, part) in lists {
            let mut cursor = Cursor::over(list.clone());
            while let Some(members) = self.members(&mut cursor).await? {
                for member in &members {
                    let digest: Digest = parsed_member(&list, part(member))?;
                    if seen.first(&digest) {
                        self.hash(keys::manifest(id, &digest)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn trash(&mut self, id: RepositoryId) -> Result<(), DumpError> {
        let list = keys::trash(id);
        let mut cursor = Cursor::over(list.clone());
        while let Some(members) = self.members(&mut cursor).await? {
            for member in &members {
                let digest: Digest = parsed_member(&list, keys::last_part(member))?;
                self.hash(keys::trashed(id, &digest)).await?;
            }
        }
        Ok(())
    }

    /// Links, and then the other end of each. A link that was cut off before it was one has only that, and is named by
    /// what it would have been used by, or among the unused.
    async fn links(&mut self, id: RepositoryId) -> Result<(), DumpError> {
        let links = keys::blobs(id);
        let mut cursor = Cursor::over(links.clone());
        while let Some(fields) = self.fields(&mut cursor).await? {
            let digests = fields.iter().map(|(digest, _)| parsed_member(&links, digest));
            let digests: BTreeSet<Digest> = digests.collect::<Result<_, _>>()?;
            self.contents(id, digests).await?;
        }

        let unused = keys::unused(id);
        let mut cursor = Cursor::over(unused.clone());
        while let Some(members) = self.members(&mut cursor).await? {
            let digests = members.iter().map(|member| parsed_member(&unused, keys::last_part(member)));
            let digests: BTreeSet<Digest> = digests.collect::<Result<_, _>>()?;
            let unlinked = self.without_link(id, digests).await?;
            self.contents(id, unlinked).await?;
        }
        Ok(())
    }

    async fn without_link(
        &self,
        id: RepositoryId,
        digests: BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, DumpError> {
        let asked: Vec<_> = digests.iter().map(|digest| (keys::blobs(id), keys::named(digest))).collect();
        let links = self.keyspace.get_many(&asked).await?;
        Ok(digests
            .into_iter()
            .zip(links)
            .filter_map(|(digest, link)| link.is_none().then_some(digest))
            .collect())
    }

    /// What a repository says of contents, and their records. Each repository that links one says them again: who
    /// remembered which were said would have to remember all there are.
    async fn contents(&mut self, id: RepositoryId, digests: BTreeSet<Digest>) -> Result<(), DumpError> {
        let by: Field = keys::named(id);
        let asked: Vec<_> = digests.iter().map(|digest| (keys::refs(digest), by.clone())).collect();
        let references = self.keyspace.get_many(&asked).await?;
        for (digest, reference) in digests.iter().zip(references) {
            if let Some(reference) = reference {
                self.out.put(&Entry::Field(keys::refs(digest), by.clone(), reference)).await?;
            }
            self.hash(keys::image(digest)).await?;
        }
        Ok(())
    }
}
