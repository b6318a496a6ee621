//! What is wrong is answered with the specification's status and a JSON error that says what and what to do;
//! nothing is lost, and no process ends.

use std::process::Command;

use oci::{Algorithm, Digest};
use reqwest::{Method, header};
use tests::{
    Hub, Service, Topology, image,
    process::try_run,
    raw::{ADMIN, PASSWORD, read},
};

/// The hub is as good as before.
async fn still_works(hub: &mut Hub, seed: u64) {
    for service in hub.services() {
        assert!(hub.process(*service).is_alive(), "{service:?} has ended");
    }
    let raw = hub.raw();
    let layer = image::noise(seed, 10_000);
    let manifest = raw.push_image("team/app", "good", &layer).await;
    assert_eq!(raw.manifest("team/app", "good").await.expect(200).body, manifest);
}

#[tokio::test]
async fn malformed_names_tags_and_digests_are_refused() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let mut hub = Hub::start(topology);
        let raw = hub.raw();
        let short = format!("sha256:{}", "a".repeat(63));
        let upper = format!("sha256:{}", "A".repeat(64));
        for (path, status, code) in [
            ("/v2/UPPER/tags/list".to_owned(), 400, "NAME_INVALID"),
            (format!("/v2/{}/tags/list", "a".repeat(300)), 400, "NAME_INVALID"),
            (format!("/v2/team/app/blobs/{short}"), 400, "DIGEST_INVALID"),
            (format!("/v2/team/app/blobs/{upper}"), 400, "DIGEST_INVALID"),
            ("/v2/team/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(), 400, "DIGEST_INVALID"),
            ("/v2/team/app/manifests/.hidden".to_owned(), 400, "TAG_INVALID"),
            ("/v2/team/app/tags/list?n=many".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
            ("/v2/team/none/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ] {
            let repository = if path.contains("team/none") { "team/none" } else { "team/app" };
            let _ = raw.send(Method::GET, repository, &path).await.expect_error(status, code);
        }
        still_works(&mut hub, 1).await;
    }
}

#[tokio::test]
async fn manifests_that_are_wrong_or_name_what_is_missing_are_refused() {
    let mut hub = Hub::start(Topology::FiveServices);
    let raw = hub.raw();
    let missing = image::oci_manifest(b"config", &[b"layer"]);
    let put = async |reference: &str, media_type: &str, body: &[u8]| {
        raw.put_manifest("team/app", reference, media_type, body).await
    };

    let _ = put("v1", image::OCI_MANIFEST, b"{").await.expect_error(400, "MANIFEST_INVALID");
    let _ =
        put("v1", image::OCI_MANIFEST, br#"{"schemaVersion":1}"#).await.expect_error(400, "MANIFEST_INVALID");
    let _ = put("v1", image::OCI_INDEX, &missing).await.expect_error(400, "MANIFEST_INVALID");
    let _ = put("v1", "text/plain", b"{}").await.expect_error(400, "MANIFEST_INVALID");
    let wrong = image::digest(b"something else").to_string();
    let _ = put(&wrong, image::OCI_MANIFEST, &missing).await.expect_error(400, "DIGEST_INVALID");

    let large = vec![b' '; (4 << 20) + 1];
    assert_eq!(put("v1", image::OCI_MANIFEST, &large).await.status, 413);

    let answer = put("v1", image::OCI_MANIFEST, &missing).await.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let said = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(said.contains(&image::digest(b"layer").to_string()), "{said}");
    still_works(&mut hub, 2).await;
}

#[tokio::test]
async fn nobody_gets_in_with_a_bad_token_or_password() {
    let mut hub = Hub::start(Topology::FiveServices);
    let raw = hub.raw();
    let good = raw.token(&["repository:team/app:pull,push"]).await;
    let (head, signature) = good.rsplit_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", head.split_once('.').unwrap().1);

    for token in
        ["garbage", "a.b.c", &none, &format!("{head}."), &format!("{head}.{}", "A".repeat(signature.len()))]
    {
        let request = raw.anonymous(Method::GET, "/v2/team/app/tags/list").bearer_auth(token);
        let refused = read(request.send().await.unwrap()).await.expect_error(401, "UNAUTHORIZED");
        assert!(refused.header("www-authenticate").starts_with("Bearer realm="), "{refused:?}");
    }
    for (user, password) in [(ADMIN, "wrong"), ("nobody", PASSWORD), ("", "")] {
        let request = raw.anonymous(Method::GET, "/token").basic_auth(user, Some(password));
        let _ = read(request.send().await.unwrap()).await.expect_error(401, "UNAUTHORIZED");
    }
    let form = [
        ("grant_type", "refresh_token"),
        ("service", "bucket"),
        ("client_id", "test"),
        ("refresh_token", "x"),
    ];
    let answer =
        read(raw.anonymous(Method::POST, "/token").form(&form).send().await.unwrap()).await.expect(401);
    assert_eq!(answer.json()["errors"][0]["code"], "UNAUTHORIZED");
    still_works(&mut hub, 3).await;
}

#[tokio::test]
async fn an_upload_with_the_wrong_digest_lives_on() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(4, 200_000);
        let location = raw.start("team/app").await;
        let _ = raw.patch("team/app", &location, bytes.clone()).await.expect(202);

        let wrong = image::digest(b"other");
        let _ = raw.put("team/app", &location, &wrong, "").await.expect_error(400, "DIGEST_INVALID");
        let _ = raw.blob("team/app", &wrong).await.expect(404);

        let right = image::digest(&bytes);
        let _ = raw.put("team/app", &location, &right, "").await.expect(201);
        assert_eq!(raw.blob("team/app", &right).await.expect(200).body, bytes);
        let _ = raw.put("team/app", &location, &right, "").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn sha512_that_nobody_announced_and_empty_blobs_are_taken() {
    for topology in [Topology::OneProcess, Topology::FiveServices] {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        for bytes in [image::noise(5, 300_000), Vec::new()] {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let digest = Digest::of(algorithm, &bytes);
                let location = raw.start("team/app").await;
                let _ = raw.patch("team/app", &location, bytes.clone()).await.expect(202);
                let _ = raw.put("team/app", &location, &digest, "").await.expect(201);
                assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, bytes, "{digest}");
            }
        }
    }
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let hub = Hub::start(Topology::OneProcess);
    let raw = hub.raw();
    let location = raw.start("team/app").await;
    let elsewhere = location.replace("team/app", "team/other");
    let _ = raw.send(Method::GET, "team/other", &elsewhere).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let unknown = "/v2/team/app/blobs/uploads/0198c5f6-1f6c-4000-8000-000000000001";
    let _ = raw.send(Method::GET, "team/app", unknown).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");

    let request = raw.request(Method::PATCH, "team/app", &location).await;
    let bad = request.header(header::CONTENT_RANGE, "from here to there").body("bytes");
    let answer = read(bad.send().await.unwrap()).await;
    assert!(answer.status.is_client_error(), "{answer:?}");
    let _ = raw.patch("team/app", &location, "bytes").await.expect(202);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let mut hub = Hub::start(Topology::OneProcess);
    let raw = hub.raw();
    for (method, path, status) in [
        (Method::GET, "/v2/a/b/c", 404),
        (Method::POST, "/v2/", 405),
        (Method::DELETE, "/v2/team/app/tags/list", 405),
    ] {
        let answer = raw.send(method, "team/app", path).await.expect(status);
        assert!(!answer.code().is_empty());
    }
    let request = raw.anonymous(Method::GET, "/v2/").header("X-Large", "x".repeat(200_000));
    let answer = request.send().await.map(|response| response.status().as_u16());
    assert!(answer.is_err() || answer.is_ok_and(|status| (400..500).contains(&status)));
    still_works(&mut hub, 6).await;
}

#[tokio::test]
async fn a_hub_that_is_configured_wrongly_says_what_is_wrong() {
    let mut hub = Hub::start(Topology::OneProcess);
    let second = hub.command_for(Service::Bucket, &[("BUCKET_LISTEN", "127.0.0.1:0")]);
    let (status, printed) = try_run(&mut { second });
    assert!(!status.success() && printed.contains("another process"), "{printed}");

    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bucket.toml");
    std::fs::write(&config, "lisen = '127.0.0.1:1'\n").unwrap();
    let serve = |command: &mut Command| {
        command.arg("serve").arg("--data").arg(directory.path());
        let (status, printed) = try_run(command);
        assert!(!status.success(), "{printed}");
        printed
    };
    let mut with_file = Command::new(tests::hub::binary("bucket"));
    let printed = serve(with_file.env("BUCKET_CONFIG", &config));
    assert!(printed.contains("lisen") && printed.contains("bucket.toml"), "{printed}");
    let mut with_variable = Command::new(tests::hub::binary("bucket"));
    let printed = serve(with_variable.env("BUCKET_LISEN", "127.0.0.1:1"));
    assert!(printed.contains("BUCKET_LISEN"), "{printed}");
    still_works(&mut hub, 7).await;
}
