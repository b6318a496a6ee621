//! Undo: what a tag named before it changed last, and manifests that were deleted. Children come back before the
//! index that names them.

use bytes::Bytes;
use oci::{Digest, Needed, Reference, RepositoryName, Tag};
use proto::metadata::{Actor, RepositoryError, audit::Action, repositories::Restore};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::Audit,
    content::BlobLink,
    events::{self, Event, Kind},
    failure::parsed_member,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT, Record},
    manifests::recorded_needs,
    placement::{Placement, Target, belongs},
    step,
    tags::TagBefore,
    trash, untagged,
};

/// An index may be in an index; deeper ones are restored one by one.
const DEPTH: usize = 8;

impl Service {
    /// Brings back a tag or a deleted manifest.
    pub(crate) async fn bring_back(
        &self,
        restore: &Restore,
        actor: &Actor,
    ) -> Result<Digest, RepositoryError> {
        let Restore { repository, what, to } = restore;
        let (digest, tag) = match (what, to) {
            (Reference::Digest(digest), _) => (digest.clone(), None),
            (Reference::Tag(tag), Some(to)) => (to.clone(), Some(tag)),
            (Reference::Tag(tag), None) => (self.formerly(repository, tag).await?, Some(tag)),
        };

        self.restore_manifest(repository, &digest, tag, (actor, DEPTH)).await?;
        Ok(digest)
    }

    /// What the tag named before.
    async fn formerly(&self, repository: &RepositoryName, tag: &Tag) -> Result<Digest, RepositoryError> {
        let place = self.place(repository).await?;
        let now = self.tags_before(place.id, vec![tag.clone()]).await?.pop().and_then(|before| before.digest);

        let (key, newest) = (keys::history(place.id), MemberRange::all());
        let members = self.keyspace().range(&key, newest, RANGE_LIMIT, Direction::Backward).await?;
        let happened = members.iter().filter_map(events::happened).filter(|happened| happened.tag == *tag);
        let named = happened.flat_map(|happened| [Some(happened.digest), happened.previous]).flatten();
        named
            .into_iter()
            .find(|digest| Some(digest) != now.as_ref())
            .ok_or_else(|| nothing(repository, Reference::Tag(tag.clone())))
    }

    async fn restore_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        tag: Option<&Tag>,
        (actor, depth): (&Actor, usize),
    ) -> Result<(), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let place = self.place(repository).await?;
            let Some(found) = self.found_to_restore(repository, place, digest).await? else {
                self.forget(repository);
                continue;
            };
            match &found {
                Found::Deleted { record, .. } if depth > 0 => {
                    self.restore_children(repository, place, (digest, record), (actor, depth)).await?;
                }
                Found::Stored if tag.is_some() => {}
                _ => return Err(nothing(repository, reference(digest, tag))),
            }

            let commit = self.restoring(repository, place, (digest, tag), &found, actor).await?;
            let audited = self.audited(actor, &audit(place, repository, digest, tag)).await?;
            let commit = commit.beginning_with(audited);
            if self.commit(step!("restore"), commit).await? == Outcome::Committed {
                return Ok(());
            }
            self.forget(repository);
        }

        Err(RepositoryError::Conflict { attempted: format!("restoring {digest} in {repository}").into() })
    }

    /// What is known of the manifest; none if the repository is elsewhere by now.
    async fn found_to_restore(
        &self,
        repository: &RepositoryName,
        place: Placement,
        digest: &Digest,
    ) -> Result<Option<Found>, Error> {
        let id = place.id;
        let asked = [keys::state(id), keys::manifest(id, digest), keys::trashed(id, digest)];
        let mut records = self.keyspace().records(&asked).await?.into_iter().map(Option::unwrap_or_default);
        let mut next = || records.next().unwrap_or_default();
        let (state, stored, trashed) = (next(), next(), next());
        if !belongs(state.get(field::NAME), repository) {
            return Ok(None);
        }

        Ok(Some(match (stored.get(field::TYPE), trashed.get(field::DELETED).cloned()) {
            (Some(_), _) => Found::Stored,
            (None, Some(deleted)) => Found::Deleted { record: trashed, deleted },
            (None, None) => Found::Nothing,
        }))
    }

    async fn restore_children(
        &self,
        repository: &RepositoryName,
        place: Placement,
        (digest, record): (&Digest, &Record),
        (actor, depth): (&Actor, usize),
    ) -> Result<(), RepositoryError> {
        let needs = recorded_needs(&keys::trashed(place.id, digest), record)?;
        for (_, child) in needs.iter().filter(|(what, _)| *what == Needed::Manifest) {
            if matches!(self.found_to_restore(repository, place, child).await?, Some(Found::Deleted { .. })) {
                Box::pin(self.restore_manifest(repository, child, None, (actor, depth - 1))).await?;
            }
        }
        Ok(())
    }

    async fn restoring(
        &self,
        repository: &RepositoryName,
        place: Placement,
        (digest, tag): (&Digest, Option<&Tag>),
        found: &Found,
        actor: &Actor,
    ) -> Result<Commit, RepositoryError> {
        let (id, target, now) = (place.id, Target::Existing(place), self.now());
        let tags = self.tags_to_restore(id, tag, found).await?;
        let rules = self.rules_before(place, repository).await?;
        if let Some(refused) = rules.forbidden(&tags, Some(digest)) {
            return Err(refused);
        }
        let told = self.told(id, 1, actor, &events(digest, &tags)).await?;

        let commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when_all(rules.unchanged())
            .when_all(tags.iter().flat_map(TagBefore::unmoved));
        let mut commit = match found {
            Found::Deleted { record, deleted } => {
                let commit = commit.then_all(untagged::listed(id, digest, now));
                as_it_was(commit, id, digest, (record, deleted))?
            }
            _ => commit.when(Condition::FieldPresent(keys::manifest(id, digest), field::TYPE)),
        };
        commit = commit.telling(told).then_all(untagged::left(id, &tags, Some(digest), now));
        for tag in &tags {
            commit = commit.then_all(tag.moved(digest, self.ulid(), &actor.subject)?);
        }
        commit = commit.then_all(untagged::tagged(id, digest, &tags));
        if let Found::Deleted { deleted, .. } = found {
            commit = commit.then_all(trash::taken_out(id, digest, Some(deleted))?);
        }
        Ok(commit.then_all(target.updated(repository, now)))
    }

    /// The tag that was asked for, or those that a deleted manifest had and that name nothing now.
    async fn tags_to_restore(
        &self,
        id: RepositoryId,
        tag: Option<&Tag>,
        found: &Found,
    ) -> Result<Vec<TagBefore>, Error> {
        if let Some(tag) = tag {
            return self.tags_before(id, vec![tag.clone()]).await;
        }
        let Found::Deleted { record, .. } = found else { return Ok(Vec::new()) };
        let named = record.text(field::TAGS).unwrap_or_default().lines();
        let tags = named.map(|tag| parsed_member(&keys::trash(id), tag.as_bytes()));
        let mut tags = self.tags_before(id, tags.collect::<Result<_, _>>()?).await?;

        tags.retain(|before| before.digest.is_none());
        Ok(tags)
    }
}

/// What can be brought back.
enum Found {
    /// It is in the trash.
    Deleted {
        record: Record,
        deleted: Bytes,
    },
    /// It is there: only a tag can be.
    Stored,
    Nothing,
}

/// The manifest as a push would write it: edges, referrer, body.
fn as_it_was(
    commit: Commit,
    id: RepositoryId,
    digest: &Digest,
    (record, deleted): (&Record, &Bytes),
) -> Result<Commit, Error> {
    let (from, to) = (keys::trashed(id, digest), keys::manifest(id, digest));
    let needs = recorded_needs(&from, record)?;
    let there = |(what, need): &(Needed, Digest)| match what {
        Needed::Blob => {
            let (key, field) = BlobLink::field(id, need);
            Condition::FieldPresent(key, field)
        }
        Needed::Manifest => Condition::FieldPresent(keys::manifest(id, need), field::TYPE),
    };
    let edge = |(_, need): &(Needed, Digest)| Mutation::AddMember(keys::uses(id), keys::use_of(need, digest));

    Ok(commit
        .when(trash::unchanged(id, digest, Some(deleted)))
        .when(Condition::FieldAbsent(to.clone(), field::TYPE))
        .when_all(needs.iter().map(there))
        .then_all(needs.iter().map(edge))
        .then_all(referrer(id, digest, (&from, record))?)
        .then_all(trash::copied(record, &to)))
}

fn referrer(
    id: RepositoryId,
    digest: &Digest,
    (key, record): (&Key, &Record),
) -> Result<Option<Mutation>, Error> {
    let Some(subject) = record.get(field::SUBJECT) else {
        return Ok(None);
    };
    let subject = parsed_member(key, subject)?;
    let artifact_type = record.text(field::ARTIFACT).unwrap_or_default();

    Ok(Some(Mutation::AddMember(keys::referrers(id), keys::referrer(&subject, artifact_type, digest))))
}

fn audit(place: Placement, name: &RepositoryName, digest: &Digest, tag: Option<&Tag>) -> Audit {
    let of = |action| Audit::of_repository(action, place.owner, name).digest(digest);
    match tag {
        Some(tag) => of(Action::TagRestore).tag(tag),
        None => of(Action::ManifestRestore),
    }
}

fn events<'a>(digest: &'a Digest, tags: &'a [TagBefore]) -> Vec<Event<'a>> {
    let restored = Event { kind: Kind::ManifestRestored, tag: None, digest, previous: None };
    let moved = tags.iter().map(|before| Event {
        kind: Kind::TagMoved,
        tag: Some(before.tag()),
        digest,
        previous: before.digest.as_ref(),
    });
    std::iter::once(restored).chain(moved).collect()
}

fn reference(digest: &Digest, tag: Option<&Tag>) -> Reference {
    tag.map_or_else(|| Reference::Digest(digest.clone()), |tag| Reference::Tag(tag.clone()))
}

fn nothing(repository: &RepositoryName, reference: Reference) -> RepositoryError {
    RepositoryError::NothingToRestore { repository: repository.clone(), reference }
}
