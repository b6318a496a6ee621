//! Granted reads: the grant first, then the bytes. It knows no users; what may be read is said by metadata.

use std::{borrow::Cow, sync::Arc};

use oci::{Locator, Span, StoreName};
use proto::blob::{BlobError, Grant, GrantKey, Opened};
use service_kit::clock::Clock;

use crate::{layout::ObjectName, refused, store::Store};

/// The reads of one store.
pub(crate) struct Reads {
    store: Arc<dyn Store>,
    name: StoreName,
    grants: GrantKey,
    clock: Arc<dyn Clock>,
}

impl Reads {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        name: StoreName,
        grants: GrantKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, name, grants, clock }
    }

    pub(crate) async fn open(&self, grant: &Grant, span: Option<Span>) -> Result<Opened, BlobError> {
        let verified = self.grants.verify(grant, self.clock.now());
        verified.map_err(|why| BlobError::GrantRefused { why })?;
        let span = within(span, grant.size_bytes)?;

        let locator = &grant.locator;
        self.require_ours(locator)?;
        let name = ObjectName::content(&locator.content, &locator.generation);
        let found = self.store.read(&name, span).await.map_err(|error| refused(error, "reading a blob"))?;

        let whole = found.filter(|object| object.size_bytes == grant.size_bytes);
        let object = whole.ok_or_else(|| BlobError::Missing { locator: locator.clone() })?;
        Ok(Opened { span, body: object.body })
    }

    // Not `Missing`: the bytes may well be in the store that this one was mistaken for.
    fn require_ours(&self, locator: &Locator) -> Result<(), BlobError> {
        if locator.store == self.name {
            return Ok(());
        }
        tracing::error!(%locator, store = %self.name, "a blob of another store was asked for; see the setting `store`");
        Err(BlobError::Unavailable { attempted: Cow::Borrowed("reading from a store that is not this one") })
    }
}

fn within(span: Option<Span>, size_bytes: u64) -> Result<Span, BlobError> {
    let Some(span) = span else {
        return Ok(Span { first: 0, length: size_bytes });
    };

    let end = span.first.checked_add(span.length);
    if end.is_some_and(|end| end <= size_bytes) {
        Ok(span)
    } else {
        Err(BlobError::OutOfRange { first: span.first, size_bytes })
    }
}
