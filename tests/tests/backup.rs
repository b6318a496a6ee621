//! A hub is backed up while it runs, and comes back elsewhere: its metadata from a dump, its blobs as they are. Real
//! processes, both ways to run a hub, and from one to the other.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rstest::rstest;
use tests::{
    Hub, Topology,
    api::Api,
    engine::{Engine, Program},
    hub::Options,
    image,
    operator::without_hub,
};

/// What makes a hub of a directory: a dump, the blobs, and, in one process, the secret.
fn restored(dump: &Path, from: &Path, into: &Path) -> Result<String, String> {
    moved(from, into);
    load(dump, &into.join("metadata"))
}

/// All that is not metadata.
fn moved(from: &Path, into: &Path) {
    fs::rename(from.join("blobs"), into.join("blobs")).unwrap();
    if from.join("secret").exists() {
        fs::copy(from.join("secret"), into.join("secret")).unwrap();
    }
}

fn load(dump: &Path, directory: &Path) -> Result<String, String> {
    let (dump, directory) = (dump.display().to_string(), directory.display().to_string());
    without_hub(&["metadata", "load", &dump, "--metadata-directory", &directory])
}

/// A dump that an operator keeps in a file.
fn dumped(hub: &Hub, directory: &Path) -> PathBuf {
    let file = directory.join("hub.bucket");
    hub.operator(&["metadata", "dump", "--output", &file.display().to_string()]).unwrap();
    file
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_hub_comes_back_from_its_dump_and_its_blobs(#[case] topology: Topology) {
    // given
    let (backup, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut hub = Hub::start(topology);
    let ann = Api::new_user(&hub, "ann").await;
    let layer = image::noise(1, 300_000);
    let manifest = hub.raw().push_image("team/app", "v1", &layer).await;
    hub.raw().push_image("team/app", "v2", &image::noise(2, 10_000)).await;

    // when
    let dump = dumped(&hub, backup.path());
    hub.raw().push_image("team/app", "after", &image::noise(3, 10_000)).await;
    hub.stop();
    let said = restored(&dump, &hub.data(), fresh.path()).unwrap();
    assert!(said.contains("entries of dump"), "{said}");

    // then
    let options = Options { data: Some(fresh.path().to_owned()), ..Options::default() };
    let again = Hub::start_with(topology, options);
    for raw in again.raws() {
        assert_eq!(raw.manifest("team/app", "v1").await.expect(200).body, manifest);
        assert_eq!(raw.blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
        let _ = raw.manifest("team/app", "after").await.expect(404);
    }
    let ann = Api::administrator(&again).as_somebody(ann.user(), ann.secret());
    let _ = ann.get("/users/ann").await.expect(200);
    again.raw().push_image("team/app", "v3", &image::noise(3, 10_000)).await;
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn what_cannot_be_dumped_or_loaded_is_refused_and_loses_nothing(#[case] topology: Topology) {
    // given
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::start(topology);
    hub.raw().push_image("team/app", "v1", &image::noise(1, 10_000)).await;
    let dump = dumped(&hub, directory.path());
    let mode = fs::metadata(&dump).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Who has everything now is written down.
    let audited = hub.operator(&["audit", "--action", "metadata.dump"]).unwrap();
    assert!(audited.contains("operator") && audited.lines().count() == 1, "{audited}");

    // A file is not written over.
    let again = hub.operator(&["metadata", "dump", "--output", &dump.display().to_string()]);
    assert!(again.unwrap_err().contains("is there already"));

    // A running hub is left alone.
    let refused = load(&dump, &hub.data().join("metadata")).unwrap_err();
    assert!(refused.contains("another process"), "{refused}");
    let _ = hub.raw().manifest("team/app", "v1").await.expect(200);

    // A dump that was cut short, or altered, is not loaded at all; the whole one is, once.
    let whole = fs::read(&dump).unwrap();
    let (damaged, into) = (directory.path().join("damaged"), directory.path().join("fresh"));
    fs::write(&damaged, &whole[..whole.len() - 40]).unwrap();
    let refused = load(&damaged, &into).unwrap_err();
    assert!(refused.contains("cut short"), "{refused}");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&damaged, altered).unwrap();
    let refused = load(&damaged, &into).unwrap_err();
    assert!(refused.contains("the dump is damaged"), "{refused}");
    load(&dump, &into).unwrap();
    let refused = load(&dump, &into).unwrap_err();
    assert!(refused.contains("there is metadata already"), "{refused}");
}

#[tokio::test]
async fn a_laptop_moves_to_five_services_and_back() {
    let (there, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = tempfile::tempdir().unwrap();
    let layer = image::noise(1, 100_000);
    let mut laptop = Hub::start(Topology::OneProcess);
    let manifest = laptop.raw().push_image("team/app", "v1", &layer).await;
    let dump = dumped(&laptop, files.path());
    laptop.stop();
    // Each way to run a hub has its own secret, which seals the keys that sign tokens.
    let secret = fs::read_to_string(laptop.data().join("secret")).unwrap();
    restored(&dump, &laptop.data(), there.path()).unwrap();

    let key_secret = format!("{}/keys", secret.trim_end());
    let auth = vec![("BUCKET_AUTH__KEY_SECRET".to_owned(), key_secret)];
    let options = Options { data: Some(there.path().to_owned()), auth, ..Options::default() };
    let mut cluster = Hub::start_with(Topology::FiveServices, options);
    assert_eq!(cluster.raw().manifest("team/app", "v1").await.expect(200).body, manifest);
    fs::remove_file(&dump).unwrap();
    let dump = dumped(&cluster, files.path());
    cluster.stop();
    restored(&dump, there.path(), back.path()).unwrap();

    let options = Options { data: Some(back.path().to_owned()), ..Options::default() };
    let laptop = Hub::start_with(Topology::OneProcess, options);
    assert_eq!(laptop.raw().manifest("team/app", "v1").await.expect(200).body, manifest);
    assert_eq!(laptop.raw().blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
}

#[rstest]
#[case::one_process(Topology::OneProcess)]
#[case::five_services(Topology::FiveServices)]
#[tokio::test]
async fn a_hub_moves_into_a_server_and_back(#[case] topology: Topology) {
    // given
    let (there, back) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = tempfile::tempdir().unwrap();
    let layer = image::noise(1, 100_000);
    let mut hub = Hub::start(topology);
    let manifest = hub.raw().push_image("team/app", "v1", &layer).await;
    let dump = dumped(&hub, files.path());
    hub.stop();

    // when
    let server = Engine::start(Program::Redis, "");
    let url = format!("{}/2", server.url());
    let load_there = || without_hub(&["metadata", "load", &dump.display().to_string(), "--metadata", &url]);
    moved(&hub.data(), there.path());
    let said = load_there().unwrap();
    assert!(said.contains(&format!("are in {url}")), "{said}");

    // then
    let data = Some(there.path().to_owned());
    let options = Options { data, metadata: Some(url.clone()), ..Options::default() };
    let mut served = Hub::start_with(topology, options);
    assert_eq!(served.raw().manifest("team/app", "v1").await.expect(200).body, manifest);
    assert_eq!(served.raw().blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
    let refused = load_there().unwrap_err();
    assert!(refused.contains("there is metadata already"), "{refused}");
    served.raw().push_image("team/app", "v2", &image::noise(2, 10_000)).await;

    // and back
    fs::remove_file(&dump).unwrap();
    let dump = dumped(&served, files.path());
    served.stop();
    restored(&dump, there.path(), back.path()).unwrap();
    let options = Options { data: Some(back.path().to_owned()), ..Options::default() };
    let again = Hub::start_with(topology, options);
    assert_eq!(again.raw().manifest("team/app", "v1").await.expect(200).body, manifest);
    let _ = again.raw().manifest("team/app", "v2").await.expect(200);
}

#[test]
fn a_dump_is_loaded_into_one_engine_that_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().display().to_string();
    let refused = |arguments: &[&str]| {
        let error = without_hub(&[&["metadata", "load", file.as_str()][..], arguments].concat()).unwrap_err();
        assert!(!error.contains("hush"), "{error}");
        error
    };

    assert!(refused(&[]).contains("--metadata URL"));
    assert!(refused(&["--metadata", "http://:hush@cache"]).contains("redis://"));
    let both = refused(&["--metadata", "redis://:hush@cache", "--metadata-directory", "here"]);
    assert!(both.contains("cannot be used with"), "{both}");
}
