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
    store::{Store, StoreError, Writer},
};

// What is attempted where the hash of an upload was not made while it arrived.
const READING_AGAIN: &str = "reading the parts of an upload again";

/// The uploads of one store.
pub(crate) struct Uploads {
    store: Arc<dyn Store>,
    name: StoreName,
    ulids: Arc<Ulids>,
}

/// Where a body goes on with an upload.
struct Place {
    session: SessionId,
    before: Option<Part>,
    offset: u64,
    // None if the state could not be read: then the parts are read again at the end.
    hasher: Option<Hasher>,
}

impl Uploads {
    pub(crate) fn new(store: Arc<dyn Store>, name: StoreName, ulids: Arc<Ulids>) -> Self {
        Self { store, name, ulids }
    }

    pub(crate) async fn append(&self, append: Append, body: ByteStream) -> Result<Appended, BlobError> {
        let Append { session, before, offset, hash, expected_bytes } = append;
        let hasher = Hasher::import(&hash, offset);
        if hasher.is_none() {
            tracing::warn!(%session, offset, "the state of a hash cannot be read; the parts will be, at the end");
        }

        let place = Place { session, before, offset, hasher };
        let (appended, _) = self.receive(place, Incoming::new(body, expected_bytes)).await?;
        failpoint::hit("blob.append.written");
        Ok(appended)
    }

    pub(crate) async fn finish(&self, finish: Finish, last: ByteStream) -> Result<Finished, BlobError> {
        let Finish { session, mut parts, offset, hash, digest, existing, expected_bytes } = finish;
        self.require(&session, &parts, offset).await?;

        let before = parts.last().cloned();
        let place = Place { session, before, offset, hasher: Hasher::import(&hash, offset) };
        let (appended, hasher) = self.receive(place, Incoming::new(last, expected_bytes)).await?;
        if appended.ended == Ended::Cut {
            return Ok(Finished::Cut(appended));
        }
        parts.extend(appended.part);

        let known = hasher.filter(|hasher| hasher.algorithm() == digest.algorithm());
        let actual = match known {
            Some(hasher) => Some(hasher.digest()),
            None => self.digest_of(&session, &parts, digest.algorithm()).await?,
        };
        let size_bytes = appended.offset;
        let locator = match actual {
            None => self.publish_unverified(&session, &parts, digest).await?,
            Some(actual) if actual != digest => {
                return Err(BlobError::DigestMismatch { claimed: digest, actual });
            }
            Some(_) => match self.found(existing, &digest, size_bytes).await? {
                Some(existing) => existing,
                None => self.publish(&session, &parts, digest).await?,
            },
        };
        Ok(Finished::Published { locator, size_bytes })
    }

    /// Writes the body as one part.
    async fn receive(
        &self,
        place: Place,
        mut body: Incoming,
    ) -> Result<(Appended, Option<Hasher>), BlobError> {
        let Place { session, before, offset, hasher } = place;
        let mut batch = body.batch().await?;
        if batch.is_empty() {
            return Ok((appended(None, offset, hasher.as_ref(), body.ended()), hasher));
        }

        let generation = self.fresh_generation();
        let attempted = "writing a part of an upload";
        let name = ObjectName::part(&session, offset, &generation);
        let writer = self.begin(&session, &name, before.as_ref()).await?;
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

    async fn begin(
        &self,
        session: &SessionId,
        name: &ObjectName,
        before: Option<&Part>,
    ) -> Result<Box<dyn Writer>, BlobError> {
        let before_name = before.map(|part| name_of(session, part));
        let begun = self.store.write(name, before_name.as_ref()).await;
        begun.map_err(|error| match (error, before) {
            (StoreError::Missing { .. }, Some(part)) => {
                BlobError::PartMissing { session: *session, offset: part.offset }
            }
            (error, _) => refused(error, "writing a part of an upload"),
        })
    }

    /// Fails unless `parts` are there, without gaps, and have `offset` bytes together.
    async fn require(&self, session: &SessionId, parts: &[Part], offset: u64) -> Result<(), BlobError> {
        let missing = |offset| BlobError::PartMissing { session: *session, offset };
        let names: Vec<ObjectName> = parts.iter().map(|part| name_of(session, part)).collect();
        let found = self.store.sizes(&names).await;
        let found = found.map_err(|error| refused(error, "finding the parts of an upload"))?;

        let mut end = 0;
        for (part, found) in parts.iter().zip(found) {
            if part.offset != end || found != Some(part.size_bytes) {
                return Err(missing(end));
            }
            end += part.size_bytes;
        }
        if end == offset { Ok(()) } else { Err(missing(end)) }
    }

    /// Reads the parts again, for a digest that was not made while they arrived. None if the store does not give them
    /// out.
    async fn digest_of(
        &self,
        session: &SessionId,
        parts: &[Part],
        algorithm: Algorithm,
    ) -> Result<Option<Digest>, BlobError> {
        let mut hasher = Hasher::new(algorithm);
        for part in parts {
            let span = Span { first: 0, length: part.size_bytes };
            let found = match self.store.read(&name_of(session, part), span).await {
                Err(StoreError::Unpublished { .. }) => return Ok(None),
                found => found.map_err(|error| refused(error, READING_AGAIN))?,
            };
            let missing = BlobError::PartMissing { session: *session, offset: part.offset };
            hasher = hashed(hasher, found.ok_or(missing)?.body).await?;
        }
        Ok(Some(hasher.digest()))
    }

    /// Publishes what can only be read as content, and takes it back if it is not what was claimed. Nobody else has
    /// heard of it by then. The parts have gone into it: taken back, the upload has lost them.
    async fn publish_unverified(
        &self,
        session: &SessionId,
        parts: &[Part],
        claimed: Digest,
    ) -> Result<Locator, BlobError> {
        let locator = self.publish(session, parts, claimed.clone()).await?;
        let name = ObjectName::content(&locator.content, &locator.generation);
        let whole = Span { first: 0, length: u64::MAX };
        let found = self.store.read(&name, whole).await.map_err(|error| refused(error, READING_AGAIN))?;
        let body = found.ok_or_else(|| unavailable(READING_AGAIN))?.body;

        let actual = hashed(Hasher::new(claimed.algorithm()), body).await?.digest();
        if actual == claimed {
            return Ok(locator);
        }
        self.store.remove(&name).await.map_err(|error| refused(error, "taking back a blob"))?;
        Err(BlobError::DigestMismatch { claimed, actual })
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
        let published = self.store.publish(&names, &content).await.map_err(|error| match error {
            StoreError::Missing { name } => {
                let lost = names.iter().zip(parts).find(|(candidate, _)| **candidate == name);
                BlobError::PartMissing { session: *session, offset: lost.map_or(0, |(_, part)| part.offset) }
            }
            error => refused(error, "publishing a blob"),
        })?;
        failpoint::hit("blob.publish.after");
        Ok(Locator { generation: published.generation().clone(), ..locator })
    }

    fn fresh_generation(&self) -> Generation {
        fresh_generation(&self.ulids)
    }
}

/// The hash that goes on with the bytes of `body`.
async fn hashed(mut hasher: Hasher, mut body: ByteStream) -> Result<Hasher, BlobError> {
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| unavailable(READING_AGAIN))?;
        hasher = hasher.advance(piece).await.map_err(|_| unavailable(READING_AGAIN))?;
    }
    Ok(hasher)
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
