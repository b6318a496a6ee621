//! The path grammar, and ranges of bytes.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use oci::{
    ByteRange, Digest, NamespacePath, Reference, RepositoryName, SessionId, Span, Tag, Target, TargetError,
};
use proptest::prelude::*;
use rstest::rstest;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SESSION: &str = "0198c5f6-1f6c-7000-8000-000000000001";

#[rstest]
#[case("/v2", "/v2/")]
#[case("/v2/", "/v2/")]
#[case("/v2/_catalog", "/v2/_catalog")]
#[case("/v2/ubuntu/tags/list", "/v2/library/ubuntu/tags/list")]
#[case("/v2/a/b/manifests/latest", "/v2/a/b/manifests/latest")]
#[case("/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads/")]
#[case("/v2/a/b/blobs/uploads", "/v2/a/b/blobs/uploads/")]
#[case("/v2/blobs/uploads/blobs/uploads", "/v2/blobs/uploads/blobs/uploads/")]
#[case("/v2/a/manifests/manifests/manifests", "/v2/a/manifests/manifests/manifests")]
#[case("/v2/tags/list/tags/list", "/v2/tags/list/tags/list")]
#[case("/v2/a/blobs/uploads/manifests/x", "/v2/a/blobs/uploads/manifests/x")]
#[case("/v2/a%2Fb/manifests/latest", "/v2/a/b/manifests/latest")]
#[case("/v2/_oci/ext/discover", "/v2/_oci/ext/discover")]
#[case("/v2/a/_oci/ext/discover", "/v2/library/a/_oci/ext/discover")]
#[case("/v2/a/b/_oci/ext/discover", "/v2/a/b/_oci/ext/discover")]
#[case("/v2/_oci/repositories", "/v2/_oci/repositories")]
#[case("/v2/a/_oci/repositories", "/v2/a/_oci/repositories")]
#[case("/v2/a/b/c/_oci/repositories", "/v2/a/b/c/_oci/repositories")]
#[case("/v2/a/b/_oci/tag-history/latest", "/v2/a/b/_oci/tag-history/latest")]
#[case("/v2/tag-history/_oci/tag-history/_oci", "/v2/library/tag-history/_oci/tag-history/_oci")]
fn a_path_is_read_from_its_end_and_printed_in_one_form(#[case] path: &str, #[case] canonical: &str) {
    assert_eq!(Target::parse(path).unwrap().to_string(), canonical);
}

#[test]
fn digests_and_sessions_in_a_path_are_parsed() {
    for path in [
        format!("/v2/a/b/blobs/{DIGEST}"),
        format!("/v2/a/b/manifests/{DIGEST}"),
        format!("/v2/a/b/blobs/uploads/{SESSION}"),
    ] {
        assert_eq!(Target::parse(&path).unwrap().to_string(), path);
    }
    let escaped = format!("/v2/a/b/blobs/{}", DIGEST.replace(':', "%3A"));
    assert!(matches!(Target::parse(&escaped), Ok(Target::Blob(..))));
}

#[rstest]
#[case("/v2/x")]
#[case("/v2/a/b")]
#[case("/v2/a/tags")]
#[case("/v2/a/tags/list/")]
#[case("/v2//tags/list/x")]
#[case("/v3/")]
#[case("/v2x/")]
#[case("")]
#[case("/v2/a/%zz/tags/list")]
#[case("/v2/a/%ff/tags/list")]
#[case("/v2/a/%+1/tags/list")]
#[case("/v2/a/tags/list%")]
#[case("/v2/a/tags/list%2")]
#[case("/v2/_catalog/")]
#[case("/v2/blobs/uploads/0198c5f6-1f6c-7000-8000-000000000001")]
#[case("/v2/_oci/tag-history/latest")]
#[case("/v2/_oci/ext/discover/")]
#[case("/v2/_oci/ext")]
#[case("/v2/a/ext/discover")]
#[case("/v2/_oci/repositories/")]
#[case("/v2/a/_oci/repositories/")]
#[case("/v2/a/_oci/nothing")]
#[case("/v2/a/tag-history/latest")]
#[case("/v2/a/_oci/tag-history/latest/")]
#[case("/v2/a/uploads/0198c5f6-1f6c-7000-8000-000000000001")]
fn other_paths_are_not_found(#[case] path: &str) {
    assert_eq!(Target::parse(path), Err(TargetError::NotFound));
}

#[test]
fn a_path_of_the_right_form_says_which_part_is_wrong() {
    assert!(matches!(Target::parse("/v2/UPPER/tags/list"), Err(TargetError::Name { .. })));
    assert!(matches!(Target::parse("/v2/a/../b/tags/list"), Err(TargetError::Name { .. })));
    assert!(matches!(Target::parse("/v2/a/../b/_oci/repositories"), Err(TargetError::Name { .. })));
    assert!(matches!(Target::parse("/v2/_oci/_oci/repositories"), Err(TargetError::Name { .. })));
    assert!(matches!(Target::parse("/v2/a/blobs/sha256:12"), Err(TargetError::Digest(_))));
    assert!(matches!(Target::parse("/v2/a/manifests/.x"), Err(TargetError::Tag(_))));
    assert!(matches!(Target::parse("/v2/a/blobs/uploads/17"), Err(TargetError::Session(_))));
}

#[rstest]
#[case("bytes=0-0", Some((0, 1)))]
#[case("bytes=2-5", Some((2, 4)))]
#[case("bytes=5-", Some((5, 5)))]
#[case("bytes=-3", Some((7, 3)))]
#[case("bytes=-30", Some((0, 10)))]
#[case("bytes=8-99", Some((8, 2)))]
#[case("Bytes=0-0", Some((0, 1)))]
#[case("bytes=8-99999999999999999999999", Some((8, 2)))]
#[case("bytes=-99999999999999999999999", Some((0, 10)))]
fn a_range_is_resolved_against_ten_bytes(#[case] header: &str, #[case] expected: Option<(u64, u64)>) {
    let span = ByteRange::parse(header).unwrap().resolve(10).ok();
    assert_eq!(span.map(|span| (span.first, span.length)), expected);
}

#[rstest]
#[case("bytes=10-")]
#[case("bytes=10-20")]
#[case("bytes=-0")]
#[case("bytes=99999999999999999999999-")]
fn a_range_outside_of_the_blob_is_unsatisfiable(#[case] header: &str) {
    assert!(ByteRange::parse(header).unwrap().resolve(10).is_err());
}

#[rstest]
#[case("bytes=0-1,3-4")]
#[case("lines=0-1")]
#[case("bytes=5-2")]
#[case("bytes=a-b")]
#[case("bytes")]
#[case("bytes=-")]
#[case("bytes=+1-2")]
#[case("bytes=1-+2")]
#[case("bytes=--2")]
#[case("")]
fn a_range_of_another_form_is_ignored(#[case] header: &str) {
    assert_eq!(ByteRange::parse(header), None);
}

#[test]
fn nothing_of_an_empty_blob_can_be_asked_for() {
    for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
        assert!(ByteRange::parse(header).unwrap().resolve(0).is_err(), "{header}");
    }
    assert_eq!(Span::whole(0).last(), 0);
}

fn target() -> impl Strategy<Value = Target> {
    // The words of the grammar are good components of a name.
    let component = "blobs|uploads|manifests|tags|list|v2|[a-z0-9]{1,6}([._-][a-z0-9]{1,6}){0,2}";
    let name = proptest::collection::vec(component, 1..5)
        .prop_map(|components| components.join("/").parse::<RepositoryName>().unwrap());
    let digest = any::<[u8; 4]>().prop_map(|bytes| Digest::of_sha256(&bytes));
    let session = any::<u128>()
        .prop_map(|number| format!("{number:032x}"))
        .prop_map(|hex| [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
        .prop_map(|text| text.parse::<SessionId>().unwrap());
    let tag =
        "list|uploads|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|text| text.parse::<Reference>().unwrap());

    let tag_only = "list|_oci|[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}".prop_map(|text| text.parse::<Tag>().unwrap());

    prop_oneof![
        Just(Target::Base),
        Just(Target::Catalog),
        Just(Target::RegistryExtensions),
        Just(Target::Repositories(None)),
        name.clone().prop_map(Target::Extensions),
        name.clone().prop_map(|name| Target::Repositories(Some(NamespacePath::of(&name)))),
        (name.clone(), digest.clone()).prop_map(|(name, digest)| Target::Blob(name, digest)),
        (name.clone(), digest.clone()).prop_map(|(name, digest)| Target::Referrers(name, digest)),
        name.clone().prop_map(Target::Uploads),
        (name.clone(), session).prop_map(|(name, session)| Target::Upload(name, session)),
        (name.clone(), tag).prop_map(|(name, tag)| Target::Manifest(name, tag)),
        (name.clone(), digest).prop_map(|(name, digest)| Target::Manifest(name, Reference::Digest(digest))),
        (name.clone(), tag_only).prop_map(|(name, tag)| Target::TagHistory(name, tag)),
        name.prop_map(Target::Tags),
    ]
}

proptest! {
    #[test]
    fn every_target_is_printed_as_the_path_that_it_is_read_from(target in target()) {
        let path = target.to_string();
        prop_assert_eq!(Target::parse(&path), Ok(target.clone()));
        let escaped = path.replace(':', "%3a").replace('.', "%2E");
        prop_assert_eq!(Target::parse(&escaped), Ok(target));
    }

    #[test]
    fn in_another_repository_a_target_is_what_it_was_but_for_the_name(target in target()) {
        let other: RepositoryName = "some/where/else".parse().unwrap();
        match (target.repository(), target.in_repository(other.clone())) {
            (Some(name), Some(there)) => {
                prop_assert_eq!(there.repository(), Some(&other));
                prop_assert_eq!(there.in_repository(name.clone()), Some(target.clone()));
            }
            (named, there) => prop_assert!(named.is_none() && there.is_none()),
        }
    }

    #[test]
    fn no_header_and_no_path_makes_it_panic(text: String, size: u64) {
        let _ = Target::parse(&text);
        let _ = Target::parse(&format!("/v2/{text}"));
        for header in [text.clone(), format!("bytes={text}")] {
            let _ = ByteRange::parse(&header).map(|range| range.resolve(size));
        }
    }

    #[test]
    fn a_resolved_range_lies_within_the_blob(first: u64, last: Option<u64>, size: u64) {
        for header in [
            format!("bytes={first}-{}", last.map(|last| last.to_string()).unwrap_or_default()),
            format!("bytes=-{first}"),
        ] {
            if let Some(Ok(span)) = ByteRange::parse(&header).map(|range| range.resolve(size)) {
                prop_assert!(span.length > 0);
                prop_assert!(span.end() <= size);
            }
        }
    }

    #[test]
    fn a_path_that_is_read_is_printed_as_one_that_means_the_same(path in "/v2/[a-z/._%0-9:-]{0,60}") {
        if let Ok(target) = Target::parse(&path) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
    }
}
