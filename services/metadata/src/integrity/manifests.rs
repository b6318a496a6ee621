//! Manifests: each has what it needs, and what it needs, its subject and the list of those without a tag know it.

use bytes::Bytes;
use oci::{Digest, Needed};
use proto::metadata::integrity::Kind;

use super::{Seen, lacks, repositories::Repository, unlisted};
use crate::{
    Service,
    content::BlobLink,
    failure::{damaged, next, parsed_member},
    keys::{self, field},
    keyspace::{Condition, Direction, Error, Field, Key, Mutation},
    manifests::needs_in,
    untagged,
};

/// A manifest or a blob, for people.
pub(super) fn named(digest: &Digest) -> String {
    format!("{}{digest}", Digest::MARK)
}

/// That a manifest needs something, for people.
pub(super) fn needing(manifest: &Digest, need: &Digest) -> String {
    format!("{} needs {need}", named(manifest))
}

/// A manifest that is stored or can be restored, as far as it says what it needs.
pub(super) struct Holder<'a> {
    pub(super) digest: &'a Digest,
    /// Its record.
    pub(super) key: Key,
    /// What makes it count.
    pub(super) exists: Field,
    pub(super) needs: Bytes,
}

impl Holder<'_> {
    /// It is there, and needs what it needs.
    pub(super) fn unchanged(&self) -> [Condition; 2] {
        [
            Condition::FieldPresent(self.key.clone(), self.exists.clone()),
            Condition::FieldEquals(self.key.clone(), field::NEEDS, self.needs.clone()),
        ]
    }
}

impl Service {
    /// A stored manifest, by whatever list leads to it.
    pub(super) async fn inspect_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let id = repository.id();
        let (key, trashed) = (keys::manifest(id, digest), keys::trashed(id, digest));
        let asked = [field::TYPE, field::NEEDS, field::SUBJECT, field::ARTIFACT];
        let asked = asked.map(|field| (key.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let [stored, needs, subject, artifact] = [(); 4].map(|()| next(&mut values));
        if stored.is_none() {
            return Ok(());
        }

        let needs = needs.ok_or_else(|| damaged(&key, &field::NEEDS))?;
        let holder = Holder { digest, key: key.clone(), exists: field::TYPE, needs };
        self.inspect_needs(repository, &holder, seen).await?;
        if let Some(value) = subject {
            let subject: Digest = parsed_member(&key, &value)?;
            let artifact_type: String = match &artifact {
                Some(artifact) => parsed_member(&key, artifact)?,
                None => String::new(),
            };
            let (list, entry) = (keys::referrers(id), keys::referrer(&subject, &artifact_type, digest));
            if !self.contains(&list, entry.clone()).await? {
                let suspect = repository
                    .suspect(Kind::ReferrerUnlisted, named(digest))
                    .when(Condition::FieldPresent(key.clone(), field::TYPE))
                    .when(Condition::FieldEquals(key.clone(), field::SUBJECT, value))
                    .when(Condition::unchanged(key.clone(), field::ARTIFACT, artifact))
                    .when(lacks(&list, entry.clone()));
                seen.suspect(suspect.mended_by(Mutation::AddMember(list, entry)));
            }
        }

        let left = self.keyspace().record(&trashed).await?;
        let left = left.filter(|left| left.get(field::DELETED).is_none());
        if let Some(first) = left.and_then(|left| left.iter().next().map(|(first, _)| first.clone())) {
            // A deletion that was cut off; the trash does not count it yet.
            let suspect = repository
                .suspect(Kind::ManifestPart, named(digest))
                .when(Condition::FieldPresent(key, field::TYPE))
                .when(Condition::FieldPresent(trashed.clone(), keys::named_by(&first)))
                .when(Condition::FieldAbsent(trashed.clone(), field::DELETED));
            seen.suspect(suspect.mended_by(Mutation::RemoveRecord(trashed)));
        }
        Ok(())
    }

    /// All that it needs is here, and is marked as used by it.
    pub(super) async fn inspect_needs(
        &self,
        repository: &Repository,
        holder: &Holder<'_>,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, digest) = (repository.id(), holder.digest);
        let needs = needs_in(&holder.key, &holder.needs)?;
        let places = needs.iter().map(|(what, need)| match what {
            Needed::Blob => vec![BlobLink::field(id, need)],
            Needed::Manifest => vec![
                (keys::manifest(id, need), field::TYPE),
                // It comes back with what it is part of.
                (keys::trashed(id, need), field::DELETED),
            ],
        });
        let places: Vec<Vec<(Key, Field)>> = places.collect();
        let mut values = self.fields(&places.concat()).await?.into_iter();

        let edges = keys::uses(id);
        for ((_, need), places) in needs.iter().zip(places) {
            let found = places.iter().filter(|_| next(&mut values).is_some()).count();
            if found == 0 {
                let absent = places.into_iter().map(|(key, field)| Condition::FieldAbsent(key, field));
                let suspect = repository.suspect(Kind::ManifestIncomplete, needing(digest, need));
                seen.suspect(suspect.when_all(holder.unchanged()).when_all(absent));
            }
            let edge = keys::use_of(need, digest);
            if !self.contains(&edges, edge.clone()).await? {
                let suspect = repository.suspect(Kind::ManifestEdge, needing(digest, need));
                let suspect = suspect.when_all(holder.unchanged()).when(lacks(&edges, edge.clone()));
                seen.suspect(suspect.mended_by(Mutation::AddMember(edges.clone(), edge)));
            }
        }
        Ok(())
    }

    pub(super) async fn inspect_untagged(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::untagged(repository.id()));
        let digest: Digest = parsed_member(&list, member)?;
        let key = keys::manifest(id, &digest);
        let asked = [field::TYPE, field::UNTAGGED].map(|field| (key.clone(), field));
        let mut values = self.fields(&asked).await?.into_iter();
        let (stored, since) = (next(&mut values), next(&mut values));
        if stored.is_none() {
            // With what a push that was cut off has left of it.
            let (has, mended) = unlisted(&list, member);
            let suspect = repository.suspect(Kind::ManifestPart, named(&digest)).when(has);
            let suspect = suspect.when(Condition::FieldAbsent(key.clone(), field::TYPE));
            seen.suspect(suspect.mended_by(Mutation::RemoveRecord(key)).mended_by(mended));
            return Ok(());
        }
        // One that has a tag is looked at with that.
        if self.has_tag(repository, &digest).await? {
            return Ok(());
        }

        seen.counts.manifests += 1;
        if since.is_none() {
            let suspect = repository
                .suspect(Kind::ManifestUntimed, named(&digest))
                .when(Condition::FieldPresent(key.clone(), field::TYPE))
                .when(Condition::FieldAbsent(key, field::UNTAGGED));
            seen.suspect(suspect.mended_by(untagged::counted_from(id, &digest, self.now())));
        }
        self.inspect_manifest(repository, &digest, seen).await
    }

    async fn has_tag(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let (tagged, range) = (keys::tagged(repository.id()), keys::of_digest(digest));
        Ok(!self.keyspace().range(&tagged, range, 1, Direction::Forward).await?.is_empty())
    }

    /// A stored manifest that another list leads to has a tag, or is in the list of those that have none.
    pub(super) async fn inspect_listing(
        &self,
        repository: &Repository,
        digest: &Digest,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::untagged(repository.id()));
        let entry = keys::without_tag(digest);
        if self.has_tag(repository, digest).await? || self.contains(&list, entry.clone()).await? {
            return Ok(());
        }

        let none = Condition::Members { key: keys::tagged(id), members: keys::of_digest(digest), count: 0 };
        let suspect = repository
            .suspect(Kind::ManifestUnlisted, named(digest))
            .when(Condition::FieldPresent(keys::manifest(id, digest), field::TYPE))
            .when(none)
            .when(lacks(&list, entry));
        seen.suspect(suspect.mended_by_all(untagged::listed(id, digest, self.now())));
        Ok(())
    }

    pub(super) async fn inspect_referrer(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, list) = (repository.id(), keys::referrers(repository.id()));
        let digest: Digest = parsed_member(&list, keys::last_part(member))?;
        let key = keys::manifest(id, &digest);
        let fields = [field::TYPE, field::SUBJECT, field::ARTIFACT];
        let asked = fields.map(|field| (key.clone(), field));
        let values = self.fields(&asked).await?;
        if let [Some(_), Some(subject), artifact] = values.as_slice()
            && subject == keys::first_part(member)
            && artifact.as_deref().unwrap_or_default() == keys::artifact_type_of(member)
        {
            return self.inspect_listing(repository, &digest, seen).await;
        }

        let (has, mended) = unlisted(&list, member);
        let as_read = asked
            .into_iter()
            .zip(values)
            .map(|((key, field), value)| Condition::unchanged(key, field, value));
        let suspect = repository.suspect(Kind::ReferrerListedAlone, named(&digest)).when(has);
        seen.suspect(suspect.when_all(as_read).mended_by(mended));
        Ok(())
    }
}
