//! From parts to content, and content's end. The name comes before the bytes and goes after them, so that whoever lists
//! names finds all bytes. One multipart upload makes the bytes of one name only: who publishes first says which, and
//! completes the upload if nobody else has said otherwise.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{
    Objects,
    failure::{failed, is_lost, unavailable},
    part::Opened,
};
use crate::{
    layout::{self, ObjectName},
    store::StoreError,
};

// There are no more than the bytes and one claim, unless several requests have ended one upload with different bytes.
const BESIDE: usize = 100;

/// Makes `content` of `parts`, of which the last one knows all.
pub(super) async fn publish(
    objects: &Objects,
    parts: &[ObjectName],
    content: &ObjectName,
) -> Result<ObjectName, StoreError> {
    let Some(last) = parts.last() else {
        return put(objects, content, Bytes::new()).await;
    };
    let (state, tail) = objects.state_of(last).await?;
    let Some(opened) = state.opened else {
        return put(objects, content, tail).await;
    };

    let name = content.under(&opened.generation);
    let name = name.ok_or_else(|| unavailable("publishing", content.as_str(), "it is no name of content"))?;
    let upload = Upload { opened, tail, size_bytes: state.end, last };
    upload.become_content(objects, &name).await?;
    Ok(name)
}

/// Content that was never a multipart upload: written whole, under a generation that nobody else has.
async fn put(objects: &Objects, content: &ObjectName, bytes: Bytes) -> Result<ObjectName, StoreError> {
    let bucket = &objects.0.bucket;
    bucket.put(content.as_str(), named(bytes.len() as u64)).await?;
    bucket.put(&layout::data(content.generation()), vec![bytes]).await?;
    Ok(content.clone())
}

/// A multipart upload that is to end.
struct Upload<'a> {
    opened: Opened,
    tail: Bytes,
    size_bytes: u64,
    last: &'a ObjectName,
}

impl Upload<'_> {
    async fn become_content(mut self, objects: &Objects, name: &ObjectName) -> Result<(), StoreError> {
        let bucket = &objects.0.bucket;
        let (data, claim) = (layout::data(name.generation()), layout::claim(name, &self.ending()));
        bucket.put(name.as_str(), named(self.size_bytes)).await?;
        bucket.put(&claim, named(self.size_bytes)).await?;

        // Of two that claim the bytes for different names, or for other bytes at their end, the one who listed later sees
        // both and completes nothing: otherwise the end of one name would be the end of the other's bytes, and where a
        // vendor completes an upload twice, bytes would change that have been verified.
        let beside = bucket.list(&layout::beside(name.generation()), None, BESIDE).await?;
        if beside.iter().any(|key| *key != data && *key != claim) {
            tracing::warn!(%name, "an upload was finished with different bytes at the same time; it must begin anew");
            bucket.remove(&claim).await?;
            if !beside.iter().any(|key| *key != claim && layout::is_claim(key, name)) {
                bucket.remove(name.as_str()).await?;
            }
            return Err(self.lost());
        }
        // An earlier finish has come so far, and its answer was lost.
        if beside.contains(&data) {
            return self.require_whole(objects, &data).await;
        }
        self.complete(objects, &data).await
    }

    /// What tells these bytes from others that the same upload could end with, in hex: what the store calls their full
    /// parts, and the bytes behind these.
    fn ending(&self) -> String {
        let mut hash = Sha256::new();
        for part in &self.opened.parts {
            hash.update(part.as_bytes());
            hash.update([0_u8]);
        }
        hash.update(self.size_bytes.to_be_bytes());
        hash.update(&self.tail);
        let short =
            hash.finalize().as_slice().iter().take(16).fold(0, |hex, byte| (hex << 8) | u128::from(*byte));
        format!("{short:032x}")
    }

    async fn complete(&mut self, objects: &Objects, data: &str) -> Result<(), StoreError> {
        let bucket = &objects.0.bucket;
        let tail = std::mem::take(&mut self.tail);
        let mut completed = Ok(());
        if !tail.is_empty() {
            let index = self.opened.parts.len();
            match bucket.upload((data, self.opened.id.as_str()), index, vec![tail]).await {
                Ok(part) => self.opened.parts.push(part),
                Err(error) => completed = Err(error),
            }
        }
        if completed.is_ok() {
            completed = bucket.complete((data, self.opened.id.as_str()), &self.opened.parts).await;
        }

        // Vendors may complete an upload and answer with an error, and another request may have completed it.
        match (bucket.size(data).await?, completed) {
            (Some(_), _) => self.require_whole(objects, data).await,
            (None, Err(error)) if is_lost(&error) => Err(self.lost()),
            (None, Err(error)) => Err(failed("completing", data, &error)),
            (None, Ok(())) => Err(unavailable("completing", data, "the store said it had, and has not")),
        }
    }

    async fn require_whole(&self, objects: &Objects, data: &str) -> Result<(), StoreError> {
        if objects.0.bucket.size(data).await? == Some(self.size_bytes) {
            return Ok(());
        }
        tracing::error!(
            data,
            expected_bytes = self.size_bytes,
            "an upload has become bytes of another length"
        );
        Err(self.lost())
    }

    fn lost(&self) -> StoreError {
        StoreError::Missing { name: self.last.clone() }
    }
}

/// What a name is: an object that only says how long the bytes are, for whoever looks at the bucket.
fn named(size_bytes: u64) -> Vec<Bytes> {
    vec![Bytes::from(size_bytes.to_string())]
}

/// Removes content, its bytes first. Bytes that others claim too are not ours to remove: their last claim takes them.
pub(super) async fn remove(objects: &Objects, content: &ObjectName) -> Result<(), StoreError> {
    let bucket = &objects.0.bucket;
    let data = layout::data(content.generation());
    let mut beside = bucket.list(&layout::beside(content.generation()), None, BESIDE).await?;
    beside.retain(|key| *key != data);

    let (ours, others): (Vec<_>, Vec<_>) = beside.iter().partition(|key| layout::is_claim(key, content));
    if others.is_empty() {
        bucket.remove(&data).await?;
    }
    for claim in ours {
        bucket.remove(claim).await?;
    }
    bucket.remove(content.as_str()).await
}
