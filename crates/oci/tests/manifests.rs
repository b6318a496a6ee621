//! What is read from manifests, and how bad ones are refused.

use oci::{Digest, ManifestError, ManifestFacts, ManifestKind, MediaType, Needed};
use proptest::prelude::*;
use serde_json::{Value, json};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn media_type(text: &str) -> MediaType {
    text.parse().unwrap()
}

fn descriptor(media_type: &str, content: &str) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of_sha256(content.as_bytes()).to_string(), "size": content.len() })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": descriptor("application/vnd.oci.image.config.v1+json", "config"),
        "layers": [
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "layer"),
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "layer"),
            descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", "foreign"),
        ],
    })
}

fn parse(content_type: Option<&str>, value: &Value) -> Result<ManifestFacts, ManifestError> {
    ManifestFacts::parse(
        content_type.map(media_type).as_ref(),
        value.to_string().as_bytes(),
    )
}

#[test]
fn an_image_needs_its_config_and_each_distributable_layer_once() {
    let facts = parse(Some(OCI), &image()).unwrap();

    let needs: Vec<_> = facts
        .needs
        .iter()
        .map(|need| (need.digest.clone(), need.size, need.what))
        .collect();
    assert_eq!(
        needs,
        [
            (Digest::of_sha256(b"config"), 6, Needed::Blob),
            (Digest::of_sha256(b"layer"), 5, Needed::Blob),
        ]
    );
    assert_eq!(facts.kind, ManifestKind::OciManifest);
    assert_eq!(facts.declared_bytes, 11);
    assert_eq!(
        facts.artifact_type,
        Some(media_type("application/vnd.oci.image.config.v1+json"))
    );
}

#[test]
fn an_index_needs_its_children_and_is_listed_without_a_type() {
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(OCI, "child")] });
    let facts = parse(Some(INDEX), &index).unwrap();

    assert_eq!(facts.needs[0].what, Needed::Manifest);
    assert_eq!(facts.artifact_type, None);
}

#[test]
fn a_manifest_knows_its_subject_artifact_type_and_annotations() {
    let mut value = image();
    value["subject"] = descriptor(OCI, "subject");
    value["artifactType"] = json!("application/vnd.example.sbom");
    value["annotations"] = json!({ "a": "b" });

    let facts = parse(Some(OCI), &value).unwrap();
    assert_eq!(facts.subject.unwrap().digest, Digest::of_sha256(b"subject"));
    assert_eq!(
        facts.artifact_type,
        Some(media_type("application/vnd.example.sbom"))
    );
    assert_eq!(facts.annotations["a"], "b");
}

#[test]
fn the_kind_is_that_of_the_request_or_else_of_the_manifest() {
    assert_eq!(parse(None, &image()).unwrap().kind, ManifestKind::OciManifest);

    let mut silent = image();
    silent.as_object_mut().unwrap().remove("mediaType");
    assert_eq!(parse(Some(OCI), &silent).unwrap().kind, ManifestKind::OciManifest);
    assert_eq!(parse(None, &silent), Err(ManifestError::NoMediaType));
    assert!(matches!(
        parse(Some(INDEX), &image()),
        Err(ManifestError::Contradiction { .. })
    ));
    assert!(matches!(
        parse(Some("text/plain"), &silent),
        Err(ManifestError::Unsupported(_))
    ));
}

#[test]
fn what_is_wrong_is_named_by_where_it_stands() {
    let cases: [(&str, Value, &str); 6] = [
        ("schemaVersion", json!(1), "schemaVersion"),
        ("config", json!(null), "config"),
        ("layers", json!({}), "layers"),
        (
            "layers",
            json!([{ "mediaType": "a/b", "digest": "sha256:12", "size": 1 }]),
            "layers[0]",
        ),
        (
            "layers",
            json!([descriptor("a/b", "x"), { "mediaType": "a/b", "size": 1 }]),
            "layers[1]",
        ),
        ("subject", json!({ "digest": "x" }), "subject"),
    ];
    for (name, wrong, expected) in cases {
        let mut value = image();
        value[name] = wrong;
        let Err(ManifestError::Field { field, .. }) = parse(Some(OCI), &value) else {
            panic!("{name} was taken")
        };
        assert_eq!(field, expected);
    }
    let mut negative = image();
    negative["layers"][0]["size"] = json!(-1);
    assert!(parse(Some(OCI), &negative).is_err());
}

#[test]
fn what_is_too_large_or_no_json_is_refused() {
    let oci = media_type(OCI);
    let large = vec![b' '; oci::MAX_MANIFEST_BYTES + 1];
    assert!(matches!(
        ManifestFacts::parse(Some(&oci), &large),
        Err(ManifestError::TooLarge { .. })
    ));
    assert!(matches!(
        ManifestFacts::parse(Some(&oci), b"{"),
        Err(ManifestError::NotJson(_))
    ));
    assert!(matches!(
        ManifestFacts::parse(Some(&oci), b"[]"),
        Err(ManifestError::NotJson(_))
    ));
    let deep = "[".repeat(100_000);
    assert!(ManifestFacts::parse(Some(&oci), deep.as_bytes()).is_err());

    let many = json!({ "schemaVersion": 2, "manifests": vec![descriptor(OCI, "x"); 10_001] });
    assert_eq!(parse(Some(INDEX), &many), Err(ManifestError::TooMany));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = ManifestFacts::parse(None, &bytes);
    }
}
