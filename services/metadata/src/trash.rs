//! Deleted manifests, for as long as they can be restored. To every reader they are gone, but what they need stays:
//! their edges still count.

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, Needed, RepositoryName};

use crate::{
    Outcome, Service,
    audit::By,
    deletion::Found,
    failure::{parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Direction, Error, Mutation, RANGE_LIMIT, Record},
    manifests::recorded_needs,
    placement::{Placement, Target},
    step,
    tags::TagBefore,
};

/// Keeps a manifest as it was, with the tags that it had. When it was deleted comes last: it is what makes it
/// restorable.
pub(crate) fn thrown(
    id: RepositoryId,
    digest: &Digest,
    record: &Record,
    tags: &[TagBefore],
    now: Timestamp,
) -> Vec<Mutation> {
    let key = keys::trashed(id, digest);
    let named: Vec<String> = tags.iter().map(|before| before.tag().to_string()).collect();
    let now_ms = now.as_millisecond();

    let mut mutations = copied(record, &key);
    mutations.push(Mutation::SetField(key.clone(), field::TAGS, named.join("\n").into()));
    mutations.push(Mutation::AddMember(keys::trash(id), keys::trashed_at(now_ms, digest)));
    mutations.push(Mutation::SetField(key, field::DELETED, now_ms.to_string().into()));
    mutations
}

/// The fields of a manifest, in the order in which they are written: the type comes last.
pub(crate) fn copied(record: &Record, to: &crate::keyspace::Key) -> Vec<Mutation> {
    let only_here = [field::TYPE, field::TAGS, field::DELETED, field::UNTAGGED];
    let fields = record.iter().filter(|(field, _)| only_here.iter().all(|only| only.as_bytes() != *field));
    let set = |(name, value): (&Bytes, &Bytes)| {
        Mutation::SetField(to.clone(), crate::keyspace::Field::new(name.clone()), value.clone())
    };
    let last =
        record.get(field::TYPE).map(|value| Mutation::SetField(to.clone(), field::TYPE, value.clone()));

    fields.map(set).chain(last).collect()
}

/// It is not in the trash any more: the record first, because the list leads to it.
pub(crate) fn taken_out(
    id: RepositoryId,
    digest: &Digest,
    deleted: Option<&Bytes>,
) -> Result<Vec<Mutation>, Error> {
    let Some(deleted) = deleted else {
        return Ok(Vec::new());
    };
    let key = keys::trashed(id, digest);
    let at_ms: i64 = parsed(&key, &field::DELETED, Some(deleted))?;

    let listed = Mutation::RemoveMember(keys::trash(id), keys::trashed_at(at_ms, digest));
    Ok(vec![Mutation::RemoveRecord(key), listed])
}

/// What is in the trash under `digest`, or that nothing is, is as it was read.
pub(crate) fn unchanged(id: RepositoryId, digest: &Digest, deleted: Option<&Bytes>) -> Condition {
    let key = keys::trashed(id, digest);
    match deleted {
        Some(deleted) => Condition::FieldEquals(key, field::DELETED, deleted.clone()),
        None => Condition::FieldAbsent(key, field::DELETED),
    }
}

impl Service {
    /// Gives up the deleted manifest that `member` of the trash lists, and what it alone needs begins its grace.
    pub(crate) async fn give_up(
        &self,
        name: &RepositoryName,
        place: Placement,
        member: &Bytes,
    ) -> Result<Outcome, Error> {
        let (id, list) = (place.id, keys::trash(place.id));
        let digest: Digest = parsed_member(&list, keys::last_part(member))?;
        let at_ms: i64 = parsed_member(&list, keys::first_part(member))?;
        let asked = [keys::trashed(id, &digest), keys::manifest(id, &digest)];
        let mut records = self.keyspace().records(&asked).await?.into_iter().map(Option::unwrap_or_default);
        let (trashed, live) = (records.next().unwrap_or_default(), records.next().unwrap_or_default());

        let deleted = trashed.get(field::DELETED);
        let commit = Commit::synced()
            .when_all(Target::Existing(place).conditions(name))
            .when(unchanged(id, &digest, deleted));
        let commit = match (trashed.number(field::DELETED), live.get(field::TYPE)) {
            // It was deleted again since.
            (Some(deleted_ms), _) if deleted_ms != at_ms => commit,
            // A push that was cut off has brought it back, or a deletion that was has not removed it.
            (_, Some(_)) => commit.then(removed(id, &digest)),
            (_, None) if trashed.is_empty() => commit,
            (_, None) => {
                self.dependants_go(name, place, (&digest, &trashed)).await?;
                self.releasing(commit.when(gone(id, &digest)), id, (&digest, &trashed)).await?
            }
        };
        let unlisted = Mutation::RemoveMember(list, member.clone());
        self.commit(step!("give_up"), commit.then(unlisted)).await
    }

    /// Children and referrers live as long as their parent and subject: those that have no tag, and that nobody has
    /// pushed anew for the grace, go to the trash themselves. First, because the record leads to them.
    async fn dependants_go(
        &self,
        name: &RepositoryName,
        place: Placement,
        (digest, trashed): (&Digest, &Record),
    ) -> Result<(), Error> {
        let id = place.id;
        let rules = self.rules_before(place, name).await?;
        let over_ms = (self.now() - self.0.reclaim.unused_grace).as_millisecond();
        let needs = recorded_needs(&keys::trashed(id, digest), trashed)?;
        for dependant in self.dependants_of(id, digest, &needs).await? {
            let Found::Deletable(found) = self.deletable(name, place, &dependant).await? else { continue };
            let pushed_ms = found.record.number(field::PUSHED).unwrap_or_default();
            if pushed_ms < over_ms && self.tags_of(id, &dependant).await?.is_empty() {
                // Who changes it meanwhile needs it.
                let _ =
                    self.throw_away((name, place), (&dependant, &found), (&[], &rules), By::rules()).await?;
            }
        }
        Ok(())
    }

    /// The children of a manifest, and what refers to it.
    pub(crate) async fn dependants_of(
        &self,
        id: RepositoryId,
        digest: &Digest,
        needs: &[(Needed, Digest)],
    ) -> Result<Vec<Digest>, Error> {
        let children = needs.iter().filter(|(what, _)| *what == Needed::Manifest);
        let mut dependants: Vec<Digest> = children.map(|(_, child)| child.clone()).collect();

        let (key, of_digest) = (keys::referrers(id), keys::referrers_of(digest, None));
        for member in self.keyspace().range(&key, of_digest, RANGE_LIMIT, Direction::Forward).await? {
            dependants.push(parsed_member(&key, keys::last_part(&member))?);
        }
        Ok(dependants)
    }

    async fn releasing(
        &self,
        commit: Commit,
        id: RepositoryId,
        (digest, trashed): (&Digest, &Record),
    ) -> Result<Commit, Error> {
        let needs = recorded_needs(&keys::trashed(id, digest), trashed)?;
        let release = self.release(id, digest, needs).await?;

        // First it cannot be restored any more; then, as long as the record is there, this is done again.
        let not_restorable = Mutation::RemoveField(keys::trashed(id, digest), field::DELETED);
        Ok(commit
            .when_all(release.unchanged())
            .then(not_restorable)
            .then_all(release.mutations(self.now()))
            .then(removed(id, digest)))
    }
}

fn gone(id: RepositoryId, digest: &Digest) -> Condition {
    Condition::FieldAbsent(keys::manifest(id, digest), field::TYPE)
}

fn removed(id: RepositoryId, digest: &Digest) -> Mutation {
    Mutation::RemoveRecord(keys::trashed(id, digest))
}
