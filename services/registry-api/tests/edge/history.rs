//! The history of a tag: an index, its filters and its pages (distribution-spec, draft #606).

use axum::body::Body;
use jiff::Timestamp;
use oci::{Digest, ManifestKind};
use proto::metadata::{
    RepositoryError,
    repositories::{TagChange, TagEvent, TagHistory},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    services::When,
    world::{PULL, World, get},
};

const PATH: &str = "/v2/ann/app/_oci/tag-history/v1";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn event(number: u8, change: TagChange) -> TagEvent {
    TagEvent {
        id: format!("{number:026}").parse().unwrap(),
        at: Timestamp::from_second(1_767_225_600 + i64::from(number)).unwrap(),
        change,
        digest: Digest::of_sha256(&[number]),
        media_type: ManifestKind::OciManifest.media_type(),
        size_bytes: u64::from(number),
    }
}

fn world(entries: Vec<TagEvent>, next: Option<&str>) -> World {
    let world = World::new();
    let next = next.map(|next| next.parse().unwrap());
    *world.repositories.history.lock().unwrap() = Some(TagHistory { entries, next });
    world
}

/// "Upon success, the response body MUST be an OCI Index", each entry with `tag.timestamp` and `tag.event`.
#[tokio::test]
async fn a_history_is_an_index_of_what_the_tag_named_newest_first() {
    let world = world(vec![event(2, TagChange::Deleted), event(1, TagChange::Created)], None);
    let answer = world.send(&[PULL], get(PATH), Body::empty()).await.expect(200);

    let entry = |number: u8, at: &str, change: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of_sha256(&[number]),
            "size": number,
            "annotations": {
                "org.opencontainers.distribution.tag.timestamp": at,
                "org.opencontainers.distribution.tag.event": change,
            },
        })
    };
    let entries = [entry(2, "2026-01-01T00:00:02Z", "deleted"), entry(1, "2026-01-01T00:00:01Z", "created")];
    assert_eq!(answer.json(), json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
    assert_eq!((answer.header("content-type"), answer.header("link")), (INDEX, ""));
    assert_eq!(answer.calls, ["tag_history"]);
}

/// "The registry MUST NOT return a 404 Not Found response code for any other condition."
#[tokio::test]
async fn what_has_no_history_has_an_empty_one() {
    let world = World::new();
    let empty = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let answer = world.send(&[PULL], get(PATH), Body::empty()).await.expect(200);
    assert_eq!(answer.json(), empty);

    let nowhere = RepositoryError::NameUnknown { repository: "ann/app".parse().unwrap() };
    world.repositories.faults.add("tag_history", When::Before, nowhere);
    let answer = world.send(&[PULL], get(PATH), Body::empty()).await.expect(200);
    assert_eq!(answer.json(), empty);
}

/// "When `n` is zero, this endpoint MUST return an OCI Index with an empty manifest list and MUST NOT include a `Link`".
#[tokio::test]
async fn nothing_can_be_asked_for_to_see_whether_there_are_histories() {
    let world = world(vec![event(1, TagChange::Created)], Some("00000000000000000000000001"));
    let answer = world.send(&[PULL], get(&format!("{PATH}?n=0")), Body::empty()).await.expect(200);
    assert_eq!((answer.json()["manifests"].clone(), answer.header("link")), (json!([]), ""));
}

#[tokio::test]
async fn what_is_asked_for_is_asked_for_again_in_the_link() {
    let last = "00000000000000000000000001";
    let world = world(vec![event(1, TagChange::Created)], Some(last));
    let digest = Digest::of_sha256(&[1]);
    let query = format!(
        "n=1&before=2026-05-04T05:02:01.0005%2B02:00&since=2026-04-01T00:00:00Z&digest={digest}&last={last}"
    );
    let answer = world.send(&[PULL], get(&format!("{PATH}?{query}")), Body::empty()).await.expect(200);

    let wanted = world.repositories.wanted_histories.lock().unwrap().remove(0);
    assert_eq!((wanted.tag.as_str(), wanted.limit), ("v1", 1));
    // A history knows milliseconds: strictly before a part of one is before the next.
    assert_eq!(wanted.before, Some("2026-05-04T03:02:01.001Z".parse().unwrap()));
    assert_eq!(wanted.since, Some("2026-04-01T00:00:00Z".parse().unwrap()));
    assert_eq!(
        (&wanted.digest, wanted.after.as_ref().map(oci::EventId::as_str)),
        (&Some(digest.clone()), Some(last))
    );

    let expected = format!(
        "<{PATH}?n=1&before=2026-05-04T03%3A02%3A01.001Z&since=2026-04-01T00%3A00%3A00Z&digest={}&last={last}>; \
         rel=\"next\"",
        digest.to_string().replace(':', "%3A")
    );
    assert_eq!(answer.header("link"), expected);
}

#[rstest]
#[case("n=x", "PAGINATION_NUMBER_INVALID")]
#[case("n=-1", "PAGINATION_NUMBER_INVALID")]
#[case("before=yesterday", "UNSUPPORTED")]
#[case("since=2026-04-01", "UNSUPPORTED")]
#[case("since=1767225600", "UNSUPPORTED")]
#[case("digest=sha256:abc", "DIGEST_INVALID")]
#[case("last=v1", "UNSUPPORTED")]
#[tokio::test]
async fn what_cannot_be_asked_for_is_refused(#[case] query: &str, #[case] code: &str) {
    let world = World::new();
    let answer = world.send(&[PULL], get(&format!("{PATH}?{query}")), Body::empty()).await;
    assert!(answer.expect_error(400, code).calls.is_empty());
}

#[rstest]
#[case("n=5000", 1_000)]
#[case("", 100)]
#[case("n=7&before=&since=&digest=&last=", 7)]
#[tokio::test]
async fn a_page_has_a_hundred_entries_and_never_more_than_a_thousand(
    #[case] query: &str,
    #[case] limit: usize,
) {
    let world = World::new();
    let answer = world.send(&[PULL], get(&format!("{PATH}?{query}")), Body::empty()).await.expect(200);
    assert_eq!(answer.json()["manifests"], Value::Array(Vec::new()));
    assert_eq!(world.repositories.wanted_histories.lock().unwrap()[0].limit, limit);
}
