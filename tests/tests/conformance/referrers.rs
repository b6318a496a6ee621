//! What refers to a manifest.

use oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tests::{image, raw::Answer};

use crate::{ground::Ground, requirement::requirements};

requirements![
    nothing_refers_to_what_is_not_there,
    the_list_is_an_index,
    a_referrer_has_its_type_size_and_digest,
    a_referrer_has_its_artifact_type,
    an_image_without_an_artifact_type_has_that_of_its_config,
    an_index_without_an_artifact_type_has_none,
    a_referrer_has_its_annotations,
    a_referrer_may_come_before_its_subject,
    a_list_can_be_filtered_and_says_so,
    a_list_that_is_not_filtered_does_not_say_so,
    a_long_list_comes_in_pages,
    a_filter_holds_on_every_page,
    what_is_listed_under_the_fallback_tag_is_in_the_list,
    the_fallback_tag_of_a_long_digest_is_cut,
    a_referrer_that_is_deleted_is_not_listed,
    a_referrer_outlives_its_subject,
    a_digest_that_is_none_is_refused,
];

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom";
const SUBJECT: &[u8] = b"a manifest that comes later";

/// An image that refers to the subject. The number makes it another.
async fn referring(at: &Ground, artifact_type: Option<&str>, number: usize) -> Value {
    at.blob(b"{}").await;
    let config = json!({ "mediaType": "application/x-config", "digest": image::digest(b"{}"), "size": 2 });
    let annotations = json!({ "org.example.number": number.to_string() });
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": image::OCI_MANIFEST, "config": config, "layers": [],
        "annotations": annotations,
        "subject": { "mediaType": image::OCI_MANIFEST, "digest": image::digest(SUBJECT), "size": SUBJECT.len() },
    });
    if let Some(artifact_type) = artifact_type {
        manifest["artifactType"] = json!(artifact_type);
    }
    manifest
}

fn path(query: &str) -> String {
    format!("referrers/{}{query}", image::digest(SUBJECT))
}

fn entries(list: &Answer) -> Vec<Value> {
    list.json()["manifests"].as_array().unwrap().clone()
}

/// The one entry of the list.
async fn only(at: &Ground) -> Value {
    let mut entries = entries(&at.get(&path("")).await.expect(200));
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

/// OCI distribution 1.1, "Listing Referrers": no 404 if the API is supported; without referrers an empty list
/// MUST be returned.
async fn nothing_refers_to_what_is_not_there(at: &Ground) {
    assert!(entries(&at.get(&path("")).await.expect(200)).is_empty(), "before there is a repository");
    at.image("v1").await;
    assert!(entries(&at.get(&path("")).await.expect(200)).is_empty());
}

/// OCI distribution 1.1, "Listing Referrers": an image index, with `Content-Type` of exactly that type.
async fn the_list_is_an_index(at: &Ground) {
    let check = async || {
        let list = at.get(&path("")).await.expect(200);
        assert_eq!(list.header("content-type"), image::OCI_INDEX);
        assert_eq!(list.json()["schemaVersion"], 2);
        assert_eq!(list.json()["mediaType"], image::OCI_INDEX);
    };
    check().await;
    at.put_image(&referring(at, Some(SIGNATURE), 1).await).await;
    check().await;
}

/// OCI distribution 1.1, "Listing Referrers": a list of descriptors, each of a manifest with that `subject`.
async fn a_referrer_has_its_type_size_and_digest(at: &Ground) {
    let manifest = referring(at, Some(SIGNATURE), 1).await;
    let digest = at.put_image(&manifest).await;
    let entry = only(at).await;
    assert_eq!(entry["mediaType"], image::OCI_MANIFEST);
    assert_eq!(entry["digest"], digest);
    assert_eq!(entry["size"], manifest.to_string().len());
}

/// OCI distribution 1.1, "Listing Referrers": descriptors MUST include `artifactType` of the manifest.
async fn a_referrer_has_its_artifact_type(at: &Ground) {
    at.put_image(&referring(at, Some(SIGNATURE), 1).await).await;
    assert_eq!(only(at).await["artifactType"], SIGNATURE);
}

/// OCI distribution 1.1, "Listing Referrers": without one in an image manifest it MUST be the config's
/// `mediaType`.
async fn an_image_without_an_artifact_type_has_that_of_its_config(at: &Ground) {
    at.put_image(&referring(at, None, 1).await).await;
    assert_eq!(only(at).await["artifactType"], "application/x-config");
}

/// OCI distribution 1.1, "Listing Referrers": without one in an index it MUST be omitted.
async fn an_index_without_an_artifact_type_has_none(at: &Ground) {
    let mut index = referring(at, None, 1).await;
    index["mediaType"] = json!(image::OCI_INDEX);
    index["manifests"] = index.as_object_mut().unwrap().remove("layers").unwrap();
    index.as_object_mut().unwrap().remove("config");
    let _ = at.put_manifest("index", image::OCI_INDEX, index.to_string().as_bytes()).await.expect(201);
    let entry = only(at).await;
    assert_eq!((&entry["mediaType"], entry.get("artifactType")), (&json!(image::OCI_INDEX), None));
}

/// OCI distribution 1.1, "Listing Referrers": descriptors MUST include the annotations of the manifest.
async fn a_referrer_has_its_annotations(at: &Ground) {
    let mut manifest = referring(at, Some(SIGNATURE), 1).await;
    manifest["annotations"] = json!({ "org.example.empty": "", "org.example.text": "ü\n\"quoted\"" });
    at.put_image(&manifest).await;
    assert_eq!(only(at).await["annotations"], manifest["annotations"]);
}

/// OCI distribution 1.1, "Push": clients push a manifest and what refers to it in either order.
async fn a_referrer_may_come_before_its_subject(at: &Ground) {
    let subject = image::oci_manifest(b"{}", &[b"a layer"]);
    let mut manifest = referring(at, Some(SIGNATURE), 1).await;
    manifest["subject"]["digest"] = json!(image::digest(&subject));
    let digest = at.put_image(&manifest).await;
    at.blob(b"a layer").await;
    let _ = at.put_manifest("v1", image::OCI_MANIFEST, &subject).await.expect(201);
    let list = at.get(&format!("referrers/{}", image::digest(&subject))).await.expect(200);
    assert_eq!(entries(&list)[0]["digest"], digest);
}

/// OCI distribution 1.1, "Listing Referrers": filtering on `artifactType` SHOULD be supported, and MUST be
/// told by `OCI-Filters-Applied`.
async fn a_list_can_be_filtered_and_says_so(at: &Ground) {
    let digest = at.put_image(&referring(at, Some(SIGNATURE), 1).await).await;
    at.put_image(&referring(at, Some(SBOM), 2).await).await;
    for (artifact_type, expected) in [(SIGNATURE, vec![&digest]), ("application/x-other", vec![])] {
        let list = at.get(&path(&format!("?artifactType={artifact_type}"))).await.expect(200);
        assert_eq!(list.header("oci-filters-applied"), "artifactType");
        let found = entries(&list);
        assert_eq!(found.iter().map(|entry| &entry["digest"]).collect::<Vec<_>>(), expected);
    }
}

/// OCI distribution 1.1, "Listing Referrers": `OCI-Filters-Applied` if filtering is *requested and applied*.
async fn a_list_that_is_not_filtered_does_not_say_so(at: &Ground) {
    at.put_image(&referring(at, Some(SIGNATURE), 1).await).await;
    at.put_image(&referring(at, Some(SBOM), 2).await).await;
    let list = at.get(&path("")).await.expect(200);
    assert_eq!((list.header("oci-filters-applied"), entries(&list).len()), ("", 2));
}

/// Pushes 60 signatures and 61 SBOMs, which is more than a page; answers the digests of the latter, sorted.
async fn many(at: &Ground) -> Vec<String> {
    let mut boms = Vec::new();
    let mut manifest = referring(at, None, 0).await;
    for number in 0..121 {
        let artifact_type = if number % 2 == 0 { SBOM } else { SIGNATURE };
        manifest["artifactType"] = json!(artifact_type);
        manifest["annotations"]["org.example.number"] = json!(number.to_string());
        let digest = at.put_image(&manifest).await;
        boms.extend((artifact_type == SBOM).then_some(digest));
    }
    boms.sort();
    boms
}

fn digests(pages: &[Vec<Value>]) -> Vec<String> {
    let mut digests: Vec<_> =
        pages.iter().flatten().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

/// OCI distribution 1.1, "Listing Referrers": a `Link` with `rel="next"` (RFC 5988) MUST be there when the
/// list does not fit, and each page has other descriptors.
async fn a_long_list_comes_in_pages(at: &Ground) {
    many(at).await;
    let pages = at.pages(&path(""), "manifests").await;
    let mut found = digests(&pages);
    found.dedup();
    assert!(pages.len() > 1);
    assert_eq!((found.len(), pages.iter().map(Vec::len).sum()), (121, 121));
}

/// OCI distribution 1.1, "Listing Referrers": the next page of a filtered list is filtered too.
async fn a_filter_holds_on_every_page(at: &Ground) {
    let boms = many(at).await;
    let pages = at.pages(&path(&format!("?artifactType={SBOM}")), "manifests").await;
    assert_eq!(digests(&pages), boms);
}

/// OCI distribution 1.1, "Enabling the Referrers API": manifests that an index under the fallback tag lists
/// MUST be in the list, and each once.
async fn what_is_listed_under_the_fallback_tag_is_in_the_list(at: &Ground) {
    let old = referring(at, Some(SIGNATURE), 1).await.to_string();
    let _ = at.put_manifest("old", image::OCI_MANIFEST, old.as_bytes()).await.expect(201);
    let older = at.image("older").await;
    let tag = image::digest(SUBJECT).to_string().replace(':', "-");
    let index = image::oci_index(&[old.as_bytes(), &older]);
    let _ = at.put_manifest(&tag, image::OCI_INDEX, &index).await.expect(201);

    let found = digests(&[entries(&at.get(&path("")).await.expect(200))]);
    let mut expected = [image::digest(old.as_bytes()).to_string(), image::digest(&older).to_string()];
    expected.sort();
    assert_eq!(found, expected);
}

/// OCI distribution main, "Referrers Tag Schema": the encoded part of the digest is truncated to 64
/// characters.
async fn the_fallback_tag_of_a_long_digest_is_cut(at: &Ground) {
    let old = at.image("old").await;
    let subject = Digest::of(Algorithm::Sha512, SUBJECT).to_string();
    let tag = subject[.."sha512:".len() + 64].replace(':', "-");
    let _ = at.put_manifest(&tag, image::OCI_INDEX, &image::oci_index(&[&old])).await.expect(201);
    let list = at.get(&format!("referrers/{subject}")).await.expect(200);
    assert_eq!(entries(&list)[0]["digest"], image::digest(&old).to_string());
}

/// OCI distribution 1.1, "Listing Referrers" and "Deleting Manifests": the list is of manifests that are
/// there.
async fn a_referrer_that_is_deleted_is_not_listed(at: &Ground) {
    let digest = at.put_image(&referring(at, Some(SIGNATURE), 1).await).await;
    let _ = at.delete(&format!("manifests/{digest}")).await.expect(202);
    assert!(entries(&at.get(&path("")).await.expect(200)).is_empty());
}

/// OCI distribution 1.1, "Push": the subject need not exist, so that it may be deleted before what refers to
/// it.
async fn a_referrer_outlives_its_subject(at: &Ground) {
    let subject = image::digest(&at.image("v1").await);
    let mut manifest = referring(at, Some(SIGNATURE), 1).await;
    manifest["subject"]["digest"] = json!(subject);
    let digest = at.put_image(&manifest).await;
    let _ = at.delete(&format!("manifests/{subject}")).await.expect(202);
    let list = at.get(&format!("referrers/{subject}")).await.expect(200);
    assert_eq!(entries(&list)[0]["digest"], digest);
}

/// OCI distribution 1.1, "Listing Referrers": a digest with an invalid syntax MUST be answered with 400.
async fn a_digest_that_is_none_is_refused(at: &Ground) {
    for digest in ["sha256:abc", "latest", "sha256", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let refused = at.get(&format!("referrers/{digest}")).await;
        let _ = refused.expect_error(400, "DIGEST_INVALID");
    }
}
