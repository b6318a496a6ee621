//! Manifests: the exact bytes under their digest, what they need, and the tags that name them. A manifest is
//! stored only when all it needs is here, in the same commit that says so.

use std::collections::HashSet;

use bytes::Bytes;
use oci::{Digest, Need, Needed, Reference, RepositoryName};
use proto::metadata::{
    Actor, RepositoryError,
    repositories::{Manifest, NewManifest},
};

use crate::{
    ATTEMPTS, Outcome, Service,
    content::BlobLink,
    events::{Event, Kind, content_of},
    failure::{damaged, next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Commit, Condition, Error, Field, Follow, Key, Mutation, Record},
    placement::{Placement, Target, belongs, guard},
    referrers::listed_annotations,
    rules::RulesBefore,
    step,
    tags::TagBefore,
    trash, untagged,
};

/// Missing references that are named, at most.
const NAMED: usize = 100;

impl Service {
    /// A manifest with its exact bytes, and the repository that has it.
    pub(crate) async fn found_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<(RepositoryId, Manifest), RepositoryError> {
        for _ in 0..ATTEMPTS {
            let Some(placement) = self.placement(repository).await? else {
                break;
            };
            let (right, found) = self.followed(&placement, repository, reference).await?;
            if right {
                let (repository, reference) = (repository.clone(), reference.clone());
                let found = found.map(|manifest| (placement.id, manifest));
                return found.ok_or(RepositoryError::ManifestUnknown { repository, reference });
            }
            self.forget(repository);
        }

        Err(self.absent(repository).await)
    }

    /// Whether the id is the repository's, and the manifest, if it is there: all of one moment.
    pub(crate) async fn followed(
        &self,
        placement: &Placement,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<(bool, Option<Manifest>), Error> {
        let id = placement.id;
        match reference {
            Reference::Tag(tag) => {
                let pointer = (keys::tag(id), keys::named(tag));
                let follow = Follow { guard: guard(placement), pointer, prefix: keys::manifest_prefix(id) };
                let followed = self.keyspace().follow(&follow).await?;

                let (key, field) = &follow.pointer;
                let digest = followed.pointer.map(|digest| parsed(key, field, Some(&digest))).transpose()?;
                let manifest =
                    digest.zip(followed.record).map(|(digest, record)| stored(id, &digest, &record));
                Ok((belongs(followed.guard.as_ref(), repository), manifest.transpose()?))
            }
            Reference::Digest(digest) => {
                let asked = [keys::state(id), keys::manifest(id, digest)];
                let mut records = self.keyspace().records(&asked).await?.into_iter();

                let state = records.next().flatten().unwrap_or_default();
                let manifest = records.next().flatten().filter(|record| record.get(field::TYPE).is_some());
                let manifest = manifest.map(|record| stored(id, digest, &record)).transpose()?;
                Ok((belongs(state.get(field::NAME), repository), manifest))
            }
        }
    }

    /// Stores a manifest and moves tags to it.
    pub(crate) async fn store_manifest(
        &self,
        manifest: &NewManifest,
        actor: &Actor,
    ) -> Result<(), RepositoryError> {
        let name = &manifest.repository;
        for _ in 0..ATTEMPTS {
            let target = self.target(name, actor).await?;
            let before = self.before_push(manifest, target.placement()).await?;
            let refused = before.refusal(manifest);
            if let Some(refused) = refused.clone()
                && self.is_current(name, &target).await?
            {
                return Err(refused);
            }

            if refused.is_none() {
                let audited = self.founding_audited(&target, name, actor).await?;
                let commit = self.storing(manifest, &target, &before, actor).await?.beginning_with(audited);
                if self.commit(step!("put_manifest"), commit).await? == Outcome::Committed {
                    return Ok(());
                }
            }
            self.forget(name);
        }

        Err(RepositoryError::Conflict { attempted: format!("storing {} in {name}", manifest.digest).into() })
    }

    async fn is_current(&self, name: &RepositoryName, target: &Target) -> Result<bool, Error> {
        match target {
            Target::Existing(placement) => self.is_at(name, placement).await,
            Target::New(_) => Ok(true),
        }
    }

    async fn storing(
        &self,
        manifest: &NewManifest,
        target: &Target,
        before: &Before,
        actor: &Actor,
    ) -> Result<Commit, Error> {
        let (now, id, name) = (self.now(), target.id(), &manifest.repository);
        let told = self
            .told_of(id, before.rev, actor, (&events(manifest, &before.tags), &content_of(manifest)))
            .await?;

        let mut commit = Commit::synced()
            .when_all(target.conditions(name))
            .when(trash::unchanged(id, &manifest.digest, before.deleted.as_ref()))
            .when_all(before.links.iter().map(|(digest, link)| link.unchanged(id, digest)))
            .when_all(before.manifests.iter().map(|key| Condition::FieldPresent(key.clone(), field::TYPE)))
            .when_all(before.tags.iter().flat_map(TagBefore::unmoved))
            .when_all(before.rules.iter().flat_map(RulesBefore::unchanged))
            .then_all(target.founding(name, now))
            .then_all(edges(id, manifest))
            .then_all(untagged::listed(id, &manifest.digest, now))
            .then_all(body(id, manifest, now.as_millisecond()))
            .then_all(trash::taken_out(id, &manifest.digest, before.deleted.as_ref())?)
            .then_all(before.links.iter().flat_map(|(digest, link)| link.taken_into_use(id, digest)))
            .telling(told)
            .then_all(untagged::left(id, &before.tags, Some(&manifest.digest), now));
        for tag in &before.tags {
            commit = commit.then_all(tag.moved(&manifest.digest, self.ulid(), &actor.subject)?);
        }
        Ok(commit
            .then_all(untagged::tagged(id, &manifest.digest, &before.tags))
            .then_all(target.updated(name, now)))
    }

    async fn before_push(&self, manifest: &NewManifest, place: &Placement) -> Result<Before, Error> {
        let (id, name) = (place.id, &manifest.repository);
        let tags = each_once(&manifest.tags);
        let mut asked =
            vec![(keys::state(id), field::REV), (keys::trashed(id, &manifest.digest), field::DELETED)];
        asked.extend(tags.iter().flat_map(|tag| TagBefore::fields(id, tag)));
        // Rules are about tags.
        if !tags.is_empty() {
            asked.extend(RulesBefore::fields(place, name));
        }
        asked.extend(manifest.needs.iter().map(|need| evidence(id, need)));
        let mut values = self.fields(&asked).await?.into_iter();

        let rev = next(&mut values);
        let rev = rev.map_or(Ok(0), |rev| parsed(&keys::state(id), &field::REV, Some(&rev)))?;
        let deleted = next(&mut values);
        let tags: Vec<_> =
            tags.into_iter().map(|tag| TagBefore::read(id, tag, &mut values)).collect::<Result<_, _>>()?;
        let rules = (!tags.is_empty()).then(|| RulesBefore::read(place, name, &mut values)).transpose()?;
        let (links, manifests, missing) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = Before { rev, deleted, tags, rules, links, manifests, missing };
        for need in &manifest.needs {
            match (next(&mut values), need.what) {
                (Some(link), Needed::Blob) => {
                    before.links.push((need.digest.clone(), BlobLink::read(id, &need.digest, &link)?));
                }
                (Some(_), Needed::Manifest) => before.manifests.push(keys::manifest(id, &need.digest)),
                (None, _) if before.missing.len() < NAMED => before.missing.push(need.digest.clone()),
                (None, _) => {}
            }
        }
        Ok(before)
    }
}

/// What a push finds in the repository.
struct Before {
    rev: u64,
    /// When it was deleted, if it can still be restored.
    deleted: Option<Bytes>,
    tags: Vec<TagBefore>,
    /// Those for the tags, if there are any.
    rules: Option<RulesBefore>,
    links: Vec<(Digest, BlobLink)>,
    manifests: Vec<Key>,
    missing: Vec<Digest>,
}

/// The field that is there when what is needed is.
fn evidence(id: RepositoryId, need: &Need) -> (Key, Field) {
    match need.what {
        Needed::Blob => BlobLink::field(id, &need.digest),
        Needed::Manifest => (keys::manifest(id, &need.digest), field::TYPE),
    }
}

impl Before {
    /// Why the manifest cannot be stored, if it cannot.
    fn refusal(&self, manifest: &NewManifest) -> Option<RepositoryError> {
        let forbidden = || self.rules.as_ref()?.forbidden(&self.tags, Some(&manifest.digest));
        TagBefore::unexpected(&self.tags, &manifest.expected).or_else(forbidden).or_else(|| self.missing())
    }

    fn missing(&self) -> Option<RepositoryError> {
        let missing = self.missing.clone();
        (!missing.is_empty()).then_some(RepositoryError::ReferencesMissing { missing })
    }
}

fn each_once<T: Eq + std::hash::Hash>(values: &[T]) -> Vec<&T> {
    let mut seen = HashSet::new();
    values.iter().filter(|value| seen.insert(*value)).collect()
}

fn events<'a>(manifest: &'a NewManifest, tags: &'a [TagBefore]) -> Vec<Event<'a>> {
    let digest = &manifest.digest;
    let pushed = Event { kind: Kind::ManifestPushed, tag: None, digest, previous: None };
    let moved = tags.iter().map(|before| Event {
        kind: Kind::TagMoved,
        tag: Some(before.tag()),
        digest,
        previous: before.digest.as_ref(),
    });
    std::iter::once(pushed).chain(moved).collect()
}

/// What keeps others from removing what this manifest needs, and the list of those that refer to its subject.
fn edges(id: RepositoryId, manifest: &NewManifest) -> Vec<Mutation> {
    let uses = manifest
        .needs
        .iter()
        .map(|need| Mutation::AddMember(keys::uses(id), keys::use_of(&need.digest, &manifest.digest)));
    let referrer = manifest.subject.as_ref().map(|subject| {
        let artifact_type =
            manifest.artifact_type.as_ref().map_or("", |artifact_type| artifact_type.as_str());
        Mutation::AddMember(keys::referrers(id), keys::referrer(subject, artifact_type, &manifest.digest))
    });
    uses.chain(referrer).collect()
}

/// The record. The media type comes last: it is what makes the manifest count.
fn body(id: RepositoryId, manifest: &NewManifest, now_ms: i64) -> Vec<Mutation> {
    let NewManifest { digest, media_type, body, needs, artifact_type, .. } = manifest;
    let key = keys::manifest(id, digest);
    let set = |field, value: Bytes| Mutation::SetField(key.clone(), field, value);

    let mut mutations = vec![set(field::BODY, body.clone()), set(field::NEEDS, written_needs(needs).into())];
    mutations.push(set(field::SIZE, body.len().to_string().into()));
    if let Some(subject) = &manifest.subject {
        mutations.push(set(field::SUBJECT, subject.to_string().into()));
        mutations.push(set(field::ANNOTATIONS, listed_annotations(&manifest.annotations).into()));
    }
    mutations
        .extend(artifact_type.as_ref().map(|artifact| set(field::ARTIFACT, artifact.to_string().into())));
    mutations.push(set(field::PUSHED, now_ms.to_string().into()));
    mutations.push(set(field::TYPE, media_type.to_string().into()));
    mutations
}

fn stored(id: RepositoryId, digest: &Digest, record: &Record) -> Result<Manifest, Error> {
    let key = keys::manifest(id, digest);
    let media_type = parsed(&key, &field::TYPE, record.get(field::TYPE))?;
    let body = record.get(field::BODY).cloned().ok_or_else(|| damaged(&key, &field::BODY))?;

    Ok(Manifest { digest: digest.clone(), media_type, body })
}

/// One need a line: `blob` or `manifest`, and the digest.
fn written_needs(needs: &[Need]) -> String {
    let kind = |what| match what {
        Needed::Blob => "blob",
        Needed::Manifest => "manifest",
    };
    needs.iter().map(|need| format!("{} {}", kind(need.what), need.digest)).collect::<Vec<_>>().join("\n")
}

/// The needs of a stored manifest.
pub(crate) fn recorded_needs(key: &Key, record: &Record) -> Result<Vec<(Needed, Digest)>, Error> {
    let needs = record.get(field::NEEDS).ok_or_else(|| damaged(key, &field::NEEDS))?;
    needs_in(key, needs)
}

/// The needs in the field that has them.
pub(crate) fn needs_in(key: &Key, needs: &Bytes) -> Result<Vec<(Needed, Digest)>, Error> {
    let bad = || damaged(key, &field::NEEDS);
    let text = std::str::from_utf8(needs).map_err(|_| bad())?;

    text.lines()
        .map(|line| match line.split_once(' ') {
            Some(("blob", digest)) => Ok((Needed::Blob, digest.parse().map_err(|_| bad())?)),
            Some(("manifest", digest)) => Ok((Needed::Manifest, digest.parse().map_err(|_| bad())?)),
            _ => Err(bad()),
        })
        .collect()
}
