//! Deleting tags and manifests: the steps of a push the other way round, so that a crash leaves no tag without
//! its manifest and no manifest whose blobs may be reclaimed.

use oci::{Digest, Needed, Reference, RepositoryName, Tag};
use proto::metadata::{Actor, RepositoryError, repositories::Expected};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::BlobLink,
    events::{Event, Kind},
    failure::parsed_member,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Mutation, Record},
    manifests::recorded_needs,
    placement::{Placement, Target, belongs},
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
        expected: &Expected,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let place = self.place(repository).await?;
            let tags = self.tags_before(place.id, vec![tag.clone()]).await?;
            let here = self.is_at(repository, &place).await?;
            if here && tags.iter().all(|tag| tag.digest.is_none()) {
                return Err(unknown(repository, Reference::Tag(tag.clone())));
            }
            if let Some(refused) = TagBefore::unexpected(&tags, expected).filter(|_| here) {
                return Err(refused);
            }
            if here && self.remove_tags(repository, place, &tags, actor).await? == Outcome::Committed {
                return Ok(());
            }
            self.forget(repository);
        }

        Err(too_many_writers(repository, &tag))
    }

    /// Removes a manifest with all tags that name it.
    pub(crate) async fn delete_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            let place = self.place(repository).await?;
            match self.try_delete(repository, place, digest, actor).await? {
                Progress::Done => return Ok(()),
                Progress::SomeTagsRemoved => {}
                Progress::LookAgain => {
                    self.forget(repository);
                    attempts += 1;
                }
            }
        }

        Err(too_many_writers(repository, &digest))
    }

    async fn try_delete(
        &self,
        repository: &RepositoryName,
        place: Placement,
        digest: &Digest,
        actor: &Actor,
    ) -> Result<Progress, RepositoryError> {
        let id = place.id;
        let mut records =
            self.keyspace().records(&[keys::state(id), keys::manifest(id, digest)]).await?.into_iter();
        let state = records.next().flatten().unwrap_or_default();
        if !belongs(state.get(field::NAME), repository) {
            return Ok(Progress::LookAgain);
        }
        let record = records.next().flatten().filter(|record| record.get(field::TYPE).is_some());
        let record = record.ok_or_else(|| unknown(repository, Reference::Digest(digest.clone())))?;
        self.refuse_if_needed(id, digest).await?;

        let tags = self.tags_of(id, digest).await?;
        // More than fit into one commit go first; the last commit removes the rest together with the manifest.
        if let Some(some) = tags.get(..TAGS_AT_ONCE).filter(|some| some.len() < tags.len()) {
            let outcome = self.remove_tags(repository, place, some, actor).await?;
            return Ok(if outcome == Outcome::Committed {
                Progress::SomeTagsRemoved
            } else {
                Progress::LookAgain
            });
        }

        let rev = state.number(field::REV).and_then(|rev| rev.try_into().ok()).unwrap_or(0);
        let told = self.told(id, rev, actor, &events(Some(digest), &tags)).await?;
        let removal =
            Removal { repository, target: Target::Existing(place), digest, record: &record, tags: &tags };
        let commit = self.removing(&removal, told).await?;
        Ok(match self.commit(step!("delete_manifest"), commit).await? {
            Outcome::Committed => Progress::Done,
            Outcome::Conflicted => Progress::LookAgain,
        })
    }

    async fn removing(&self, removal: &Removal<'_>, told: Vec<Mutation>) -> Result<Commit, Error> {
        let Removal { repository, target, digest, record, tags } = removal;
        let (id, now) = (target.id(), self.now());
        let key = keys::manifest(id, digest);
        let needs = recorded_needs(&key, record)?;
        let freed = self.freed(id, digest, &needs).await?;
        let named =
            |count| Condition::Members { key: keys::tagged(id), members: keys::of_digest(digest), count };

        let mut commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when(Condition::FieldPresent(key.clone(), field::TYPE))
            .when(used(id, digest, 0))
            .when(named(tags.len()))
            .when_all(tags.iter().flat_map(TagBefore::unmoved))
            .when_all(freed.iter().flat_map(|(blob, link)| [used(id, blob, 1), link.unchanged(id, blob)]))
            .then_all(told);
        for tag in *tags {
            commit = commit.then_all(tag.no_longer(digest)?);
        }
        Ok(commit
            .then(Mutation::RemoveRecord(key))
            .then_all(
                needs
                    .iter()
                    .map(|(_, need)| Mutation::RemoveMember(keys::uses(id), keys::use_of(need, digest))),
            )
            .then_all(referrer(id, digest, record)?)
            .then_all(freed.iter().flat_map(|(blob, link)| link.left_unused(id, blob, now)))
            .then_all(target.updated(repository, now)))
    }

    async fn remove_tags(
        &self,
        repository: &RepositoryName,
        place: Placement,
        tags: &[TagBefore],
        actor: &Actor,
    ) -> Result<Outcome, Error> {
        let target = Target::Existing(place);
        // Rev only tells when to drop old events, so that it need not be read for a tag.
        let told = self.told(place.id, 1, actor, &events(None, tags)).await?;

        let mut commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when_all(tags.iter().flat_map(TagBefore::unmoved))
            .then_all(told);
        for tag in tags {
            commit = commit.then_all(tag.removed()?);
        }
        self.commit(step!("delete_tag"), commit.then_all(target.updated(repository, self.now()))).await
    }

    pub(crate) async fn place(&self, repository: &RepositoryName) -> Result<Placement, RepositoryError> {
        let placement = self.placement(repository).await?;
        placement.ok_or_else(|| RepositoryError::NameUnknown { repository: repository.clone() })
    }

    async fn refuse_if_needed(&self, id: RepositoryId, digest: &Digest) -> Result<(), RepositoryError> {
        match self.user_of(id, digest).await? {
            Some(parent) => Err(RepositoryError::StillNeeded { digest: digest.clone(), parent }),
            None => Ok(()),
        }
    }

    /// A manifest that needs `digest`, if any does.
    pub(crate) async fn user_of(&self, id: RepositoryId, digest: &Digest) -> Result<Option<Digest>, Error> {
        let key = keys::uses(id);
        let users = self.keyspace().range(&key, keys::of_digest(digest), 1, Direction::Forward).await?;
        users.first().map(|user| parsed_member(&key, keys::last_part(user))).transpose()
    }

    /// The tags that name `digest`, one more than one commit removes at most.
    async fn tags_of(&self, id: RepositoryId, digest: &Digest) -> Result<Vec<TagBefore>, Error> {
        let key = keys::tagged(id);
        let limit = TAGS_AT_ONCE + 1;
        let members = self.keyspace().range(&key, keys::of_digest(digest), limit, Direction::Forward).await?;
        let tags = members.iter().map(|member| parsed_member(&key, keys::last_part(member)));

        self.tags_before(id, tags.collect::<Result<_, _>>()?).await
    }

    async fn tags_before(&self, id: RepositoryId, tags: Vec<Tag>) -> Result<Vec<TagBefore>, Error> {
        let asked: Vec<_> = tags.iter().flat_map(|tag| TagBefore::fields(id, tag)).collect();
        let mut values = self.fields(&asked).await?.into_iter();
        tags.iter().map(|tag| TagBefore::read(id, tag, &mut values)).collect()
    }

    /// The blobs that nothing but this manifest uses.
    async fn freed(
        &self,
        id: RepositoryId,
        manifest: &Digest,
        needs: &[(Needed, Digest)],
    ) -> Result<Vec<(Digest, BlobLink)>, Error> {
        let blobs: Vec<_> =
            needs.iter().filter(|(what, _)| *what == Needed::Blob).map(|(_, blob)| blob).collect();
        let asked: Vec<_> = blobs.iter().map(|blob| BlobLink::field(id, blob)).collect();
        let links = self.fields(&asked).await?;

        let mut freed = Vec::new();
        for (blob, link) in blobs.into_iter().zip(links) {
            let Some(link) = link else { continue };
            let users =
                self.keyspace().range(&keys::uses(id), keys::of_digest(blob), 2, Direction::Forward).await?;
            if users == [keys::use_of(blob, manifest)] {
                freed.push((blob.clone(), BlobLink::read(id, blob, &link)?));
            }
        }
        Ok(freed)
    }
}

/// How far a deletion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    SomeTagsRemoved,
    LookAgain,
}

/// What goes with a manifest.
struct Removal<'a> {
    repository: &'a RepositoryName,
    target: Target,
    digest: &'a Digest,
    record: &'a Record,
    tags: &'a [TagBefore],
}

/// So many manifests need `digest`.
pub(crate) fn used(id: RepositoryId, digest: &Digest, count: usize) -> Condition {
    Condition::Members { key: keys::uses(id), members: keys::of_digest(digest), count }
}

fn referrer(id: RepositoryId, digest: &Digest, record: &Record) -> Result<Option<Mutation>, Error> {
    let Some(subject) = record.get(field::SUBJECT) else {
        return Ok(None);
    };
    let subject = parsed_member(&keys::manifest(id, digest), subject)?;
    let artifact_type = record.text(field::ARTIFACT).unwrap_or_default();

    Ok(Some(Mutation::RemoveMember(keys::referrers(id), keys::referrer(&subject, artifact_type, digest))))
}

fn events<'a>(manifest: Option<&'a Digest>, tags: &'a [TagBefore]) -> Vec<Event<'a>> {
    let deleted =
        manifest.map(|digest| Event { kind: Kind::ManifestDeleted, tag: None, digest, previous: None });
    let removed = tags.iter().filter_map(|before| {
        let (tag, digest) = (Some(before.tag()), before.digest.as_ref()?);
        Some(Event { kind: Kind::TagDeleted, tag, digest, previous: None })
    });
    removed.chain(deleted).collect()
}

fn unknown(repository: &RepositoryName, reference: Reference) -> RepositoryError {
    RepositoryError::ManifestUnknown { repository: repository.clone(), reference }
}

pub(crate) fn too_many_writers(repository: &RepositoryName, what: &dyn std::fmt::Display) -> RepositoryError {
    RepositoryError::Conflict { attempted: format!("deleting {what} in {repository}").into() }
}
