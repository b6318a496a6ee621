//! Which repositories there are, in Docker's words.

use reqwest::Method;
use tests::raw::Answer;

use crate::{
    ground::{Ground, answer, link_to_next, texts},
    requirement::requirements,
};

requirements![
    repositories_are_listed,
    as_many_repositories_are_listed_as_asked_for,
    a_catalog_goes_on_behind_the_last_name,
    links_lead_to_the_end_of_the_catalog,
    more_than_a_thousand_are_refused,
    a_catalog_number_that_is_none_is_refused,
    a_catalog_needs_a_token_of_its_own,
];

async fn catalog(at: &Ground, path: &str) -> Answer {
    let token = at.raw.token(&["registry:catalog:*"]).await;
    answer(at.raw.anonymous(Method::GET, path).bearer_auth(token)).await
}

async fn names(at: &Ground, query: &str) -> Vec<String> {
    let page = catalog(at, &format!("/v2/_catalog{query}")).await.expect(200).json();
    texts(vec![page["repositories"].as_array().unwrap().clone()])
}

/// Three repositories that come one after the other.
async fn three(at: &Ground) -> [String; 3] {
    let mut names = [String::new(), String::new(), String::new()];
    for (name, letter) in names.iter_mut().zip(["a", "b", "c"]) {
        let repository = at.beside(letter);
        repository.blob(b"a blob").await;
        *name = repository.repository;
    }
    names
}

/// Docker Registry HTTP API V2, "Listing Repositories": 200 with `{"repositories": [<name>, …]}`, sorted.
async fn repositories_are_listed(at: &Ground) {
    let three = three(at).await;
    let listed = names(at, "").await;
    assert!(three.iter().all(|name| listed.contains(name)), "{listed:?}");
    assert!(listed.is_sorted(), "{listed:?}");
}

/// Docker Registry HTTP API V2, "Catalog Pagination": at most `n` names.
async fn as_many_repositories_are_listed_as_asked_for(at: &Ground) {
    three(at).await;
    assert_eq!(names(at, "?n=2").await.len(), 2);
}

/// Docker Registry HTTP API V2, "Catalog Pagination": the names after `last`, which is not included itself.
async fn a_catalog_goes_on_behind_the_last_name(at: &Ground) {
    let [a, b, c] = three(at).await;
    assert_eq!(names(at, &format!("?n=2&last={a}")).await, [b, c]);
}

/// Docker Registry HTTP API V2, "Catalog Pagination": `Link` with `rel="next"` leads to the rest; the last
/// page has none.
async fn links_lead_to_the_end_of_the_catalog(at: &Ground) {
    three(at).await;
    let all = names(at, "?n=1000").await;
    let (mut found, mut next) = (Vec::new(), Some("/v2/_catalog?n=2".to_owned()));
    while let Some(path) = next {
        let page = catalog(at, &path).await.expect(200);
        found.push(page.json()["repositories"].as_array().unwrap().clone());
        next = link_to_next(&page);
    }
    assert!(found.len() > 1 && found.iter().all(|page| page.len() <= 2), "{found:?}");
    assert_eq!(texts(found), all);
}

/// Docker Registry HTTP API V2, "Catalog Pagination": an `n` above what the registry returns at once is
/// answered with 400 `PAGINATION_NUMBER_INVALID`.
async fn more_than_a_thousand_are_refused(at: &Ground) {
    three(at).await;
    let _ = catalog(at, "/v2/_catalog?n=1000").await.expect(200);
    for n in ["1001", "99999999999999999999999"] {
        let refused = catalog(at, &format!("/v2/_catalog?n={n}")).await;
        let _ = refused.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

/// Docker Registry HTTP API V2, "Catalog Pagination": `PAGINATION_NUMBER_INVALID` for what is no number.
async fn a_catalog_number_that_is_none_is_refused(at: &Ground) {
    for n in ["-1", "many"] {
        let refused = catalog(at, &format!("/v2/_catalog?n={n}")).await;
        let _ = refused.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

/// Docker token authentication, "Token scope": the catalog needs `registry:catalog:*`, and the challenge says
/// so.
async fn a_catalog_needs_a_token_of_its_own(at: &Ground) {
    let refused = at.get("/v2/_catalog").await.expect_error(401, "UNAUTHORIZED");
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("scope=\"registry:catalog:*\""), "{challenge}");
}
