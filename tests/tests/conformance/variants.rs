//! Manifests of all kinds: indexes, artifacts, those with a subject, and those that nobody here has thought of.

use serde_json::{Value, json};
use tests::image;

use crate::{ground::Ground, requirement::requirements};

requirements![
    an_index_keeps_its_children,
    an_index_may_be_empty,
    an_index_may_list_indexes,
    an_index_of_an_unknown_child_is_refused,
    docker_images_and_lists_keep_their_types,
    fields_that_nobody_knows_are_kept,
    a_layer_that_is_not_distributed_need_not_be_there,
    an_image_may_have_no_layers,
    an_artifact_without_a_config_is_accepted,
    a_subject_that_is_missing_is_accepted,
    a_subject_is_confirmed,
    an_index_with_a_subject_is_confirmed,
    without_a_subject_none_is_confirmed,
];

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// An image with an empty config, which is pushed, and no layers.
async fn small_image(at: &Ground) -> Value {
    at.blob(b"{}").await;
    let config = json!({ "mediaType": EMPTY, "digest": image::digest(b"{}"), "size": 2 });
    json!({ "schemaVersion": 2, "mediaType": image::OCI_MANIFEST, "config": config, "layers": [] })
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": image::digest(content), "size": content.len() })
}

/// Puts a document under a tag; it must come back as it is.
async fn is_kept(at: &Ground, tag: &str, media_type: &str, document: &Value) {
    let body = document.to_string();
    let _ = at.put_manifest(tag, media_type, body.as_bytes()).await.expect(201);
    let kept = at.get(&format!("manifests/{tag}")).await.expect(200);
    assert_eq!(kept.body, body);
    assert_eq!(kept.header("content-type"), media_type);
}

/// OCI image 1.1, "Image Index": an index lists manifests; they are had by their digests from the same
/// repository.
async fn an_index_keeps_its_children(at: &Ground) {
    let children = [at.image("one").await, at.image("two").await];
    let index = image::oci_index(&[&children[0], &children[1]]);
    let _ = at.put_manifest("all", image::OCI_INDEX, &index).await.expect(201);
    for tag in ["one", "two"] {
        let _ = at.delete(&format!("manifests/{tag}")).await.expect(202);
    }
    for child in children {
        assert_eq!(at.get(&format!("manifests/{}", image::digest(&child))).await.expect(200).body, child);
    }
    assert_eq!(at.get("manifests/all").await.expect(200).body, index);
}

/// OCI image 1.1, "Image Index": `manifests` is REQUIRED, and MAY be of size zero.
async fn an_index_may_be_empty(at: &Ground) {
    let index = json!({ "schemaVersion": 2, "mediaType": image::OCI_INDEX, "manifests": [] });
    is_kept(at, "none", image::OCI_INDEX, &index).await;
}

/// OCI image 1.1, "Image Index": implementations MUST support indexes as children (nested index).
async fn an_index_may_list_indexes(at: &Ground) {
    let inner = image::oci_index(&[&at.image("one").await]);
    let _ = at.put_manifest("inner", image::OCI_INDEX, &inner).await.expect(201);
    let outer = json!({ "schemaVersion": 2, "manifests": [descriptor(image::OCI_INDEX, &inner)] });
    is_kept(at, "outer", image::OCI_INDEX, &outer).await;
}

/// OCI distribution 1.1, "Push": a manifest that is rejected for a manifest that does not exist MUST be
/// answered with `MANIFEST_BLOB_UNKNOWN`.
async fn an_index_of_an_unknown_child_is_refused(at: &Ground) {
    let index = image::oci_index(&[b"unknown"]);
    let refused = at.put_manifest("all", image::OCI_INDEX, &index).await;
    let _ = refused.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

/// Docker Image Manifest Version 2, Schema 2: an image and a list of images are served in their own types.
async fn docker_images_and_lists_keep_their_types(at: &Ground) {
    let config = b"the config of docker";
    at.blob(config).await;
    let config = descriptor("application/vnd.docker.container.image.v1+json", config);
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [] });
    is_kept(at, "image", DOCKER_MANIFEST, &manifest).await;

    let mut child = descriptor(DOCKER_MANIFEST, manifest.to_string().as_bytes());
    child["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    let list = json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [child] });
    is_kept(at, "list", DOCKER_LIST, &list).await;
}

/// OCI image 1.1, "Extensibility": implementations MUST NOT generate an error if they encounter an unknown
/// property. OCI distribution 1.1, "Pushing Manifests": the exact bytes MUST be stored.
async fn fields_that_nobody_knows_are_kept(at: &Ground) {
    let mut manifest = small_image(at).await;
    manifest["newField"] = json!({ "nested": [1, null, "ü", 1.50] });
    manifest["config"]["org.example.new"] = json!(true);
    is_kept(at, "new", image::OCI_MANIFEST, &manifest).await;
}

/// OCI image 1.1, "Non-Distributable Layers": such layers SHOULD NOT be uploaded, so that a manifest can be
/// pushed without.
async fn a_layer_that_is_not_distributed_need_not_be_there(at: &Ground) {
    let mut manifest = small_image(at).await;
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        manifest["layers"] = json!([descriptor(media_type, media_type.as_bytes())]);
        is_kept(at, "foreign", image::OCI_MANIFEST, &manifest).await;
    }
}

/// OCI distribution 1.1, "Pushing Manifests": the list of blobs MAY be empty.
async fn an_image_may_have_no_layers(at: &Ground) {
    let manifest = small_image(at).await;
    is_kept(at, "empty", image::OCI_MANIFEST, &manifest).await;
}

/// OCI image 1.1, "Guidelines for Artifact Usage": an artifact is an image manifest with `artifactType` and
/// the empty config.
async fn an_artifact_without_a_config_is_accepted(at: &Ground) {
    let mut manifest = small_image(at).await;
    manifest["artifactType"] = json!("application/vnd.example+type");
    manifest["layers"] = json!([manifest["config"]]);
    is_kept(at, "artifact", image::OCI_MANIFEST, &manifest).await;
}

/// OCI distribution 1.1, "Push": a registry MUST accept a manifest with a `subject` that does not exist.
async fn a_subject_that_is_missing_is_accepted(at: &Ground) {
    let mut manifest = small_image(at).await;
    manifest["subject"] = descriptor(image::OCI_MANIFEST, b"a manifest that comes later");
    is_kept(at, "signature", image::OCI_MANIFEST, &manifest).await;
}

/// OCI distribution 1.1, "Pushing Manifests with Subject": the answer MUST have `OCI-Subject: <subject
/// digest>`.
async fn a_subject_is_confirmed(at: &Ground) {
    let mut manifest = small_image(at).await;
    let subject = image::digest(b"a manifest that comes later").to_string();
    manifest["subject"] = descriptor(image::OCI_MANIFEST, b"a manifest that comes later");
    let body = manifest.to_string();
    for reference in ["signature", &image::digest(body.as_bytes()).to_string()] {
        let pushed = at.put_manifest(reference, image::OCI_MANIFEST, body.as_bytes()).await.expect(201);
        assert_eq!(pushed.header("oci-subject"), subject);
    }
}

/// OCI image 1.1, "Image Index": an index may have a `subject` too; OCI distribution 1.1, "Pushing Manifests
/// with Subject": which is confirmed.
async fn an_index_with_a_subject_is_confirmed(at: &Ground) {
    let subject = descriptor(image::OCI_MANIFEST, b"a manifest that comes later");
    let index = json!({ "schemaVersion": 2, "manifests": [], "subject": subject }).to_string();
    let pushed = at.put_manifest("signatures", image::OCI_INDEX, index.as_bytes()).await.expect(201);
    assert_eq!(pushed.header("oci-subject"), subject["digest"].as_str().unwrap());
}

/// OCI distribution 1.1, "Pushing Manifests with Subject": the header says that a *subject* was processed.
async fn without_a_subject_none_is_confirmed(at: &Ground) {
    let manifest = at.image("v1").await;
    let pushed = at.put_manifest("v2", image::OCI_MANIFEST, &manifest).await.expect(201);
    assert_eq!(pushed.header("oci-subject"), "");
}
