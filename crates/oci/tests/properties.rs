//! Properties of everything that parses what strangers send: the bodies in `properties/`, here on generated
//! inputs, in `fuzz/` on those that a fuzzer finds. Half of the inputs are valid but for a few changed bytes.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "properties/digest.rs"]
mod digest;
#[path = "properties/grammar.rs"]
mod grammar;
#[path = "properties/manifest.rs"]
mod manifest;
#[path = "properties/path.rs"]
mod path;
#[path = "properties/pattern.rs"]
mod pattern;
#[path = "properties/range.rs"]
mod range;
#[path = "properties/scope.rs"]
mod scope;

use oci::ManifestKind;
use proptest::{prelude::*, sample::Index, string::string_regex};

/// What may replace a byte: what means something to one of the parsers, more often than anything else.
const TELLING: &[u8] = b"/:%-_.,=*+\"{}[]\\\0 \n0123456789aAzZ";

/// A text of `pattern`.
fn texts(pattern: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    string_regex(pattern).unwrap().prop_map(String::into_bytes)
}

/// Any bytes, and what `valid` makes with up to three changes.
fn near(valid: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => proptest::sample::select(TELLING), 1 => any::<u8>()];
    let change = (any::<Index>(), proptest::option::of(byte), 0..2_usize);
    let changed = (valid, proptest::collection::vec(change, 0..4)).prop_map(|(mut bytes, changes)| {
        for (at, byte, removed) in changes {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..(at + removed).min(bytes.len()), byte);
        }
        bytes
    });
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..300), 4 => changed]
}

fn paths() -> impl Strategy<Value = Vec<u8>> {
    let (name, tag, digest) =
        ("[a-z0-9]{1,4}([._-][a-z]{1,3}|/[a-z0-9]{1,90}){0,3}", grammar::TAG, grammar::DIGEST);
    let blobs = format!("blobs/({digest}|uploads/({})?)", grammar::SESSION);
    let path = format!("/v2/(_catalog|{name}/({blobs}|manifests/({tag}|{digest})|tags/list))?");
    let robot = "[a-z0-9]{1,4}([._-][a-z0-9]{1,90}){0,2}\\+[a-z0-9]{1,30}([._-][a-z]{1,40})?";
    prop_oneof![
        4 => texts(&path),
        1 => texts(name),
        1 => texts(tag),
        1 => texts(robot),
        1 => texts(grammar::SESSION),
    ]
}

fn ranges() -> impl Strategy<Value = Vec<u8>> {
    let text =
        texts("(bytes ?[= ] ?)?([0-9]{0,2}|[0-9]{17,21})-([0-9]{0,2}|[0-9]{17,21})(/([0-9]{1,3}|\\*))?");
    (any::<u64>(), near(text)).prop_map(|(size, text)| [&size.to_le_bytes()[..], &text[..]].concat())
}

fn scopes() -> impl Strategy<Value = Vec<u8>> {
    let actions = "(pull|push|delete|\\*|fly)?(,(pull|push|delete|\\*)){0,2}";
    texts(&format!("((repository(\\(plugin\\))?:(a/b|c|x)|registry:catalog):{actions} ?){{1,4}}"))
}

/// Few letters, so that many match.
fn patterns() -> impl Strategy<Value = Vec<u8>> {
    texts("[ab.*?-]{0,12}\0[ab.-]{1,12}")
}

/// JSON with the fields of a manifest, some of them twice, some misspelt.
fn manifests() -> impl Strategy<Value = Vec<u8>> {
    let names =
        "annotations|artifactType|config|layers|manifests|mediaType|schemaVersion|subject|Layers|digest|size";
    let leaf = prop_oneof![
        Just("2".to_owned()),
        Just("null".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just(DESCRIPTOR.to_owned()),
        proptest::sample::select(&ManifestKind::ALL[..]).prop_map(|kind| format!("{:?}", kind.as_str())),
    ];
    let value = leaf.prop_recursive(3, 12, 3, move |inner| {
        let list =
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(",")));
        let object = proptest::collection::vec((names, inner), 0..4).prop_map(|fields| object(&fields));
        prop_oneof![list, object]
    });
    proptest::collection::vec((names, value), 0..3).prop_map(|more| {
        let mut fields: Vec<(String, String)> = vec![
            ("schemaVersion".to_owned(), "2".to_owned()),
            ("config".to_owned(), DESCRIPTOR.to_owned()),
            ("layers".to_owned(), format!("[{DESCRIPTOR}]")),
        ];
        fields.extend(more);
        object(&fields).into_bytes()
    })
}

const DESCRIPTOR: &str = concat!(
    r#"{"mediaType":"a/b","size":7,"digest":"#,
    r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#
);

fn object(fields: &[(String, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn digests_are_those_of_the_grammar(input in near(texts(grammar::DIGEST))) {
        digest::check(&input);
    }

    #[test]
    fn paths_are_those_of_the_grammar_and_are_read_as_they_are_printed(input in near(paths())) {
        path::check(&input);
    }

    #[test]
    fn patterns_match_what_the_plainest_matcher_matches(input in near(patterns())) {
        pattern::check(&input);
    }

    #[test]
    fn ranges_never_leave_the_content(input in ranges()) {
        range::check(&input);
    }

    #[test]
    fn scopes_have_in_common_what_both_allow(input in near(scopes())) {
        scope::check(&input);
    }

    #[test]
    fn manifests_are_read_in_one_way_or_refused(input in near(manifests())) {
        manifest::check(&input);
    }
}
