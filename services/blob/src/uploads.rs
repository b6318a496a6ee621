//! Parts on their way into the store, and their becoming content. A request holds at most four batches of its
//! body: one arriving, one being written, two that are still to be hashed. It knows no names, no users and no sessions.

use std::{borrow::Cow, sync::Arc};

use futures_util::{StreamExt as _, future::join};
use oci::{Algorithm, ContentId, Digest, Generation, Locator, SessionId, Span, StoreName};
use proto::{
    ByteStream,
    blob::{Append, Appended, BlobError, Ended, Finish, Finished, Part},
};
use service_kit::{failpoint, random::Ulids};

use crate::{
    hasher::Hasher,
    incoming::{Incoming, IncomingPart},
    layout::ObjectName,
    refused,
    store::{Store, StoreError},
};

/// The uploads of one store.
pub(crate) struct Uploads {
    store: Arc<dyn Store>,
    name: StoreName,
    ulids: Arc<Ulids>,
}

/// Where a body goes on with an upload.
struct Place {
    session: SessionId,
    offset: u64,
    // None if the state could not be read: then the parts are read again at the end.
    hasher: Option<Hasher>,
}

impl Uploads {
    pub(crate) fn new(store: Arc<dyn Store>, name: StoreName, ulids: Arc<Ulids>) -> Self {
        Self { store, name, ulids }
    }

    pub(crate) async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        let Append { session, offset, hash, expected_bytes } = append;
        let hasher = Hasher::import(&hash, offset);
        if hasher.is_none() {
            tracing::warn!(%session, offset, "the state of a hash cannot be read; the parts will be, at the end");
        }

        let place = Place { session, offset, hasher };
        let (appended, _) = self.receive(place, Incoming::new(body, expected_bytes)).await?;
        failpoint::hit("blob.append.written");
        Ok(appended)
    }

    pub(crate) async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        let Finish { session, mut parts, offset, hash, digest, existing, expected_bytes } = finish;
        self.require(&session, &parts, offset).await?;

        let place = Place { session, offset, hasher: Hasher::import(&hash, offset) };
        let (appended, hasher) = self.receive(place, Incoming::new(last, expected_bytes)).await?;
        if appended.ended == Ended::Cut {
            return Ok(Finished::Cut(appended));
        }
        parts.extend(appended.part);

        let known = hasher.filter(|hasher| hasher.algorithm() == digest.algorithm());
        let actual = match known {
            Some(hasher) => hasher.digest(),
            None => self.digest_of(&session, &parts, digest.algorithm()).await?,
        };
        if actual != digest {
            return Err(BlobError::DigestMismatch { claimed: digest, actual });
        }

        let size_bytes = appended.offset;
        let locator = match self.found(existing, &digest, size_bytes).await? {
            Some(existing) => existing,
            None => self.publish(&session, &parts, digest).await?,
        };
        Ok(Finished::Published { locator, size_bytes })
    }

    /// Writes the body as one part.
    async fn receive(
        &self,
        place: Place,
        mut body: Incoming,
    ) -> Result<(Appended, Option<Hasher>), BlobError> {
        let Place { session, offset, hasher } = place;
        let mut batch = body.batch().await?;
        if batch.is_empty() {
            return Ok((appended(None, offset, hasher.as_ref(), body.ended()), hasher));
        }

        let generation = self.fresh_generation();
        let attempted = "writing a part of an upload";
        let name = ObjectName::part(&session, offset, &generation);
        let writer = self.store.write(&name).await.map_err(|error| refused(error, attempted))?;
        let mut part = IncomingPart::new(writer, hasher);
        while !batch.is_empty() {
            let (next, written) = join(body.batch(), part.write(batch)).await;
            written.map_err(|error| refused(error, attempted))?;
            batch = next?;
        }

        let (size_bytes, hasher) = part.commit().await.map_err(|error| refused(error, attempted))?;
        let part = Part { offset, size_bytes, generation };
        Ok((appended(Some(part), offset, hasher.as_ref(), body.ended()), hasher))
    }

    /// Fails unless `parts` are there, without gaps, and have `offset` bytes together.
    async fn require(&self, session: &SessionId, parts: &[Part], offset: u64) -> Result<(), BlobError> {
        let missing = |offset| BlobError::PartMissing { session: *session, offset };
        let mut end = 0;
        for part in parts {
            let found = self.store.size(&name_of(session, part)).await;
            let found = found.map_err(|error| refused(error, "finding the parts of an upload"))?;
            if part.offset != end || found != Some(part.size_bytes) {
                return Err(missing(end));
            }
            end += part.size_bytes;
        }
        if end == offset { Ok(()) } else { Err(missing(end)) }
    }

    /// Reads the parts again, for a digest that was not made while they arrived.
    async fn digest_of(
        &self,
        session: &SessionId,
        parts: &[Part],
        algorithm: Algorithm,
    ) -> Result<Digest, BlobError> {
        let attempted = "reading the parts of an upload again";
        let mut hasher = Hasher::new(algorithm);
        for part in parts {
            let span = Span { first: 0, length: part.size_bytes };
            let found = self.store.read(&name_of(session, part), span).await;
            let found = found.map_err(|error| refused(error, attempted))?;

            let mut body =
                found.ok_or(BlobError::PartMissing { session: *session, offset: part.offset })?.body;
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|_| unavailable(attempted))?;
                hasher = hasher.advance(piece).await.map_err(|_| unavailable(attempted))?;
            }
        }
        Ok(hasher.digest())
    }

    /// `existing`, if the content is there with the right length.
    async fn found(
        &self,
        existing: Option<Locator>,
        digest: &Digest,
        size_bytes: u64,
    ) -> Result<Option<Locator>, BlobError> {
        let ours = |it: &Locator| it.store == self.name && it.content == ContentId::plain(digest.clone());
        let Some(existing) = existing.filter(ours) else {
            return Ok(None);
        };

        let name = ObjectName::content(&existing.content, &existing.generation);
        let found = self.store.size(&name).await.map_err(|error| refused(error, "finding a blob"))?;
        Ok((found == Some(size_bytes)).then_some(existing))
    }

    async fn publish(
        &self,
        session: &SessionId,
        parts: &[Part],
        digest: Digest,
    ) -> Result<Locator, BlobError> {
        let locator = Locator {
            store: self.name.clone(),
            content: ContentId::plain(digest),
            generation: self.fresh_generation(),
        };
        let names: Vec<ObjectName> = parts.iter().map(|part| name_of(session, part)).collect();
        let content = ObjectName::content(&locator.content, &locator.generation);

        failpoint::hit("blob.publish.before");
        self.store.publish(&names, &content).await.map_err(|error| match error {
            StoreError::Missing { name } => {
                let lost = names.iter().zip(parts).find(|(candidate, _)| **candidate == name);
                BlobError::PartMissing { session: *session, offset: lost.map_or(0, |(_, part)| part.offset) }
            }
            error => refused(error, "publishing a blob"),
        })?;
        failpoint::hit("blob.publish.after");
        Ok(locator)
    }

    fn fresh_generation(&self) -> Generation {
        fresh_generation(&self.ulids)
    }
}

/// A generation that has never been.
pub(crate) fn fresh_generation(ulids: &Ulids) -> Generation {
    match ulids.next().parse() {
        Ok(generation) => generation,
        Err(_) => unreachable!("a generation is a ULID"),
    }
}

fn name_of(session: &SessionId, part: &Part) -> ObjectName {
    ObjectName::part(session, part.offset, &part.generation)
}

fn appended(part: Option<Part>, offset: u64, hasher: Option<&Hasher>, ended: Ended) -> Appended {
    let hash = hasher.map(Hasher::export).unwrap_or_default();
    let offset = offset + part.as_ref().map_or(0, |part| part.size_bytes);
    Appended { part, offset, hash, ended }
}

fn unavailable(attempted: &'static str) -> BlobError {
    BlobError::Unavailable { attempted: Cow::Borrowed(attempted) }
}
