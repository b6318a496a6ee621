//! The grammars as their specifications print them, as regular expressions: independent of the parsers, which
//! are written by hand.

use regex::Regex;

/// distribution-spec, Pulling manifests: `<name>`.
pub(crate) const NAME: &str = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*";
/// One part of a name: what users, organizations, teams and robots are called.
pub(crate) const PART: &str = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*";
/// distribution-spec, Pulling manifests: `<reference>` as a tag.
pub(crate) const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}";
/// image-spec `descriptor.md`, Registered algorithms.
pub(crate) const DIGEST: &str = "(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})";
/// RFC 9562, in the one form that is printed here.
pub(crate) const SESSION: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// What matches a text that is `pattern` from its beginning to its end.
pub(crate) fn whole(pattern: &str) -> Regex {
    Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap()
}
