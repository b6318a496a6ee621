//! Parts that are being written. What is full goes to the store as a segment while more arrives, at most 16 MiB at one time or
//! one segment; the rest stays in memory until the end, and then with what is to be known of all segments. So a stream of
//! bytes holds 24 MiB up to the first 800 MiB of 1,000 segments, and twice its segment's size beyond.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use oci::SessionId;
use tokio::task::JoinSet;

use super::{Swift, container::hex, failure::unavailable, segment::Segment};
use crate::{
    layout::{self, ObjectName},
    store::{
        StoreError, Writer,
        object::part::{Opened, State},
    },
};

/// A part that is not committed.
struct Pending {
    swift: Swift,
    name: ObjectName,
    session: SessionId,
    state: State,
    /// What no full segment has yet.
    tail: Vec<Bytes>,
    tail_bytes: u64,
    tail_md5: Md5,
    sending: JoinSet<Result<(usize, String), StoreError>>,
    /// By their index, as they come back.
    sent: BTreeMap<usize, String>,
    /// Segments that are full, sent or being sent.
    full: usize,
}

/// Begins the part `name`, which goes on with what `before` has left.
pub(super) async fn begin(
    swift: &Swift,
    name: &ObjectName,
    before: Option<&ObjectName>,
) -> Result<Box<dyn Writer>, StoreError> {
    let session =
        name.session().ok_or_else(|| unavailable("writing", name.as_str(), "it is no part of an upload"))?;
    let (state, tail) = match before {
        None => (State::default(), Bytes::new()),
        Some(before) => swift.state_of(before).await?,
    };

    let state = State { start: state.end, ..state };
    Ok(Box::new(Pending {
        swift: swift.clone(),
        name: name.clone(),
        session,
        full: state.opened.as_ref().map_or(0, |opened| opened.parts.len()),
        state,
        tail_bytes: tail.len() as u64,
        tail_md5: Md5::new().chain_update(&tail),
        tail: vec![tail],
        sending: JoinSet::new(),
        sent: BTreeMap::new(),
    }))
}

impl Pending {
    /// Bytes in the segment that is being filled.
    fn segment_bytes(&self) -> Result<u64, StoreError> {
        let plan = self.swift.plan();
        let next = plan.part_bytes(self.full).filter(|_| self.state.end < plan.limits.largest_object_bytes);
        let too_large = "the store takes no object as large as that";
        next.ok_or_else(|| unavailable("writing", self.name.as_str(), too_large))
    }

    /// Whose bytes the segments are; noted if this is the first one, so that whoever removes the session finds them.
    async fn opened(&mut self) -> Result<&mut Opened, StoreError> {
        let opened = match self.state.opened.take() {
            Some(opened) => opened,
            None => self.open().await?,
        };
        Ok(self.state.opened.insert(opened))
    }

    async fn open(&self) -> Result<Opened, StoreError> {
        let generation = self.name.generation().clone();
        let note = ObjectName::opened(&self.session, &generation);
        self.swift.container().put_whole(note.as_str(), vec![Bytes::from_static(b"segments")]).await?;
        // An upload has no name there but that of its bytes.
        Ok(Opened { generation, id: String::new(), parts: Vec::new(), bytes: 0 })
    }

    /// Has the full segment sent, once fewer are on their way.
    async fn send(&mut self) -> Result<(), StoreError> {
        let most = usize::try_from(self.swift.plan().ahead_bytes / self.tail_bytes.max(1))
            .unwrap_or(usize::MAX)
            .max(1);
        while self.sending.len() >= most {
            self.arrive().await?;
        }

        let (pieces, size_bytes) = (std::mem::take(&mut self.tail), std::mem::take(&mut self.tail_bytes));
        let etag = hex(std::mem::take(&mut self.tail_md5));
        let opened = self.opened().await?;
        opened.bytes += size_bytes;
        let generation = opened.generation.clone();

        let (index, by) = (self.full, self.name.generation().clone());
        let key = layout::segment(&generation, index, &by);
        let (swift, segment) = (self.swift.clone(), Segment { by, etag, size_bytes });
        self.full += 1;
        self.sending.spawn(async move {
            swift.container().put(&key, pieces, &segment.etag).await?;
            Ok((index, segment.to_string()))
        });
        Ok(())
    }

    /// Waits until one segment is there.
    async fn arrive(&mut self) -> Result<(), StoreError> {
        match self.sending.join_next().await {
            None => Ok(()),
            Some(Ok(sent)) => {
                let (index, segment) = sent?;
                self.sent.insert(index, segment);
                Ok(())
            }
            Some(Err(_)) => {
                Err(unavailable("sending a segment for", self.name.as_str(), "it was interrupted"))
            }
        }
    }

    /// Takes the segments of this part back if the session was removed while they were written: whoever did so may not
    /// have seen them, and nobody would look again.
    async fn require_session(&self) -> Result<(), StoreError> {
        let Some(opened) = self.state.opened.as_ref().filter(|_| !self.sent.is_empty()) else {
            return Ok(());
        };
        let (container, generation) = (self.swift.container(), &opened.generation);
        let note = ObjectName::opened(&self.session, generation);
        if container.size(note.as_str()).await?.is_some() {
            return Ok(());
        }
        for index in self.sent.keys() {
            container.remove(&layout::segment(generation, *index, self.name.generation())).await?;
        }
        Err(StoreError::Missing { name: note })
    }
}

#[async_trait]
impl Writer for Pending {
    async fn append(&mut self, mut bytes: Bytes) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let segment_bytes = self.segment_bytes()?;
            let room = segment_bytes.saturating_sub(self.tail_bytes);
            let fitting = bytes.split_to(usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len()));
            self.state.end += fitting.len() as u64;
            self.tail_bytes += fitting.len() as u64;
            self.tail_md5.update(&fitting);
            self.tail.push(fitting);
            if self.tail_bytes >= segment_bytes {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        while !self.sending.is_empty() {
            self.arrive().await?;
        }
        self.require_session().await?;
        let sent = std::mem::take(&mut self.sent);
        if let Some(opened) = &mut self.state.opened {
            opened.parts.extend(sent.into_values());
        }

        let tail = std::mem::take(&mut self.tail);
        let written = self.state.written(tail);
        let pieces =
            written.map_err(|error| unavailable("writing", self.name.as_str(), &error.to_string()))?;
        self.swift.container().put_whole(self.name.as_str(), pieces).await
    }
}
