//! The hash that runs along with an upload, from one request and one process to the next.
//! It does not know where the bytes come from.

use bytes::{BufMut as _, Bytes, BytesMut};
use oci::{Algorithm, Digest};
use proto::blob::HashState;
use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState as _, SerializedState},
};

use crate::store::StoreError;

// A state is written: this version, the offset (8 bytes, big endian), the state of sha2 (104 bytes). Another
// version of sha2 with another state needs another number here.
const VERSION: u8 = 1;

/// Hashing so many takes less time than a thread takes to wake up.
pub(crate) const AT_ONCE_BYTES: usize = 32 * 1024;

/// The hash of the first `offset` bytes of an upload.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    running: Running,
    offset: u64,
}

#[derive(Debug, Clone)]
enum Running {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// The hash of no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let running = match algorithm {
            Algorithm::Sha256 => Running::Sha256(Sha256::new()),
            Algorithm::Sha512 => Running::Sha512(Sha512::new()),
        };
        Self { running, offset: 0 }
    }

    /// The SHA-256 of the first `offset` bytes, if `state` is that.
    pub(crate) fn import(state: &HashState, offset: u64) -> Option<Self> {
        if offset == 0 {
            return Some(Self::new(Algorithm::Sha256));
        }

        let (&version, rest) = state.0.split_first()?;
        let (&hashed, sha256) = rest.split_first_chunk()?;
        if version != VERSION || u64::from_be_bytes(hashed) != offset {
            return None;
        }
        let sha256 = SerializedState::<Sha256>::try_from(sha256).ok()?;
        Some(Self { running: Running::Sha256(Sha256::deserialize(&sha256).ok()?), offset })
    }

    /// The state that another process can import; none but of a SHA-256.
    pub(crate) fn export(&self) -> HashState {
        let Running::Sha256(sha256) = &self.running else {
            return HashState::default();
        };
        if self.offset == 0 {
            return HashState::default();
        }

        let sha256 = sha256.serialize();
        let mut state = BytesMut::with_capacity(1 + size_of::<u64>() + sha256.len());
        state.put_u8(VERSION);
        state.put_u64(self.offset);
        state.put_slice(&sha256);
        HashState(state.freeze())
    }

    /// Goes on with `bytes`.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            Running::Sha256(sha256) => sha256.update(bytes),
            Running::Sha512(sha512) => sha512.update(bytes),
        }
        self.offset += bytes.len() as u64;
    }

    /// Goes on with `bytes`, off the async workers unless they are few.
    pub(crate) async fn advance(mut self, bytes: Bytes) -> Result<Self, StoreError> {
        if bytes.len() <= AT_ONCE_BYTES {
            self.update(&bytes);
            return Ok(self);
        }

        let hashed = tokio::task::spawn_blocking(move || {
            self.update(&bytes);
            self
        });
        let interrupted = |cause: tokio::task::JoinError| StoreError::Unavailable {
            attempted: "hashing".to_owned(),
            cause: cause.into(),
        };
        hashed.await.map_err(interrupted)
    }

    /// What these bytes have been hashed with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.running {
            Running::Sha256(_) => Algorithm::Sha256,
            Running::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The digest of the bytes so far.
    pub(crate) fn digest(self) -> Digest {
        let digest = match self.running {
            Running::Sha256(sha256) => Digest::new(Algorithm::Sha256, &sha256.finalize()),
            Running::Sha512(sha512) => Digest::new(Algorithm::Sha512, &sha512.finalize()),
        };
        match digest {
            Ok(digest) => digest,
            Err(_) => unreachable!("the length of a hash is its algorithm's"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use rstest::rstest;

    use super::{Algorithm, Digest, HashState, Hasher};

    fn hashed(bytes: &[u8]) -> Hasher {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher
    }

    proptest! {
        #[test]
        fn a_hash_that_moves_between_processes_is_the_hash_in_one_go(
            one in any::<Vec<u8>>(), two in any::<Vec<u8>>(), three in any::<Vec<u8>>()
        ) {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let mut offset = 0;
            for piece in [&one, &two, &three] {
                hasher.update(piece);
                offset += piece.len() as u64;
                hasher = Hasher::import(&hasher.export(), offset).unwrap();
            }

            assert_eq!(hasher.digest(), Digest::of_sha256(&[one, two, three].concat()));
        }
    }

    #[rstest]
    #[case::sha256(Algorithm::Sha256)]
    #[case::sha512(Algorithm::Sha512)]
    fn the_digest_is_that_of_the_claimed_algorithm(#[case] algorithm: Algorithm) {
        let mut hasher = Hasher::new(algorithm);

        hasher.update(b"ab");
        hasher.update(b"c");

        assert_eq!(hasher.digest(), Digest::of(algorithm, b"abc"));
    }

    #[test]
    fn a_state_has_a_version_an_offset_and_104_bytes() {
        let state = hashed(b"abc").export().0;

        assert_eq!(state.len(), 1 + 8 + 104);
        assert_eq!(state[..9], [1, 0, 0, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn a_state_of_another_version_is_not_read() {
        let mut state = hashed(b"abc").export().0.to_vec();
        state[0] = 2;

        assert!(Hasher::import(&HashState(state.into()), 3).is_none());
    }

    #[test]
    fn a_state_that_lacks_bytes_or_has_too_many_is_not_read() {
        let state = hashed(b"abc").export().0;
        let longer = [state.as_ref(), &[0]].concat();

        assert!(Hasher::import(&HashState(state.slice(..state.len() - 1)), 3).is_none());
        assert!(Hasher::import(&HashState(longer.into()), 3).is_none());
        assert!(Hasher::import(&HashState::default(), 3).is_none());
    }

    #[test]
    fn a_state_of_another_offset_is_not_read() {
        assert!(Hasher::import(&hashed(b"abc").export(), 4).is_none());
    }
}
