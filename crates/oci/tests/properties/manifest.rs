//! Manifests: whatever the bytes are, they are read or refused, and what is read does not depend on how a reader
//! of JSON treats what the specification leaves open.

use std::collections::BTreeSet;

use oci::{MAX_DESCRIPTORS, ManifestFacts, ManifestKind, MediaType, Needed};
use serde_json::Value;

/// For any bytes.
pub(crate) fn check(input: &[u8]) {
    for media_type in ManifestKind::ALL.map(|kind| Some(kind.media_type())).into_iter().chain([None]) {
        if let Ok(facts) = ManifestFacts::parse(media_type.as_ref(), input) {
            check_facts(media_type.as_ref(), &facts, input);
        }
    }
}

fn check_facts(asked: Option<&MediaType>, facts: &ManifestFacts, input: &[u8]) {
    assert!(asked.is_none_or(|asked| *asked == facts.media_type));
    assert_eq!(ManifestKind::from_media_type(&facts.media_type), Some(facts.kind));

    let digests: BTreeSet<_> = facts.needs.iter().map(|need| &need.digest).collect();
    assert_eq!(digests.len(), facts.needs.len(), "a need stands twice: {facts:?}");
    assert!(facts.needs.len() <= MAX_DESCRIPTORS + 1);
    let what = if facts.kind.is_index() { Needed::Manifest } else { Needed::Blob };
    assert!(facts.needs.iter().all(|need| need.what == what));
    let sum: u128 = facts.needs.iter().map(|need| u128::from(need.size)).sum();
    assert_eq!(u128::from(facts.declared_bytes), sum.min(u128::from(u64::MAX)));

    // A reader that takes the last of two keys, or sorts them, must see the same.
    let text = str::from_utf8(input).unwrap();
    assert!(!has_key_twice(text), "a key stands twice in {text}");
    let other: Value = serde_json::from_str(text).unwrap();
    assert_eq!(ManifestFacts::parse(asked, other.to_string().as_bytes()).as_ref(), Ok(facts));
}

/// Looks through the text of valid JSON: a string before a colon is a key of the innermost object.
fn has_key_twice(text: &str) -> bool {
    let mut objects: Vec<BTreeSet<String>> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '"']) {
        let (token, tail) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = tail;
        match token {
            b'{' => objects.push(BTreeSet::new()),
            b'}' => {
                objects.pop();
            }
            _ => {
                let end = end_of_string(tail);
                rest = &tail[end + 1..];
                let is_key = rest.trim_start().starts_with(':');
                let key = serde_json::from_str(&format!("\"{}\"", &tail[..end])).unwrap();
                if is_key && objects.last_mut().is_some_and(|keys| !keys.insert(key)) {
                    return true;
                }
            }
        }
    }
    false
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    text.bytes()
        .position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap()
}
