//! Parts that are being written. What is full goes to the store while more arrives, at most 16 MiB at one time or one
//! part; the rest stays in memory until the end, and then with what is to be known of all parts. So a stream of bytes
//! holds 24 MiB up to the 8 GiB that parts of 8 MiB make, and twice its part's size beyond.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use oci::SessionId;
use tokio::task::JoinSet;

use super::{
    Objects,
    failure::{failed, unavailable},
    part::{Opened, State},
};
use crate::{
    layout::{self, ObjectName},
    store::{StoreError, Writer},
};

/// A part that is not committed.
struct Pending {
    objects: Objects,
    name: ObjectName,
    session: SessionId,
    state: State,
    /// What no full part has yet.
    tail: Vec<Bytes>,
    tail_bytes: u64,
    sending: JoinSet<Result<(usize, String), StoreError>>,
    /// By their index, as they come back.
    sent: BTreeMap<usize, String>,
    /// Parts that are full, sent or being sent.
    full: usize,
}

/// Begins the part `name`, which goes on with what `before` has left.
pub(super) async fn begin(
    objects: &Objects,
    name: &ObjectName,
    before: Option<&ObjectName>,
) -> Result<Box<dyn Writer>, StoreError> {
    let session =
        name.session().ok_or_else(|| unavailable("writing", name.as_str(), "it is no part of an upload"))?;
    let (state, tail) = match before {
        None => (State::default(), Bytes::new()),
        Some(before) => objects.state_of(before).await?,
    };

    let state = State { start: state.end, ..state };
    Ok(Box::new(Pending {
        objects: objects.clone(),
        name: name.clone(),
        session,
        full: state.opened.as_ref().map_or(0, |opened| opened.parts.len()),
        state,
        tail_bytes: tail.len() as u64,
        tail: vec![tail],
        sending: JoinSet::new(),
        sent: BTreeMap::new(),
    }))
}

impl Pending {
    /// Bytes in the part that is being filled.
    fn part_bytes(&self) -> Result<u64, StoreError> {
        let plan = &self.objects.0.plan;
        let next = plan.part_bytes(self.full).filter(|_| self.state.end < plan.limits.largest_object_bytes);
        let too_large = "the store takes no object as large as that";
        next.ok_or_else(|| unavailable("writing", self.name.as_str(), too_large))
    }

    /// The multipart upload, begun if this is the first full part. A crash in between leaves one without parts, which
    /// holds no bytes; from then on whoever removes the session finds it.
    async fn opened(&mut self) -> Result<&mut Opened, StoreError> {
        let opened = match self.state.opened.take() {
            Some(opened) => opened,
            None => self.open().await?,
        };
        Ok(self.state.opened.insert(opened))
    }

    async fn open(&self) -> Result<Opened, StoreError> {
        let generation = self.name.generation().clone();
        let bucket = &self.objects.0.bucket;
        let id = bucket.open(&layout::data(&generation)).await?;
        let note = ObjectName::opened(&self.session, &generation);
        bucket.put(note.as_str(), vec![Bytes::from(id.clone())]).await?;
        Ok(Opened { generation, id, parts: Vec::new(), bytes: 0 })
    }

    /// Has the full part sent, once fewer are on their way.
    async fn send(&mut self) -> Result<(), StoreError> {
        let ahead = self.objects.0.plan.ahead_bytes / self.tail_bytes.max(1);
        let most = usize::try_from(ahead).unwrap_or(usize::MAX).max(1);
        while self.sending.len() >= most {
            self.arrive().await?;
        }

        let (pieces, size_bytes) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.tail_bytes));
        let opened = self.opened().await?;
        opened.bytes += size_bytes;
        let (key, id) = (layout::data(&opened.generation), opened.id.clone());
        let (objects, index, name) = (self.objects.clone(), self.full, self.name.clone());
        self.full += 1;
        self.sending.spawn(async move {
            let sent = objects.0.bucket.upload((key.as_str(), id.as_str()), index, pieces).await;
            sent.map(|part| (index, part))
                .map_err(|error| failed("sending a part for", name.as_str(), &error))
        });
        Ok(())
    }

    /// Waits until one part is there.
    async fn arrive(&mut self) -> Result<(), StoreError> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => {
                let (index, part) = sent?;
                self.sent.insert(index, part);
                Ok(())
            }
            Some(Err(_)) => Err(unavailable("sending a part for", self.name.as_str(), "it was interrupted")),
        }
    }
}

#[async_trait]
impl Writer for Pending {
    async fn append(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let part_bytes = self.part_bytes()?;
            let room = part_bytes.saturating_sub(self.tail_bytes);
            let fitting = bytes.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            self.state.end += fitting.len() as u64;
            self.tail_bytes += fitting.len() as u64;
            self.tail.push(fitting);
            if self.tail_bytes >= part_bytes {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        while !self.sending.is_empty() {
            self.arrive().await?;
        }
        let sent = std::mem::take(&mut self.sent);
        if let Some(opened) = &mut self.state.opened {
            opened.parts.extend(sent.into_values());
        }

        let tail = std::mem::take(&mut self.tail);
        let written = self.state.written(tail);
        let pieces =
            written.map_err(|error| unavailable("writing", self.name.as_str(), &error.to_string()))?;
        self.objects.0.bucket.put(self.name.as_str(), pieces).await
    }
}
