//! A dump as it comes in, piece after piece. Nothing of a block is given out before its digest is right, and no length
//! that a dump states takes memory before the bytes are there.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use jiff::Timestamp;
use ulid::Ulid;

use super::{
    BLOCK, Chain, Consistency, Counts, DIGEST_BYTES, ENTRY_HEAD_BYTES, Entry, FIELD, FORMAT, HEADER_BYTES,
    Header, LONGEST_BLOCK_BYTES, MAGIC, MEMBER, TRAILER, TRAILER_BYTES, Trailer, VALUE,
};
use crate::keyspace::{Field, Key, NAME_LIMIT, VALUE_LIMIT};

/// A frame's tag and length.
const FRAME_HEAD_BYTES: usize = 1 + 4;

/// A part of a dump that is as it was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header(Header),
    /// Some of what it holds.
    Block(Block),
    /// The last.
    Trailer(Trailer),
}

/// Entries that are written together.
#[derive(Debug, PartialEq, Eq)]
pub struct Block(pub(crate) Vec<Entry>);

/// Why a dump cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Something else.
    #[error("this is no dump of metadata: it does not begin as one")]
    Unknown,
    /// A later release wrote it.
    #[error("the dump has format {found}, this release knows formats up to {FORMAT}: use a later release")]
    Newer {
        /// What it says.
        found: u16,
    },
    /// It is not as it was written.
    #[error("the dump is damaged {place}: {why}")]
    Damaged {
        /// Where.
        place: DamagedAt,
        /// What is wrong there.
        why: &'static str,
    },
    /// Its end is missing.
    #[error("the dump was cut short {place}: take another one, or find the rest")]
    Cut {
        /// Where.
        place: DamagedAt,
    },
}

/// A place in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamagedAt {
    /// The first part.
    Header,
    /// A block or the trailer.
    Frame {
        /// How many blocks are before it.
        blocks: u64,
        /// Where it begins (bytes).
        byte: u64,
    },
    /// Behind the trailer.
    End,
}

impl fmt::Display for DamagedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("in its header"),
            Self::Frame { blocks, byte } => write!(f, "behind {blocks} blocks, at byte {byte}"),
            Self::End => f.write_str("behind its end"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Beginning,
    Within(Chain),
    Ended,
}

/// Reads a dump that is fed to it in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    state: State,
    counts: Counts,
    byte: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), state: State::Beginning, counts: Counts::default(), byte: 0 }
    }
}

impl Reader {
    /// Takes the next piece. Memory is bounded as long as `part` is asked until it has no more.
    pub fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next part; none until more was fed.
    ///
    /// # Errors
    /// `Unknown`; `Newer`; `Damaged`, before anything of the damaged block was given out.
    pub fn part(&mut self) -> Result<Option<Part>, FormatError> {
        match self.state {
            State::Beginning => self.header(),
            State::Within(chain) => self.frame(chain),
            State::Ended if self.buffer.is_empty() => Ok(None),
            State::Ended => Err(self.damaged("something comes after the trailer")),
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// `Cut` if the trailer has not come; `Damaged` if more than it has.
    pub fn end(&self) -> Result<(), FormatError> {
        match self.state {
            State::Ended if self.buffer.is_empty() => Ok(()),
            State::Ended => Err(self.damaged("something comes after the trailer")),
            State::Beginning | State::Within(_) => Err(FormatError::Cut { place: self.place() }),
        }
    }

    fn header(&mut self) -> Result<Option<Part>, FormatError> {
        let known = self.buffer.len().min(MAGIC.len());
        if self.buffer[..known] != MAGIC[..known] {
            return Err(FormatError::Unknown);
        }
        if self.buffer.len() < MAGIC.len() + 2 {
            return Ok(None);
        }
        let found = u16::from_be_bytes([self.buffer[MAGIC.len()], self.buffer[MAGIC.len() + 1]]);
        if found > FORMAT {
            return Err(FormatError::Newer { found });
        }
        if self.buffer.len() < HEADER_BYTES + DIGEST_BYTES {
            return Ok(None);
        }

        let chain = Chain::of_header(&self.buffer[..HEADER_BYTES]);
        if self.buffer[HEADER_BYTES..HEADER_BYTES + DIGEST_BYTES] != chain.0 {
            return Err(self.damaged("its digest is another"));
        }
        let mut bytes = self.taken(HEADER_BYTES + DIGEST_BYTES);
        bytes.advance(MAGIC.len() + 2);
        let (schema, id, taken, consistency) =
            (bytes.get_u32(), Ulid(bytes.get_u128()), bytes.get_i64(), bytes.get_u8());
        let taken = Timestamp::from_millisecond(taken).map_err(|_| self.damaged("its time is none"))?;
        let consistency = match consistency {
            0 => Consistency::OneMoment,
            1 => Consistency::InMotion,
            _ => return Err(self.damaged("its kind is unknown")),
        };
        self.state = State::Within(chain);
        Ok(Some(Part::Header(Header { schema, id, taken, consistency })))
    }

    fn frame(&mut self, chain: Chain) -> Result<Option<Part>, FormatError> {
        if self.buffer.len() < FRAME_HEAD_BYTES {
            return Ok(None);
        }
        let tag = self.buffer[0];
        let length =
            u32::from_be_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
        match tag {
            BLOCK if length <= LONGEST_BLOCK_BYTES => {}
            TRAILER if length == TRAILER_BYTES => {}
            BLOCK | TRAILER => return Err(self.damaged("its length cannot be")),
            _ => return Err(self.damaged("it is neither a block nor the trailer")),
        }
        let whole = FRAME_HEAD_BYTES + length + DIGEST_BYTES;
        if self.buffer.len() < whole {
            return Ok(None);
        }

        let (payload, digest) = self.buffer[FRAME_HEAD_BYTES..whole].split_at(length);
        let followed = chain.followed_by(tag, payload);
        if digest != followed.0 {
            return Err(self.damaged("its digest is another"));
        }
        let part = if tag == BLOCK { self.block(payload)? } else { self.trailer(payload, followed)? };
        if let Part::Block(Block(entries)) = &part {
            for entry in entries {
                self.counts.count(entry);
            }
            self.counts.blocks += 1;
        }
        self.state = if tag == BLOCK { State::Within(followed) } else { State::Ended };
        let _read = self.taken(whole);
        Ok(Some(part))
    }

    fn block(&self, payload: &[u8]) -> Result<Part, FormatError> {
        let mut rest = Bytes::copy_from_slice(payload);
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(entry(&mut rest).map_err(|why| self.damaged(why))?);
        }
        Ok(Part::Block(Block(entries)))
    }

    fn trailer(&self, mut payload: &[u8], chain: Chain) -> Result<Part, FormatError> {
        let (values, fields) = (payload.get_u64(), payload.get_u64());
        let counts = Counts { values, fields, members: payload.get_u64(), blocks: payload.get_u64() };
        if counts != self.counts {
            return Err(self.damaged("it counts what was not there"));
        }
        Ok(Part::Trailer(Trailer { counts, digest: chain.0 }))
    }

    fn taken(&mut self, bytes: usize) -> Bytes {
        self.byte += bytes as u64;
        self.buffer.split_to(bytes).freeze()
    }

    fn damaged(&self, why: &'static str) -> FormatError {
        FormatError::Damaged { place: self.place(), why }
    }

    fn place(&self) -> DamagedAt {
        match self.state {
            State::Beginning => DamagedAt::Header,
            State::Within(_) => DamagedAt::Frame { blocks: self.counts.blocks, byte: self.byte },
            State::Ended => DamagedAt::End,
        }
    }
}

/// The next entry. A dump whose digests are right was perhaps made by somebody who means harm.
fn entry(rest: &mut Bytes) -> Result<Entry, &'static str> {
    if rest.len() < ENTRY_HEAD_BYTES {
        return Err("an entry is cut short");
    }
    let kind = rest.get_u8();
    let (key, name, value) =
        (usize::from(rest.get_u16()), usize::from(rest.get_u16()), rest.get_u32() as usize);
    let named = match kind {
        VALUE => name == 0,
        FIELD => (1..=NAME_LIMIT).contains(&name),
        MEMBER => (1..=NAME_LIMIT).contains(&name) && value == 0,
        _ => return Err("an entry is of no known kind"),
    };
    if !named || !(1..=NAME_LIMIT).contains(&key) || value > VALUE_LIMIT {
        return Err("an entry has a length that no engine takes");
    }
    if rest.len() < key + name + value {
        return Err("an entry is cut short");
    }

    let (key, name, value) = (Key::new(rest.split_to(key)), rest.split_to(name), rest.split_to(value));
    Ok(match kind {
        VALUE => Entry::Value(key, value),
        FIELD => Entry::Field(key, Field::new(name), value),
        _ => Entry::Member(key, name),
    })
}
