//! What a part of an upload is in an object store: how far the multipart upload has come, and the bytes behind its last
//! full part. Whoever goes on with the upload, on whichever replica, needs nothing else.

// magic and version, 8 bytes
// length of the state in bytes, 4, big endian
// SHA-256 of the state, 32
// the state, as JSON
// the bytes that are in no part of the multipart upload yet

use bytes::{BufMut as _, Bytes, BytesMut};
use oci::Generation;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"BKTPART1";
const FIXED_BYTES: usize = 8 + 4 + 32;

/// How far an upload has come with a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct State {
    /// Bytes of the upload before the part.
    pub(in crate::store) start: u64,
    /// The same including the part.
    pub(in crate::store) end: u64,
    /// None as long as all bytes fit behind the state.
    pub(in crate::store) opened: Option<Opened>,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store) struct Opened {
    /// Whose bytes it makes.
    pub(in crate::store) generation: Generation,
    /// What the store calls it.
    pub(in crate::store) id: String,
    /// What the store has called each part, in order.
    pub(in crate::store) parts: Vec<String>,
    /// Bytes in them.
    pub(in crate::store) bytes: u64,
}

/// What is kept of a part is not what was written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the part is damaged, or of another version of this service: {what}")]
pub(in crate::store) struct Damaged {
    what: &'static str,
}

impl State {
    /// Bytes of the upload that are in full parts.
    pub(in crate::store) fn uploaded_bytes(&self) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.bytes)
    }

    /// The object of the part, whose last bytes are `tail`.
    pub(in crate::store) fn written(&self, tail: Vec<Bytes>) -> Result<Vec<Bytes>, Damaged> {
        let state = serde_json::to_vec(self).map_err(|_| Damaged { what: "its state cannot be written" })?;
        let length = u32::try_from(state.len()).map_err(|_| Damaged { what: "its state is too long" })?;

        let mut head = BytesMut::with_capacity(FIXED_BYTES + state.len());
        head.put_slice(MAGIC);
        head.put_u32(length);
        head.put_slice(Sha256::digest(&state).as_slice());
        head.put_slice(&state);
        Ok(std::iter::once(head.freeze()).chain(tail).collect())
    }

    /// Reads the `object` of a part: its state, and the bytes behind it.
    pub(in crate::store) fn read(mut object: Bytes) -> Result<(Self, Bytes), Damaged> {
        let damaged = |what| Damaged { what };
        if object.len() < FIXED_BYTES {
            return Err(damaged("it is too short"));
        }
        let fixed = object.split_to(FIXED_BYTES);
        let (magic, rest) = fixed.split_at(MAGIC.len());
        let (length, sum) = rest.split_at(4);
        if magic != MAGIC {
            return Err(damaged("it does not begin like one"));
        }
        let length = length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        if object.len() < length {
            return Err(damaged("its state is cut short"));
        }

        let written = object.split_to(length);
        if Sha256::digest(&written).as_slice() != sum {
            return Err(damaged("its state has another checksum"));
        }
        let state: Self =
            serde_json::from_slice(&written).map_err(|_| damaged("its state cannot be read"))?;
        if state.start > state.end || state.uploaded_bytes() + object.len() as u64 != state.end {
            return Err(damaged("its length is not what it says"));
        }
        Ok((state, object))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Opened, State};

    fn state() -> State {
        let opened = Opened {
            generation: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            id: "upload/+=".to_owned(),
            parts: vec!["\"one\"".to_owned(), "two".to_owned()],
            bytes: 16,
        };
        State { start: 3, end: 20, opened: Some(opened) }
    }

    fn object(state: &State, tail: &'static str) -> Vec<u8> {
        state.written(vec![Bytes::from(tail)]).unwrap().concat()
    }

    #[test]
    fn what_is_written_reads_back() {
        let (read, tail) = State::read(object(&state(), "tail").into()).unwrap();
        assert_eq!((read, &tail[..]), (state(), &b"tail"[..]));

        let first = State { start: 0, end: 4, opened: None };
        assert_eq!(State::read(object(&first, "tail").into()).unwrap(), (first, Bytes::from("tail")));
    }

    #[test]
    fn what_is_damaged_is_refused_wherever_the_damage_is() {
        let whole = object(&state(), "tail");
        for at in 0..whole.len() - 4 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(State::read(damaged.into()).is_err(), "byte {at}");
        }
        for length in 0..whole.len() {
            assert!(State::read(Bytes::copy_from_slice(&whole[..length])).is_err(), "{length} bytes");
        }
    }
}
