//! Ranges: only what RFC 9110 §14 allows is taken, and what is taken never leaves the content.

use std::sync::LazyLock;

use oci::{ByteRange, ContentRange, Span, Unsatisfiable};
use regex::Regex;

use crate::grammar;

static RANGE: LazyLock<Regex> =
    LazyLock::new(|| grammar::whole(r"\s*(?i:bytes)\s*=\s*(?<first>[0-9]*)-(?<last>[0-9]*)\s*"));
static CONTENT_RANGE: LazyLock<Regex> = LazyLock::new(|| {
    grammar::whole(r"(bytes[ =])?(?<first>[0-9]+)-(?<last>[0-9]+)(/(\*|(?<total>[0-9]+)))?")
});

/// For any bytes: eight for a size, the rest for a text.
pub(crate) fn check(input: &[u8]) {
    let Some((size, text)) = input.split_first_chunk::<8>() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let size = u64::from_le_bytes(*size);
    for size in [size, size % 16, 0, u64::MAX] {
        check_range(text, size);
    }
    check_content_range(text);
}

fn check_range(text: &str, size: u64) {
    let resolved = ByteRange::parse(text).map(|range| range.resolve(size));
    assert_eq!(resolved, expected(text, size), "{text:?} of {size}");
    let Some(Ok(span)) = resolved else { return };
    assert!(span.length >= 1 && span.first < size && span.length <= size - span.first, "{span:?} of {size}");
    assert_eq!((span.end(), span.last()), (span.first + span.length, span.first + span.length - 1));
}

/// None: to be ignored.
fn expected(text: &str, size: u64) -> Option<Result<Span, Unsatisfiable>> {
    let found = RANGE.captures(text)?;
    let (first, last) = (number(&found["first"]), number(&found["last"]));
    let end = match (first, last) {
        (None, None) => return None,
        (None, Some(suffix)) => {
            return Some(span(size.saturating_sub(suffix), size).ok_or(Unsatisfiable { size }));
        }
        (Some(first), Some(last)) if last < first => return None,
        (Some(_), last) => last.map_or(size, |last| last.saturating_add(1).min(size)),
    };
    Some(first.and_then(|first| span(first, end)).ok_or(Unsatisfiable { size }))
}

fn span(first: u64, end: u64) -> Option<Span> {
    let length = end.checked_sub(first).filter(|length| *length > 0)?;
    Some(Span { first, length })
}

/// Beyond every content there is, if it is larger than any.
fn number(digits: &str) -> Option<u64> {
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}

fn check_content_range(text: &str) {
    let expected = CONTENT_RANGE.captures(text).and_then(|found| {
        let exact = |name| found.name(name).map(|digits| digits.as_str().parse::<u64>());
        let (first, last) = (exact("first")?.ok()?, exact("last")?.ok()?);
        let within = exact("total").is_none_or(|total| total.is_ok_and(|total| last < total));
        (first <= last && within).then_some(ContentRange { first, last })
    });
    assert_eq!(text.parse::<ContentRange>().ok(), expected, "{text:?}");
    if let Some(range) = expected {
        assert_eq!(u128::from(range.length()), u128::from(range.last - range.first) + 1);
    }
}
