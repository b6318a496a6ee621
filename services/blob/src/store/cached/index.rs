//! What a cache holds, in the order of use, and how much of it is taken. It knows no files.

use std::collections::{BTreeMap, HashMap};

use crate::layout::ObjectName;

/// The copies of a cache.
#[derive(Debug)]
pub(super) struct Index {
    max_bytes: u64,
    copied_bytes: u64,
    /// Room for copies that are being made.
    kept_bytes: u64,
    turn: u64,
    copies: HashMap<ObjectName, Copied>,
    by_turn: BTreeMap<u64, ObjectName>,
}

#[derive(Debug)]
struct Copied {
    size_bytes: u64,
    turn: u64,
}

impl Index {
    pub(super) fn new(max_bytes: u64) -> Self {
        let (copies, by_turn) = (HashMap::new(), BTreeMap::new());
        Self { max_bytes, copied_bytes: 0, kept_bytes: 0, turn: 0, copies, by_turn }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.copied_bytes + self.kept_bytes
    }

    /// Whether there is a copy.
    pub(super) fn has(&self, name: &ObjectName) -> bool {
        self.copies.contains_key(name)
    }

    /// The length of a copy, which was used now.
    pub(super) fn used(&mut self, name: &ObjectName) -> Option<u64> {
        let copied = self.copies.get_mut(name)?;
        self.by_turn.remove(&copied.turn);
        self.turn += 1;
        copied.turn = self.turn;
        self.by_turn.insert(self.turn, name.clone());
        Some(copied.size_bytes)
    }

    /// Keeps room for a copy; answers which must go for it, longest unused first. None if there cannot be so much room.
    pub(super) fn reserve(&mut self, size_bytes: u64) -> Option<Vec<ObjectName>> {
        if self.kept_bytes.checked_add(size_bytes)? > self.max_bytes {
            return None;
        }

        let mut evicted = Vec::new();
        while self.used_bytes() + size_bytes > self.max_bytes {
            let (_, name) = self.by_turn.pop_first()?;
            if let Some(copied) = self.copies.remove(&name) {
                self.copied_bytes -= copied.size_bytes;
            }
            evicted.push(name);
        }
        self.kept_bytes += size_bytes;
        Some(evicted)
    }

    /// Gives room back that was kept.
    pub(super) fn release(&mut self, size_bytes: u64) {
        self.kept_bytes -= size_bytes;
    }

    /// The room that was kept has a copy now.
    pub(super) fn keep(&mut self, name: ObjectName, size_bytes: u64) {
        self.kept_bytes -= size_bytes;
        self.copied_bytes += size_bytes;
        self.turn += 1;
        self.by_turn.insert(self.turn, name.clone());
        let before = self.copies.insert(name, Copied { size_bytes, turn: self.turn });
        if let Some(before) = before {
            self.by_turn.remove(&before.turn);
            self.copied_bytes -= before.size_bytes;
        }
    }

    /// Whether there was a copy, which is none any more.
    pub(super) fn forget(&mut self, name: &ObjectName) -> bool {
        let Some(copied) = self.copies.remove(name) else {
            return false;
        };
        self.by_turn.remove(&copied.turn);
        self.copied_bytes -= copied.size_bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use oci::{ContentId, Digest};

    use super::*;

    fn name(number: u32) -> ObjectName {
        let content = ContentId::plain(Digest::of_sha256(&number.to_le_bytes()));
        ObjectName::content(&content, &format!("1{number:025}").parse().unwrap())
    }

    fn filled(max_bytes: u64, copies: u32) -> Index {
        let mut index = Index::new(max_bytes);
        for number in 0..copies {
            assert_eq!(index.reserve(10), Some(Vec::new()));
            index.keep(name(number), 10);
        }
        index
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut index = filled(40, 4);
        assert_eq!(index.used(&name(0)), Some(10));

        assert_eq!(index.reserve(15), Some(vec![name(1), name(2)]));

        assert_eq!(index.used_bytes(), 35);
        assert_eq!((index.used(&name(1)), index.used(&name(0))), (None, Some(10)));
    }

    #[test]
    fn room_that_is_kept_is_not_given_away() {
        let mut index = filled(40, 1);
        assert_eq!(index.reserve(30), Some(Vec::new()));
        assert_eq!(index.reserve(11), None);
        assert_eq!(index.used(&name(0)), Some(10), "nothing goes for what does not fit");

        index.release(30);
        assert_eq!(index.reserve(31), Some(vec![name(0)]));
    }

    #[test]
    fn what_is_forgotten_or_copied_twice_takes_no_room() {
        let mut index = filled(40, 2);
        assert!(index.forget(&name(0)) && !index.forget(&name(0)));
        assert_eq!(index.reserve(10), Some(Vec::new()));
        index.keep(name(1), 10);
        assert_eq!(index.used_bytes(), 10);
    }
}
