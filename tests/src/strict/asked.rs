//! What a request asks for, as far as rules look at it. It knows no vendor.

use std::collections::BTreeMap;

use blob::store::object::Addressing;
use bytes::Bytes;
use hyper::{
    HeaderMap, Method, header,
    http::{request::Parts, uri::Authority},
};

/// A request that has arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) host: String,
    /// From its first `/`, as it was sent.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The same as it was sent.
    pub(crate) parameters: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Put,
    List,
    Begin,
    Part { id: &'a str, number: &'a str },
    Complete { id: &'a str },
    Abort { id: &'a str },
    Other,
}

impl Asked {
    pub(crate) fn new(head: Parts, body: Bytes) -> Self {
        let said = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // Who speaks to a proxy says the whole address.
        let host = head.uri.authority().map(Authority::as_str).or(said);
        let parameters = head.uri.query().map(str::to_owned);
        Self {
            host: host.unwrap_or_default().to_owned(),
            path: head.uri.path().to_owned(),
            query: query(parameters.as_deref().unwrap_or_default()),
            parameters,
            method: head.method,
            headers: head.headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Whether it changes something.
    pub(crate) fn writes(&self) -> bool {
        [Method::PUT, Method::POST].contains(&self.method)
    }

    pub(crate) fn operation(&self) -> Operation<'_> {
        let parameter = |name: &str| self.query.get(name).map(String::as_str);
        match (self.method.as_str(), parameter("uploadId"), parameter("partNumber")) {
            ("POST", None, _) if self.query.contains_key("uploads") => Operation::Begin,
            ("PUT", Some(id), Some(number)) => Operation::Part { id, number },
            ("POST", Some(id), None) => Operation::Complete { id },
            ("DELETE", Some(id), None) => Operation::Abort { id },
            ("PUT", None, None) => Operation::Put,
            ("GET", None, None) if self.query.contains_key("list-type") => Operation::List,
            _ => Operation::Other,
        }
    }

    /// Where the bucket is named, its name, and the path of the object in it, for a vendor at `host`; none if the request
    /// is for somebody else.
    pub(crate) fn place(&self, host: &str) -> Option<(Addressing, &str, &str)> {
        let before = self.host.strip_suffix(host)?;
        if let Some(bucket) = before.strip_suffix('.') {
            return Some((Addressing::Virtual, bucket, &self.path));
        }
        let named = self.path.strip_prefix('/').filter(|_| before.is_empty())?;
        let bucket = named.split('/').next().unwrap_or_default();
        Some((Addressing::Path, bucket, &named[bucket.len()..]))
    }
}

fn query(text: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://query/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}
