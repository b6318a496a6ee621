//! The memory ports, with a point before and after each call, and with faults that can be planted: each is a way
//! in which the services, or the stores under them, could have been built wrong.

use std::sync::Arc;

use async_trait::async_trait;
use blob::{
    layout::{ObjectName, Place},
    store::{self, Object, Store, StoreError, Writer},
};
use bytes::Bytes;
use metadata::keyspace::{
    self, Commit, CommitError, Condition, Direction, Error, Field, Follow, Followed, Key, Keyspace,
    MemberRange, Mutation, Record,
};
use oci::{ContentId, Generation, SessionId, Span};

use crate::scheduler::Points;

/// What is built wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// All uploads of one content are at one place.
    InPlace,
    /// All appends at one offset write the same part.
    OnePartForTwo,
    /// A reference goes in a commit of its own, whatever it has become.
    UntiedUnlink,
    /// Nobody counts the tags of a manifest that is deleted.
    UncountedTags,
}

/// A keyspace of which every call is a point.
pub(crate) struct Keys {
    pub(crate) memory: Arc<keyspace::memory::Memory>,
    pub(crate) points: Points,
    pub(crate) fault: Fault,
}

impl Keys {
    fn split(commit: &mut Commit) -> Option<Commit> {
        let is_reference = |mutation: &Mutation| matches!(mutation, Mutation::RemoveField(key, _) if key.as_bytes().ends_with(b":refs"));
        let at = commit.mutations.iter().position(is_reference)?;
        let reference = commit.mutations.remove(at);
        Some(Commit::synced().then(reference))
    }
}

fn counts_tags(condition: &Condition) -> bool {
    matches!(condition, Condition::Members { key, .. } if key.as_bytes().ends_with(b":tagged"))
}

#[async_trait]
impl Keyspace for Keys {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        self.points.point("get").await;
        self.memory.get(key).await
    }

    async fn get_many(&self, fields: &[(Key, Field)]) -> Result<Vec<Option<Bytes>>, Error> {
        self.points.point("get_many").await;
        self.memory.get_many(fields).await
    }

    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Error> {
        self.points.point("records").await;
        self.memory.records(keys).await
    }

    async fn range(
        &self,
        key: &Key,
        members: MemberRange,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Bytes>, Error> {
        self.points.point("range").await;
        self.memory.range(key, members, limit, direction).await
    }

    async fn follow(&self, follow: &Follow) -> Result<Followed, Error> {
        self.points.point("follow").await;
        self.memory.follow(follow).await
    }

    async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
        self.points.point("commit").await;
        if self.fault == Fault::UncountedTags {
            commit.conditions.retain(|condition| !counts_tags(condition));
        }
        let later = match self.fault {
            Fault::UntiedUnlink => Self::split(&mut commit),
            _ => None,
        };
        self.memory.commit(commit).await?;
        self.points.point("committed").await;
        if let Some(later) = later {
            self.memory.commit(later).await?;
        }
        Ok(())
    }
}

/// A store of which every call is a point.
pub(crate) struct Bytestore {
    pub(crate) memory: store::memory::Memory,
    pub(crate) points: Points,
    pub(crate) fault: Fault,
}

impl Bytestore {
    /// What the object is called in a store that is built wrong.
    fn name(&self, name: &ObjectName) -> ObjectName {
        let one: Generation = "01JD0000000000000000000000".parse().unwrap();
        let parts: Vec<&str> = name.as_str().split('/').collect();
        match (self.fault, &parts[..]) {
            (Fault::InPlace, ["blobs", algorithm, _, last]) => {
                let hex = last.split_once('-').unwrap().0;
                let content = ContentId::plain(format!("{algorithm}:{hex}").parse().unwrap());
                ObjectName::content(&content, &one)
            }
            (Fault::OnePartForTwo, ["uploads", session, part]) => {
                let offset = part.split_once('-').unwrap().0.parse().unwrap();
                ObjectName::part(&session.parse().unwrap(), offset, &one)
            }
            _ => name.clone(),
        }
    }
}

#[async_trait]
impl Store for Bytestore {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        self.points.point("write").await;
        let writer = self.memory.write(&self.name(name), before).await?;
        Ok(Box::new(Slow { writer, points: self.points.clone() }))
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        self.points.point("publish").await;
        let parts: Vec<ObjectName> = parts.iter().map(|part| self.name(part)).collect();
        self.memory.publish(&parts, &self.name(content)).await?;
        self.points.point("published").await;
        Ok(content.clone())
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        self.points.point("size").await;
        self.memory.size(&self.name(name)).await
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        self.points.point("read").await;
        self.memory.read(&self.name(name), span).await
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        self.points.point("remove_upload").await;
        self.memory.remove_upload(session).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.points.point("remove").await;
        self.memory.remove(&self.name(name)).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        // No point: most of the 512 places are empty, and nothing is decided by one listing.
        self.memory.list(place, after, limit).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.memory.check().await
    }
}

/// A writer that others can overtake.
struct Slow {
    writer: Box<dyn Writer>,
    points: Points,
}

#[async_trait]
impl Writer for Slow {
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.points.point("append").await;
        self.writer.append(bytes).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.points.point("finish writing").await;
        self.writer.commit().await?;
        self.points.point("written").await;
        Ok(())
    }
}
