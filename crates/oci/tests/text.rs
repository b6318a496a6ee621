//! Parse = construct, for every type that is a piece of text: what the grammar allows is read and printed
//! unchanged, what it does not is refused, and nothing panics.

use oci::{
    AccountName, ContentId, ContentRange, Digest, DigestError, Generation, Locator, MediaType, NameError,
    Namespace, PageSize, Reference, RepositoryName, Scope, SessionId, Tag,
};
use proptest::prelude::*;
use rstest::rstest;

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[rstest]
#[case("ubuntu", "library/ubuntu")]
#[case("library/ubuntu", "library/ubuntu")]
#[case("a/b/c", "a/b/c")]
#[case("a-b.c_d__e---f/0", "a-b.c_d__e---f/0")]
#[case("blobs/manifests/tags", "blobs/manifests/tags")]
fn a_name_of_one_part_is_in_the_library(#[case] text: &str, #[case] canonical: &str) {
    assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), canonical);
}

#[rstest]
#[case("")]
#[case("/")]
#[case("a/")]
#[case("/a")]
#[case("a//b")]
#[case("Ubuntu")]
#[case("a..b")]
#[case("a___b")]
#[case("a._b")]
#[case("-a")]
#[case("a-")]
#[case("a b")]
#[case("../etc")]
#[case("a/..")]
#[case("ä")]
#[case("a\0b")]
fn what_the_grammar_does_not_allow_is_no_name(#[case] text: &str) {
    assert!(text.parse::<RepositoryName>().is_err());
}

#[test]
fn a_name_too_long_is_told_how_long_it_may_be() {
    let long = "a".repeat(201);
    let error = long.parse::<RepositoryName>().unwrap_err();
    assert_eq!(
        error,
        NameError::TooLong {
            found: 201,
            limit: 200
        }
    );
    assert!(long[..200].parse::<RepositoryName>().is_ok());
}

#[test]
fn a_name_knows_its_namespace() {
    let name: RepositoryName = "team/app/web".parse().unwrap();
    assert_eq!(name.namespace(), "team".parse::<Namespace>().unwrap());
    assert_eq!(name.repository(), "app/web");
}

#[test]
fn paths_of_the_hub_are_reserved_names() {
    for name in ["library", "v1", "v2", "api", "token", "images"] {
        assert!(name.parse::<Namespace>().unwrap().is_reserved(), "{name}");
    }
    assert!(!"team".parse::<Namespace>().unwrap().is_reserved());
}

#[rstest]
#[case("sha256:", DigestError::BadLength { algorithm: oci::Algorithm::Sha256, expected: 64, found: 0 })]
#[case("sha256", DigestError::Malformed)]
#[case(":abc", DigestError::Malformed)]
#[case("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::UnsupportedAlgorithm("md5".to_owned()))]
fn a_digest_that_is_none_says_why(#[case] text: &str, #[case] error: DigestError) {
    assert_eq!(text.parse::<Digest>().unwrap_err(), error);
}

#[test]
fn a_digest_has_lower_case_digits_only() {
    assert_eq!(
        SHA256
            .to_uppercase()
            .replace("SHA", "sha")
            .parse::<Digest>()
            .unwrap_err(),
        DigestError::BadHex
    );
    assert_eq!(SHA256.parse::<Digest>().unwrap(), Digest::of_sha256(b""));
}

#[rstest]
#[case("latest", true)]
#[case("_a", true)]
#[case("1.0-rc.1", true)]
#[case("", false)]
#[case(".a", false)]
#[case("-a", false)]
#[case("a/b", false)]
#[case("a:b", false)]
fn tags_follow_the_grammar(#[case] text: &str, #[case] good: bool) {
    assert_eq!(text.parse::<Tag>().is_ok(), good);
}

#[test]
fn a_tag_has_at_most_128_characters() {
    assert!("a".repeat(128).parse::<Tag>().is_ok());
    assert!("a".repeat(129).parse::<Tag>().is_err());
}

#[test]
fn a_media_type_is_read_without_its_parameters() {
    let parsed: MediaType = "application/json; charset=utf-8".parse().unwrap();
    assert_eq!(parsed.as_str(), "application/json");
    assert!("json".parse::<MediaType>().is_err());
    assert!("a/b\0".parse::<MediaType>().is_err());
}

#[rstest]
#[case("repository:library/ubuntu:pull,push", "repository:library/ubuntu:pull,push")]
#[case("repository:ubuntu:push,pull", "repository:library/ubuntu:pull,push")]
#[case("repository(plugin):a/b:pull", "repository:a/b:pull")]
#[case("registry:catalog:*", "registry:catalog:*")]
#[case("repository:a/b:pull,fly", "repository:a/b:pull")]
fn a_scope_is_read_and_printed_in_one_form(#[case] text: &str, #[case] canonical: &str) {
    assert_eq!(Scope::parse(text).unwrap().to_string(), canonical);
}

#[test]
fn scopes_of_other_kinds_are_left_out_of_a_list() {
    let scopes = Scope::parse_list("repository:a/b:pull nonsense registry:health:* repository:c/d:push");
    let texts: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    assert_eq!(texts, ["repository:a/b:pull", "repository:c/d:push"]);
}

#[rstest]
#[case("0-99", Some((0, 99)))]
#[case("5-5", Some((5, 5)))]
#[case("bytes 0-99/100", Some((0, 99)))]
#[case("bytes=0-99", Some((0, 99)))]
#[case("9-5", None)]
#[case("-5", None)]
#[case("5-", None)]
#[case("+1-2", None)]
#[case("", None)]
#[case("0-99999999999999999999999", None)]
fn the_range_of_a_chunk_is_read_as_clients_write_it(
    #[case] text: &str,
    #[case] expected: Option<(u64, u64)>,
) {
    assert_eq!(
        text.parse::<ContentRange>()
            .ok()
            .map(|range| (range.first, range.last)),
        expected
    );
}

#[rstest]
#[case(None, Some(100))]
#[case(Some("0"), Some(0))]
#[case(Some("7"), Some(7))]
#[case(Some("99999999999999999999999999"), Some(1000))]
#[case(Some("-1"), None)]
#[case(Some("+1"), None)]
#[case(Some(""), None)]
fn a_page_size_is_a_number_within_bounds(#[case] text: Option<&str>, #[case] expected: Option<usize>) {
    assert_eq!(PageSize::parse(text).ok().map(PageSize::get), expected);
}

#[test]
fn a_session_has_one_form_only() {
    let text = "0198c5f6-1f6c-7000-8000-000000000001";
    assert_eq!(text.parse::<SessionId>().unwrap().to_string(), text);
    assert!(text.replace('-', "").parse::<SessionId>().is_err());
    assert!(format!("{{{text}}}").parse::<SessionId>().is_err());
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(
        name in "[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,3}(/[a-z0-9]{1,8}(__[a-z0-9]{1,8}){0,2}){0,3}",
        tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        hex in "[0-9a-f]{64}",
        generation in "[0-7][0-9A-HJKMNP-TV-Z]{25}",
        sign in proptest::option::of("[A-Za-z0-9._-]{1,64}"),
        store in "[a-z0-9-]{1,32}",
    ) {
        let name: RepositoryName = name.parse().unwrap();
        prop_assert_eq!(name.to_string().parse::<RepositoryName>().unwrap(), name);

        for text in [tag, format!("sha256:{hex}")] {
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.to_string(), text);
        }
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        let content = ContentId { digest, sign: sign.map(|sign| sign.parse().unwrap()) };
        let locator = Locator { store: store.parse().unwrap(), content, generation: generation.parse::<Generation>().unwrap() };
        prop_assert_eq!(locator.to_string().parse::<Locator>().unwrap(), locator.clone());
        let json = serde_json::to_string(&locator).unwrap();
        prop_assert_eq!(serde_json::from_str::<Locator>(&json).unwrap(), locator);
    }

    #[test]
    fn nothing_panics_on_any_text(text in "\\PC{0,300}") {
        let _ = text.parse::<RepositoryName>();
        let _ = text.parse::<AccountName>();
        let _ = text.parse::<Reference>();
        let _ = text.parse::<MediaType>();
        let _ = text.parse::<Locator>();
        let _ = text.parse::<ContentRange>();
        let _ = text.parse::<SessionId>();
        let _ = Scope::parse(&text);
        let _ = PageSize::parse(Some(&text));
    }
}
