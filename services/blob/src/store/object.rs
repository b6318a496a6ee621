//! A store in a bucket of S3 or of a vendor like it, which any number of processes share. Bytes are a multipart upload
//! while they arrive and content once it is completed: nothing is copied, and nothing is kept in this process.
//! `docs/decisions/0017-blobs-in-buckets.md` says why each step comes where it does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{Generation, SessionId, Span, StoreName};
use proto::stream_of;
use tokio::sync::Semaphore;

use super::{
    Object, PublicUrl, Store, StoreError, Writer,
    marker::{Marker, Standing, is_marked},
};
use crate::layout::{self, ObjectName, Place};

use bucket::Bucket;
pub use config::{ConfigError, ObjectsConfig, Sections};
pub(crate) use config::{GivenAzure, GivenGcs, GivenS3};
use failure::unavailable;
use part::State;
use plan::Plan;
pub use plan::{Limits, Scale};
pub use preset::{Addressing, Preset, Vendor};
pub use wire::Wire;

mod bucket;
mod config;
mod failure;
pub(super) mod part;
pub(super) mod plan;
mod preset;
mod publish;
mod trial;
mod wire;
mod writer;

/// Objects of one upload that are removed between two listings.
const AT_ONCE: usize = 200;

/// A store in a bucket. Clones are the same store.
#[derive(Clone)]
pub struct Objects(Arc<Parts>);

struct Parts {
    bucket: Bucket,
    plan: Plan,
    marker: Marker,
    /// What checks of this process write under: one key, so that one that was given up leaves nothing for ever.
    probe: Generation,
    /// Held by the check that is under way: another one would remove what it has written.
    checking: Semaphore,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

/// Why a bucket cannot be a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// What is configured cannot be used.
    #[error("the blob store cannot be a bucket of {vendor}: {cause}")]
    Configured {
        /// Whose.
        vendor: Vendor,
        /// What is wrong.
        cause: String,
    },
    /// Something that a store needs does not work there.
    #[error("the blob store cannot use the bucket {bucket:?} of {vendor}: {cause}")]
    Refused {
        /// Whose.
        vendor: Vendor,
        /// Which.
        bucket: String,
        /// What was attempted, and what the store said.
        cause: StoreError,
    },
    /// A store forgets for a moment what was written: then a listing cannot say whose bytes they are.
    #[error(
        "the blob store cannot use the bucket {bucket:?} of {vendor}: it does not list what has just been written there"
    )]
    ListsLate {
        /// Whose.
        vendor: Vendor,
        /// Which.
        bucket: String,
    },
    /// It belongs to another store; its locators would name other bytes.
    #[error("the bucket {bucket:?} of {vendor} is the blob store {found:?}, not {wanted:?}")]
    OtherStore {
        /// Whose.
        vendor: Vendor,
        /// Which.
        bucket: String,
        /// What it says it is.
        found: String,
        /// What it was to be.
        wanted: StoreName,
    },
    /// Two hubs over one bucket would remove each other's blobs.
    #[error(
        "the bucket {bucket:?} of {vendor} is the blob store of another hub, or of this one before its grant_secret \
         changed; if no other hub uses it, start once with `blob.claim = true`"
    )]
    OtherHub {
        /// Whose.
        vendor: Vendor,
        /// Which.
        bucket: String,
    },
    /// What is there may be another hub's.
    #[error(
        "the bucket {bucket:?} of {vendor} holds blobs and does not say whose; if no other hub uses it, start once with \
         `blob.claim = true`"
    )]
    Unmarked {
        /// Whose.
        vendor: Vendor,
        /// Which.
        bucket: String,
    },
}

impl Objects {
    /// Opens the bucket of `config`, tries whether it does what a store needs, and finds or has it say that it is what
    /// `marker` says. `probe` names what the trial writes.
    ///
    /// # Errors
    /// With the bucket, and what does not work there.
    pub async fn open(config: &ObjectsConfig, marker: Marker, probe: Generation) -> Result<Self, OpenError> {
        let (vendor, bucket) = (config.vendor, config.bucket.clone());
        let opened = config.connect().map_err(|cause| OpenError::Configured { vendor, cause })?;
        let parts = Parts { bucket: opened, plan: config.plan(), marker, probe, checking: Semaphore::new(1) };
        let objects = Self(Arc::new(parts));

        let refused = |cause| OpenError::Refused { vendor, bucket: bucket.clone(), cause };
        if !trial::lists_at_once(&objects).await.map_err(refused)? {
            return Err(OpenError::ListsLate { vendor, bucket });
        }
        trial::joins_parts(&objects).await.map_err(refused)?;
        let marker = &objects.0.marker;
        match marker.claim(&objects.0.bucket).await.map_err(refused)? {
            Standing::Ours => Ok(objects),
            Standing::OtherHub => Err(OpenError::OtherHub { vendor, bucket }),
            Standing::Unmarked => Err(OpenError::Unmarked { vendor, bucket }),
            Standing::OtherStore(found) => {
                Err(OpenError::OtherStore { vendor, bucket, found, wanted: marker.store().clone() })
            }
        }
    }

    /// Whether the bucket of `config` says which store it is.
    ///
    /// # Errors
    /// With the bucket, and what does not work there.
    pub async fn is_marked(config: &ObjectsConfig) -> Result<bool, OpenError> {
        let (vendor, bucket) = (config.vendor, config.bucket.clone());
        let opened = config.connect().map_err(|cause| OpenError::Configured { vendor, cause })?;
        is_marked(&opened).await.map_err(|cause| OpenError::Refused { vendor, bucket, cause })
    }

    /// None if there is no such object; an error if the whole store is not there, as where the bucket is gone or another
    /// one has its name: blobs would be given up for lost.
    async fn absent<T>(&self) -> Result<Option<T>, StoreError> {
        if self.0.marker.is_in(&self.0.bucket).await? {
            return Ok(None);
        }
        let cause = "it does not say that it is this store: see the configured bucket and endpoint";
        Err(unavailable("finding the bucket by", layout::MARKER, cause))
    }

    fn check_key(&self) -> String {
        layout::check(&self.0.probe)
    }

    /// What has been kept of a part.
    async fn state_of(&self, part: &ObjectName) -> Result<(State, Bytes), StoreError> {
        let Some(object) = self.0.bucket.get(part.as_str()).await? else {
            self.absent::<()>().await?;
            return Err(StoreError::Missing { name: part.clone() });
        };
        State::read(object).map_err(|error| unavailable("reading", part.as_str(), &error.to_string()))
    }

    /// The same, and none if it is not there.
    async fn known_state_of(&self, part: &ObjectName) -> Result<Option<(State, Bytes)>, StoreError> {
        match self.state_of(part).await {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a part, as long as none of them are in a multipart upload.
    async fn read_part(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        let Some((state, tail)) = self.known_state_of(name).await? else { return Ok(None) };
        let Some(before) = state.start.checked_sub(state.uploaded_bytes()) else {
            return Err(StoreError::Unpublished { name: name.clone() });
        };

        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(tail.len());
        let first = at(before.saturating_add(span.first));
        let end = at(before.saturating_add(span.first.saturating_add(span.length)));
        let body = stream_of(tail.slice(first..end));
        Ok(Some(Object { size_bytes: state.end - state.start, body }))
    }

    /// Gives up the multipart upload that `note` tells of, if it is not over.
    async fn abort(&self, note: &ObjectName) -> Result<(), StoreError> {
        let Some(id) = self.0.bucket.get(note.as_str()).await? else { return Ok(()) };
        let id = String::from_utf8_lossy(&id);
        self.0.bucket.abort(&layout::data(note.generation()), &id).await
    }
}

#[async_trait]
impl Store for Objects {
    async fn write(
        &self,
        name: &ObjectName,
        before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        writer::begin(self, name, before).await
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        publish::publish(self, parts, content).await
    }

    /// The last part says what has become of all before it, which are not looked at.
    async fn sizes(&self, parts: &[ObjectName]) -> Result<Vec<Option<u64>>, StoreError> {
        let Some(last) = parts.last() else { return Ok(Vec::new()) };
        let begins: Vec<u64> = parts.iter().filter_map(ObjectName::offset).collect();
        let lengths = begins.windows(2).map(|pair| pair[1].checked_sub(pair[0]));

        let found = self.known_state_of(last).await?;
        let found = found.filter(|(state, _)| Some(state.start) == last.offset());
        let last = found.map(|(state, _)| state.end - state.start);
        Ok(lengths.chain([last]).collect())
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        if name.is_part() {
            let found = self.known_state_of(name).await?;
            return Ok(found.map(|(state, _)| state.end - state.start));
        }
        match self.0.bucket.size(&layout::data(name.generation())).await? {
            Some(size_bytes) => Ok(Some(size_bytes)),
            None => self.absent().await,
        }
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        if name.is_part() {
            return self.read_part(name, span).await;
        }
        match self.0.bucket.read(&layout::data(name.generation()), span).await? {
            Some(object) => Ok(Some(object)),
            None => self.absent().await,
        }
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        let prefix = format!("{}/", layout::upload(session));
        let mut after: Option<String> = None;
        loop {
            let keys = self.0.bucket.list(&prefix, after.as_deref(), AT_ONCE).await?;
            for key in &keys {
                // First, because the note is all that is known of it.
                let named = ObjectName::parse(key).map(|(name, _)| name);
                if let Some(note) = named.filter(ObjectName::is_opened) {
                    self.abort(&note).await?;
                }
                self.0.bucket.remove(key).await?;
            }
            after = keys.into_iter().next_back();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        if name.is_part() {
            return self.0.bucket.remove(name.as_str()).await;
        }
        publish::remove(self, name).await
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        let prefix = format!("{}/", place.prefix());
        let mut after = after.map(|name| name.as_str().to_owned());
        loop {
            let keys = self.0.bucket.list(&prefix, after.as_deref(), limit).await?;
            let names = keys.iter().filter_map(|key| ObjectName::parse(key)).map(|(name, _)| name);
            let names: Vec<ObjectName> = names.collect();
            // A page of what others have put there is not the end.
            after = keys.into_iter().next_back();
            if !names.is_empty() || after.is_none() {
                return Ok(names);
            }
        }
    }

    async fn redirect(&self, name: &ObjectName, lifetime: Duration) -> Result<Option<PublicUrl>, StoreError> {
        self.0.bucket.public(&layout::data(name.generation()), lifetime).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let (key, bucket) = (layout::check(&self.0.probe), &self.0.bucket);
        let _turn = self.0.checking.acquire().await;
        self.absent::<()>().await?;
        let written = Bytes::copy_from_slice(key.as_bytes());
        bucket.put(&key, vec![written.clone()]).await?;
        let read = bucket.get(&key).await?;
        bucket.remove(&key).await?;

        if read == Some(written) {
            Ok(())
        } else {
            Err(unavailable("checking the store with", &key, "what was written is not what was read"))
        }
    }
}
