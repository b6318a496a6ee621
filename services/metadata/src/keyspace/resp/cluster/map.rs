//! Which server of a cluster has what: the slot of a key, and the master of a slot. It asks nobody.

use std::collections::BTreeSet;

use redis::Value;

use crate::keyspace::{
    Error, Key,
    resp::{address::Address, target::text},
};

/// So many slots there are.
const SLOTS: u16 = 16_384;

/// Who has which slots.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    ranges: Vec<Range>,
    /// Masters and replicas.
    known: BTreeSet<Address>,
}

#[derive(Debug, Clone)]
struct Range {
    first: u16,
    last: u16,
    master: Address,
}

impl Map {
    /// From the answer to CLUSTER SLOTS; none if it is another. Servers that are not named yet are left out.
    pub(super) fn parsed(answer: &Value) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut map = Self::default();
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [first, last, servers @ ..] = &parts[..] else { return None };
            let servers: Vec<Option<Address>> = servers.iter().map(server).collect();
            map.known.extend(servers.iter().flatten().cloned());
            if let Some(Some(master)) = servers.first() {
                map.ranges.push(Range { first: slot(first)?, last: slot(last)?, master: master.clone() });
            }
        }
        map.ranges.sort_by_key(|range| range.first);
        Some(map)
    }

    /// Who has the slot.
    pub(super) fn master_of(&self, slot: u16) -> Option<&Address> {
        let has = |range: &&Range| (range.first..=range.last).contains(&slot);
        self.ranges.iter().find(has).map(|range| &range.master)
    }

    /// All that have slots.
    pub(super) fn masters(&self) -> BTreeSet<Address> {
        self.ranges.iter().map(|range| range.master.clone()).collect()
    }

    /// All that could say who has which.
    pub(super) fn known(&self) -> impl Iterator<Item = &Address> {
        self.known.iter()
    }

    /// The first slot that nobody has.
    pub(super) fn gap(&self) -> Option<u16> {
        let mut next = 0;
        for range in &self.ranges {
            if range.first > next {
                break;
            }
            next = next.max(range.last + 1);
        }
        (next < SLOTS).then_some(next)
    }
}

fn slot(value: &Value) -> Option<u16> {
    match value {
        Value::Int(slot) => u16::try_from(*slot).ok().filter(|slot| *slot < SLOTS),
        _ => None,
    }
}

fn server(value: &Value) -> Option<Address> {
    let Value::Array(parts) = value else { return None };
    let [host, Value::Int(port), ..] = &parts[..] else { return None };
    let host = text(host).filter(|host| !host.is_empty() && host != "?")?;
    Some(Address { host, port: u16::try_from(*port).ok()? })
}

/// The slot of a key: that of its hash tag, if it has one.
pub(super) fn slot_of(key: &Key) -> u16 {
    let key = &key.as_bytes()[..];
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// The one slot of all keys; none if there are no keys.
pub(super) fn slot_of_all<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Result<Option<u16>, Error> {
    let slots: BTreeSet<u16> = keys.into_iter().map(slot_of).collect();
    if slots.len() > 1 {
        return Err(Error::Limit { what: "the number of slots in one call", size: slots.len(), limit: 1 });
    }
    Ok(slots.first().copied())
}

/// CRC-16/XMODEM, as the specification of Redis Cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    let shifted = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| shifted(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let server = |port| Value::Array(vec![bulk(host), Value::Int(port), bulk("id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), server(port), server(port + 3)])
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        let slot = |key: &'static str| slot_of(&Key::from_static(key));
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{$1}:tags"), slot("$1"));
        assert_eq!(slot("a{}b"), crc16(b"a{}b") % SLOTS);
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
        assert_eq!(slot("foo{{bar}}"), slot("{bar"));
        assert!(slot_of_all(&[Key::from_static("foo"), Key::from_static("bar")]).is_err());
        assert_eq!(slot_of_all(&[]), Ok(None));
    }

    #[test]
    fn each_slot_has_its_master_and_a_gap_is_seen() {
        let answer = Value::Array(vec![range(8_192, 16_383, "b", 2), range(0, 8_191, "a", 1)]);
        let map = Map::parsed(&answer).unwrap();
        let master = |slot| map.master_of(slot).map(ToString::to_string);
        assert_eq!((master(0).unwrap(), master(8_192).unwrap()), ("a:1".to_owned(), "b:2".to_owned()));
        assert_eq!((map.masters().len(), map.known().count(), map.gap()), (2, 4, None));

        let half = Map::parsed(&Value::Array(vec![range(0, 8_191, "a", 1)])).unwrap();
        assert_eq!((half.gap(), half.master_of(9_000)), (Some(8_192), None));
        let unnamed = Map::parsed(&Value::Array(vec![range(0, 16_383, "", 1)])).unwrap();
        assert_eq!(unnamed.gap(), Some(0));
        assert!(Map::parsed(&Value::Nil).is_none());
    }
}
