//! The rules of ARCHITECTURE.md §6 and STYLE.md that text and `cargo metadata` can show.
//! A failure names file, line and rule. Each rule is also shown code that breaks it.
#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::{collections::BTreeMap, process::Command};

use rules::Finding;
use source::{Source, root, workspace};

/// Files that may call `tokio::spawn`, with the place that awaits the handle.
const AWAITED_SPAWNS: [(&str, &str); 0] = [];

type Check = fn(&Source) -> Vec<Finding>;

fn assert_holds(rule: &str, check: Check) {
    let sources = workspace();
    let broken = sources.iter().flat_map(|source| {
        check(source)
            .into_iter()
            .map(|finding| format!("{}:{}: {}", source.path, finding.line, finding.found))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn services_know_each_other_by_contract_only() {
    let users = ["all-in-one", "tests", "bench"];
    let packages = dependencies();
    let services: Vec<&String> =
        packages.iter().filter(|(_, p)| p.path.starts_with("services/")).map(|(n, _)| n).collect();
    assert!(services.len() >= 6, "services found: {services:?}");

    for (name, package) in packages.iter().filter(|(name, _)| !users.contains(&name.as_str())) {
        let broken: Vec<_> =
            package.uses.iter().filter(|used| services.contains(used) && *used != name).collect();
        assert!(
            broken.is_empty(),
            "{}: depends on {broken:?}; only {users:?} may depend on a service",
            package.path
        );
    }
}

#[test]
fn the_vocabulary_depends_on_nothing_that_does_something() {
    let allowed = ["proptest", "regex", "rstest", "serde", "serde_json", "sha2", "thiserror", "uuid"];
    let uses = &dependencies()["oci"].uses;
    let broken: Vec<_> = uses.iter().filter(|used| !allowed.contains(&used.as_str())).collect();
    assert!(broken.is_empty(), "crates/oci/Cargo.toml: {broken:?}; no I/O, async, clock or logging here");
}

#[test]
fn wire_types_stay_in_proto() {
    assert_holds("tonic and prost only in proto and service-kit/src/grpc", rules::wire_types_outside_proto);
}

#[test]
fn inner_services_do_not_know_http() {
    assert_holds("no http in auth, metadata and blob", rules::http_in_inner_services);
}

#[test]
fn the_vocabulary_is_pure() {
    assert_holds("no I/O, async, clock, randomness or logging in crates/oci", rules::impure_vocabulary);
}

#[test]
fn keys_are_spelled_in_one_file() {
    assert_holds("a key is spelled only in metadata/src/keys.rs", rules::keys_outside_their_file);
}

#[test]
fn registry_paths_are_spelled_in_one_place() {
    assert_holds("/v2/ only in oci/src/target and registry-api/src/router", rules::api_paths_outside_target);
}

#[test]
fn blob_paths_are_spelled_in_one_file() {
    assert_holds("a path of the store only in blob/src/layout.rs", rules::store_paths_outside_layout);
}

#[test]
fn configuration_is_read_in_config() {
    assert_holds(
        "the environment only in config.rs, main.rs and build.rs",
        rules::environment_outside_config,
    );
}

#[test]
fn the_clock_comes_by_argument() {
    assert_holds("the time only from service_kit::clock", rules::clock_not_by_argument);
}

#[test]
fn randomness_comes_by_argument() {
    assert_holds("randomness only from service_kit::random", rules::randomness_not_by_argument);
}

#[test]
fn queues_are_bounded() {
    assert_holds("every queue is bounded", rules::unbounded_queue);
}

#[test]
fn every_task_is_tracked() {
    assert_holds(
        "spawn on a JoinSet or TaskTracker, or list the file in AWAITED_SPAWNS",
        rules::untracked_task,
    );
}

#[test]
fn errors_are_something_to_act_on() {
    assert_holds("no catch-all error and no unfinished code", rules::nothing_to_act_on);
}

#[test]
fn files_are_named_after_their_subject() {
    assert_holds(
        "no utils, common, helpers, misc, manager; foo.rs and not foo/mod.rs",
        rules::file_without_a_subject,
    );
}

#[test]
fn imports_name_what_they_import() {
    assert_holds("glob imports only in tests", rules::glob_import);
}

#[test]
fn files_are_short() {
    assert_holds("at most 400 lines, 600 in tests and suites", rules::long_file);
}

#[test]
fn files_say_what_they_are_for() {
    assert_holds("a file begins with one to six lines of //!", rules::file_without_purpose);
}

#[test]
fn no_parameter_is_a_bool() {
    assert_holds("name the two cases in an enum", rules::bool_parameter);
}

#[test]
fn secrets_are_not_printed_by_debug() {
    assert_holds("a secret is a SecretString, or Debug is written by hand", rules::secret_in_debug);
}

/// What each rule must find: the rule, a path and the code there.
const PLANTED: [(Check, &str, &str); 21] = [
    (rules::wire_types_outside_proto, "services/blob/src/a.rs", "use tonic_types::Status;"),
    (rules::wire_types_outside_proto, "crates/service-kit/src/a.rs", "fn a() -> tonic::Status {}"),
    (rules::http_in_inner_services, "services/auth/src/main.rs", "use axum::Router;"),
    (rules::impure_vocabulary, "crates/oci/src/a.rs", "async fn a() {}"),
    (rules::keys_outside_their_file, "services/metadata/src/a.rs", "let key = format!(\"@{user}+\");"),
    (rules::keys_outside_their_file, "services/metadata/src/a.rs", "let key = id + \":tags\";"),
    (rules::keys_outside_their_file, "services/metadata/src/a.rs", "key.push('$');"),
    (rules::api_paths_outside_target, "services/ui/src/a.rs", "let a = r#\"\n/v2/\"#;"),
    (rules::store_paths_outside_layout, "services/blob/src/a.rs", "root.join(\"uploads\")"),
    (rules::environment_outside_config, "services/auth/src/a.rs", "let a = std::env::var(\"A\");"),
    (rules::clock_not_by_argument, "services/auth/src/a.rs", "let now = Timestamp::now();"),
    (rules::randomness_not_by_argument, "services/auth/src/a.rs", "let id = Ulid::new();"),
    (rules::unbounded_queue, "services/auth/src/a.rs", "let (a, b) = unbounded_channel();"),
    (rules::untracked_task, "services/auth/src/a.rs", "tokio::spawn(async move {});"),
    (rules::nothing_to_act_on, "services/auth/src/a.rs", "enum Error { Other(String) }"),
    (rules::file_without_a_subject, "services/auth/src/utils.rs", ""),
    (rules::glob_import, "services/auth/src/a.rs", "use super::*;"),
    (rules::file_without_purpose, "services/auth/src/a.rs", "use a;\n//! Too late."),
    (rules::bool_parameter, "services/auth/src/a.rs", "fn a(\n    force: bool,\n) {"),
    (
        rules::secret_in_debug,
        "services/auth/src/a.rs",
        "#[derive(Debug)]\nstruct A {\n    password: String,\n}",
    ),
    (
        rules::secret_in_debug,
        "services/auth/src/a.rs",
        "#[derive(Debug)]\nenum A {\n  B { bearer_token: Option<String> },\n}",
    ),
];

#[test]
fn every_rule_finds_what_it_forbids() {
    for (check, path, text) in PLANTED {
        assert!(!check(&Source::new(path, text)).is_empty(), "not found in {path}: {text}");
    }
}

#[test]
fn comments_texts_and_tests_break_no_rule() {
    let innocent = [
        "// tokio::spawn(",
        "/* /* tokio::spawn( */ tokio::spawn( */",
        "let text = \"tokio::spawn(\";",
        "let text = \"a \\\" tokio::spawn(\";",
        "let text = r#\"a \" tokio::spawn(\"#;",
        "#[cfg(test)]\nmod tests {\n    fn a() { tokio::spawn(b); }\n}",
        "my_tokio::spawn_all();",
    ];
    for text in innocent {
        let found = rules::untracked_task(&Source::new("services/auth/src/a.rs", text));
        assert!(found.is_empty(), "{found:?} in {text}");
    }
}

#[test]
fn code_after_comments_texts_and_tests_is_read() {
    let guilty = [
        "let quote = '\"'; tokio::spawn(a);",
        "fn a<'b>(b: &'b str) { tokio::spawn(a); }",
        "let a = \"\\\\\"; tokio::spawn(a);",
        "let a = b\"\\\"\"; tokio::spawn(a); // \"",
        "#[cfg(test)]\nmod tests;\ntokio::spawn(a);",
        "#[cfg(test)]\nmod tests {\n    fn a() {}\n}\ntokio::spawn(a);",
    ];
    for text in guilty {
        let found = rules::untracked_task(&Source::new("services/auth/src/a.rs", text));
        let last = text.lines().count();
        assert!(found.iter().any(|finding| finding.line == last), "{found:?} in {text}");
    }
}

struct Package {
    path: String,
    uses: Vec<String>,
}

fn dependencies() -> BTreeMap<String, Package> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));

    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let package = |package: &serde_json::Value| {
        let manifest = text(&package["manifest_path"]);
        let path =
            manifest.strip_prefix(root().to_str().unwrap()).unwrap().trim_start_matches('/').to_owned();
        let uses =
            package["dependencies"].as_array().unwrap().iter().map(|used| text(&used["name"])).collect();
        (text(&package["name"]), Package { path, uses })
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}
