//! A bucket: the few things that the adapter asks of a vendor, each once, with errors that name the object. It does not
//! know what the objects are.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future::ready, stream};
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, PutOptions, PutPayload,
    list::{PaginatedListOptions, PaginatedListStore},
    multipart::{MultipartStore, PartId},
    path::Path,
    signer::{Method, Signer},
};
use oci::Span;
use proto::{StreamError, empty_stream};

use super::failure::{failed, is_beyond, is_cut, unavailable};
use crate::store::{Object, PublicUrl, StoreError, marker::Labelled};

/// How often something is attempted to which no whole answer comes.
const ATTEMPTS: usize = 3;

/// A bucket of some vendor.
pub(super) struct Bucket {
    objects: Arc<dyn ObjectStore>,
    multipart: Arc<dyn MultipartStore>,
    listing: Arc<dyn PaginatedListStore>,
    /// None if nobody is sent to the store itself.
    public: Option<Arc<dyn Signer>>,
}

impl Bucket {
    /// The bucket that `vendor` speaks to. Whoever is sent to it finds it where `public` signs for.
    pub(super) fn new<V>(vendor: V, public: Option<Arc<dyn Signer>>) -> Self
    where
        V: ObjectStore + MultipartStore + PaginatedListStore,
    {
        let vendor = Arc::new(vendor);
        Self { objects: vendor.clone(), multipart: vendor.clone(), listing: vendor, public }
    }

    pub(super) async fn put(&self, key: &str, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        let payload: PutPayload = pieces.into_iter().collect();
        let put = self.objects.put_opts(&Path::from(key), payload, PutOptions::default()).await;
        put.map(|_| ()).map_err(|error| failed("writing", key, &error))
    }

    /// A small object, whole.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let found = match self.objects.get_opts(&Path::from(key), GetOptions::default()).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("reading", key, &error)),
        }
    }

    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        match self.objects.get_opts(&Path::from(key), options).await {
            Ok(found) => Ok(Some(found.meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("finding", key, &error)),
        }
    }

    /// The bytes of `span` that exist.
    pub(super) async fn read(&self, key: &str, span: Span) -> Result<Option<Object>, StoreError> {
        if span.length == 0 {
            return self.nothing_of(key).await;
        }
        // Servers count in signed numbers.
        let end = span.first.checked_add(span.length).filter(|end| *end <= i64::MAX.unsigned_abs());
        let range = end.map_or(GetRange::Offset(span.first), |end| GetRange::Bounded(span.first..end));
        let whole = span.first == 0 && span.length == u64::MAX;
        let options = GetOptions { range: (!whole).then_some(range), ..GetOptions::default() };

        match self.objects.get_opts(&Path::from(key), options).await {
            Ok(found) => {
                let size_bytes = found.meta.size;
                let name = key.to_owned();
                let body = found.into_stream().map_err(move |error| {
                    tracing::error!(%name, error = %failed("reading", &name, &error), "a blob cannot be read to its end");
                    StreamError::Source
                });
                Ok(Some(Object { size_bytes, body: body.boxed() }))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            // Behind the last byte is no range for a vendor, and no bytes for us.
            Err(error) if is_beyond(&error) => {
                let found = self.nothing_of(key).await?;
                match found {
                    Some(object) if object.size_bytes > span.first => Err(failed("reading", key, &error)),
                    found => Ok(found),
                }
            }
            Err(error) => Err(failed("reading", key, &error)),
        }
    }

    async fn nothing_of(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let found = self.size(key).await?;
        Ok(found.map(|size_bytes| Object { size_bytes, body: empty_stream() }))
    }

    /// Removes an object; none being there is no error.
    pub(super) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let path = Path::from(key);
        let remove = || {
            let one = stream::once(ready(Ok(path.clone())));
            self.objects.delete_stream(one.boxed()).try_collect::<Vec<Path>>()
        };
        match repeated(remove).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("removing", key, &error)),
        }
    }

    /// Keys that begin with `prefix`, behind `after`, in order: at most `limit`, and none only if there are none.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions {
                offset: after.map(str::to_owned),
                max_keys: Some(limit),
                page_token,
                ..PaginatedListOptions::default()
            };
            let page = repeated(|| self.listing.list_paginated(Some(prefix), options.clone())).await;
            let page = page.map_err(|error| failed("listing", prefix, &error))?;

            let keys = page.result.objects.into_iter().map(|object| object.location.to_string());
            let behind = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
            let mut keys: Vec<String> = behind.take(limit).collect();
            keys.sort_unstable();
            page_token = page.page_token;
            if !keys.is_empty() || page_token.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Begins a multipart upload; answers what the store calls it.
    pub(super) async fn open(&self, key: &str) -> Result<String, StoreError> {
        let path = Path::from(key);
        let opened = repeated(|| self.multipart.create_multipart(&path)).await;
        opened.map_err(|error| failed("beginning the upload of", key, &error))
    }

    /// Uploads the part with the index `index`, from 0; answers what the store calls it.
    pub(super) async fn upload(
        &self,
        (key, id): (&str, &str),
        index: usize,
        pieces: Vec<Bytes>,
    ) -> Result<String, object_store::Error> {
        let payload: PutPayload = pieces.into_iter().collect();
        let part = self.multipart.put_part(&Path::from(key), &id.to_owned(), index, payload).await?;
        Ok(part.content_id)
    }

    /// Ends a multipart upload: the object is there.
    pub(super) async fn complete(
        &self,
        (key, id): (&str, &str),
        parts: &[String],
    ) -> Result<(), object_store::Error> {
        let parts = parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        self.multipart.complete_multipart(&Path::from(key), &id.to_owned(), parts).await.map(|_| ())
    }

    /// Gives a multipart upload up; that it is over is no error.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<(), StoreError> {
        let (path, id) = (Path::from(key), id.to_owned());
        match repeated(|| self.multipart.abort_multipart(&path, &id)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("giving up the upload of", key, &error)),
        }
    }

    /// Where anybody can read `key` for `lifetime`, if they are sent there at all.
    pub(super) async fn public(
        &self,
        key: &str,
        lifetime: Duration,
    ) -> Result<Option<PublicUrl>, StoreError> {
        let Some(signer) = &self.public else {
            return Ok(None);
        };
        let address = signer.signed_url(Method::GET, &Path::from(key), lifetime).await;
        let url = address
            .map_err(|_| unavailable("signing an address of", key, "the credentials are not there"))?;
        Ok(Some(PublicUrl::new(url.to_string())))
    }
}

#[async_trait]
impl Labelled for Bucket {
    async fn label(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.get(key).await
    }

    async fn set_label(&self, key: &str, label: Bytes) -> Result<(), StoreError> {
        self.put(key, vec![label]).await
    }

    async fn holds(&self, prefix: &str) -> Result<bool, StoreError> {
        Ok(!self.list(prefix, None, 1).await?.is_empty())
    }
}

/// Does again what no answer came to, or only half of one: it is harmless for all that is done here. The client itself
/// does it again in other cases, with pauses.
async fn repeated<T, F>(attempt: impl Fn() -> F) -> object_store::Result<T>
where
    F: Future<Output = object_store::Result<T>>,
{
    let mut attempts = 1;
    loop {
        match attempt().await {
            Err(error) if attempts < ATTEMPTS && is_cut(&error) => attempts += 1,
            done => return done,
        }
    }
}
