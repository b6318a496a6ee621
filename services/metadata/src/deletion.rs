//! Deleting tags and manifests: the steps of a push the other way round, so that a crash leaves no tag without
//! its manifest. A manifest goes to the trash; what it needs is let go when it leaves that.

use oci::{Digest, Reference, RepositoryName, Tag};
use proto::metadata::{Actor, RepositoryError, audit::Action, repositories::Expected};

use crate::{
    ATTEMPTS, Outcome, Service,
    audit::{Audit, By},
    events::{Event, Kind},
    failure::parsed_member,
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Mutation, RANGE_LIMIT, Record},
    placement::{Placement, Target, belongs},
    pulls,
    revocations::Telling,
    rules::RulesBefore,
    step,
    tags::TagBefore,
    trash, untagged,
};

/// Tags that one commit removes, at most.
pub(crate) const TAGS_AT_ONCE: usize = 500;

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
            let rules = self.rules_before(place, repository).await?;
            let refused = TagBefore::unexpected(&tags, expected).or_else(|| rules.forbidden(&tags, None));
            if let Some(refused) = refused.filter(|_| here) {
                return Err(refused);
            }
            let by = By { actor, said: Some(audit_of_tag(place, repository, &tags)) };
            if here && self.remove_tags(repository, place, (&tags, &rules), by).await? == Outcome::Committed {
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
        let found = match self.deletable(repository, place, digest).await? {
            Found::Deletable(found) => found,
            Found::PartOf(parent) => {
                return Err(RepositoryError::StillNeeded { digest: digest.clone(), parent });
            }
            Found::Nothing => return Err(unknown(repository, Reference::Digest(digest.clone()))),
            Found::Elsewhere => return Ok(Progress::LookAgain),
        };
        let tags = self.tags_of(place.id, digest).await?;
        let rules = self.rules_before(place, repository).await?;
        if let Some(refused) = self.immutable_of(place.id, digest, &rules).await? {
            return Err(refused);
        }
        let said = Audit::of_repository(Action::ManifestDelete, place.owner, repository).digest(digest);
        let by = By { actor, said: Some(said) };
        // More than fit into one commit go first; the last commit removes the rest together with the manifest.
        if let Some(some) = tags.get(..TAGS_AT_ONCE).filter(|some| some.len() < tags.len()) {
            let outcome = self.remove_tags(repository, place, (some, &rules), by).await?;
            return Ok(if outcome == Outcome::Committed {
                Progress::SomeTagsRemoved
            } else {
                Progress::LookAgain
            });
        }

        Ok(match self.throw_away((repository, place), (digest, &found), (&tags, &rules), by).await? {
            Outcome::Committed => Progress::Done,
            Outcome::Conflicted => Progress::LookAgain,
        })
    }

    /// Whether a manifest can be deleted.
    pub(crate) async fn deletable(
        &self,
        repository: &RepositoryName,
        place: Placement,
        digest: &Digest,
    ) -> Result<Found, Error> {
        let id = place.id;
        let mut records =
            self.keyspace().records(&[keys::state(id), keys::manifest(id, digest)]).await?.into_iter();
        let state = records.next().flatten().unwrap_or_default();
        if !belongs(state.get(field::NAME), repository) {
            return Ok(Found::Elsewhere);
        }
        let record = records.next().flatten().filter(|record| record.get(field::TYPE).is_some());
        let Some(record) = record else { return Ok(Found::Nothing) };
        let parents = match self.deleted_parents(id, digest).await? {
            Parents::Deleted(parents) => parents,
            Parents::Live(parent) => return Ok(Found::PartOf(parent)),
        };

        let rev = state.number(field::REV).and_then(|rev| rev.try_into().ok()).unwrap_or(0);
        Ok(Found::Deletable(Deletable { rev, record, parents, also: Vec::new() }))
    }

    /// Throws a manifest away with `tags`, which must be all that it has.
    pub(crate) async fn throw_away(
        &self,
        (repository, place): (&RepositoryName, Placement),
        (digest, found): (&Digest, &Deletable),
        (tags, rules): (&[TagBefore], &RulesBefore),
        by: By<'_>,
    ) -> Result<Outcome, Error> {
        let told = self.told(place.id, found.rev, by.actor, &events(Some(digest), tags)).await?;
        let target = Target::Existing(place);
        let Deletable { record, parents, also, .. } = found;
        let removal = Removal { repository, target, digest, record, tags, parents, rules };
        let commit = self.removing(&removal, told)?.when_all(also.iter().cloned());
        let commit = commit.beginning_with(self.audited_by(&by).await?);
        self.commit(step!("delete_manifest"), commit).await
    }

    fn removing(&self, removal: &Removal<'_>, told: Telling) -> Result<Commit, Error> {
        let Removal { repository, target, digest, record, tags, parents, rules } = removal;
        let (id, now) = (target.id(), self.now());
        let key = keys::manifest(id, digest);
        let named =
            |count| Condition::Members { key: keys::tagged(id), members: keys::of_digest(digest), count };
        // As many, and these: one may have gone while another one came.
        let by =
            |tag: &TagBefore| Condition::has_member(keys::tagged(id), keys::tagged_by(digest, tag.tag()));
        let part_of = |parent| Condition::has_member(keys::uses(id), keys::use_of(digest, parent));

        let mut commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when(Condition::FieldPresent(key.clone(), field::TYPE))
            .when(used(id, digest, parents.len()))
            .when_all(parents.iter().flat_map(|parent| [part_of(parent), not_stored(id, parent)]))
            .when(named(tags.len()))
            .when_all(tags.iter().map(by))
            .when_all(tags.iter().flat_map(TagBefore::unmoved))
            .when_all(rules.unchanged())
            .telling(told);
        // Between its last tag and its record a crash may come.
        if !tags.is_empty() {
            commit = commit.then_all(untagged::listed(id, digest, now));
        }
        for tag in *tags {
            commit = commit.then_all(tag.no_longer(digest)?);
        }
        // What it needs stays until it cannot be restored any more.
        Ok(commit
            .then_all(trash::thrown(id, digest, record, tags, now))
            .then(Mutation::RemoveRecord(key))
            .then(untagged::unlisted(id, digest))
            .then(pulls::forgotten(id, digest))
            .then_all(referrer(id, digest, record)?)
            .then_all(target.updated(repository, now)))
    }

    pub(crate) async fn remove_tags(
        &self,
        repository: &RepositoryName,
        place: Placement,
        (tags, rules): (&[TagBefore], &RulesBefore),
        by: By<'_>,
    ) -> Result<Outcome, Error> {
        let (target, now) = (Target::Existing(place), self.now());
        // Rev only tells when to drop old events, so that it need not be read for a tag.
        let told = self.told(place.id, 1, by.actor, &events(None, tags)).await?;

        let mut commit = Commit::synced()
            .when_all(target.conditions(repository))
            .when_all(tags.iter().flat_map(TagBefore::unmoved))
            .when_all(rules.unchanged())
            .then_all(self.audited_by(&by).await?)
            .telling(told)
            .then_all(untagged::left(place.id, tags, None, now));
        for tag in tags {
            commit = commit.then_all(tag.removed()?);
        }
        self.commit(step!("delete_tag"), commit.then_all(target.updated(repository, now))).await
    }

    pub(crate) async fn place(&self, repository: &RepositoryName) -> Result<Placement, RepositoryError> {
        match self.placement(repository).await? {
            Some(placement) => Ok(placement),
            None => Err(self.absent(repository).await),
        }
    }

    /// The indexes that name `digest`.
    async fn deleted_parents(&self, id: RepositoryId, digest: &Digest) -> Result<Parents, Error> {
        let key = keys::uses(id);
        let members =
            self.keyspace().range(&key, keys::of_digest(digest), RANGE_LIMIT, Direction::Forward).await?;
        let parents = members.iter().map(|member| parsed_member(&key, keys::last_part(member)));
        let parents: Vec<Digest> = parents.collect::<Result<_, Error>>()?;
        let asked: Vec<_> = parents.iter().map(|parent| (keys::manifest(id, parent), field::TYPE)).collect();
        let stored = self.fields(&asked).await?;

        let live = parents.iter().zip(stored).find(|(_, stored)| stored.is_some()).map(|(parent, _)| parent);
        // No commit can watch more than that; they go when they cannot be restored any more.
        let too_many = parents.first().filter(|_| parents.len() == RANGE_LIMIT);
        Ok(match live.or(too_many).cloned() {
            Some(parent) => Parents::Live(parent),
            None => Parents::Deleted(parents),
        })
    }

    /// The tags that name `digest`, one more than one commit removes at most.
    pub(crate) async fn tags_of(&self, id: RepositoryId, digest: &Digest) -> Result<Vec<TagBefore>, Error> {
        let key = keys::tagged(id);
        let limit = TAGS_AT_ONCE + 1;
        let members = self.keyspace().range(&key, keys::of_digest(digest), limit, Direction::Forward).await?;
        let tags = members.iter().map(|member| parsed_member(&key, keys::last_part(member)));

        self.tags_before(id, tags.collect::<Result<_, _>>()?).await
    }

    /// The refusal of the first tag that names `digest` and may not go, however many they are.
    async fn immutable_of(
        &self,
        id: RepositoryId,
        digest: &Digest,
        rules: &RulesBefore,
    ) -> Result<Option<RepositoryError>, Error> {
        let (key, mut range) = (keys::tagged(id), keys::of_digest(digest));
        loop {
            let members = self.keyspace().range(&key, range.clone(), RANGE_LIMIT, Direction::Forward).await?;
            let tags = members.iter().map(|member| parsed_member(&key, keys::last_part(member)));
            let mut tags = self.tags_before(id, tags.collect::<Result<_, Error>>()?).await?;
            // A crash may have left a tag in the index that names something else by now.
            tags.retain(|before| before.digest.as_ref() == Some(digest));

            let refused = rules.forbidden(&tags, None);
            match members.last() {
                Some(last) if refused.is_none() && members.len() == RANGE_LIMIT => {
                    range = range.resumed_after(last.clone());
                }
                _ => return Ok(refused),
            }
        }
    }

    pub(crate) async fn tags_before(
        &self,
        id: RepositoryId,
        tags: Vec<Tag>,
    ) -> Result<Vec<TagBefore>, Error> {
        let asked: Vec<_> = tags.iter().flat_map(|tag| TagBefore::fields(id, tag)).collect();
        let mut values = self.fields(&asked).await?.into_iter();
        tags.iter().map(|tag| TagBefore::read(id, tag, &mut values)).collect()
    }
}

/// How far a deletion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    SomeTagsRemoved,
    LookAgain,
}

/// What is found of a manifest that is to be deleted.
pub(crate) enum Found {
    Deletable(Deletable),
    /// This index, which is not deleted, names it.
    PartOf(Digest),
    Nothing,
    /// The repository is not where it was believed to be.
    Elsewhere,
}

enum Parents {
    /// All of them.
    Deleted(Vec<Digest>),
    /// One that is not, or they are too many to know.
    Live(Digest),
}

/// A manifest that no live index names.
pub(crate) struct Deletable {
    rev: u64,
    pub(crate) record: Record,
    /// Deleted indexes that would name it again if they were restored.
    parents: Vec<Digest>,
    /// What else must be so for it to go.
    also: Vec<Condition>,
}

impl Deletable {
    /// It goes only if these hold, too.
    pub(crate) fn only_if(mut self, conditions: Vec<Condition>) -> Self {
        self.also.extend(conditions);
        self
    }
}

/// What goes with a manifest.
struct Removal<'a> {
    repository: &'a RepositoryName,
    target: Target,
    digest: &'a Digest,
    record: &'a Record,
    tags: &'a [TagBefore],
    /// Deleted indexes that would name it again if they were restored.
    parents: &'a [Digest],
    /// By which the tags may go.
    rules: &'a RulesBefore,
}

fn not_stored(id: RepositoryId, manifest: &Digest) -> Condition {
    Condition::FieldAbsent(keys::manifest(id, manifest), field::TYPE)
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

/// Of the one tag that is deleted alone.
fn audit_of_tag(place: Placement, repository: &RepositoryName, tags: &[TagBefore]) -> Audit {
    let audit = Audit::of_repository(Action::TagDelete, place.owner, repository);
    tags.iter().fold(audit, |audit, before| {
        let audit = audit.tag(before.tag());
        before.digest.iter().fold(audit, Audit::digest)
    })
}

fn unknown(repository: &RepositoryName, reference: Reference) -> RepositoryError {
    RepositoryError::ManifestUnknown { repository: repository.clone(), reference }
}

pub(crate) fn too_many_writers(repository: &RepositoryName, what: &dyn std::fmt::Display) -> RepositoryError {
    RepositoryError::Conflict { attempted: format!("deleting {what} in {repository}").into() }
}
