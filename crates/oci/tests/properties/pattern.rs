//! Patterns: exactly the texts of the grammar are taken, and they match what the plainest matcher matches.

use std::sync::LazyLock;

use oci::{Tag, TagPattern};
use regex::Regex;

use crate::grammar;

static PATTERN: LazyLock<Regex> = LazyLock::new(|| grammar::whole(r"[A-Za-z0-9_.?*-]{1,128}"));

/// A pattern, NUL, a tag; for any bytes.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (pattern, tag) = text.split_once('\0').unwrap_or((text, "v1"));
    let read: Result<TagPattern, _> = pattern.parse();
    assert_eq!(read.is_ok(), PATTERN.is_match(pattern), "{pattern:?}");

    let (Ok(read), Ok(tag)) = (read, tag.parse::<Tag>()) else { return };
    assert_eq!(read.to_string(), pattern);
    assert_eq!(read.matches(&tag), plainly(pattern.as_bytes(), tag.as_str().as_bytes()), "{pattern:?} {tag}");
}

/// A row for each part of the pattern: which beginnings of the text it matches so far.
fn plainly(pattern: &[u8], text: &[u8]) -> bool {
    let mut matched: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for wanted in pattern {
        let before = matched.clone();
        matched = (0..=text.len())
            .map(|length| match wanted {
                b'*' => before[..=length].contains(&true),
                _ => length > 0 && before[length - 1] && (*wanted == b'?' || *wanted == text[length - 1]),
            })
            .collect();
    }
    matched.last() == Some(&true)
}
