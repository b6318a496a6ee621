//! Which tags there are, and page by page.

use serde_json::json;
use tests::image;

use crate::{
    ground::{Ground, link_to_next, texts},
    requirement::requirements,
};

requirements![
    tags_are_listed_with_the_name_of_the_repository,
    tags_are_in_the_order_of_their_bytes,
    as_many_tags_are_listed_as_asked_for,
    a_list_goes_on_behind_the_last_tag,
    the_last_tag_need_not_exist,
    the_last_tag_may_come_without_a_number,
    no_tags_are_listed_if_none_are_asked_for,
    links_lead_to_the_end_of_the_tags,
    the_last_page_has_no_link,
    a_number_that_is_none_is_refused,
    a_repository_without_tags_has_an_empty_list,
    tags_of_a_repository_that_is_not_there_are_404,
    a_tag_is_listed_once_it_is_pushed_and_until_it_is_deleted,
];

const SORTED: [&str; 6] = ["1.10", "1.9", "V1", "_a", "latest", "v1"];

async fn six_tags(at: &Ground) {
    let manifest = at.image("latest").await;
    for tag in ["v1", "1.9", "_a", "V1", "1.10"] {
        let _ = at.put_manifest(tag, image::OCI_MANIFEST, &manifest).await.expect(201);
    }
}

async fn listed(at: &Ground, query: &str) -> Vec<String> {
    let page = at.get(&format!("tags/list{query}")).await.expect(200).json();
    texts(vec![page["tags"].as_array().unwrap().clone()])
}

/// OCI distribution 1.1, "Listing Tags": 200 with `{"name": <name>, "tags": [<tag>, …]}`.
async fn tags_are_listed_with_the_name_of_the_repository(at: &Ground) {
    at.image("v1").await;
    let list = at.get("tags/list").await.expect(200);
    assert_eq!(list.json(), json!({ "name": at.repository, "tags": ["v1"] }));
    assert!(list.header("content-type").starts_with("application/json"));
}

/// OCI distribution main, "Listing Tags": the tags MUST be in lexical order or that of the bytes
/// (`ASCIIbetical`).
async fn tags_are_in_the_order_of_their_bytes(at: &Ground) {
    six_tags(at).await;
    assert_eq!(listed(at, "").await, SORTED);
}

/// OCI distribution 1.1, "Listing Tags": the answer MUST include `n` tags, unless there are fewer or a `Link`
/// is there.
async fn as_many_tags_are_listed_as_asked_for(at: &Ground) {
    six_tags(at).await;
    assert_eq!(listed(at, "?n=2").await, SORTED[..2]);
    assert_eq!(listed(at, "?n=6").await, SORTED);
    assert_eq!(listed(at, "?n=5000").await, SORTED);
}

/// OCI distribution 1.1, "Listing Tags": up to `n` tags after `last`, which is not included itself.
async fn a_list_goes_on_behind_the_last_tag(at: &Ground) {
    six_tags(at).await;
    assert_eq!(listed(at, "?n=2&last=1.9").await, SORTED[2..4]);
    assert_eq!(listed(at, "?n=9&last=latest").await, SORTED[5..]);
    assert!(listed(at, "?n=9&last=v1").await.is_empty());
}

/// OCI distribution 1.1, "Listing Tags": `last` is the value of a tag, by which the list is cut, and it may
/// be deleted meanwhile.
async fn the_last_tag_need_not_exist(at: &Ground) {
    six_tags(at).await;
    assert_eq!(listed(at, "?n=2&last=W").await, SORTED[3..5]);
}

/// OCI distribution 1.1, "Listing Tags": with `last`, `n` is OPTIONAL.
async fn the_last_tag_may_come_without_a_number(at: &Ground) {
    six_tags(at).await;
    assert_eq!(listed(at, "?last=V1").await, SORTED[3..]);
}

/// OCI distribution 1.1, "Listing Tags": `n=0` MUST be answered with an empty list and MUST NOT have a
/// `Link`.
async fn no_tags_are_listed_if_none_are_asked_for(at: &Ground) {
    six_tags(at).await;
    let none = at.get("tags/list?n=0").await.expect(200);
    assert_eq!(none.json()["tags"], json!([]));
    assert_eq!(none.header("link"), "");
}

/// OCI distribution 1.1, "Listing Tags": the `Link` has `rel="next"` (RFC 5988), and by it all tags are
/// found, each once.
async fn links_lead_to_the_end_of_the_tags(at: &Ground) {
    six_tags(at).await;
    for n in 1..=6 {
        let pages = at.pages(&format!("tags/list?n={n}"), "tags").await;
        assert!(pages.iter().all(|page| page.len() <= n), "{pages:?}");
        assert_eq!(texts(pages), SORTED);
    }
}

/// OCI distribution 1.1, "Listing Tags": `Link` MAY be included *when additional tags are available*.
async fn the_last_page_has_no_link(at: &Ground) {
    six_tags(at).await;
    for query in ["", "?n=6", "?n=3&last=V1"] {
        let page = at.get(&format!("tags/list{query}")).await.expect(200);
        assert_eq!(link_to_next(&page), None, "{query}");
    }
}

/// OCI distribution 1.1, "Legacy Docker support error codes": an `n` that is no number is answered with 400
/// `PAGINATION_NUMBER_INVALID`.
async fn a_number_that_is_none_is_refused(at: &Ground) {
    six_tags(at).await;
    for n in ["-1", "a", "1.5", ""] {
        let refused = at.get(&format!("tags/list?n={n}")).await;
        let _ = refused.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

/// OCI distribution 1.1, "Listing Tags": the list MAY be empty if there are no tags.
async fn a_repository_without_tags_has_an_empty_list(at: &Ground) {
    at.blob(b"a blob").await;
    let list = at.get("tags/list").await.expect(200);
    assert_eq!(list.json(), json!({ "name": at.repository, "tags": [] }));
}

/// OCI distribution 1.1, "Endpoints" (end-8a) and "Error Codes": 404 `NAME_UNKNOWN`.
async fn tags_of_a_repository_that_is_not_there_are_404(at: &Ground) {
    let _ = at.get("tags/list").await.expect_error(404, "NAME_UNKNOWN");
}

/// OCI distribution 1.1, "Listing Tags" and "Deleting tags": the list is of the tags that are there.
async fn a_tag_is_listed_once_it_is_pushed_and_until_it_is_deleted(at: &Ground) {
    at.image("v1").await;
    at.image("v2").await;
    assert_eq!(listed(at, "").await, ["v1", "v2"]);
    let _ = at.delete("manifests/v1").await.expect(202);
    assert_eq!(listed(at, "").await, ["v2"]);
}
