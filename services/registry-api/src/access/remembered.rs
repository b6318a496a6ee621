//! Tokens whose signature has been verified, by their SHA-256: checking one again costs a hash instead of a
//! signature. Whether a token is still valid is not known here.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::token::Token;

/// Remembered tokens, at most.
const MOST: u64 = 100_000;

/// What one of them may weigh before it counts as several, so that all together stay near 100 MiB.
const USUAL_BYTES: usize = 1024;

/// A bounded memory of tokens.
pub(crate) struct Remembered(Cache<[u8; 32], Entry>);

#[derive(Clone)]
struct Entry {
    token: Arc<Token>,
    weight: u32,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder().max_capacity(MOST).weigher(|_, entry: &Entry| entry.weight);
        Self(cache.build())
    }

    pub(crate) fn find(&self, text: &str) -> Option<Arc<Token>> {
        self.0.get(&name_of(text)).map(|entry| entry.token)
    }

    pub(crate) fn insert(&self, text: &str, token: &Arc<Token>) {
        let weight = u32::try_from(1 + text.len() / USUAL_BYTES).unwrap_or(u32::MAX);
        self.0.insert(name_of(text), Entry { token: Arc::clone(token), weight });
    }
}

fn name_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
