//! Digests: exactly the grammar's texts are taken, and each is printed as it was read.

use std::sync::LazyLock;

use oci::{Algorithm, Digest};
use regex::Regex;

use crate::grammar;

static DIGEST: LazyLock<Regex> = LazyLock::new(|| grammar::whole(grammar::DIGEST));

/// For any bytes, as a text and as content.
pub(crate) fn check(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        let read = text.parse::<Digest>();
        assert_eq!(read.is_ok(), DIGEST.is_match(text), "{text:?}");
        if let Ok(digest) = read {
            assert_eq!(digest.to_string(), text);
        }
    }

    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, input);
        assert!(DIGEST.is_match(&digest.to_string()), "{digest}");
        assert_eq!(digest.to_string().parse().as_ref(), Ok(&digest));
        assert_eq!(Digest::new(algorithm, input).is_ok(), input.len() * 2 == algorithm.hex_length());
    }
}
