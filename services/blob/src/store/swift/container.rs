//! A container: the few things that the adapter asks of Swift, each once, with errors that name the object. It does not
//! know what the objects are.

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use oci::Span;
use proto::empty_stream;
use serde::Deserialize;
use service_kit::exchange::{Answer, Exchange, Method};

use super::{
    body,
    config::Address,
    failure::{Failure, unavailable},
    requests::{Asked, Requests},
    sessions::Sessions,
};
use crate::store::{Object, StoreError, marker::Labelled};

/// A listing of the most names that are asked for at one time, a report on a removal, and the like.
const LONGEST_REPORT_BYTES: usize = 16 << 20;

/// Names in one listing: what Swift gives at most unless it is told otherwise.
const MOST_NAMES: usize = 10_000;

/// A container of one account.
#[derive(Debug)]
pub(super) struct Container {
    requests: Requests,
    name: String,
}

/// A piece of content, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size_bytes: u64,
}

/// What has become of something that is written only where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Now,
    Before,
}

/// What has become of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    Whole,
    /// A piece is not there, or not what it was.
    Lost,
}

#[derive(Deserialize)]
struct Listed {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Removed {
    #[serde(rename = "Response Status")]
    status: String,
    #[serde(rename = "Errors", default)]
    errors: Vec<(String, String)>,
}

impl Container {
    pub(super) fn new(exchange: Exchange, sessions: Sessions, name: String) -> Self {
        Self { requests: Requests::new(exchange, sessions, name.clone()), name }
    }

    /// Makes it, if it is not there.
    pub(super) async fn make(&self) -> Result<(), StoreError> {
        let found = self.requests.answer(&Asked::of(Method::Head, "")).await;
        let missing = matches!(&found, Err(failure) if failure.status() == Some(404));
        let made = if missing { self.requests.answer(&Asked::of(Method::Put, "")).await } else { found };
        made.map(|_| ()).map_err(|failure| failure.of("opening", &self.name))
    }

    /// What the cluster says of itself, if it does: it may keep that to itself.
    pub(super) async fn info(&self) -> Result<Option<Bytes>, StoreError> {
        let failed = |failure: Failure| failure.of("asking what the store can do:", "/info");
        let session = self.requests.session().await.map_err(failed)?;
        let url = format!("{}/info", session.account.origin);
        match self.requests.plainly(&url, LONGEST_REPORT_BYTES).await.map_err(failed)? {
            (200, info) => Ok(Some(info)),
            (401 | 403 | 404, _) => Ok(None),
            (status, _) => Err(failed(Failure::Answered { status, pause: None })),
        }
    }

    /// Where the account is, for whoever signs addresses.
    pub(super) async fn account(&self) -> Result<Address, Failure> {
        Ok(self.requests.session().await?.account.clone())
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where `key` is in the account.
    pub(super) fn path(&self, account: &Address, key: &str) -> String {
        format!("{}/{}/{key}", account.path, self.name)
    }

    /// Whether `url` can be read by whoever has no token.
    pub(super) async fn is_open(&self, url: &str) -> Result<bool, Failure> {
        let (status, _) = self.requests.plainly(url, LONGEST_REPORT_BYTES).await?;
        Ok(status == 200)
    }

    /// Writes an object, whose MD5 is `etag`: the server refuses other bytes.
    pub(super) async fn put(&self, key: &str, pieces: Vec<Bytes>, etag: &str) -> Result<(), StoreError> {
        let asked = Asked::of(Method::Put, key).with("etag", etag).sending(pieces);
        let put = self.requests.answer(&typed(asked)).await;
        put.map(|_| ()).map_err(|failure| failure.of("writing", key))
    }

    /// The same, where the MD5 is not known yet.
    pub(super) async fn put_whole(&self, key: &str, pieces: Vec<Bytes>) -> Result<(), StoreError> {
        let etag = md5_of(&pieces);
        self.put(key, pieces, &etag).await
    }

    /// Writes a small object if there is none. Of two who do so at the very same time, both may.
    pub(super) async fn put_first(&self, key: &str, bytes: &str) -> Result<Written, StoreError> {
        let pieces = vec![Bytes::copy_from_slice(bytes.as_bytes())];
        let asked = Asked::of(Method::Put, key).with("if-none-match", "*").with("etag", md5_of(&pieces));
        match self.requests.answer(&typed(asked.sending(pieces))).await {
            Ok(_) => Ok(Written::Now),
            Err(failure) if failure.status() == Some(412) => Ok(Written::Before),
            Err(failure) => Err(failure.of("writing", key)),
        }
    }

    /// Makes one object of `pieces`, whose bytes stay where they are.
    pub(super) async fn join(&self, key: &str, pieces: &[Piece]) -> Result<Joined, StoreError> {
        let entry = |piece: &Piece| {
            let path = format!("{}/{}", self.name, piece.key);
            serde_json::json!({ "path": path, "etag": piece.etag, "size_bytes": piece.size_bytes })
        };
        let manifest = serde_json::Value::Array(pieces.iter().map(entry).collect()).to_string();
        let asked = Asked::of(Method::Put, key).asking(&[("multipart-manifest", "put")]);
        match self.requests.attempted(&typed(asked.sending(vec![manifest.into()]))).await {
            Ok(answer) if answer.status() < 300 => Ok(Joined::Whole),
            Ok(answer) if answer.status() == 400 => {
                let body = answer.body(LONGEST_REPORT_BYTES).await;
                let said = body.map_err(|error| Failure::from(error).of("completing", key))?;
                let said = String::from_utf8_lossy(&said);
                let lost = ["404 Not Found", "Etag Mismatch", "Size Mismatch"];
                if lost.iter().any(|sign| said.contains(sign)) {
                    return Ok(Joined::Lost);
                }
                Err(unavailable("completing", key, "the store does not take the list of its segments"))
            }
            Ok(answer) => Err(Failure::answered(&answer).of("completing", key)),
            Err(failure) => Err(failure.of("completing", key)),
        }
    }

    /// A small object, whole.
    pub(super) async fn get(&self, key: &str, most: usize) -> Result<Option<Bytes>, StoreError> {
        self.requests.got("reading", &Asked::of(Method::Get, key), most).await
    }

    /// The same, as it was written last, wherever that was.
    pub(super) async fn get_newest(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let asked = Asked::of(Method::Get, key).with("x-newest", "true");
        self.requests.got("reading", &asked, LONGEST_REPORT_BYTES).await
    }

    pub(super) async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self.requests.answer(&Asked::of(Method::Head, key)).await {
            Ok(answer) => match number(answer.header("content-length")) {
                Some(size_bytes) => Ok(Some(size_bytes)),
                None => Err(unavailable("finding", key, "the store does not say how long it is")),
            },
            Err(failure) if failure.status() == Some(404) => Ok(None),
            Err(failure) => Err(failure.of("finding", key)),
        }
    }

    /// The bytes of `span` that exist.
    pub(super) async fn read(self: Arc<Self>, key: &str, span: Span) -> Result<Option<Object>, StoreError> {
        if span.length == 0 {
            let found = self.size(key).await?;
            return Ok(found.map(|size_bytes| Object { size_bytes, body: empty_stream() }));
        }
        let found = self.reading(key, span).await;
        match found {
            Ok((answer, size_bytes)) if answer.status() != 416 => {
                let length = span.length.min(size_bytes.saturating_sub(span.first));
                let span = Span { first: span.first, length };
                let body = body::whole(self, key.to_owned(), span, answer);
                Ok(Some(Object { size_bytes, body }))
            }
            // Behind the last byte is no range for the store, and no bytes for us.
            Ok((_, size_bytes)) if size_bytes <= span.first => {
                Ok(Some(Object { size_bytes, body: empty_stream() }))
            }
            Ok((answer, _)) => Err(Failure::answered(&answer).of("reading", key)),
            Err(failure) if failure.status() == Some(404) => Ok(None),
            Err(failure) => Err(failure.of("reading", key)),
        }
    }

    /// An answer with the bytes of `span`, or one that says that there are none; and the length of the whole object.
    pub(super) async fn reading(&self, key: &str, span: Span) -> Result<(Answer, u64), Failure> {
        let last = span.first.checked_add(span.length - 1).filter(|last| i64::try_from(*last).is_ok());
        let range = match last {
            Some(last) => format!("bytes={}-{last}", span.first),
            None => format!("bytes={}-", span.first),
        };
        let whole = span.first == 0 && span.length == u64::MAX;
        let asked = Asked::of(Method::Get, key);
        let asked = if whole { asked } else { asked.with("range", range) };

        let answer = self.requests.attempted(&asked).await?;
        let size_bytes = match answer.status() {
            200 => number(answer.header("content-length")),
            206 | 416 => number(answer.header("content-range").and_then(|range| range.rsplit('/').next())),
            _ => return Err(Failure::answered(&answer)),
        };
        // All of it instead of a part would be the wrong bytes.
        if !whole && answer.status() == 200 && span.first > 0 {
            return Err(Failure::Refused("the store does not heed the range that is asked for".to_owned()));
        }
        let size_bytes =
            size_bytes.ok_or_else(|| Failure::Refused("the store does not say how long it is".to_owned()))?;
        Ok((answer, size_bytes))
    }

    /// Removes an object; none being there is no error.
    pub(super) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        match self.requests.answer(&Asked::of(Method::Delete, key)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.status() == Some(404) => Ok(()),
            Err(failure) => Err(failure.of("removing", key)),
        }
    }

    /// Removes an object and what it was made of; none being there is no error.
    pub(super) async fn remove_joined(&self, key: &str) -> Result<(), StoreError> {
        let asked = Asked::of(Method::Delete, key)
            .asking(&[("multipart-manifest", "delete")])
            .with("accept", "application/json");
        let report = self.requests.got("removing", &asked, LONGEST_REPORT_BYTES).await?;
        let Some(report) = report else { return Ok(()) };
        let removed: Removed = serde_json::from_slice(&report)
            .map_err(|_| unavailable("removing", key, "the store does not say what it has removed"))?;
        if removed.status.starts_with("200") {
            return Ok(());
        }
        // Nothing but segments is named there.
        let first = removed.errors.first().map_or("", |(_, status)| status.as_str());
        Err(unavailable(
            "removing",
            key,
            &format!("the store could not remove all of it: {} {first}", removed.status),
        ))
    }

    /// Keys that begin with `prefix`, behind `after`, in order: at most `limit`. What has just been written or removed
    /// may be told of too late.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let limit = limit.min(MOST_NAMES).to_string();
        let marker = after.unwrap_or_default();
        let parameters =
            [("format", "json"), ("prefix", prefix), ("marker", marker), ("limit", limit.as_str())];
        let asked = Asked::of(Method::Get, "").asking(&parameters);
        let listing = self.requests.got("listing", &asked, LONGEST_REPORT_BYTES).await?;
        // Nothing listed would be nothing there, and that is for whoever sweeps to hear.
        let listing =
            listing.ok_or_else(|| unavailable("listing", prefix, "there is no such container any more"))?;
        if listing.is_empty() {
            return Ok(Vec::new());
        }
        let listed: Vec<Listed> = serde_json::from_slice(&listing)
            .map_err(|_| unavailable("listing", prefix, "the store answered something that is no listing"))?;
        Ok(listed.into_iter().filter_map(|listed| listed.name).collect())
    }
}

#[async_trait]
impl Labelled for Container {
    async fn label(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.get_newest(key).await
    }

    async fn set_label(&self, key: &str, label: Bytes) -> Result<(), StoreError> {
        self.put_whole(key, vec![label]).await
    }

    async fn holds(&self, prefix: &str) -> Result<bool, StoreError> {
        Ok(!self.list(prefix, None, 1).await?.is_empty())
    }
}

fn typed(asked: Asked) -> Asked {
    asked.with("content-type", "application/octet-stream")
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// The MD5 of `pieces` in hex, as Swift writes it.
pub(super) fn md5_of(pieces: &[Bytes]) -> String {
    let mut md5 = Md5::new();
    for piece in pieces {
        md5.update(piece);
    }
    hex(md5)
}

/// The MD5 of all that `md5` has seen.
pub(super) fn hex(md5: Md5) -> String {
    let mut hex = String::with_capacity(32);
    for byte in md5.finalize() {
        // Writing to a text does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
