//! A store in memory, for tests: what is kept is gone with it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use oci::{SessionId, Span};
use proto::stream_of;

use super::{Object, Store, StoreError, Writer};
use crate::layout::{self, ObjectName, Place};

/// A store in memory. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<ObjectName, Bytes>>>);

impl Memory {
    /// The names of all objects, in order.
    pub fn names(&self) -> Vec<ObjectName> {
        self.objects().keys().cloned().collect()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn write(
        &self,
        name: &ObjectName,
        _before: Option<&ObjectName>,
    ) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(Pending { store: self.clone(), name: name.clone(), chunks: Vec::new() }))
    }

    async fn publish(&self, parts: &[ObjectName], content: &ObjectName) -> Result<ObjectName, StoreError> {
        let mut objects = self.objects();
        let part = |name: &ObjectName| {
            let bytes = objects.get(name).cloned();
            bytes.ok_or_else(|| StoreError::Missing { name: name.clone() })
        };
        let parts: Vec<Bytes> = parts.iter().map(part).collect::<Result<_, _>>()?;

        objects.insert(content.clone(), parts.concat().into());
        Ok(content.clone())
    }

    async fn size(&self, name: &ObjectName) -> Result<Option<u64>, StoreError> {
        Ok(self.objects().get(name).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, name: &ObjectName, span: Span) -> Result<Option<Object>, StoreError> {
        let Some(bytes) = self.objects().get(name).cloned() else {
            return Ok(None);
        };

        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let body = bytes.slice(at(span.first)..at(span.first.saturating_add(span.length)));
        Ok(Some(Object { size_bytes: bytes.len() as u64, body: stream_of(body) }))
    }

    async fn remove_upload(&self, session: &SessionId) -> Result<(), StoreError> {
        let parts = format!("{}/", layout::upload(session));
        self.objects().retain(|name, _| !name.as_str().starts_with(&parts));
        Ok(())
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.objects().remove(name);
        Ok(())
    }

    async fn list(
        &self,
        place: Place,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectName>, StoreError> {
        let prefix = format!("{}/", place.prefix());
        let objects = self.objects();
        let names = objects.keys().filter(|name| name.as_str().starts_with(&prefix));
        let behind = names.filter(|name| after.is_none_or(|after| *name > after));
        Ok(behind.take(limit).cloned().collect())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Pending {
    store: Memory,
    name: ObjectName,
    chunks: Vec<Bytes>,
}

#[async_trait]
impl Writer for Pending {
    async fn append(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.chunks.push(bytes);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.store.objects().insert(self.name, self.chunks.concat().into());
        Ok(())
    }
}
