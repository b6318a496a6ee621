//! The form of a dump: a header, blocks of entries and a trailer, each with a SHA-256 that goes on from the one before,
//! so that nothing can be altered, left out or moved unseen. docs/decisions/0015 draws it. It knows no key.

use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::keyspace::{Field, Key, Mutation, NAME_LIMIT, VALUE_LIMIT};

mod reading;

pub use reading::{Block, DamagedAt, FormatError, Part, Reader};

/// What a dump begins with.
const MAGIC: &[u8; 8] = b"bucketMD";

/// The form that this release writes.
const FORMAT: u16 = 1;

const BLOCK: u8 = b'B';
const TRAILER: u8 = b'E';

const DIGEST_BYTES: usize = 32;

/// Magic, format, schema, id, time and consistency.
const HEADER_BYTES: usize = 8 + 2 + 4 + 16 + 8 + 1;

/// Values, fields, members and blocks.
const TRAILER_BYTES: usize = 4 * 8;

/// A block is closed once it has so many bytes of entries, or so many entries: what one commit writes.
const BLOCK_BYTES: usize = 256 * 1_024;
const BLOCK_ENTRIES: usize = 500;

/// The lengths before an entry: its kind, its key, its name and its value.
const ENTRY_HEAD_BYTES: usize = 1 + 2 + 2 + 4;

/// No block is longer: one entry may be as long as it can be after a block that was almost full.
const LONGEST_BLOCK_BYTES: usize = BLOCK_BYTES + ENTRY_HEAD_BYTES + 2 * NAME_LIMIT + VALUE_LIMIT;

const VALUE: u8 = b'V';
const FIELD: u8 = b'F';
const MEMBER: u8 = b'M';

/// What a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The schema version of what it holds.
    pub schema: u32,
    /// What tells it from every other.
    pub id: Ulid,
    /// When it was begun.
    pub taken: Timestamp,
    /// Of what time it is.
    pub consistency: Consistency,
}

/// Of what time a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Of one moment.
    OneMoment,
    /// Of the time that it took: the engine has no snapshots.
    InMotion,
}

/// One thing that an engine keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Value(Key, Bytes),
    Field(Key, Field, Bytes),
    Member(Key, Bytes),
}

impl Entry {
    /// What puts it into an engine.
    pub(super) fn written(&self) -> Mutation {
        match self.clone() {
            Self::Value(key, value) => Mutation::SetValue(key, value),
            Self::Field(key, field, value) => Mutation::SetField(key, field, value),
            Self::Member(key, member) => Mutation::AddMember(key, member),
        }
    }
}

/// How much a dump holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Plain values.
    pub values: u64,
    /// Fields of hashes.
    pub fields: u64,
    /// Members of ordered sets.
    pub members: u64,
    /// Blocks that these are in.
    pub blocks: u64,
}

impl Counts {
    /// All entries.
    pub const fn entries(&self) -> u64 {
        self.values + self.fields + self.members
    }

    const fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Value(..) => self.values += 1,
            Entry::Field(..) => self.fields += 1,
            Entry::Member(..) => self.members += 1,
        }
    }
}

/// The end of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// How much it holds.
    pub counts: Counts,
    /// Of all of it.
    pub digest: [u8; DIGEST_BYTES],
}

/// The digest of everything so far.
#[derive(Debug, Clone, Copy)]
struct Chain([u8; DIGEST_BYTES]);

impl Chain {
    fn of_header(header: &[u8]) -> Self {
        Self(Sha256::digest(header).into())
    }

    /// With a frame behind what was.
    fn followed_by(self, tag: u8, payload: &[u8]) -> Self {
        let length = (payload.len() as u64).to_be_bytes();
        let digest =
            Sha256::new().chain_update(self.0).chain_update([tag]).chain_update(length).chain_update(payload);
        Self(digest.finalize().into())
    }
}

/// Writes a dump, block after block.
#[derive(Debug)]
pub(super) struct Encoder {
    payload: BytesMut,
    entries: usize,
    counts: Counts,
    chain: Chain,
}

impl Encoder {
    /// Begins a dump: what comes first of it.
    pub(super) fn begin(header: &Header) -> (Self, Bytes) {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + DIGEST_BYTES);
        bytes.put_slice(MAGIC);
        bytes.put_u16(FORMAT);
        bytes.put_u32(header.schema);
        bytes.put_u128(header.id.0);
        bytes.put_i64(header.taken.as_millisecond());
        bytes.put_u8(match header.consistency {
            Consistency::OneMoment => 0,
            Consistency::InMotion => 1,
        });
        let chain = Chain::of_header(&bytes);
        bytes.put_slice(&chain.0);

        (Self { payload: BytesMut::new(), entries: 0, counts: Counts::default(), chain }, bytes.freeze())
    }

    /// Adds an entry, which no engine has made longer than its limits. The block, if it is full by that.
    pub(super) fn add(&mut self, entry: &Entry) -> Option<Bytes> {
        let none = Bytes::new();
        let (kind, key, name, value) = match entry {
            Entry::Value(key, value) => (VALUE, key, &none, value),
            Entry::Field(key, field, value) => (FIELD, key, field.as_bytes(), value),
            Entry::Member(key, member) => (MEMBER, key, member, &none),
        };
        let short = |bytes: &Bytes| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.payload.put_u8(kind);
        self.payload.put_u16(short(key.as_bytes()));
        self.payload.put_u16(short(name));
        self.payload.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        for part in [key.as_bytes(), name, value] {
            self.payload.put_slice(part);
        }
        self.entries += 1;
        self.counts.count(entry);

        let full = self.payload.len() >= BLOCK_BYTES || self.entries >= BLOCK_ENTRIES;
        full.then(|| self.closed())
    }

    /// The last block, if anything is in it, and the trailer.
    pub(super) fn finish(mut self) -> (Bytes, Trailer) {
        let mut last = BytesMut::new();
        if self.entries > 0 {
            last.put_slice(&self.closed());
        }
        let counts = self.counts;
        let mut payload = BytesMut::with_capacity(TRAILER_BYTES);
        for count in [counts.values, counts.fields, counts.members, counts.blocks] {
            payload.put_u64(count);
        }
        last.put_slice(&self.framed(TRAILER, &payload));

        (last.freeze(), Trailer { counts, digest: self.chain.0 })
    }

    fn closed(&mut self) -> Bytes {
        let payload = std::mem::take(&mut self.payload);
        self.entries = 0;
        self.counts.blocks += 1;
        self.framed(BLOCK, &payload)
    }

    fn framed(&mut self, tag: u8, payload: &[u8]) -> Bytes {
        self.chain = self.chain.followed_by(tag, payload);
        let mut frame = BytesMut::with_capacity(1 + 4 + payload.len() + DIGEST_BYTES);
        frame.put_u8(tag);
        frame.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        frame.put_slice(payload);
        frame.put_slice(&self.chain.0);
        frame.freeze()
    }
}

#[cfg(test)]
mod tests;
