//! One request: what handlers may know of it beside its target.

use std::net::IpAddr;

use axum::body::Body;
use futures_util::TryStreamExt as _;
use http::HeaderMap;
use proto::{
    ByteStream, StreamError,
    blob::Delivery,
    metadata::{Actor, Via},
};
use service_kit::http::BodyIdle;

use crate::{access::Caller, urls::Urls};

/// A request as handlers see it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    pub(crate) urls: Urls,
    /// Where the client is, if known.
    pub(crate) address: Option<IpAddr>,
    /// How a blob can come to it.
    pub(crate) delivery: Delivery,
}

impl Asked {
    /// On whose behalf a request writes.
    pub(crate) fn actor(&self, caller: &Caller) -> Actor {
        let (subject, credential) = (caller.subject().clone(), caller.credential().cloned());
        Actor { subject, via: Via::Registry, address: self.address, credential }
    }
}

/// The parameters behind the `?`, or in a form.
#[derive(Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl std::fmt::Debug for Query {
    /// Without the values: one may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Query {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All parameters with their values, in order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of a parameter, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The body as the contracts take it.
pub(crate) fn bytes(body: Body) -> ByteStream {
    Box::pin(body.into_data_stream().map_err(|error| {
        tracing::debug!(%error, "a request body did not come to its end");
        if BodyIdle::caused(&error) { StreamError::Stalled } else { StreamError::Cut }
    }))
}
