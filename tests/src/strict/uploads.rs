//! Multipart uploads that are under way: the sizes of their parts, and of small ones also the bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    checks::{NO_PART, NO_UPLOAD},
    rules::Refusal,
};
use crate::image;

/// All uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    begun: AtomicU64,
    open: Mutex<BTreeMap<String, BTreeMap<usize, Part>>>,
}

#[derive(Debug, Clone)]
struct Part {
    bytes: Content,
    tag: String,
}

/// What is known of a part.
#[derive(Debug, Clone)]
enum Content {
    /// The store has it.
    Sized(u64),
    /// Nobody else has it.
    Kept(Bytes),
}

/// How large a part is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) number: usize,
    pub(super) bytes: u64,
}

/// A part as the end of an upload names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    number: usize,
    tag: String,
}

impl Uploads {
    /// Begins an upload whose parts are kept here; answers what it is called.
    pub(super) fn begin(&self) -> String {
        let id = format!("kept-{}", self.begun.fetch_add(1, Ordering::Relaxed));
        self.open.lock().unwrap().insert(id.clone(), BTreeMap::new());
        id
    }

    /// Keeps a part in place of an earlier one; answers its entity tag.
    pub(super) fn keep(&self, id: &str, number: usize, bytes: Bytes) -> Result<String, Refusal> {
        let tag = format!("\"{}\"", &image::digest(&bytes).hex()[..32]);
        let mut open = self.open.lock().unwrap();
        let parts = open.get_mut(id).ok_or(NO_UPLOAD)?;
        parts.insert(number, Part { bytes: Content::Kept(bytes), tag: tag.clone() });
        Ok(tag)
    }

    /// Notes a part that the store has taken.
    pub(super) fn note(&self, id: &str, number: usize, size_bytes: u64) {
        let part = Part { bytes: Content::Sized(size_bytes), tag: String::new() };
        self.open.lock().unwrap().entry(id.to_owned()).or_default().insert(number, part);
    }

    /// The sizes of `named`, of those that are known.
    pub(super) fn sizes(&self, id: &str, named: &[Named]) -> Vec<Size> {
        let open = self.open.lock().unwrap();
        let parts = open.get(id);
        let size = |named: &Named| {
            let bytes = match &parts?.get(&named.number)?.bytes {
                Content::Sized(bytes) => *bytes,
                Content::Kept(bytes) => bytes.len() as u64,
            };
            Some(Size { number: named.number, bytes })
        };
        named.iter().filter_map(size).collect()
    }

    /// The bytes of `named`, one after the other. Entity tags are compared as the vendor gave them, `tags` says how.
    pub(super) fn join(
        &self,
        id: &str,
        named: &[Named],
        tags: fn(&str) -> String,
    ) -> Result<Vec<u8>, Refusal> {
        let open = self.open.lock().unwrap();
        let parts = open.get(id).ok_or(NO_UPLOAD)?;
        let mut joined = Vec::new();
        for named in named {
            let part = parts.get(&named.number).filter(|part| tags(&part.tag) == named.tag);
            match part.map(|part| &part.bytes) {
                Some(Content::Kept(bytes)) => joined.extend_from_slice(bytes),
                Some(Content::Sized(_)) | None => return Err(NO_PART),
            }
        }
        Ok(joined)
    }

    /// Whether there is such an upload.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.open.lock().unwrap().contains_key(id)
    }

    /// Forgets an upload that is over.
    pub(super) fn end(&self, id: &str) {
        self.open.lock().unwrap().remove(id);
    }
}

/// The parts in the body of the request that ends an upload.
pub(super) fn named(body: &[u8]) -> Vec<Named> {
    let body = String::from_utf8_lossy(body);
    let element = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.trim().replace("&quot;", "\"").replace("&#34;", "\""))
    };
    let part = |text: &str| {
        Some(Named { number: element(text, "PartNumber")?.parse().ok()?, tag: element(text, "ETag")? })
    };
    body.split("<Part>").skip(1).filter_map(part).collect()
}
