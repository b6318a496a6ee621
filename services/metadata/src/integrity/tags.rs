//! Tags: each names a manifest, and the lists by name, by digest and by time agree with what it names.

use bytes::Bytes;
use oci::{Digest, Tag};
use proto::{auth::Subject, metadata::integrity::Kind};
use ulid::Ulid;

use super::{Seen, Suspect, lacks, repositories::Repository, unlisted, walk::Entry};
use crate::{
    Service,
    failure::{damaged, next, parsed, parsed_member},
    keys::{self, field},
    keyspace::{Condition, Error, Mutation},
    untagged,
};

/// A tag as it is, for people.
fn named(tag: &Tag) -> String {
    format!(":{tag}")
}

/// The list by name does not have it.
fn missing(repository: &Repository, tag: &Tag, names: Condition) -> Suspect {
    let (list, member) = (keys::tags(repository.id()), Bytes::from(tag.to_string()));
    let suspect = repository.suspect(Kind::TagUnlisted, named(tag)).when(names);
    let suspect = suspect.when(lacks(&list, member.clone()));
    suspect.mended_by(Mutation::AddMember(list, member))
}

impl Service {
    pub(super) async fn inspect_tag(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let id = repository.id();
        let (list, key) = (keys::tags(id), keys::tag(id));
        let tag: Tag = parsed_member(&list, member)?;
        let name = keys::named(&tag);
        let asked = [(key.clone(), name.clone()), (keys::pushed(id), name.clone())];
        let mut values = self.fields(&asked).await?.into_iter();
        let (digest, when) = (next(&mut values), next(&mut values));
        let Some(value) = digest else {
            let (has, mended) = unlisted(&list, member);
            let suspect = repository.suspect(Kind::TagListedAlone, named(&tag)).when(has);
            seen.suspect(suspect.when(Condition::FieldAbsent(key, name)).mended_by(mended));
            return Ok(());
        };

        seen.counts.tags += 1;
        let digest: Digest = parsed(&key, &name, Some(&value))?;
        let names = Condition::FieldEquals(key, name.clone(), value);
        let suspect = |kind| repository.suspect(kind, named(&tag)).when(names.clone());
        let manifest = keys::manifest(id, &digest);
        let asked = [(manifest.clone(), field::TYPE)];
        if self.fields(&asked).await?.pop().flatten().is_none() {
            let absent = Condition::FieldAbsent(manifest, field::TYPE);
            seen.suspect(suspect(Kind::TagWithoutManifest).when(absent));
        }
        let (tagged, entry) = (keys::tagged(id), keys::tagged_by(&digest, &tag));
        if !self.contains(&tagged, entry.clone()).await? {
            let suspect = suspect(Kind::TagUnlisted).when(lacks(&tagged, entry.clone()));
            seen.suspect(suspect.mended_by(Mutation::AddMember(tagged, entry)));
        }

        self.inspect_time(repository, (&tag, names), when, seen).await
    }

    /// A tag that is there says when it was pushed, and is in the list by time.
    async fn inspect_time(
        &self,
        repository: &Repository,
        (tag, names): (&Tag, Condition),
        when: Option<Bytes>,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (pushed, recent) = (keys::pushed(repository.id()), keys::recent(repository.id()));
        let name = keys::named(tag);
        let suspect = |kind| repository.suspect(kind, named(tag)).when(names);
        let Some(when) = when else {
            // When it was pushed is not known any more, and by whom neither.
            let at = self.ulid();
            let value = format!("{at} {}", Subject::Anonymous);
            let suspect =
                suspect(Kind::TagUntimed).when(Condition::FieldAbsent(pushed.clone(), name.clone()));
            let suspect = suspect.mended_by(Mutation::AddMember(recent, keys::recent_tag(at, tag)));
            seen.suspect(suspect.mended_by(Mutation::SetField(pushed, name, value.into())));
            return Ok(());
        };

        let at = std::str::from_utf8(&when).ok().and_then(|when| when.split(' ').next()?.parse().ok());
        let at: Ulid = at.ok_or_else(|| damaged(&pushed, &name))?;
        let entry = keys::recent_tag(at, tag);
        if !self.contains(&recent, entry.clone()).await? {
            let as_read = [Condition::FieldEquals(pushed, name, when), lacks(&recent, entry.clone())];
            let suspect = suspect(Kind::TagUnlisted).when_all(as_read);
            seen.suspect(suspect.mended_by(Mutation::AddMember(recent, entry)));
        }
        Ok(())
    }

    /// One that neither list has: in the others it is seen where they are looked at.
    pub(super) async fn inspect_named_tag(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let id = repository.id();
        let (key, name) = (keys::tag(id), keys::named_by(member));
        let tag: Tag = parsed_member(&key, member)?;
        let Some(value) = self.fields(&[(key.clone(), name.clone())]).await?.pop().flatten() else {
            return Ok(());
        };
        let digest: Digest = parsed(&key, &name, Some(&value))?;
        if self.contains(&keys::tagged(id), keys::tagged_by(&digest, &tag)).await? {
            return Ok(());
        }
        if !self.contains(&keys::tags(id), member.clone()).await? {
            let names = Condition::FieldEquals(key, name, value);
            seen.suspect(missing(repository, &tag, names));
            self.inspect_tag(repository, member, seen).await?;
        }
        Ok(())
    }

    pub(super) async fn inspect_tagged(
        &self,
        repository: &Repository,
        entry: &Entry,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let (id, member) = (repository.id(), &entry.member);
        let (list, key) = (keys::tagged(id), keys::tag(id));
        let digest: Digest = parsed_member(&list, keys::first_part(member))?;
        let tag: Tag = parsed_member(&list, keys::last_part(member))?;
        let (name, manifest) = (keys::named(&tag), keys::manifest(id, &digest));
        let asked = [(key.clone(), name.clone()), (manifest.clone(), field::TYPE)];
        let mut values = self.fields(&asked).await?.into_iter();
        let (value, stored) = (next(&mut values), next(&mut values));

        if stored.is_some() && entry.begins() {
            seen.counts.manifests += 1;
            self.inspect_manifest(repository, &digest, seen).await?;
        }
        let names = Condition::unchanged(key, name, value.clone());
        if value.is_some_and(|value| value == digest.to_string()) {
            if !self.contains(&keys::tags(id), tag.to_string()).await? {
                seen.suspect(missing(repository, &tag, names));
            }
            return Ok(());
        }

        let (has, mended) = unlisted(&list, member);
        let left = repository.suspect(Kind::TagListedAlone, named(&tag)).when(has).when(names);
        let left = left.when(Condition::unchanged(manifest, field::TYPE, stored.clone()));
        // It may have no other tag; an entry too many in that list does no harm.
        let listed = stored.map(|_| untagged::listed(id, &digest, self.now()));
        seen.suspect(left.mended_by_all(listed.into_iter().flatten()).mended_by(mended));
        Ok(())
    }

    pub(super) async fn inspect_recent(
        &self,
        repository: &Repository,
        member: &Bytes,
        seen: &mut Seen,
    ) -> Result<(), Error> {
        let id = repository.id();
        let (list, key, pushed) = (keys::recent(id), keys::tag(id), keys::pushed(id));
        let tag: Tag = parsed_member(&list, keys::last_part(member))?;
        let name = keys::named(&tag);
        let asked = [(key.clone(), name.clone()), (pushed.clone(), name.clone())];
        let mut values = self.fields(&asked).await?.into_iter();
        let (value, when) = (next(&mut values), next(&mut values));

        let at = when.as_ref().and_then(|when| when.split(|byte| *byte == b' ').next());
        if value.is_some() && at == Some(keys::first_part(member)) {
            return Ok(());
        }
        let (has, mended) = unlisted(&list, member);
        // Of a tag that is gone nothing says any more when it was pushed.
        let gone = value.is_none().then(|| Mutation::RemoveField(pushed.clone(), name.clone()));
        let as_read =
            [Condition::unchanged(key, name.clone(), value), Condition::unchanged(pushed, name, when)];
        let suspect = repository.suspect(Kind::TagListedAlone, named(&tag)).when(has).when_all(as_read);
        seen.suspect(suspect.mended_by_all(gone).mended_by(mended));
        Ok(())
    }
}
