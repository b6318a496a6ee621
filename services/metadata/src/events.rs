//! The outbox: what has happened in a repository, written in the same commit as the change. Each repository
//! keeps its newest thousand; whoever reads them finds the repositories in `^dirty`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use bytes::Bytes;
use oci::{Digest, MediaType, Tag};
use proto::metadata::{Actor, Via, repositories::NewManifest};
use serde::{Deserialize, Serialize};

use crate::{
    Service,
    failure::{next, parsed},
    keys::{self, RepositoryId, field},
    keyspace::{Direction, Error, Key, MemberRange, Mutation, RANGE_LIMIT},
};

/// Members that a repository's outbox and history have at most, each.
const KEPT: usize = 1_000;

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
    ) -> Result<Vec<Mutation>, Error> {
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
    ) -> Result<Vec<Mutation>, Error> {
        let mut mutations = vec![Mutation::AddMember(keys::DIRTY, id.to_string().into())];
        for event in events {
            let member = keys::event(self.ulid(), &event.payload(actor, contents)?);
            mutations.push(Mutation::AddMember(keys::events(id), member.clone()));
            if event.moves_a_tag() {
                mutations.push(Mutation::AddMember(keys::history(id), member));
            }
        }

        if rev.is_multiple_of(DROPPED_EVERY) || events.len() > 2 {
            mutations.extend(self.dropped(keys::events(id), events.len()).await?);
            mutations.extend(self.dropped(keys::history(id), events.len()).await?);
        }
        Ok(mutations)
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

    /// Removes the oldest, so that there is room for `coming` and for those until the next time.
    async fn dropped(&self, key: Key, coming: usize) -> Result<Vec<Mutation>, Error> {
        let room =
            usize::try_from(DROPPED_EVERY).unwrap_or(usize::MAX).saturating_mul(2).saturating_add(coming);
        let oldest = self.keyspace().range(&key, MemberRange::all(), RANGE_LIMIT, Direction::Forward).await?;
        let surplus = (oldest.len() + room).saturating_sub(KEPT);

        Ok(oldest
            .into_iter()
            .take(surplus)
            .map(|member| Mutation::RemoveMember(key.clone(), member))
            .collect())
    }
}
