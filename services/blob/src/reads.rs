//! Granted reads: the grant first, then the bytes. It knows no users; what may be read is said by metadata.

use std::{borrow::Cow, sync::Arc, time::Duration};

use oci::{Locator, Span, StoreName};
use proto::{
    ByteStream,
    blob::{BlobError, Delivery, Grant, GrantKey, Handoff, HandoffPath, Opened, Redirect, RedirectUrl},
};
use service_kit::clock::Clock;

use crate::{
    handoff,
    layout::ObjectName,
    refused,
    store::{Object, Store},
};

/// Less is read at once, and costs less to pass on than to send somebody for.
const SMALLEST_ELSEWHERE_BYTES: u64 = 64 * 1024;

/// How long a client may take to begin to read from the store: docker queues layers behind each other, but asks for
/// each only when it begins with it.
const REDIRECT_LIFETIME: Duration = Duration::from_mins(15);

/// Whether this process has a port for proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandoffPort {
    Open,
    Closed,
}

/// The reads of one store.
pub(crate) struct Reads {
    /// Perhaps behind copies.
    store: Arc<dyn Store>,
    /// The store itself.
    itself: Arc<dyn Store>,
    name: StoreName,
    grants: GrantKey,
    port: HandoffPort,
    clock: Arc<dyn Clock>,
}

impl Reads {
    pub(crate) fn new(
        (itself, store, name): (Arc<dyn Store>, Arc<dyn Store>, StoreName),
        (grants, port): (GrantKey, HandoffPort),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, itself, name, grants, port, clock }
    }

    pub(crate) async fn open(
        &self,
        grant: &Grant,
        span: Option<Span>,
        delivery: Delivery,
    ) -> Result<Opened, BlobError> {
        let (name, span) = self.granted(grant, span)?;
        if let Some(elsewhere) = self.elsewhere(grant, &name, delivery).await? {
            return Ok(elsewhere);
        }
        let body = self.read(grant, &name, span).await?;
        Ok(Opened::Stream { span, body })
    }

    /// The bytes of `span`, as they are.
    pub(crate) async fn stream(&self, grant: &Grant, span: Span) -> Result<ByteStream, BlobError> {
        let (name, span) = self.granted(grant, Some(span))?;
        self.read(grant, &name, span).await
    }

    /// What the grant allows to read.
    fn granted(&self, grant: &Grant, span: Option<Span>) -> Result<(ObjectName, Span), BlobError> {
        let verified = self.grants.verify(grant, self.clock.now());
        verified.map_err(|why| BlobError::GrantRefused { why })?;
        let span = within(span, grant.size_bytes)?;

        let locator = &grant.locator;
        self.require_ours(locator)?;
        Ok((ObjectName::content(&locator.content, &locator.generation), span))
    }

    async fn read(&self, grant: &Grant, name: &ObjectName, span: Span) -> Result<ByteStream, BlobError> {
        let found = self.store.read(name, span).await.map_err(|error| refused(error, "reading a blob"))?;
        let whole = |object: &Object| object.size_bytes == grant.size_bytes;
        if let Some(object) = found.filter(whole) {
            return Ok(object.body);
        }

        // A copy may be damaged, and bytes that are said to be gone will be removed: only the store can say so.
        let found = self.itself.read(name, span).await.map_err(|error| refused(error, "reading a blob"))?;
        let object = found.filter(whole).ok_or_else(|| missing(grant))?;
        self.store.distrust(name).await;
        Ok(object.body)
    }

    /// How the reader gets it without us, if it can. What is sealed, nobody else can open.
    async fn elsewhere(
        &self,
        grant: &Grant,
        name: &ObjectName,
        delivery: Delivery,
    ) -> Result<Option<Opened>, BlobError> {
        if grant.locator.content.sign.is_some() || grant.size_bytes < SMALLEST_ELSEWHERE_BYTES {
            return Ok(None);
        }
        let redirected = match delivery.redirect {
            Redirect::Never => None,
            Redirect::Allowed => self.redirected(name).await,
        };
        let Some(elsewhere) = redirected.or_else(|| self.handed_off(grant, name, delivery.handoff)) else {
            return Ok(None);
        };

        // Nobody would tell us that it is gone.
        let size_bytes = self.store.size(name).await.map_err(|error| refused(error, "finding a blob"))?;
        if size_bytes == Some(grant.size_bytes) { Ok(Some(elsewhere)) } else { Err(missing(grant)) }
    }

    /// None also if there should be an address and is not: the reader gets the bytes from us.
    async fn redirected(&self, name: &ObjectName) -> Option<Opened> {
        let signed = self.store.redirect(name, REDIRECT_LIFETIME).await;
        let url = signed.unwrap_or_else(|error| {
            tracing::error!(%name, %error, "the address of a blob cannot be signed");
            None
        })?;
        match url.as_str().parse::<RedirectUrl>() {
            Ok(url) => Some(Opened::Redirect { url }),
            Err(error) => {
                tracing::error!(%name, %error, "the store has given an address that no client could follow");
                None
            }
        }
    }

    fn handed_off(&self, grant: &Grant, name: &ObjectName, handoff: Handoff) -> Option<Opened> {
        let path: Result<HandoffPath, _> = match (handoff, self.port) {
            (Handoff::File, _) => self.store.file(name)?.parse(),
            (Handoff::Replica, HandoffPort::Open) => handoff::path_of(grant).parse(),
            (Handoff::Replica, HandoffPort::Closed) | (Handoff::Never, _) => return None,
        };
        path.ok().map(|path| Opened::Handoff { path })
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

fn missing(grant: &Grant) -> BlobError {
    BlobError::Missing { locator: grant.locator.clone() }
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
