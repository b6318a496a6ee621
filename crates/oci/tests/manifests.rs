//! What is read from manifests, and how bad ones are refused.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use oci::{Descriptor, Digest, ManifestError, ManifestFacts, ManifestKind, MediaType, Needed};
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
    ManifestFacts::parse(content_type.map(media_type).as_ref(), value.to_string().as_bytes())
}

#[test]
fn an_image_needs_its_config_and_each_distributable_layer_once() {
    let facts = parse(Some(OCI), &image()).unwrap();

    let needs: Vec<_> = facts.needs.iter().map(|need| (need.digest.clone(), need.size, need.what)).collect();
    assert_eq!(
        needs,
        [(Digest::of_sha256(b"config"), 6, Needed::Blob), (Digest::of_sha256(b"layer"), 5, Needed::Blob),]
    );
    assert_eq!(facts.kind, ManifestKind::OciManifest);
    assert_eq!(facts.declared_bytes, 11);
    assert_eq!(facts.artifact_type, Some(media_type("application/vnd.oci.image.config.v1+json")));
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
    assert_eq!(facts.artifact_type, Some(media_type("application/vnd.example.sbom")));
    assert_eq!(facts.annotations["a"], "b");
}

#[test]
fn the_kind_is_that_of_the_request_or_else_of_the_manifest() {
    assert_eq!(parse(None, &image()).unwrap().kind, ManifestKind::OciManifest);

    let mut silent = image();
    silent.as_object_mut().unwrap().remove("mediaType");
    assert_eq!(parse(Some(OCI), &silent).unwrap().kind, ManifestKind::OciManifest);
    assert_eq!(parse(None, &silent), Err(ManifestError::NoMediaType));
    assert!(matches!(parse(Some(INDEX), &image()), Err(ManifestError::Contradiction { .. })));
    assert!(matches!(parse(Some("text/plain"), &silent), Err(ManifestError::Unsupported(_))));
}

#[test]
fn a_manifest_that_could_be_read_as_two_kinds_is_refused() {
    let mut both = image();
    both["manifests"] = json!([descriptor(OCI, "child")]);
    assert!(
        matches!(parse(Some(OCI), &both), Err(ManifestError::Field { field, .. }) if field == "manifests")
    );
    both.as_object_mut().unwrap().remove("mediaType");
    assert!(
        matches!(parse(Some(INDEX), &both), Err(ManifestError::Field { field, .. }) if field == "config")
    );
}

#[test]
fn what_is_wrong_is_named_by_where_it_stands() {
    let cases: [(&str, Value, &str); 14] = [
        ("schemaVersion", json!(1), "schemaVersion"),
        ("schemaVersion", json!("2"), "schemaVersion"),
        ("schemaVersion", json!(-2), "schemaVersion"),
        ("mediaType", json!(7), "mediaType"),
        ("annotations", json!({ "a": 1 }), "annotations"),
        ("config", json!([]), "config"),
        ("config", json!({ "mediaType": "a/b", "digest": "sha256:12" }), "config.digest"),
        ("layers", json!(null), "layers"),
        ("layers", json!([descriptor("a/b", "x"), "y"]), "layers[1]"),
        ("config", json!(null), "config"),
        ("layers", json!({}), "layers"),
        ("layers", json!([{ "mediaType": "a/b", "digest": "sha256:12", "size": 1 }]), "layers[0].digest"),
        ("layers", json!([descriptor("a/b", "x"), { "mediaType": "a/b", "size": 1 }]), "layers[1].digest"),
        ("subject", json!({ "digest": "x" }), "subject.mediaType"),
    ];
    for (name, wrong, expected) in cases {
        let mut value = image();
        value[name] = wrong;
        let Err(ManifestError::Field { field, .. }) = parse(Some(OCI), &value) else {
            panic!("{name} was taken")
        };
        assert_eq!(field, expected);
    }
}

#[test]
fn what_is_wrong_is_told_in_words_that_help() {
    let mut negative = image();
    negative["layers"][2]["size"] = json!(-1);
    let text = parse(Some(OCI), &negative).unwrap_err().to_string();
    assert!(text.starts_with("layers[2].size: ") && text.contains("-1"), "{text}");

    let mut short = image();
    short["layers"][2]["digest"] = json!("sha256:12");
    let text = parse(Some(OCI), &short).unwrap_err().to_string();
    assert_eq!(text, "layers[2].digest: a sha256 digest has 64 hexadecimal digits, not 2");

    let schema1 = json!({ "schemaVersion": 1, "name": "a/b", "fsLayers": [] });
    let text = parse(Some("application/vnd.docker.distribution.manifest.v1+prettyjws"), &schema1);
    let text = text.unwrap_err().to_string();
    assert!(text.starts_with("schemaVersion: must be 2, not 1"), "{text}");

    let text = parse(Some(INDEX), &image()).unwrap_err().to_string();
    assert!(text.contains(INDEX) && text.contains(OCI), "{text}");
}

#[test]
fn fields_that_a_client_writes_as_null_are_left_out() {
    let mut value = image();
    for name in ["annotations", "urls", "artifactType"] {
        value["layers"][0][name] = json!(null);
    }
    for name in ["subject", "annotations", "artifactType"] {
        value[name] = json!(null);
    }

    let facts = parse(Some(OCI), &value).unwrap();
    assert_eq!(facts, parse(Some(OCI), &image()).unwrap());
}

#[test]
fn no_foreign_layer_is_needed_but_an_ordinary_one_with_urls_is() {
    let foreign = [
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ];
    let mut value = image();
    value["layers"] = foreign.iter().map(|kind| descriptor(kind, kind)).collect();
    let facts = parse(Some(OCI), &value).unwrap();
    assert_eq!(facts.needs.len(), 1, "the config alone, not {:?}", facts.needs);
    let named: Vec<_> = foreign.iter().map(|kind| Digest::of_sha256(kind.as_bytes())).collect();
    assert_eq!(facts.not_distributed, named);

    value["layers"] = json!([descriptor("application/vnd.oci.image.layer.v1.tar", "kept")]);
    value["layers"][0]["urls"] = json!(["https://example.org/layer"]);
    let needs = parse(Some(OCI), &value).unwrap().needs;
    assert_eq!(needs[1].digest, Digest::of_sha256(b"kept"));
}

#[test]
fn an_index_has_the_artifact_type_it_gives_itself_and_sums_each_child_once() {
    let children = [descriptor(OCI, "child"), descriptor(OCI, "child"), descriptor(INDEX, "other")];
    let index = json!({ "schemaVersion": 2, "artifactType": "a/b", "manifests": children });

    let facts = parse(Some(INDEX), &index).unwrap();
    assert_eq!(facts.artifact_type, Some(media_type("a/b")));
    assert_eq!(facts.declared_bytes, 10);

    let huge =
        json!({ "mediaType": OCI, "digest": Digest::of_sha256(b"huge").to_string(), "size": u64::MAX });
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(OCI, "child"), huge] });
    assert_eq!(parse(Some(INDEX), &index).unwrap().declared_bytes, u64::MAX);
}

#[test]
fn docker_manifests_and_lists_are_read_like_those_of_oci() {
    let manifest = "application/vnd.docker.distribution.manifest.v2+json";
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let mut image = image();
    image["mediaType"] = json!(manifest);

    assert_eq!(parse(None, &image).unwrap().kind, ManifestKind::DockerManifest);
    let value = json!({ "schemaVersion": 2, "manifests": [descriptor(manifest, "child")] });
    let facts = parse(Some(list), &value).unwrap();
    assert_eq!((facts.kind, facts.needs[0].what), (ManifestKind::DockerManifestList, Needed::Manifest));
}

#[test]
fn a_descriptor_keeps_the_names_of_the_specification() {
    let mut value = descriptor(OCI, "x");
    assert_eq!(serde_json::to_value(read(&value)).unwrap(), value);

    value["artifactType"] = json!("a/b");
    value["annotations"] = json!({ "org.example": "x" });
    value["urls"] = json!(["https://example.org"]);
    assert_eq!(serde_json::to_value(read(&value)).unwrap(), value);
}

fn read(value: &Value) -> Descriptor {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn what_is_too_large_or_no_json_is_refused() {
    let oci = media_type(OCI);
    let large = vec![b' '; oci::MAX_MANIFEST_BYTES + 1];
    assert!(matches!(ManifestFacts::parse(Some(&oci), &large), Err(ManifestError::TooLarge { .. })));
    assert!(matches!(ManifestFacts::parse(Some(&oci), b"{"), Err(ManifestError::NotJson(_))));
    assert!(matches!(ManifestFacts::parse(Some(&oci), b"[]"), Err(ManifestError::NotJson(_))));
    let deep = "[".repeat(100_000);
    assert!(ManifestFacts::parse(Some(&oci), deep.as_bytes()).is_err());

    let many = |count| json!({ "schemaVersion": 2, "manifests": vec![descriptor(OCI, "x"); count] });
    assert!(parse(Some(INDEX), &many(oci::MAX_DESCRIPTORS)).is_ok());
    assert_eq!(parse(Some(INDEX), &many(oci::MAX_DESCRIPTORS + 1)), Err(ManifestError::TooMany));
}

#[test]
fn a_manifest_that_two_readers_of_json_read_differently_is_refused() {
    let good = image().to_string();
    let layers = json!([descriptor("a/b", "other")]);
    for (twice, place) in [
        (good.replacen('{', &format!("{{\"layers\":{layers},"), 1), "\"layers\" stands twice"),
        (good.replacen("\"size\"", "\"size\":1,\"size\"", 1), "\"size\" stands twice"),
        (good.replacen('{', "{\"x\":{\"y\":1,\"\\u0079\":2},", 1), "\"y\" stands twice"),
    ] {
        let error = ManifestFacts::parse(None, twice.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(place), "{error}");
    }

    for (at, name) in [("", "Layers"), ("", "layer\u{17f}"), ("config", "Digest"), ("config", "siZe")] {
        let mut value = image();
        let object = if at.is_empty() { &mut value } else { &mut value[at] };
        object[name] = json!(layers);
        let Err(ManifestError::Field { field, .. }) = parse(None, &value) else { panic!("{name} was taken") };
        assert_eq!(field, [at, name].join(".").trim_start_matches('.'));
    }
    let mut value = image();
    value["annotations"] = json!({ "size": "1", "Size": "2" });
    value["Vendor"] = json!({ "layers": [], "Layers": [] });
    assert!(parse(None, &value).is_ok());
}

// Almost no random bytes are JSON; this has the shape of a manifest with anything in its fields.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        Just(descriptor(OCI, "x")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = "mediaType|digest|size|urls|annotations|artifactType";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(fields, inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = ManifestFacts::parse(None, &bytes);
    }

    #[test]
    fn a_manifest_with_anything_in_a_field_is_read_or_refused(
        name in "schemaVersion|mediaType|config|layers|subject|annotations|artifactType",
        value in anything(),
    ) {
        let mut manifest = image();
        manifest[&name] = value;
        if let Err(error) = parse(Some(OCI), &manifest) {
            let told = error.to_string();
            prop_assert!(told.contains(&name) || matches!(error, ManifestError::Contradiction { .. }), "{told}");
        }
    }
}
