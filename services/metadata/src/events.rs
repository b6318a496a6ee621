//! The outbox: what has happened in a repository, written in the same commit as the change. Each repository
//! keeps its newest thousand, for a month; whoever reads them (`outbox.rs`) finds the repositories in `^dirty`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use oci::{Digest, MediaType, RepositoryName, Tag};
use proto::metadata::{Actor, Via, outbox::EventKind, repositories::NewManifest};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{
    Service,
    failure::{next, parsed, parsed_member},
    keys::{self, RepositoryId, field},
    keyspace::{Condition, Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT},
    revocations::{Telling, following},
};

/// Members that a repository's outbox and history have at most, each.
const KEPT: usize = 1_000;

/// How long the outbox keeps an event for readers that are away.
const KEPT_FOR: Duration = Duration::from_hours(24 * 30);

/// The oldest are dropped once in so many commits, so that most commits need not read what is there.
const DROPPED_EVERY: u64 = 64;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    ManifestPushed,
    ManifestDeleted,
    ManifestRestored,
    TagMoved,
    TagDeleted,
    BlobDeleted,
}

/// One thing that has happened, and to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Kind,
    pub(crate) tag: Option<&'a Tag>,
    pub(crate) digest: &'a Digest,
    pub(crate) previous: Option<&'a Digest>,
}

/// What a tag names or named, kept with the event because the manifest may go before its history does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    #[serde(rename = "type")]
    pub(crate) media_type: MediaType,
    #[serde(rename = "size")]
    pub(crate) size_bytes: u64,
}

/// The manifests that events are about.
pub(crate) type Contents = BTreeMap<Digest, Content>;

/// The one that a push brings.
pub(crate) fn content_of(manifest: &NewManifest) -> Contents {
    let (media_type, size_bytes) = (manifest.media_type.clone(), manifest.body.len() as u64);
    Contents::from([(manifest.digest.clone(), Content { media_type, size_bytes })])
}

#[derive(Serialize)]
struct Payload<'a> {
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Content>,
    /// Empty: anonymous.
    subject: String,
    via: Via,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

/// What the history says of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Happened {
    pub(crate) kind: Kind,
    pub(crate) tag: Tag,
    pub(crate) digest: Digest,
    #[serde(default)]
    pub(crate) previous: Option<Digest>,
    /// None: it was not there when this was written.
    #[serde(default)]
    pub(crate) content: Option<Content>,
}

/// Reads a member of the history; none if it is not about a tag.
pub(crate) fn happened(member: &Bytes) -> Option<Happened> {
    serde_json::from_slice(keys::last_part(member)).ok()
}

impl Event<'_> {
    fn payload(&self, actor: &Actor, contents: &Contents) -> Result<String, Error> {
        let Self { kind, tag, digest, previous } = *self;
        let (subject, via, address) = (actor.subject.to_string(), actor.via, actor.address);
        let content = contents.get(digest).filter(|_| self.moves_a_tag());
        let payload = Payload { kind, tag, digest, previous, content, subject, via, address };

        serde_json::to_string(&payload).map_err(|error| Error::Damaged { what: format!("an event: {error}") })
    }

    /// Whether it belongs to the history of a tag, too.
    fn moves_a_tag(&self) -> bool {
        matches!(self.kind, Kind::TagMoved | Kind::TagDeleted) && self.previous != Some(self.digest)
    }
}

impl Service {
    /// Writes what the rest of the commit does. Before it, because an event too many is harmless.
    pub(crate) async fn told(
        &self,
        id: RepositoryId,
        rev: u64,
        actor: &Actor,
        events: &[Event<'_>],
    ) -> Result<Telling, Error> {
        let contents = self.contents(id, events).await?;
        self.told_of(id, rev, actor, (events, &contents)).await
    }

    /// The same, if it is known what the manifests are.
    pub(crate) async fn told_of(
        &self,
        id: RepositoryId,
        rev: u64,
        actor: &Actor,
        (events, contents): (&[Event<'_>], &Contents),
    ) -> Result<Telling, Error> {
        let first = self.behind_what_was_read(id).await?;
        let mut at = first;
        let mut mutations = vec![Mutation::AddMember(keys::DIRTY, id.to_string().into())];
        for event in events {
            let member = keys::event(at, &event.payload(actor, contents)?);
            at = self.ulid().max(following(at));
            mutations.push(Mutation::AddMember(keys::events(id), member.clone()));
            if event.moves_a_tag() {
                mutations.push(Mutation::AddMember(keys::history(id), member));
            }
        }

        if rev.is_multiple_of(DROPPED_EVERY) || events.len() > 2 {
            mutations.extend(self.dropped_events(id, events.len()).await?);
            let surplus = self.surplus(&keys::history(id), events.len(), None).await?;
            mutations.extend(removed(&keys::history(id), surplus));
        }
        Ok(Telling { conditions: vec![not_passed(id, first)], mutations })
    }

    /// Writes that a repository goes: its last event.
    pub(crate) async fn told_of_deletion(
        &self,
        id: RepositoryId,
        name: &RepositoryName,
        actor: &Actor,
    ) -> Result<Telling, Error> {
        let (subject, via, address) = (actor.subject.to_string(), actor.via, actor.address);
        let last = Last { kind: EventKind::RepositoryDeleted, repository: name, subject, via, address };
        let payload = serde_json::to_string(&last);
        let payload = payload.map_err(|error| Error::Damaged { what: format!("the last event: {error}") })?;
        let event = self.behind_what_was_read(id).await?;
        let mutations = vec![
            Mutation::AddMember(keys::DIRTY, id.to_string().into()),
            Mutation::AddMember(keys::events(id), keys::event(event, &payload)),
        ];
        Ok(Telling { conditions: vec![not_passed(id, event)], mutations })
    }

    /// A place behind all that a reader has acknowledged, also if this clock is behind the one of those events.
    async fn behind_what_was_read(&self, id: RepositoryId) -> Result<Ulid, Error> {
        let key = keys::read(id);
        let last = self.keyspace().range(&key, MemberRange::all(), 1, Direction::Backward).await?;
        let ours = self.ulid();
        let Some(last) = last.first() else { return Ok(ours) };

        let last: Ulid = parsed_member(&key, keys::first_part(last))?;
        Ok(ours.max(following(last)))
    }

    /// What those manifests are that tags come to name or cease to: they are there, or in the trash.
    async fn contents(&self, id: RepositoryId, events: &[Event<'_>]) -> Result<Contents, Error> {
        let named: BTreeSet<&Digest> =
            events.iter().filter(|event| event.moves_a_tag()).map(|event| event.digest).collect();
        let places = |digest: &Digest| [keys::manifest(id, digest), keys::trashed(id, digest)];
        let asked: Vec<_> = named
            .iter()
            .flat_map(|digest| places(digest))
            .flat_map(|key| [(key.clone(), field::TYPE), (key, field::SIZE)])
            .collect();
        let mut values = self.fields(&asked).await?.into_iter();

        let mut contents = Contents::new();
        for digest in named {
            for key in places(digest) {
                let media_type = parsed(&key, &field::TYPE, next(&mut values).as_ref()).ok();
                let size_bytes = parsed(&key, &field::SIZE, next(&mut values).as_ref()).ok();
                // A record that cannot be read must not keep its tags from going.
                let content = media_type.zip(size_bytes);
                let content = content.map(|(media_type, size_bytes)| Content { media_type, size_bytes });
                contents.extend(content.map(|content| (digest.clone(), content)));
            }
        }
        Ok(contents)
    }

    /// Drops the oldest events and what is too old, and says first up to where: whoever has not read them is told.
    async fn dropped_events(&self, id: RepositoryId, coming: usize) -> Result<Vec<Mutation>, Error> {
        let (key, oldest) = (keys::events(id), self.now() - KEPT_FOR);
        let surplus = self.surplus(&key, coming, Some(oldest)).await?;
        let last = surplus.last().map(|last| Bytes::copy_from_slice(keys::first_part(last)));
        let said = last.map(|last| Mutation::SetField(keys::outbox(id), field::DROPPED, last));
        Ok(said.into_iter().chain(removed(&key, surplus)).collect())
    }

    /// The oldest, without which there is room for `coming` and for those until the next time, and what is older than
    /// `oldest`.
    async fn surplus(
        &self,
        key: &Key,
        coming: usize,
        oldest: Option<Timestamp>,
    ) -> Result<Vec<Bytes>, Error> {
        let room =
            usize::try_from(DROPPED_EVERY).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(coming);
        let mut members =
            self.keyspace().range(key, MemberRange::all(), RANGE_LIMIT, Direction::Forward).await?;
        let too_many = (members.len() + room).saturating_sub(KEPT);
        let too_old = oldest.map_or(0, |oldest| {
            let first = keys::first_at(oldest);
            members.iter().take_while(|member| keys::first_part(member) < first.as_bytes()).count()
        });

        members.truncate(too_many.max(too_old));
        Ok(members)
    }
}

fn removed(key: &Key, members: Vec<Bytes>) -> impl Iterator<Item = Mutation> {
    members.into_iter().map(move |member| Mutation::RemoveMember(key.clone(), member))
}

/// No reader has acknowledged what comes behind this: it would never see what is written before that.
fn not_passed(id: RepositoryId, event: Ulid) -> Condition {
    Condition::Members { key: keys::read(id), members: keys::read_from(event), count: 0 }
}

/// The last event of a repository.
#[derive(Serialize)]
struct Last<'a> {
    kind: EventKind,
    repository: &'a RepositoryName,
    subject: String,
    via: Via,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}
