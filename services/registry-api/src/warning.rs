//! What a client is told beside an answer that is no error (distribution-spec, Warnings): `Warning: 299 - "text"`,
//! without a date. It does not know when to warn.

use std::fmt;

use axum::response::Response;
use http::{HeaderValue, header::WARNING};
use oci::{Digest, Tag};

/// Bytes of all warnings of an answer, at most.
const LONGEST_BYTES: usize = 4_096;

/// Something that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Warning {
    /// A layer of the manifest is nowhere in this repository, and need not be.
    NotKept(Digest),
    /// The tag is one under which clients list referrers where a registry cannot.
    FallbackTag(Tag),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKept(layer) => write!(
                f,
                "layer {layer} is not distributable and is not kept here: pulls will need its own source"
            ),
            Self::FallbackTag(tag) => write!(
                f,
                "this registry lists referrers itself; what is under the tag {tag} is listed too, but a manifest \
                 with a subject needs no such tag"
            ),
        }
    }
}

/// The answer, with as many of the warnings as it may carry.
pub(crate) fn warned(mut response: Response, warnings: &[Warning]) -> Response {
    for value in values(warnings.iter().map(Warning::to_string)) {
        response.headers_mut().append(WARNING, value);
    }
    response
}

/// The values of `Warning`, up to the limit.
fn values(texts: impl Iterator<Item = String>) -> Vec<HeaderValue> {
    let mut room = LONGEST_BYTES;
    let fits = |value: &HeaderValue| {
        let left = room.checked_sub(value.len());
        room = left.unwrap_or(room);
        left.is_some()
    };
    let values = texts.filter_map(|text| HeaderValue::from_str(&format!("299 - {}", quoted(&text))).ok());
    values.filter(fits).collect()
}

/// As a quoted-string (RFC 9110 §5.6.4). What may not stand in one becomes a question mark.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_BYTES, quoted, values};

    #[test]
    fn a_text_becomes_one_quoted_string_whatever_is_in_it() {
        assert_eq!(quoted("plain: text"), "\"plain: text\"");
        assert_eq!(quoted("a \"b\" \\ c"), "\"a \\\"b\\\" \\\\ c\"");
        assert_eq!(quoted("tab\t line\r\nß\0"), "\"tab? line????\"");
    }

    #[test]
    fn a_warning_has_the_code_299_no_agent_and_no_date() {
        assert_eq!(values(["text".to_owned()].into_iter()), ["299 - \"text\""]);
    }

    #[test]
    fn what_does_not_fit_into_the_limit_is_left_out_as_a_whole() {
        let long = || "x".repeat(1_990);
        let texts = [long(), long(), long(), "short".to_owned()];
        let told = values(texts.into_iter());

        assert_eq!(told.len(), 3);
        assert_eq!(told[2], "299 - \"short\"");
        assert!(told.iter().map(http::HeaderValue::len).sum::<usize>() <= LONGEST_BYTES);
        assert_eq!(values(["x".repeat(LONGEST_BYTES)].into_iter()), [""; 0]);
    }
}
