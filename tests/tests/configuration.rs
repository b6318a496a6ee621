//! The configuration files that the project ships are read by the services they are for, every key of them;
//! and what is commented out there has no default that is said to be one.

use std::{path::PathBuf, process::Command};

use blob::{config::Storage, store::object::Vendor};
use serde::de::DeserializeOwned;
use service_kit::config::{ConfigError, Prefix, load};
use tests::{hub::binary, process::try_run};

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
fn each_vendor_of_buckets_has_a_file_that_is_read() {
    for vendor in Vendor::ALL {
        let name = format!("blob-{}.toml", vendor.section());
        let settings = read::<blob::config::Settings>(&name, &[]).unwrap();
        let Storage::Bucket(bucket) = settings.blob.storage else { panic!("{name} names no bucket") };
        assert_eq!((bucket.vendor, settings.blob.store.as_str()), (vendor, "objects"), "{name}");
    }
}

#[test]
fn swift_has_a_file_that_is_read_with_each_kind_of_user() {
    let settings = read::<blob::config::Settings>("blob-swift.toml", &[]).unwrap();
    let Storage::Container(swift) = settings.blob.storage else { panic!("it names no container") };
    assert_eq!((swift.container.as_str(), settings.blob.store.as_str()), ("images", "swift"));

    let both = [("BUCKET_BLOB__DIRECTORY", "/var/lib/bucket")];
    let error = read::<blob::config::Settings>("blob-swift.toml", &both).unwrap_err().to_string();
    assert!(error.contains("`directory` and `swift` exclude each other"), "{error}");
    let auth = [("BUCKET_BLOB__SWIFT__AUTH", "none")];
    let error = read::<blob::config::Settings>("blob-swift.toml", &auth).unwrap_err().to_string();
    assert!(error.contains("keystone") && error.contains("tempauth"), "{error}");

    let container = [
        ("BUCKET_BLOB__SWIFT__AUTH_URL", "https://identity.example.com/v3"),
        ("BUCKET_BLOB__SWIFT__CONTAINER", "images"),
        ("BUCKET_BLOB__SWIFT__APPLICATION_CREDENTIAL_ID", "6cb5fa6a13184e6fab65ba2108adf50c"),
        ("BUCKET_BLOB__SWIFT__APPLICATION_CREDENTIAL_SECRET", "secret"),
    ];
    let settings = read::<all_in_one::config::Settings>("bucket.toml", &container).unwrap();
    assert!(matches!(settings.blob.storage(), Some(Storage::Container(_))));
}

#[test]
fn blobs_lie_in_one_place_and_what_is_wrong_with_it_is_named() {
    let both = [("BUCKET_BLOB__DIRECTORY", "/var/lib/bucket")];
    let error = read::<blob::config::Settings>("blob-s3.toml", &both).unwrap_err().to_string();
    assert!(error.contains("`directory` and `s3` exclude each other"), "{error}");

    let unknown = [("BUCKET_BLOB__OSS__BUCKT", "images")];
    let error = read::<blob::config::Settings>("blob-oss.toml", &unknown).unwrap_err().to_string();
    assert!(error.contains("BUCKT") || error.contains("buckt"), "{error}");

    let endpoint = [("BUCKET_BLOB__S3__ENDPOINT", "images.example.com")];
    let error = read::<blob::config::Settings>("blob-s3.toml", &endpoint).unwrap_err().to_string();
    assert!(error.contains("https://host"), "{error}");

    let bucket = [
        ("BUCKET_BLOB__S3__BUCKET", "images"),
        ("BUCKET_BLOB__S3__REGION", "eu-central-1"),
        ("BUCKET_BLOB__S3__ACCESS_KEY_ID", "key"),
    ];
    let error = read::<all_in_one::config::Settings>("bucket.toml", &bucket).unwrap_err().to_string();
    assert!(error.contains("secret_access_key"), "{error}");
    let secret = [bucket[0], bucket[1], bucket[2], ("BUCKET_BLOB__S3__SECRET_ACCESS_KEY", "secret")];
    let settings = read::<all_in_one::config::Settings>("bucket.toml", &secret).unwrap();
    assert_eq!(settings.blob.bucket.unwrap().bucket, "images");
}

#[test]
fn a_file_is_checked_without_a_hub() {
    let check = |name: &str, program: &str| {
        let mut command = Command::new(binary("bucket"));
        try_run(command.args(["config", "check", "--for", program]).arg(shipped(name)))
    };
    for (name, program) in [
        ("bucket.toml", "bucket"),
        ("blob-oss.toml", "blob"),
        ("blob-swift.toml", "blob"),
        ("registry-api.toml", "registry-api"),
    ] {
        let (status, said) = check(name, program);
        assert!(status.success() && said.contains("can be used"), "{said}");
    }

    let (status, said) = check("blob-oss.toml", "metadata");
    assert!(!status.success() && said.contains("blob-oss.toml") && said.contains("blob"), "{said}");
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
        ("bucket.toml", "BUCKET_REGISTRY__REDIRECT", "on"),
        ("bucket.toml", "BUCKET_REGISTRY__REDIRECT", "{ networks = ['10.0.0.0/8'] }"),
        ("bucket.toml", "BUCKET_UI__REGISTRY", "hub.example.com"),
        ("bucket.toml", "BUCKET_ADMIN__LISTEN", "127.0.0.1:9912"),
        ("bucket.toml", "BUCKET_DATA", "/var/lib/bucket"),
        ("bucket.toml", "BUCKET_METADATA__URL", "rediss://bucket:password@cache.example.com:6379/0"),
        ("bucket.toml", "BUCKET_METADATA__TLS__CA_FILE", "/etc/bucket/tls/engine-ca.pem"),
        ("bucket.toml", "BUCKET_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4317"),
    ] {
        read::<all_in_one::config::Settings>(name, &[(key, value)]).unwrap();
    }
}

#[test]
fn the_file_shipped_for_metadata_names_one_place() {
    let url = ("BUCKET_METADATA__URL", "redis://:password@cache.example.com:6379/0");
    let error = read::<metadata::config::Settings>("metadata.toml", &[url]).unwrap_err().to_string();
    assert!(error.contains("`directory`") && !error.contains("password"), "{error}");

    let text = std::fs::read_to_string(shipped("metadata.toml")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("directory ="));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix('#').filter(|_| line.starts_with("#url =")).unwrap_or(line))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metadata.toml");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let settings: metadata::config::Settings =
        load(Prefix::default(), Some(&file), std::iter::empty()).unwrap();
    assert!(settings.metadata.server.is_some());
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
