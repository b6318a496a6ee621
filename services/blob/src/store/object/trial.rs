//! What a bucket must do, tried once at the start: better than during somebody's push. What it writes is gone again when
//! it is over, unless the process ends in between: then a rule of the bucket's own removes it, as for any upload.

use bytes::Bytes;
use oci::Span;

use super::{
    Objects,
    failure::{failed, unavailable},
};
use crate::store::StoreError;

const WRITTEN: &[u8] = b"a trial";

/// Writes something, looks for it in a listing, reads a piece of it and removes it: whether it was listed at once.
pub(super) async fn lists_at_once(objects: &Objects) -> Result<bool, StoreError> {
    let (key, bucket) = (objects.check_key(), &objects.0.bucket);
    bucket.put(&key, vec![Bytes::from_static(WRITTEN)]).await?;
    let listed = bucket.list(&key, None, 1).await?;
    let read = bucket.read(&key, Span { first: 2, length: 3 }).await?;
    bucket.remove(&key).await?;
    Ok(listed == [key] && read.is_some_and(|object| object.size_bytes == WRITTEN.len() as u64))
}

/// Gives a multipart upload up that has a part, as the end of a session does, and completes another one.
pub(super) async fn joins_parts(objects: &Objects) -> Result<(), StoreError> {
    let bucket = &objects.0.bucket;
    let abandoned = Begun::with_a_part(objects).await?;
    bucket.abort(&abandoned.key, &abandoned.id).await?;

    let Begun { key, id, part } = Begun::with_a_part(objects).await?;
    let completed = bucket.complete((key.as_str(), id.as_str()), &[part]).await;
    // Vendors may complete an upload and answer with an error.
    let size_bytes = bucket.size(&key).await?;
    bucket.remove(&key).await?;
    match (size_bytes, completed) {
        (Some(size_bytes), _) if size_bytes == WRITTEN.len() as u64 => Ok(()),
        (Some(_), _) => Err(unavailable("completing", &key, "the object is not as long as its part")),
        (None, Err(error)) => Err(failed("completing", &key, &error)),
        (None, Ok(())) => Err(unavailable("completing", &key, "the store said it had, and has not")),
    }
}

/// A multipart upload, and what the store called its part.
struct Begun {
    key: String,
    id: String,
    part: String,
}

impl Begun {
    async fn with_a_part(objects: &Objects) -> Result<Self, StoreError> {
        let (key, bucket) = (objects.check_key(), &objects.0.bucket);
        let id = bucket.open(&key).await?;
        let sent = bucket.upload((key.as_str(), id.as_str()), 0, vec![Bytes::from_static(WRITTEN)]).await;
        match sent {
            Ok(part) => Ok(Self { key, id, part }),
            Err(error) => {
                // What is told is why the part was refused; that nothing is left is worth an attempt.
                let _ = bucket.abort(&key, &id).await;
                Err(failed("sending a part of", &key, &error))
            }
        }
    }
}
