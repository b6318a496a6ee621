//! Links of repositories to blobs: each leads to content that has bytes and knows of it, and is used by a manifest or
//! waits to be unlinked. Content has no list of its own; it is found by what links it.

use bytes::Bytes;
use oci::Digest;
use proto::metadata::integrity::Kind;
use ulid::Ulid;

use super::{
    Seen, Suspect, lacks,
    manifests::{Holder, named, needing},
    repositories::Repository,
    unlisted,
    walk::Entry,
};
use crate::{
    Service,
    content::{BlobLink, Content},
    deletion::used,
    failure::{next, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Direction, Error, Mutation},
    manifests::needs_in,
};

/// References of one content that are followed at once.
const REFERENCES: usize = 500;

/// Something that is used is not listed as unused any more.
fn in_use(repository: &Repository, (needed, link): (&Digest, &BlobLink), holder: &Holder<'_>) -> Suspect {
    let id = repository.id();
    let suspect = repository
        .suspect(Kind::BlobInUse, named(needed))
        .when(link.unchanged(id, needed))
        .when(Condition::has_member(keys::uses(id), keys::use_of(needed, holder.digest)))
        .when_all(holder.unchanged());
    suspect.mended_by_all(link.taken_into_use(id, needed))
}

impl Service {
    pub(super) async fn inspect_use(
        &self,
        repository: &Repository,
        entry: &Entry,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list, member) = (repository.id(), keys::uses(repository.id()), &entry.member);
        let needed: Digest = parsed_member(&list, keys::first_part(member))?;
        let manifest: Digest = parsed_member(&list, keys::last_part(member))?;
        let (stored, trashed) = (keys::manifest(id, &manifest), keys::trashed(id, &manifest));
        let asked = [
            (stored.clone(), field::TYPE),
            (stored.clone(), field::NEEDS),
            (trashed.clone(), field::DELETED),
            (trashed.clone(), field::NEEDS),
            BlobLink::field(id, &needed),
        ];
        let mut values = self.fields(&asked).await?.into_iter();
        let [is_stored, needs, deleted, trashed_needs, link] = [(); 5].map(|()| next(&mut values));
        let link = link.map(|link| BlobLink::read(id, &needed, &link)).transpose()?;

        if let Some(link) = link.filter(|_| entry.begins()) {
            seen.counts.blobs += 1;
            self.inspect_content(repository, &needed, &link, seen).await?;
        }
        let holder = match (is_stored, needs, deleted, trashed_needs) {
            (Some(_), Some(needs), _, _) => {
                Holder { digest: &manifest, key: stored, exists: field::TYPE, needs }
            }
            (_, _, Some(_), Some(needs)) => {
                Holder { digest: &manifest, key: trashed, exists: field::DELETED, needs }
            }
            // Given up, and cut off in it: as long as this is there, it is found in the trash.
            (None, _, None, None) => {
                let as_read = [Condition::FieldAbsent(stored, field::TYPE), Condition::RecordAbsent(trashed)];
                return self.edge_alone(repository, (&needed, &manifest), link, as_read.into(), seen).await;
            }
            // What makes it count is there, and what it needs is not: named where it is looked at.
            _ => return Ok(()),
        };
        let needs = needs_in(&holder.key, &holder.needs)?;
        if !needs.iter().any(|(_, need)| *need == needed) {
            let as_read = holder.unchanged().into();
            return self.edge_alone(repository, (&needed, &manifest), link, as_read, seen).await;
        }
        if let Some(link) = link.filter(|link| link.unused_since_ms.is_some()) {
            seen.suspect(in_use(repository, (&needed, &link), &holder));
        }
        if holder.exists == field::TYPE && needs.first().is_some_and(|(_, need)| *need == needed) {
            self.inspect_listing(repository, &manifest, seen).await?;
        }
        Ok(())
    }

    /// An edge of nothing. If it is the last one of a link, that begins to wait.
    async fn edge_alone(
        &self,
        repository: &Repository,
        (needed, manifest): (&Digest, &Digest),
        link: Option<BlobLink>,
        as_read: Vec<Condition>,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::uses(repository.id()));
        let (has, mended) = unlisted(&list, &keys::use_of(needed, manifest));
        let suspect = repository
            .suspect(Kind::ManifestEdgeAlone, needing(manifest, needed))
            .when_all(as_read)
            .when(has);
        let users = self.keyspace().range(&list, keys::of_digest(needed), 2, Direction::Forward).await?.len();
        let unused = link.filter(|link| users == 1 && link.unused_since_ms.is_none());
        let suspect = match unused {
            Some(link) => suspect
                .when(used(id, needed, 1))
                .when(link.unchanged(id, needed))
                .mended_by_all(link.left_unused(id, needed, self.now())),
            None => suspect,
        };
        seen.suspect(suspect.mended_by(mended));
        Ok(())
    }

    pub(super) async fn inspect_unused(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::unused(repository.id()));
        let digest: Digest = parsed_member(&list, keys::last_part(member))?;
        let since: i64 = parsed_member(&list, keys::first_part(member))?;
        let (refs, by) = (keys::refs(&digest), keys::named(id));
        let asked = [BlobLink::field(id, &digest), (refs.clone(), by.clone())];
        let mut values = self.fields(&asked).await?.into_iter();
        let (link, token) = (next(&mut values), next(&mut values));
        let link = link.map(|link| BlobLink::read(id, &digest, &link)).transpose()?;

        let (has, mended) = unlisted(&list, member);
        let suspect = repository.suspect(Kind::BlobListedAlone, named(&digest)).when(has);
        match (link, token) {
            (Some(link), _) if link.unused_since_ms == Some(since) => {
                let range = keys::of_digest(&digest);
                let uses = self.keyspace().range(&keys::uses(id), range, 1, Direction::Forward).await?;
                // One that is used was looked at with what uses it.
                if uses.is_empty() {
                    seen.counts.blobs += 1;
                    self.inspect_content(repository, &digest, &link, seen).await?;
                }
            }
            (Some(link), _) => seen.suspect(suspect.when(link.unchanged(id, &digest)).mended_by(mended)),
            (None, None) => {
                let suspect = suspect.when(BlobLink::absent(id, &digest));
                seen.suspect(suspect.when(Condition::FieldAbsent(refs, by)).mended_by(mended));
            }
            (None, Some(token)) if self.is_left_over(&parsed_member(&refs, &token)?) => {
                let suspect = suspect.when(BlobLink::absent(id, &digest));
                let suspect = suspect.when(Condition::FieldEquals(refs.clone(), by.clone(), token));
                let idle = Mutation::AddMember(keys::IDLE, keys::idle(self.ulid(), &digest));
                let unreferenced = Mutation::RemoveField(refs, by);
                seen.suspect(suspect.mended_by_all([idle, unreferenced, mended]));
            }
            // Somebody may be about to link it.
            (None, Some(_)) => {}
        }
        Ok(())
    }

    /// Whether a reference with this token is older than any link that is still to come.
    fn is_left_over(&self, token: &Ulid) -> bool {
        let made = i64::try_from(token.timestamp_ms()).unwrap_or(i64::MAX);
        let hold = i64::try_from(self.0.lifetimes.hold.as_millis()).unwrap_or(i64::MAX);
        self.now().as_millisecond().saturating_sub(made) > hold
    }

    /// Links that neither a manifest nor the list of the unused leads to.
    pub(super) async fn inspect_link(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let id = repository.id();
        let digest: Digest = parsed_member(&keys::blobs(id), member)?;
        let value = self.fields(&[BlobLink::field(id, &digest)]).await?.pop().flatten();
        let Some(link) = value.map(|value| BlobLink::read(id, &digest, &value)).transpose()? else {
            return Ok(());
        };
        let range = keys::of_digest(&digest);
        let uses = self.keyspace().range(&keys::uses(id), range, 1, Direction::Forward).await?;

        let suspect = repository.suspect(Kind::BlobUnlisted, named(&digest));
        let suspect = suspect.when(link.unchanged(id, &digest));
        if let Some(since) = link.unused_since_ms {
            let (list, entry) = (keys::unused(id), keys::unused_since(since, &digest));
            if self.contains(&list, entry.clone()).await? || !uses.is_empty() {
                return Ok(());
            }
            let suspect = suspect.when(lacks(&list, entry.clone())).when(used(id, &digest, 0));
            seen.suspect(suspect.mended_by(Mutation::AddMember(list, entry)));
        } else if uses.is_empty() {
            let suspect = suspect.when(used(id, &digest, 0));
            seen.suspect(suspect.mended_by_all(link.left_unused(id, &digest, self.now())));
        } else {
            return Ok(());
        }
        seen.counts.blobs += 1;
        self.inspect_content(repository, &digest, &link, seen).await
    }

    /// The content that a link leads to.
    async fn inspect_content(
        &self,
        repository: &Repository,
        digest: &Digest,
        link: &BlobLink,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, refs) = (repository.id(), keys::refs(digest));
        let by = keys::named(id);
        let mut asked = vec![(refs.clone(), by.clone())];
        asked.extend(Content::fields(digest));
        let mut values = self.fields(&asked).await?.into_iter();
        let token = next(&mut values);
        let content = Content::read(digest, &mut values)?;
        let suspect = |kind| repository.suspect(kind, named(digest)).when(link.unchanged(id, digest));

        let known = token.as_ref().is_some_and(|token| *token == link.token.to_string());
        if !known {
            let suspect = suspect(Kind::BlobUnreferenced);
            let suspect = suspect.when(Condition::unchanged(refs.clone(), by.clone(), token));
            let mended = Mutation::SetField(refs.clone(), by, link.token.to_string().into());
            seen.suspect(suspect.mended_by(mended));
        }
        if content.live().is_none() {
            seen.suspect(suspect(Kind::BlobWithoutBytes).when(content.unmoved()));
        } else if content.size_bytes() != Some(link.size_bytes) {
            seen.suspect(suspect(Kind::BlobSize).when(content.unmoved()));
        }
        self.inspect_references(id, digest, seen).await
    }

    /// References of other repositories, by the first repository that has one and a link: so they are looked at once.
    async fn inspect_references(
        &self,
        id: RepositoryId,
        digest: &Digest,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        if self.first_linked(digest).await? != Some(id) {
            return Ok(());
        }
        let (refs, mut last) = (keys::refs(digest), None);
        loop {
            let references = self.references(digest, last.as_ref()).await?;
            for Reference { by: other, token, link } in &references {
                if link.is_some() || !self.is_left_over(&parsed_member(&refs, token)?) {
                    continue;
                }
                let by = keys::named(*other);
                let suspect = Suspect::new(Kind::BlobReferencedAlone, format_args!("{digest} by {other}"))
                    .when(BlobLink::absent(*other, digest))
                    .when(Condition::FieldEquals(refs.clone(), by.clone(), token.clone()));
                let idle = Mutation::AddMember(keys::IDLE, keys::idle(self.ulid(), digest));
                seen.suspect(suspect.mended_by_all([idle, Mutation::RemoveField(refs.clone(), by)]));
            }
            match references.last() {
                Some(end) if references.len() == REFERENCES => last = Some(end.by),
                _ => return Ok(()),
            }
        }
    }

    /// The first of the repositories that content is referenced by, and that links it.
    async fn first_linked(&self, digest: &Digest) -> Result<Option<RepositoryId>, Error> {
        let mut last = None;
        loop {
            let references = self.references(digest, last.as_ref()).await?;
            if let Some(first) = references.iter().find(|reference| reference.link.is_some()) {
                return Ok(Some(first.by));
            }
            match references.last() {
                Some(end) if references.len() == REFERENCES => last = Some(end.by),
                _ => return Ok(None),
            }
        }
    }

    /// A page of references.
    async fn references(
        &self,
        digest: &Digest,
        after: Option<&RepositoryId>,
    ) -> Result<Vec<Reference>, Error> {
        let (refs, after) = (keys::refs(digest), after.map(|after| Bytes::from(after.to_string())));
        let fields = self.keyspace().fields(&refs, after.as_ref(), REFERENCES).await?;
        let read =
            fields.into_iter().map(|(by, token)| Ok((RepositoryId(parsed_member(&refs, &by)?), token)));
        let read: Vec<(RepositoryId, Bytes)> = read.collect::<Result<_, Error>>()?;
        let asked: Vec<_> = read.iter().map(|(by, _)| BlobLink::field(*by, digest)).collect();

        let links = self.fields(&asked).await?;
        Ok(read.into_iter().zip(links).map(|((by, token), link)| Reference { by, token, link }).collect())
    }
}

/// That a repository may link content, and whether it does.
struct Reference {
    by: RepositoryId,
    token: Bytes,
    link: Option<Bytes>,
}
