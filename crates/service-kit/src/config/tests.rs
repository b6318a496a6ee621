//! Files and environments, and the struct or the error that they give.

use std::{net::SocketAddr, time::Duration};

use rstest::rstest;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    name: String,
    workers: u32,
    tags: Vec<String>,
    limits: Limits,
    password: Option<SecretString>,
    grpc: Option<GrpcServerConfig>,
    peer: Option<GrpcClientConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    #[serde(with = "humane")]
    idle: Duration,
    most: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(1), most: 7 }
    }
}

const TOKEN: &str = "0123456789abcdef";

fn loaded(file: &str, environment: &[(&str, &str)]) -> Result<Sample, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sample.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Prefix::default(), Some(&path), environment)
}

fn refused(file: &str, environment: &[(&str, &str)]) -> String {
    loaded(file, environment).unwrap_err().to_string()
}

#[test]
fn nothing_given_is_the_default() {
    let sample: Sample = load(Prefix::default(), None, []).unwrap();
    assert_eq!((sample.name.as_str(), sample.limits.most), ("", 7));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "name = 'file'\nworkers = 1\n[limits]\nidle = '5m'\nmost = 2\n";
    let environment = [("BUCKET_NAME", "environment"), ("BUCKET_LIMITS__MOST", "9"), ("HOME", "/root")];

    let sample = loaded(file, &environment).unwrap();

    assert_eq!((sample.name.as_str(), sample.workers), ("environment", 1));
    assert_eq!((sample.limits.idle, sample.limits.most), (Duration::from_mins(5), 9));
}

#[test]
fn a_list_is_a_toml_array() {
    let sample = loaded("tags = ['old']", &[("BUCKET_TAGS", "['a', \"b\"]")]).unwrap();
    assert_eq!(sample.tags, ["a", "b"]);
}

#[rstest]
#[case("12345678")]
#[case("true")]
#[case("2026-01-01")]
#[case("plain text")]
#[case("'quoted")]
#[case("a\nworkers = 3")]
#[case("")]
fn a_text_may_look_like_anything(#[case] text: &str) {
    let sample = loaded("", &[("BUCKET_NAME", text), ("BUCKET_PASSWORD", text)]).unwrap();
    assert_eq!(sample.name, text);
    assert_eq!(sample.password.unwrap().expose_secret(), text);
    assert_eq!(sample.workers, 0);
}

#[test]
fn single_purpose_variables_are_no_keys() {
    let environment = SINGLE_PURPOSE.map(|name| (name, "x"));
    loaded("", &environment).unwrap();
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_known_ones() {
    let message = refused("[limits]\nidel = '5s'\n", &[]);
    assert!(message.contains("sample.toml"), "{message}");
    assert!(message.contains("limits.idel"), "{message}");
    assert!(message.contains("`idle`") && message.contains("`most`"), "{message}");
}

#[test]
fn an_unknown_key_in_the_environment_is_named_with_its_variable() {
    let message = refused("", &[("BUCKET_LIMITS__IDEL", "5s")]);
    assert!(message.contains("BUCKET_LIMITS__IDEL"), "{message}");
    assert!(message.contains("limits.idel") && message.contains("`idle`"), "{message}");

    let message = refused("", &[("BUCKET_WORKER", "3")]);
    assert!(message.contains("BUCKET_WORKER") && message.contains("`workers`"), "{message}");
}

#[test]
fn a_wrong_value_is_named_with_its_variable() {
    let message = refused("", &[("BUCKET_WORKERS", "many")]);
    assert!(message.contains("BUCKET_WORKERS") && message.contains("workers"), "{message}");

    let message = refused("", &[("BUCKET_LIMITS__IDLE", "soon")]);
    assert!(message.contains("\"30s\""), "{message}");
}

#[test]
fn a_value_is_no_section() {
    let message = refused("name = 'x'", &[("BUCKET_NAME__FIRST", "y")]);
    assert!(message.contains("BUCKET_NAME__FIRST"), "{message}");
}

#[test]
fn a_syntax_error_names_the_line_and_keeps_its_content() {
    let message = refused("workers = 1\npassword = \"hunter2\n", &[]);
    assert!(message.contains("line 2"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Sample>(Prefix::default(), Some(Path::new("/nowhere/x.toml")), []).unwrap_err();
    assert!(error.to_string().contains("/nowhere/x.toml"));
}

#[test]
fn a_grpc_port_has_limits_by_default() {
    let environment =
        [("BUCKET_GRPC__LISTEN", "127.0.0.1:9912"), ("BUCKET_GRPC__SERVICE_TOKEN", "1234567890123456")];
    let grpc = loaded("", &environment).unwrap().grpc.unwrap();
    assert_eq!(grpc.listen, "127.0.0.1:9912".parse::<SocketAddr>().unwrap());
    assert_eq!(grpc.service_token.expose_secret(), "1234567890123456");
    assert_eq!(grpc.max_concurrent_requests, 1024);
    assert_eq!(grpc.request_timeout, Duration::from_secs(30));
    assert!(!format!("{grpc:?}").contains("1234567890123456"));
}

#[test]
fn a_service_token_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    let file =
        format!("[peer]\nurls = ['http://blob:9913']\nservice_token_file = {path:?}\ndeadline = '2s'\n");

    let peer = loaded(&file, &[]).unwrap().peer.unwrap();

    assert_eq!(peer.service_token.expose_secret(), TOKEN);
    assert_eq!(peer.deadline, Duration::from_secs(2));
}

#[rstest]
#[case("service_token = 'short'", "fewer than 16")]
#[case("", "service_token_file")]
#[case("service_token = '0123456789abcdef'\nservice_token_file = '/x'", "exclude")]
#[case("service_token_file = '/nowhere/token'", "/nowhere/token")]
fn a_service_token_must_be_usable(#[case] line: &str, #[case] expected: &str) {
    let message = refused(&format!("[grpc]\nlisten = '127.0.0.1:1'\n{line}\n"), &[]);
    assert!(message.contains("grpc") && message.contains(expected), "{message}");
    assert!(!message.contains("'short'"), "{message}");
}

#[rstest]
#[case("['http://blob:9913', 'unix:/run/blob.sock']", true)]
#[case("['dns+http://blob-headless:9913']", true)]
#[case("['dns+http://blob-headless']", false)]
#[case("['dns+unix:/run/blob.sock']", false)]
#[case("['dns+https://blob-headless:9913']", false)]
#[case("['http://blob']", false)]
#[case("['https://blob:1']", false)]
#[case("['blob:9913']", false)]
#[case("['http://blob:1/path']", false)]
#[case("[]", false)]
fn a_url_leads_to_a_port_or_a_socket(#[case] urls: &str, #[case] valid: bool) {
    let loaded = loaded(&format!("[peer]\nurls = {urls}\nservice_token = '{TOKEN}'\n"), &[]);
    assert_eq!(loaded.is_ok(), valid, "{loaded:?}");
}

#[rstest]
#[case("30s", 30)]
#[case("5m", 300)]
#[case("1h 30m", 5400)]
#[case("7d", 604_800)]
#[case("PT2M", 120)]
fn durations_are_written_as_people_do(#[case] text: &str, #[case] seconds: u64) {
    let sample = loaded(&format!("[limits]\nidle = '{text}'\n"), &[]).unwrap();
    assert_eq!(sample.limits.idle, Duration::from_secs(seconds));
}

#[rstest]
#[case("-5s")]
#[case("5")]
#[case("")]
fn other_durations_are_refused(#[case] text: &str) {
    assert!(loaded(&format!("[limits]\nidle = '{text}'\n"), &[]).is_err());
}

#[test]
fn a_secret_of_the_wrong_type_is_not_shown() {
    let message = refused("password = 271828182845\n", &[]);
    assert!(message.contains("password") && message.contains("expected a string"), "{message}");
    assert!(!message.contains("271828"), "{message}");
}
