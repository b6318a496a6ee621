//! Parse = construct, for every type that is a piece of text: what the grammar allows is read and printed
//! unchanged, what it does not is refused, and nothing panics.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use oci::{
    AccountName, Algorithm, Code, ContentId, ContentRange, ContentRangeError, Digest, DigestError,
    Generation, Locator, ManifestKind, MediaType, NameError, Namespace, PageSize, Reference, RepositoryId,
    RepositoryName, RobotName, SessionId, Sign, StoreName, Tag, TagPattern, TagPatternError, TeamName,
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
    assert_eq!(error, NameError::TooLong { found: 201, limit: 200 });
    assert!(error.to_string().contains("200"), "{error}");
    let longest = format!("a/{}", "b".repeat(198));
    assert_eq!(longest.parse::<RepositoryName>().unwrap().as_str(), longest);
}

#[test]
fn a_name_of_one_part_is_as_long_as_it_is_printed() {
    let longest = "a".repeat(200 - "library/".len());
    let name: RepositoryName = longest.parse().unwrap();
    assert_eq!(name.to_string().parse::<RepositoryName>().unwrap(), name);

    let error = format!("{longest}a").parse::<RepositoryName>().unwrap_err();
    assert_eq!(error, NameError::TooLong { found: 201, limit: 200 });
}

#[test]
fn an_account_has_one_part_of_at_most_64_characters() {
    let longest = "a".repeat(64);
    assert_eq!(longest.parse::<AccountName>().unwrap().namespace().as_str(), longest);
    assert_eq!(
        "a".repeat(65).parse::<AccountName>().unwrap_err(),
        NameError::TooLong { found: 65, limit: 64 }
    );
    assert_eq!("a/b".parse::<AccountName>().unwrap_err(), NameError::Slash);
    assert_eq!("a/b".parse::<Namespace>().unwrap_err(), NameError::Slash);
    assert_eq!("".parse::<AccountName>().unwrap_err(), NameError::Empty);
    assert!("Alice".parse::<AccountName>().is_err());
}

#[test]
fn a_team_is_called_as_a_user_may_be() {
    let longest = "a".repeat(64);
    assert_eq!(longest.parse::<TeamName>().unwrap().as_str(), longest);
    assert_eq!("a".repeat(65).parse::<TeamName>(), Err(NameError::TooLong { found: 65, limit: 64 }));
    assert_eq!("a/b".parse::<TeamName>(), Err(NameError::Slash));
    assert_eq!("".parse::<TeamName>(), Err(NameError::Empty));
    assert!("Devs".parse::<TeamName>().is_err());
    assert!("a+b".parse::<TeamName>().is_err());
}

#[test]
fn a_robot_knows_to_whom_it_belongs_and_what_it_is_called() {
    let name: RobotName = "my-team+ci.nightly".parse().unwrap();
    assert_eq!(name.namespace(), "my-team".parse().unwrap());
    assert_eq!(name.label(), "ci.nightly");
    assert_eq!(name.to_string(), "my-team+ci.nightly");
    assert_eq!(RobotName::new(&name.namespace(), name.label()).unwrap(), name);
    assert!(name.as_str().parse::<AccountName>().is_err(), "no user can have the name");
}

#[rstest]
#[case("")]
#[case("team")]
#[case("team+")]
#[case("+ci")]
#[case("+")]
#[case("team+ci+cd")]
#[case("team/app+ci")]
#[case("team+app/ci")]
#[case("Team+ci")]
#[case("team+CI")]
#[case("team +ci")]
#[case("team+-ci")]
#[case("team+ci\0")]
fn what_has_not_two_names_is_no_robot(#[case] text: &str) {
    assert!(text.parse::<RobotName>().is_err(), "{text:?}");
}

#[test]
fn what_a_robot_is_called_has_at_most_64_characters() {
    let team: Namespace = "team".parse().unwrap();
    assert!(RobotName::new(&team, &"a".repeat(64)).is_ok());
    let error = RobotName::new(&team, &"a".repeat(65)).unwrap_err();
    assert_eq!(error, NameError::TooLong { found: 65, limit: 64 });
}

#[test]
fn a_name_knows_its_namespace() {
    let name: RepositoryName = "team/app/web".parse().unwrap();
    assert_eq!(name.namespace(), "team".parse::<Namespace>().unwrap());
    assert_eq!(name.repository(), "app/web");
}

#[test]
fn paths_of_the_hub_are_reserved_names() {
    // KEYS.md §1: the global indexes too.
    for name in
        ["library", "v1", "v2", "api", "token", "images", "users", "orgs", "repos", "templates", "job"]
    {
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
        SHA256.to_uppercase().replace("SHA", "sha").parse::<Digest>().unwrap_err(),
        DigestError::BadHex
    );
    assert_eq!(SHA256.parse::<Digest>().unwrap(), Digest::of_sha256(b""));
}

#[test]
fn a_digest_is_made_by_its_algorithm() {
    let empty_sha512 = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                        47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    let digest: Digest = empty_sha512.parse().unwrap();
    assert_eq!(digest, Digest::of(Algorithm::Sha512, b""));
    assert_eq!(digest.algorithm(), Algorithm::Sha512);
    assert_eq!(digest.hex().len(), Algorithm::Sha512.hex_length());
    assert_ne!(digest, Digest::of(Algorithm::Sha256, b""));
}

#[test]
fn a_digest_is_made_from_as_many_bytes_as_its_algorithm_has() {
    let digest = Digest::new(Algorithm::Sha256, &[0xab; 32]).unwrap();
    assert_eq!(digest.to_string(), format!("sha256:{}", "ab".repeat(32)));
    assert!(matches!(
        Digest::new(Algorithm::Sha512, &[0; 32]),
        Err(DigestError::BadLength { expected: 128, found: 64, .. })
    ));
    assert!(Digest::new(Algorithm::Sha256, &[]).is_err());
}

#[test]
fn content_is_written_as_the_keys_have_it() {
    assert_eq!(ContentId::plain(Digest::of_sha256(b"")).to_string(), format!("{SHA256}+"));
    let sealed: ContentId = format!("{SHA256}-?team.key_1").parse().unwrap();
    assert_eq!(sealed.sign, Some("team.key_1".parse::<Sign>().unwrap()));
}

#[test]
fn what_is_not_quite_content_or_a_locator_is_refused() {
    let generation = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for text in [
        "",
        SHA256,
        "+",
        "sha256:12+",
        &format!("{SHA256}-?"),
        &format!("{SHA256}-"),
        &format!("{SHA256}-?a/b"),
    ] {
        assert!(text.parse::<ContentId>().is_err(), "{text}");
    }
    assert!(format!("disk/{SHA256}+/{generation}").parse::<Locator>().is_ok());
    for text in [
        format!("{SHA256}+/{generation}"),
        format!("Disk/{SHA256}+/{generation}"),
        format!("/{SHA256}+/{generation}"),
        format!("disk/{SHA256}/{generation}"),
        format!("disk/{SHA256}+/"),
        format!("disk/{SHA256}+/{generation}/"),
        format!("disk/../{SHA256}+/{generation}"),
    ] {
        assert!(text.parse::<Locator>().is_err(), "{text}");
        assert!(serde_json::from_value::<Locator>(text.clone().into()).is_err(), "{text}");
    }
    assert!("a".repeat(65).parse::<Sign>().is_err());
    assert!("a".repeat(33).parse::<StoreName>().is_err());
}

#[rstest]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAV", true)]
#[case("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", true)]
#[case("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", false)]
#[case("01arz3ndektsv4rrffq69g5fav", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FA", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAVV", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAU", false)]
#[case("01ARZ3NDEKTSV4RRFFQ69G5FAI", false)]
#[case("", false)]
fn generations_and_repositories_are_ulids(#[case] text: &str, #[case] good: bool) {
    assert_eq!(text.parse::<Generation>().is_ok(), good);
    assert_eq!(text.parse::<RepositoryId>().is_ok(), good);
}

#[test]
fn the_kind_of_a_manifest_is_its_media_type() {
    for kind in ManifestKind::ALL {
        assert_eq!(ManifestKind::from_media_type(&kind.media_type()), Some(kind));
        assert_eq!(kind.as_str().parse::<MediaType>().unwrap(), kind.media_type());
    }
    assert_eq!(ManifestKind::from_media_type(&"application/json".parse().unwrap()), None);
}

#[test]
fn a_code_is_upper_case_letters_and_underscores() {
    for code in
        [Code::BlobUnknown, Code::TooManyRequests, Code::ManifestUnverified, Code::PaginationNumberInvalid]
    {
        let text = code.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{text}");
        assert_eq!(text, code.as_str());
    }
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

#[rstest]
#[case("*", "v1.0", true)]
#[case("v*", "v1.0", true)]
#[case("v*", "rev1", false)]
#[case("*-rc*", "v1-rc2", true)]
#[case("*-rc*", "v1-RC2", false)]
#[case("v?.*.0", "v1.22.0", true)]
#[case("v?.*.0", "v10.22.0", false)]
#[case("a*b*c", "a-bc-b-c", true)]
#[case("1.2", "1x2", false)]
fn a_pattern_is_about_whole_tags(#[case] pattern: &str, #[case] tag: &str, #[case] matches: bool) {
    let (pattern, tag): (TagPattern, Tag) = (pattern.parse().unwrap(), tag.parse().unwrap());
    assert_eq!(pattern.matches(&tag), matches);
}

#[test]
fn a_pattern_that_no_tag_can_match_is_refused_by_the_character() {
    assert_eq!("".parse::<TagPattern>(), Err(TagPatternError::Empty));
    assert_eq!("*".repeat(129).parse::<TagPattern>(), Err(TagPatternError::TooLong { found: 129 }));
    for (pattern, wrong) in [("^v.*$", '^'), ("v{1,2}", '{'), ("v[0-9]", '['), ("a/b", '/'), ("ä", 'ä')] {
        let refused = pattern.parse::<TagPattern>().unwrap_err();
        assert!(matches!(refused, TagPatternError::NeverMatches { character, .. } if character == wrong));
    }
}

#[test]
fn the_worst_pattern_is_no_work() {
    let pattern: TagPattern = "*a".repeat(64).parse().unwrap();
    let tag: Tag = "a".repeat(127).parse().unwrap();
    assert!(pattern.matches(&tag));
    assert!(!pattern.matches(&format!("{}b", "a".repeat(127)).parse().unwrap()));
}

#[test]
fn a_tag_that_belongs_to_a_manifest_is_known_by_its_form() {
    let subject: Digest = SHA256.parse().unwrap();
    let tag = Tag::of_referrers(&subject);
    let signature: Tag = format!("{tag}.sig").parse().unwrap();
    assert!(tag.is_of_a_manifest() && signature.is_of_a_manifest());
    for other in ["v1", "sha256-1234", "latest"] {
        assert!(!other.parse::<Tag>().unwrap().is_of_a_manifest(), "{other}");
    }
}

#[test]
fn a_media_type_is_read_without_its_parameters() {
    let parsed: MediaType = "application/json; charset=utf-8".parse().unwrap();
    assert_eq!(parsed.as_str(), "application/json");
    assert!("json".parse::<MediaType>().is_err());
    assert!("a/b\0".parse::<MediaType>().is_err());
    assert!("/b".parse::<MediaType>().is_err());
    assert!("a/b/c".parse::<MediaType>().is_err());
    assert!(format!("a/{}", "b".repeat(253)).parse::<MediaType>().is_ok());
    assert!(format!("a/{}", "b".repeat(254)).parse::<MediaType>().is_err());
}

#[rstest]
#[case("0-99", Some((0, 99)))]
#[case("5-5", Some((5, 5)))]
#[case("bytes 0-99/100", Some((0, 99)))]
#[case("bytes=0-99", Some((0, 99)))]
#[case("bytes 0-99/*", Some((0, 99)))]
#[case("bytes0-99", None)]
#[case("bytes == 0-99", None)]
#[case("0-99/99", None)]
#[case("0-99/x", None)]
#[case("0-99/", None)]
#[case("bytes */100", None)]
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
    assert_eq!(text.parse::<ContentRange>().ok().map(|range| (range.first, range.last)), expected);
}

#[test]
fn a_chunk_that_ends_before_it_begins_is_told_so() {
    let error = "9-5".parse::<ContentRange>().unwrap_err();
    assert_eq!(error, ContentRangeError::Backwards { first: 9, last: 5 });
    assert_eq!("0-0".parse::<ContentRange>().unwrap().length(), 1);
    assert_eq!(ContentRange { first: 0, last: u64::MAX }.length(), u64::MAX);
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
    fn every_name_that_is_read_can_be_read_again(name in "[a-z0-9]{0,100}/?[a-z0-9]{80,120}") {
        if let Ok(name) = name.parse::<RepositoryName>() {
            prop_assert!(name.as_str().len() <= 200);
            prop_assert_eq!(name.to_string().parse::<RepositoryName>(), Ok(name));
        }
    }

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
    fn nothing_panics_on_any_text(text: String) {
        let _ = text.parse::<RepositoryName>();
        let _ = text.parse::<AccountName>();
        let _ = text.parse::<Reference>();
        let _ = text.parse::<MediaType>();
        let _ = text.parse::<Locator>();
        let _ = text.parse::<ContentRange>();
        let _ = text.parse::<SessionId>();
        let _ = text.parse::<Digest>();
        let _ = format!("sha256:{text}").parse::<Digest>();
        let _ = text.parse::<ContentId>();
        let _ = text.parse::<Generation>();
        let _ = text.parse::<StoreName>();
        let _ = PageSize::parse(Some(&text));
    }
}
