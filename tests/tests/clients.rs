//! Real clients against real processes: what they push comes back byte for byte, and what they may not do they
//! are told so in words. With five services they push through one edge and pull through the other.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::{Value, json};
use tests::{
    Hub, Topology,
    docker::Docker,
    image,
    podman::Podman,
    raw::{ADMIN, PASSWORD},
    skopeo, tree,
};

/// The registry as its first and as its last edge; with one process they are the same.
fn registries(hub: &Hub) -> (String, String) {
    let edges = hub.edges();
    (edges[0].to_string(), edges[edges.len() - 1].to_string())
}

fn log_in(docker: &Docker, registries: &[&String]) {
    for registry in registries {
        docker.login(registry, ADMIN, PASSWORD);
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_pulls_the_very_image_that_it_built_and_pushed(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let docker = Docker::start();
    log_in(&docker, &[&push, &pull]);
    let context = docker.scratch("context");
    let content = tree::fill_buildable(&context, 20);
    let pushed = format!("{push}/team/app:v1");
    docker.build(&context, &pushed);
    let id = docker.image_id(&pushed);

    docker.run(&["push", &pushed]);
    docker.forget_images();
    let pulled = format!("{pull}/team/app:v1");
    docker.run(&["pull", &pulled]);

    assert_eq!(docker.image_id(&pulled), id);
    let exported = docker.scratch("exported");
    docker.export(&pulled, &exported);
    tree::assert_same(&content, &exported);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_pushes_several_imported_images_and_pulls_all_of_their_tags(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let docker = Docker::start();
    log_in(&docker, &[&push, &pull]);
    let tags = ["one", "two", "three"];
    for (seed, tag) in (30..).zip(tags) {
        tree::fill(&docker.scratch(tag), seed * 10);
        docker.import(&docker.scratch(tag), &format!("{push}/team/many:{tag}"));
    }

    docker.run(&["push", "--all-tags", &format!("{push}/team/many")]);
    docker.forget_images();
    docker.run(&["pull", "--all-tags", &format!("{pull}/team/many")]);

    for tag in tags {
        let exported = docker.scratch(&format!("{tag}-exported"));
        docker.export(&format!("{pull}/team/many:{tag}"), &exported);
        tree::assert_same(&docker.scratch(tag), &exported);
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_sends_no_layer_twice_and_pulls_by_digest(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let docker = Docker::start();
    log_in(&docker, &[&push, &pull]);
    let context = docker.scratch("context");
    tree::fill_buildable(&context, 40);
    let first = format!("{push}/team/app:v1");
    docker.build(&context, &first);
    let id = docker.image_id(&first);
    docker.run(&["push", &first]);

    let again = format!("{push}/team/app:v2");
    docker.run(&["tag", &first, &again]);
    let printed = docker.run(&["push", &again]);
    assert_eq!(printed.matches("Layer already exists").count(), 2, "{printed}");

    let elsewhere = format!("{push}/team/fork:v1");
    docker.run(&["tag", &first, &elsewhere]);
    let printed = docker.run(&["push", &elsewhere]);
    assert_eq!(printed.matches("Mounted from team/app").count(), 2, "{printed}");

    let digest = printed.lines().find_map(|line| line.split_once("digest: ")?.1.split(' ').next());
    let digest = digest.unwrap_or_else(|| panic!("no digest in {printed}"));
    docker.forget_images();
    for repository in ["team/app", "team/fork"] {
        let by_digest = format!("{pull}/{repository}@{digest}");
        docker.run(&["pull", &by_digest]);
        assert_eq!(docker.image_id(&by_digest), id);
        docker.forget_images();
    }
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn docker_is_told_why_it_may_not(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let registry = hub.registry();
    let docker = Docker::start();
    tree::fill(&docker.scratch("content"), 50);
    let image = format!("{registry}/team/app:v1");
    docker.import(&docker.scratch("content"), &image);

    let wrong = docker.refused(&["login", "-u", ADMIN, "-p", "not the password", &registry]);
    assert!(wrong.contains("unauthorized") && wrong.contains("password"), "{wrong}");
    let stranger = docker.refused(&["login", "-u", "nobody", "-p", PASSWORD, &registry]);
    assert!(stranger.contains("unauthorized") && stranger.contains("password"), "{stranger}");

    let push = docker.refused(&["push", &image]);
    assert!(push.contains("denied") || push.contains("unauthorized"), "{push}");
    let pull = docker.refused(&["pull", &format!("{registry}/team/secret:v1")]);
    assert!(pull.contains("denied") || pull.contains("unauthorized"), "{pull}");

    docker.login(&registry, ADMIN, PASSWORD);
    docker.run(&["push", &image]);
    let missing = docker.refused(&["pull", &format!("{registry}/team/app:v2")]);
    assert!(missing.contains("manifest unknown") && missing.contains("v2"), "{missing}");
    docker.run(&["logout", &registry]);
    let private = docker.refused(&["pull", &image]);
    assert!(private.contains("denied") || private.contains("unauthorized"), "{private}");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn skopeo_copies_a_directory_in_and_out(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let scratch = tempfile::tempdir().unwrap();
    let (pushed, pulled) = (scratch.path().join("pushed"), scratch.path().join("pulled"));
    let digest = write_directory(&pushed);

    skopeo::copy(&format!("dir:{}", pushed.display()), &format!("docker://{push}/team/app:v1"));
    skopeo::copy(&format!("docker://{pull}/team/app:v1"), &format!("dir:{}", pulled.display()));

    tree::assert_same(&pushed, &pulled);
    let inspected: Value =
        serde_json::from_str(&skopeo::ask("inspect", &format!("docker://{pull}/team/app:v1"))).unwrap();
    assert_eq!(inspected["Digest"], digest);
    assert_eq!(inspected["RepoTags"], json!(["v1"]));
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
    skopeo::copy(&format!("dir:{}", pushed.display()), &format!("docker://{push}/team/app:v2"));
    let tags: Value =
        serde_json::from_str(&skopeo::ask("list-tags", &format!("docker://{pull}/team/app"))).unwrap();
    assert_eq!(tags["Tags"], json!(["v1", "v2"]));

    let elsewhere = format!("dir:{}", scratch.path().join("refused").display());
    let refused = skopeo::refused_copy(&format!("docker://{pull}/team/app:v1"), &elsewhere);
    assert!(refused.contains("denied") || refused.contains("unauthorized"), "{refused}");
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn skopeo_copies_an_oci_layout_with_an_index_in_and_out(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let scratch = tempfile::tempdir().unwrap();
    let (pushed, pulled) = (scratch.path().join("pushed"), scratch.path().join("pulled"));
    write_layout(&pushed);

    skopeo::copy(&format!("oci:{}:all", pushed.display()), &format!("docker://{push}/team/multi:all"));
    skopeo::copy(&format!("docker://{pull}/team/multi:all"), &format!("oci:{}:all", pulled.display()));

    tree::assert_same(&pushed.join("blobs"), &pulled.join("blobs"));
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
fn podman_pulls_the_very_image_that_it_built_and_pushed(#[case] topology: Topology) {
    let hub = Hub::start(topology);
    let (push, pull) = registries(&hub);
    let podman = Podman::new();
    let context = tempfile::tempdir().unwrap();
    let content = tree::fill_buildable(context.path(), 60);
    let pushed = format!("{push}/team/app:v1");
    podman.build(context.path(), &pushed);

    let refused = podman.refused(&["push", "--tls-verify=false", &pushed]);
    assert!(refused.contains("denied") || refused.contains("unauthorized"), "{refused}");
    let wrong =
        podman.refused(&["login", "--tls-verify=false", "-u", ADMIN, "-p", "not the password", &push]);
    assert!(wrong.contains("invalid username/password"), "{wrong}");

    podman.login(&push);
    podman.login(&pull);
    podman.run(&["push", "--tls-verify=false", &pushed]);
    podman.run(&["rmi", "--all", "--force"]);
    assert_eq!(podman.run(&["images", "--all", "--quiet"]), "");
    let pulled = format!("{pull}/team/app:v1");
    podman.run(&["pull", "--tls-verify=false", &pulled]);

    tree::assert_same(&content, &podman.files(&pulled));
}

/// A layer of one file, and what a configuration says of it.
fn layer(seed: u64) -> (Vec<u8>, Value) {
    let bytes = image::noise(seed, 300_000 + usize::try_from(seed).unwrap());
    let digest = json!(image::digest(&bytes).to_string());
    (bytes, digest)
}

fn config(architecture: &str, layers: &[&Value]) -> Vec<u8> {
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": layers },
    });
    config.to_string().into_bytes()
}

/// Writes an image as skopeo's `dir:` holds one; answers its digest.
fn write_directory(directory: &Path) -> String {
    let ((first, first_digest), (second, second_digest)) = (layer(70), layer(71));
    let config = config("amd64", &[&first_digest, &second_digest]);
    let manifest = image::oci_manifest(&config, &[&first, &second]);

    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    fs::write(directory.join("manifest.json"), &manifest).unwrap();
    for blob in [&first, &second, &config] {
        fs::write(directory.join(image::digest(blob).hex()), blob).unwrap();
    }
    image::digest(&manifest).to_string()
}

/// Writes an OCI layout in which `all` is an index of two images.
fn write_layout(directory: &Path) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let write = |bytes: &[u8]| fs::write(blobs.join(image::digest(bytes).hex()), bytes).unwrap();

    let manifests = [("amd64", 80), ("arm64", 81)].map(|(architecture, seed)| {
        let (layer, digest) = layer(seed);
        let config = config(architecture, &[&digest]);
        let manifest = image::oci_manifest(&config, &[&layer]);
        for blob in [&layer, &config, &manifest] {
            write(blob);
        }
        manifest
    });
    let index = image::oci_index(&[&manifests[0], &manifests[1]]);
    write(&index);

    let top = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": image::OCI_INDEX,
        "digest": image::digest(&index).to_string(),
        "size": index.len(),
        "annotations": { "org.opencontainers.image.ref.name": "all" },
    }]});
    fs::write(directory.join("index.json"), top.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
