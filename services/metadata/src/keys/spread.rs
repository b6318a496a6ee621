//! How keys are spelled where they are spread over servers: the part before the suffix is the hash tag, so that what is
//! under one name lies together. Only what splits commits asks; where nothing is spread, keys have no braces.

use bytes::Bytes;
use oci::Digest;

use super::key;
use crate::keyspace::{Field, Key};

/// Names of groups are so long at most (bytes): the keys of those who write there begin with them.
const LONGEST: usize = 256;

/// In the locks of a group: who has it alone.
pub(crate) const ALONE: Field = Field::from_static("Alone");
/// In what a commit has begun: whether it is decided.
pub(crate) const PROGRESS: Field = Field::from_static("Progress");
/// In what a commit has begun: all that it does.
pub(crate) const WORK: Field = Field::from_static("Work");

/// Keys that lie together, by what they begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group(String);

impl Group {
    /// By the name that `as_str` gave.
    pub(crate) fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Who writes to the group: commit → how far it is here; `Alone`.
    pub(crate) fn locks(&self) -> Key {
        key(format!("{{{}}}:locks", self.0))
    }

    /// What a commit has begun, in the first of its groups.
    pub(crate) fn begun(&self, commit: &str) -> Key {
        key(format!("{{{}}}:commit:{commit}", self.0))
    }
}

/// The group that a key belongs to, and how the key is spelled there.
pub(crate) fn spread(plain: &Key) -> (Group, Key) {
    let plain = plain.as_bytes();
    let (head, suffix) = plain.split_at(head(plain));
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"{}%".contains(byte);
    // What has a name that could be read otherwise is called by its digest. No name of a registry is such a one.
    let (name, whole) = match std::str::from_utf8(head) {
        Ok(name) if head.len() <= LONGEST && head.iter().all(is_plain) => {
            (name.to_owned(), suffix.is_empty())
        }
        _ => (Digest::of_sha256(head).to_string(), false),
    };

    let spelled =
        if whole { Bytes::from(name.clone()) } else { [b"{", name.as_bytes(), b"}", suffix].concat().into() };
    (Group(name), Key::new(spelled))
}

/// How long the part before the suffix is. Of an upload, an identity or whatever else `^word:` stands before, the name
/// belongs to it: nothing binds these to each other.
fn head(key: &[u8]) -> usize {
    let mut colons = (0..key.len()).filter(|at| key[*at] == b':');
    let end = match key.first() {
        Some(b'&') => key.iter().position(|byte| *byte == b'+'),
        Some(b'^') => colons.nth(1),
        _ => colons.next().or_else(|| visibility(key)),
    };
    end.filter(|end| *end > 0).unwrap_or(key.len())
}

/// Where the sign of a repository's visibility stands, which its name cannot end with.
fn visibility(key: &[u8]) -> Option<usize> {
    let last = key.len().checked_sub(1)?;
    (key.contains(&b'$') && b"+-".contains(&key[last])).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(plain: &'static str) -> (String, String) {
        let (group, key) = spread(&Key::from_static(plain));
        (group.as_str().to_owned(), key.to_string())
    }

    #[test]
    fn what_is_under_one_name_lies_together() {
        let cases = [
            ("@users", "@users", "@users"),
            ("@ann", "@ann", "@ann"),
            ("@ann:audit:marks", "@ann", "{@ann}:audit:marks"),
            ("@ann$my-app/b-c+", "@ann$my-app/b-c", "{@ann$my-app/b-c}+"),
            ("@ann$my-app-", "@ann$my-app", "{@ann$my-app}-"),
            ("$repos", "$repos", "$repos"),
            ("$repos+", "$repos", "{$repos}+"),
            ("$01JD", "$01JD", "$01JD"),
            ("$01JD:manifest:sha256:ab", "$01JD", "{$01JD}:manifest:sha256:ab"),
            ("&sha256:ab+", "&sha256:ab", "{&sha256:ab}+"),
            ("&sha256:ab+:refs", "&sha256:ab", "{&sha256:ab}+:refs"),
            ("^uploads", "^uploads", "^uploads"),
            ("^Upload:s", "^Upload:s", "^Upload:s"),
            ("^Upload:s:parts", "^Upload:s", "{^Upload:s}:parts"),
            ("^name:ann", "^name:ann", "^name:ann"),
            ("^dirty:scanner", "^dirty:scanner", "^dirty:scanner"),
        ];
        for (plain, group, key) in cases {
            assert_eq!(spelled(plain), (group.to_owned(), key.to_owned()), "{plain}");
        }
    }

    #[test]
    fn what_could_be_read_otherwise_is_called_by_its_digest() {
        for odd in ["a{b}c", "}{", "%7B", " ", "\u{e9}"] {
            let (group, key) = spelled(odd);
            assert!(group.starts_with("sha256:") && key.starts_with(&format!("{{{group}}}")), "{odd}: {key}");
        }
        let (group, key) = spread(&Key::new(vec![0xff; 1_024]));
        assert_eq!(key.as_bytes(), format!("{{{}}}", group.as_str()).as_bytes());
    }

    #[test]
    fn what_a_group_needs_for_itself_lies_in_it() {
        let (group, _) = spread(&Key::from_static("$01JD:tag"));
        assert_eq!(group.locks().to_string(), "{$01JD}:locks");
        assert_eq!(group.begun("01K").to_string(), "{$01JD}:commit:01K");
    }
}
