//! From segments to content, and content's end. The name comes before the bytes and goes after them, so that whoever lists
//! names finds all bytes. Segments are those of one name only: who publishes first says which.

use bytes::Bytes;
use oci::Generation;

use super::{
    Swift,
    container::{Joined, Piece, md5_of},
    failure::unavailable,
    segment::{Unreadable, pieces},
};
use crate::{
    layout::{self, ObjectName},
    store::{StoreError, object::part::State},
};

/// Segments that nobody has listed, removed between two listings.
const AT_ONCE: usize = 200;

/// Makes `content` of `parts`, of which the last one knows all.
pub(super) async fn publish(
    swift: &Swift,
    parts: &[ObjectName],
    content: &ObjectName,
) -> Result<ObjectName, StoreError> {
    let Some(last) = parts.last() else {
        return put(swift, content, Bytes::new()).await;
    };
    let (state, tail) = swift.state_of(last).await?;
    let Some(opened) = &state.opened else {
        return put(swift, content, tail).await;
    };

    let name = content.under(&opened.generation);
    let name = name.ok_or_else(|| unavailable("publishing", content.as_str(), "it is no name of content"))?;
    let upload = Upload { generation: opened.generation.clone(), state: &state, tail, last };
    upload.become_content(swift, &name).await?;
    Ok(name)
}

/// Content that never had segments: written whole, under a generation that nobody else has.
async fn put(swift: &Swift, content: &ObjectName, bytes: Bytes) -> Result<ObjectName, StoreError> {
    let container = swift.container();
    container.put_whole(content.as_str(), named(bytes.len() as u64)).await?;
    container.put_whole(&layout::own(content), vec![bytes]).await?;
    Ok(content.clone())
}

/// An upload that is to end.
struct Upload<'a> {
    generation: Generation,
    state: &'a State,
    tail: Bytes,
    last: &'a ObjectName,
}

impl Upload<'_> {
    async fn become_content(self, swift: &Swift, name: &ObjectName) -> Result<(), StoreError> {
        let (container, own) = (swift.container(), layout::own(name));
        container.put_whole(name.as_str(), named(self.state.end)).await?;
        if !self.is_claimed_for(swift, name).await? {
            // The name stays: whoever sweeps it sees whether the segments are its own.
            tracing::warn!(%name, "an upload was finished with different bytes at the same time; it must begin anew");
            return Err(self.lost());
        }
        // An earlier finish has come so far, and its answer was lost.
        if let Some(size_bytes) = container.size(&own).await? {
            return self.require_whole(&own, size_bytes);
        }

        let pieces = self.all_pieces(swift).await?;
        match container.join(&own, &pieces).await? {
            Joined::Lost => Err(self.lost()),
            Joined::Whole => match container.size(&own).await? {
                Some(size_bytes) => self.require_whole(&own, size_bytes),
                None => Err(unavailable("completing", &own, "the store said it had, and has not")),
            },
        }
    }

    /// Whether the segments are for `name`, and will be for no other. There is neither a lock nor a listing to rely on: of
    /// two names, each is written to the first place unless there is one already, then to the second; and who finds another
    /// name in the second before it writes there, or in either after that, has lost. Both may lose; both cannot win.
    async fn is_claimed_for(&self, swift: &Swift, name: &ObjectName) -> Result<bool, StoreError> {
        let container = swift.container();
        let [first, second] = layout::claims(&self.generation);

        container.put_first(&first, name.as_str()).await?;
        let taken = container.get_newest(&second).await?;
        if taken.is_some_and(|by| by != name.as_str()) {
            return Ok(false);
        }
        container.put_first(&second, name.as_str()).await?;
        for place in [&first, &second] {
            if container.get_newest(place).await?.is_none_or(|by| by != name.as_str()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All segments, of which the last is what no full one has had.
    async fn all_pieces(&self, swift: &Swift) -> Result<Vec<Piece>, StoreError> {
        let unreadable =
            |error: Unreadable| unavailable("publishing", self.last.as_str(), &error.to_string());
        let mut pieces = pieces(self.state).map_err(unreadable)?;
        if self.tail.is_empty() {
            return Ok(pieces);
        }

        let key = layout::segment(&self.generation, pieces.len(), self.last.generation());
        let tail = vec![self.tail.clone()];
        let (etag, size_bytes) = (md5_of(&tail), self.tail.len() as u64);
        swift.container().put(&key, tail, &etag).await?;
        pieces.push(Piece { key, etag, size_bytes });
        Ok(pieces)
    }

    fn require_whole(&self, own: &str, size_bytes: u64) -> Result<(), StoreError> {
        let expected_bytes = self.state.end;
        if size_bytes == expected_bytes {
            return Ok(());
        }
        tracing::error!(own, size_bytes, expected_bytes, "an upload has become bytes of another length");
        Err(self.lost())
    }

    fn lost(&self) -> StoreError {
        StoreError::Missing { name: self.last.clone() }
    }
}

/// What a name is: an object that only says how long the bytes are, for whoever looks at the container.
fn named(size_bytes: u64) -> Vec<Bytes> {
    vec![Bytes::from(size_bytes.to_string())]
}

/// Whether somebody has claimed the segments of `generation`, and for which name.
pub(super) async fn claimed(swift: &Swift, generation: &Generation) -> Result<Option<Bytes>, StoreError> {
    let [first, _] = layout::claims(generation);
    swift.container().get_newest(&first).await
}

/// Removes content, its bytes first. Segments that are another name's stay.
pub(super) async fn remove(swift: &Swift, content: &ObjectName) -> Result<(), StoreError> {
    let (container, generation) = (swift.container(), content.generation());
    let own = layout::own(content);

    let owner = claimed(swift, generation).await?;
    if owner.is_some_and(|owner| owner == content.as_str()) {
        container.remove_joined(&own).await?;
        remove_segments(swift, generation).await?;
        // What says whose they were goes last, the first place last of all: it is what this begins with.
        let [first, second] = layout::claims(generation);
        container.remove(&second).await?;
        container.remove(&first).await?;
    } else {
        container.remove(&own).await?;
    }
    container.remove(content.as_str()).await
}

/// Removes the segments of `generation` that are listed: those that came to nothing, of requests that were lost.
pub(super) async fn remove_segments(swift: &Swift, generation: &Generation) -> Result<(), StoreError> {
    let (container, prefix) = (swift.container(), layout::beside(generation));
    let claims = layout::claims(generation);
    let mut after: Option<String> = None;
    loop {
        let keys = container.list(&prefix, after.as_deref(), AT_ONCE).await?;
        for key in keys.iter().filter(|key| !claims.contains(key)) {
            container.remove(key).await?;
        }
        after = keys.into_iter().next_back();
        if after.is_none() {
            return Ok(());
        }
    }
}
