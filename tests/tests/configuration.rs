//! The configuration files that the project ships are read by the services they are for, every key of them;
//! and what is commented out there has no default that is said to be one.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use service_kit::config::{ConfigError, Prefix, load};

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config")).join(name)
}

fn read<T: DeserializeOwned>(name: &str, environment: &[(&str, &str)]) -> Result<T, ConfigError> {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    load(Prefix::default(), Some(&shipped(name)), environment)
}

#[test]
fn each_service_reads_the_file_that_is_shipped_for_it() {
    read::<all_in_one::config::Settings>("bucket.toml", &[]).unwrap();
    read::<metadata::config::Settings>("metadata.toml", &[]).unwrap();
    read::<blob::config::Settings>("blob.toml", &[]).unwrap();
    read::<auth::config::Settings>("auth.toml", &[]).unwrap();
    read::<registry_api::config::Settings>("registry-api.toml", &[]).unwrap();
    read::<ui::config::Settings>("ui.toml", &[]).unwrap();
}

#[test]
fn the_file_shipped_for_one_process_says_its_defaults() {
    let shipped: all_in_one::config::Settings = read("bucket.toml", &[]).unwrap();
    let default = all_in_one::config::Settings::default();
    assert_eq!(format!("{shipped:?}"), format!("{default:?}"));
}

#[test]
fn what_is_commented_out_is_a_key_too() {
    for (name, key, value) in [
        ("bucket.toml", "BUCKET_REGISTRY__EXTERNAL_URL", "https://hub.example.com"),
        ("bucket.toml", "BUCKET_UI__REGISTRY", "hub.example.com"),
        ("bucket.toml", "BUCKET_ADMIN__LISTEN", "127.0.0.1:9912"),
        ("bucket.toml", "BUCKET_DATA", "/var/lib/bucket"),
        ("bucket.toml", "BUCKET_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4317"),
    ] {
        read::<all_in_one::config::Settings>(name, &[(key, value)]).unwrap();
    }
}

/// Tables in lists come from no environment: what is commented out is read as it stands there.
#[test]
fn providers_and_issuers_that_are_commented_out_are_read() {
    for name in ["bucket.toml", "auth.toml"] {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        let (before, rest) = text.split_once("#[[").unwrap();
        let (tables, after) = rest.split_once("\n[").unwrap();
        let tables = format!("#[[{tables}").replace("\n#", "\n");
        let whole = format!("{before}{}\n[{after}", tables.strip_prefix('#').unwrap());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, whole).unwrap();

        let (providers, issuers) = if name == "auth.toml" {
            let settings: auth::config::Settings =
                load(Prefix::default(), Some(&file), std::iter::empty()).unwrap();
            (settings.auth.providers, settings.auth.workload_issuers)
        } else {
            let settings: all_in_one::config::Settings =
                load(Prefix::default(), Some(&file), std::iter::empty()).unwrap();
            (settings.providers, settings.workload_issuers)
        };
        assert_eq!((providers.len(), issuers.len()), (1, 1), "{name}");
        assert!(providers[0].required_claims.is_some() && providers[0].client_secret.is_some());
    }
}

/// The first `count` keys of a section of mail.
fn said_of_mail(section: &str, count: usize) -> Vec<(String, String)> {
    let keys = [
        ("URL", "smtps://mail.example.com"),
        ("USERNAME", "bucket"),
        ("PASSWORD", "of the mail server"),
        ("FROM", "Bucket <bucket@example.com>"),
        ("EXTERNAL_URL", "https://hub.example.com"),
    ];
    let named = |(key, value): &(&str, &str)| (format!("BUCKET_{section}__{key}"), (*value).to_owned());
    keys.iter().take(count).map(named).collect()
}

#[test]
fn mail_is_sent_if_all_is_said_of_it() {
    let one = |count| {
        let environment = said_of_mail("MAIL", count);
        load::<all_in_one::config::Settings>(Prefix::default(), Some(&shipped("bucket.toml")), environment)
    };
    assert!(one(0).unwrap().mail.0.is_none());
    assert!(one(1).unwrap_err().to_string().contains("mail.from"));
    assert!(one(5).unwrap().mail.0.is_some());

    let (file, environment) = (shipped("auth.toml"), said_of_mail("AUTH__MAIL", 5));
    let auth: auth::config::Settings = load(Prefix::default(), Some(&file), environment).unwrap();
    assert!(auth.auth.mail.0.is_some());
}

#[test]
fn ports_take_keys_certificates_and_callers() {
    let tls = [
        ("BUCKET_GRPC__TLS__CERTIFICATE_FILE", "/etc/bucket/tls/port.pem"),
        ("BUCKET_GRPC__TLS__KEY_FILE", "/etc/bucket/tls/port-key.pem"),
        ("BUCKET_GRPC__TLS__CLIENT_CA_FILE", "/etc/bucket/tls/ca.pem"),
    ];
    let keys = ("BUCKET_GRPC__SERVICE_KEYS_FILE", "/etc/bucket/service-keys.json");
    let callers = r#"[{ name = "team-x", san = "spiffe://x", roles = ["metadata.read"] }]"#;
    let callers = ("BUCKET_GRPC__CALLERS", callers);

    let read_port = |environment: &[(&str, &str)]| {
        read::<metadata::config::Settings>("metadata.toml", environment).map(|settings| settings.grpc)
    };
    let port = read_port(&[keys, callers, tls[0], tls[1], tls[2]]).unwrap();
    assert_eq!(port.callers[0].name.as_str(), "team-x");
    let error = read_port(&[callers, tls[0], tls[1]]).unwrap_err().to_string();
    assert!(error.contains("client_ca_file"), "{error}");
    read::<auth::config::Settings>("auth.toml", &[keys, tls[0], tls[1]]).unwrap();
    read::<blob::config::Settings>("blob.toml", &[keys, tls[0], tls[1]]).unwrap();
}

#[test]
fn callers_take_certificates_for_https_and_only_then() {
    let https = ("BUCKET_METADATA__URLS", r#"["https://metadata:7001"]"#);
    let ca = ("BUCKET_METADATA__TLS__CA_FILE", "/etc/bucket/tls/ca.pem");
    let certificate = ("BUCKET_METADATA__TLS__CERTIFICATE_FILE", "/etc/bucket/tls/service.pem");
    let key = ("BUCKET_METADATA__TLS__KEY_FILE", "/etc/bucket/tls/service-key.pem");
    let domain = ("BUCKET_METADATA__TLS__DOMAIN", "metadata");

    let read_ui = |environment: &[(&str, &str)]| read::<ui::config::Settings>("ui.toml", environment);
    read_ui(&[https, ca]).unwrap();
    read_ui(&[https, ca, certificate, key, domain]).unwrap();
    for half in [&[https][..], &[ca], &[https, ca, key]] {
        assert!(read_ui(half).is_err(), "{half:?}");
    }
}

#[test]
fn an_unknown_key_is_named() {
    let unknown = [("BUCKET_REGISTRY__EXTERNAL_URI", "https://hub.example.com")];
    let error = read::<all_in_one::config::Settings>("bucket.toml", &unknown).unwrap_err().to_string();
    assert!(error.contains("external_uri") && error.contains("BUCKET_REGISTRY__EXTERNAL_URI"), "{error}");
}
