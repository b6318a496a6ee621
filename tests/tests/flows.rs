//! What a person does with a registry, on both topologies, as it is on the wire. Consecutive requests of one
//! upload go to different edges, and from there to different blob replicas, by construction.

use reqwest::{Method, header};
use tests::{
    Hub, Topology, image,
    raw::{Raw, read},
};

const BOTH: [Topology; 2] = [Topology::OneProcess, Topology::FiveServices];

#[tokio::test]
async fn an_upload_goes_on_at_every_edge_and_replica_in_turn() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raws = hub.raws();
        let bytes = image::noise(1, 3 << 20);
        let digest = image::digest(&bytes);

        let location = raws[0].start("team/app").await;
        for (number, chunk) in bytes.chunks(700_000).enumerate() {
            let first = number * 700_000;
            let raw = &raws[(number + 1) % raws.len()];
            let request = raw.request(Method::PATCH, "team/app", &location).await;
            let range = format!("{first}-{}", first + chunk.len() - 1);
            let answer =
                read(request.header(header::CONTENT_RANGE, range).body(chunk.to_vec()).send().await.unwrap())
                    .await;
            let answer = answer.expect(202);
            assert_eq!(answer.header("range"), format!("0-{}", first + chunk.len() - 1));
        }
        let status = raws[0].send(Method::GET, "team/app", &location).await.expect(204);
        assert_eq!(status.header("range"), format!("0-{}", bytes.len() - 1));

        let answer = raws[raws.len() - 1].put("team/app", &location, &digest, "").await.expect(201);
        for raw in &raws {
            let read = raw.send(Method::GET, "team/app", answer.header("location")).await.expect(200);
            assert_eq!(read.body, bytes, "{topology:?}");
        }
    }
}

#[tokio::test]
async fn a_manifest_comes_back_as_the_bytes_that_were_put_by_tag_and_by_digest() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let manifest = raw.push_image("team/app", "v1", &image::noise(2, 10_000)).await;
        let digest = image::digest(&manifest);

        for reference in ["v1".to_owned(), digest.to_string()] {
            let answer = raw.manifest("team/app", &reference).await.expect(200);
            assert_eq!(answer.body, manifest);
            assert_eq!(answer.header("content-type"), image::OCI_MANIFEST);
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());

            let path = format!("/v2/team/app/manifests/{reference}");
            let head = raw.send(Method::HEAD, "team/app", &path).await.expect(200);
            assert_eq!(head.header("content-length"), manifest.len().to_string());
            assert!(head.body.is_empty());
        }
    }
}

#[tokio::test]
async fn an_index_keeps_its_children_and_a_tag_can_be_deleted_alone() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let child = raw.push_image("team/app", "child", &image::noise(3, 5_000)).await;
        let index = image::oci_index(&[&child]);
        let _ = raw.put_manifest("team/app", "all", image::OCI_INDEX, &index).await.expect(201);

        let child_digest = image::digest(&child);
        let path = format!("/v2/team/app/manifests/{child_digest}");
        let refused = raw.send(Method::DELETE, "team/app", &path).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
        let _ = raw.send(Method::DELETE, "team/app", "/v2/team/app/manifests/child").await.expect(202);

        let _ = raw.manifest("team/app", "child").await.expect_error(404, "MANIFEST_UNKNOWN");
        assert_eq!(raw.manifest("team/app", &child_digest.to_string()).await.expect(200).body, child);
        assert_eq!(raw.manifest("team/app", "all").await.expect(200).body, index);
    }
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_repository_that_the_token_may_pull_and_from_no_other() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(4, 20_000);
        let digest = raw.push_blob("team/from", &bytes).await;
        let path = format!("/v2/team/into/blobs/uploads/?mount={digest}&from=team/from");

        let unasked = raw.send(Method::POST, "team/into", &path).await.expect(202);
        assert!(unasked.header("location").contains("/v2/team/into/blobs/uploads/"));

        let token = raw.token(&["repository:team/into:pull,push", "repository:team/from:pull"]).await;
        let mounted = read(raw.anonymous(Method::POST, &path).bearer_auth(token).send().await.unwrap())
            .await
            .expect(201);
        assert_eq!(mounted.header("docker-content-digest"), digest.to_string());
        assert_eq!(raw.blob("team/into", &digest).await.expect(200).body, bytes);
    }
}

#[tokio::test]
async fn ranges_of_a_blob_are_exact() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(5, 1_000_000);
        let digest = raw.push_blob("team/app", &bytes).await;

        for (range, first, last) in [
            ("bytes=0-0", 0, 0),
            ("bytes=10-300000", 10, 300_000),
            ("bytes=999999-", 999_999, 999_999),
            ("bytes=-5", 999_995, 999_999),
            ("bytes=500000-9999999", 500_000, 999_999),
        ] {
            let answer = ranged(&raw, &digest, range).await.expect(206);
            assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/1000000"));
            assert_eq!(answer.body, bytes[first..=last]);
        }
        let beyond = ranged(&raw, &digest, "bytes=1000000-").await.expect_error(416, "RANGE_INVALID");
        assert_eq!(beyond.header("content-range"), "bytes */1000000");
        assert_eq!(ranged(&raw, &digest, "bytes=0-1,5-6").await.expect(200).body, bytes);
    }
}

async fn ranged(raw: &Raw, digest: &oci::Digest, range: &str) -> tests::raw::Answer {
    let request = raw.request(Method::GET, "team/app", &format!("/v2/team/app/blobs/{digest}")).await;
    read(request.header(header::RANGE, range).send().await.unwrap()).await
}

#[tokio::test]
async fn tags_are_listed_page_by_page_in_order() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let manifest = raw.push_image("team/app", "v1", &image::noise(6, 100)).await;
        for tag in ["v10", "v1.1", "latest", "V1"] {
            let _ = raw.put_manifest("team/app", tag, image::OCI_MANIFEST, &manifest).await.expect(201);
        }

        let mut seen = Vec::new();
        let mut next = "/v2/team/app/tags/list?n=2".to_owned();
        loop {
            let page = raw.send(Method::GET, "team/app", &next).await.expect(200);
            seen.extend(
                page.json()["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()),
            );
            let Some(link) = page.header("link").strip_prefix('<') else { break };
            let (target, relation) = link.split_once('>').unwrap();
            assert_eq!(relation.trim_start_matches([';', ' ']), "rel=\"next\"");
            next = target.to_owned();
        }
        assert_eq!(seen, ["V1", "latest", "v1", "v1.1", "v10"]);
    }
}

#[tokio::test]
async fn an_upload_that_was_cancelled_is_gone() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let location = raw.start("team/app").await;
        let _ = raw.patch("team/app", &location, image::noise(7, 100_000)).await.expect(202);

        let _ = raw.send(Method::DELETE, "team/app", &location).await.expect(204);

        let _ = raw.send(Method::GET, "team/app", &location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        let _ = raw.patch("team/app", &location, "more").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn a_bare_name_and_its_library_name_are_one_repository() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let manifest = raw.push_image("alpine", "3", &image::noise(8, 100)).await;
        assert_eq!(raw.manifest("library/alpine", "3").await.expect(200).body, manifest);
    }
}

#[tokio::test]
async fn the_hub_is_as_it_was_after_it_has_been_stopped_and_started() {
    for topology in BOTH {
        let mut hub = Hub::start(topology);
        let layer = image::noise(9, 100_000);
        let manifest = hub.raw().push_image("team/app", "v1", &layer).await;
        let location = hub.raw().start("team/app").await;
        let _ = hub.raw().patch("team/app", &location, layer[..50_000].to_vec()).await.expect(202);

        hub.restart();

        let raw = hub.raw();
        assert_eq!(raw.manifest("team/app", "v1").await.expect(200).body, manifest);
        assert_eq!(raw.blob("team/app", &image::digest(&layer)).await.expect(200).body, layer);
        let status = raw.send(Method::GET, "team/app", &location).await.expect(204);
        assert_eq!(status.header("range"), "0-49999");
    }
}

#[tokio::test]
async fn a_blob_can_be_deleted_once_no_manifest_needs_it_and_pushed_again() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let layer = image::noise(6, 20_000);
        let manifest = raw.push_image("team/app", "v1", &layer).await;
        raw.push_blob("team/other", &layer).await;
        let (digest, needing) = (image::digest(&layer), image::digest(&manifest));
        let path = format!("/v2/team/app/blobs/{digest}");

        let refused = raw.send(Method::DELETE, "team/app", &path).await.expect_error(405, "DENIED");
        assert!(String::from_utf8_lossy(&refused.body).contains(&needing.to_string()), "{refused:?}");
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, layer);

        let manifest_path = format!("/v2/team/app/manifests/{needing}");
        let _ = raw.send(Method::DELETE, "team/app", &manifest_path).await.expect(202);
        let kept = raw.send(Method::DELETE, "team/app", &path).await.expect_error(405, "DENIED");
        assert!(String::from_utf8_lossy(&kept.body).contains("can be restored until"), "{kept:?}");

        let path = format!("/v2/team/other/blobs/{digest}");
        let _ = raw.send(Method::DELETE, "team/other", &path).await.expect(202);
        let _ = raw.blob("team/other", &digest).await.expect_error(404, "BLOB_UNKNOWN");
        let _ = raw.send(Method::DELETE, "team/other", &path).await.expect_error(404, "BLOB_UNKNOWN");
        assert_eq!(raw.blob("team/app", &digest).await.expect(200).body, layer);

        raw.push_image("team/other", "v1", &layer).await;
        assert_eq!(raw.blob("team/other", &digest).await.expect(200).body, layer, "{topology:?}");
    }
}

#[tokio::test]
async fn a_deleted_image_is_still_in_the_history_of_its_tag() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let image = raw.push_image("team/app", "v1", &image::noise(8, 5_000)).await;
        let digest = image::digest(&image).to_string();
        let manifest = format!("/v2/team/app/manifests/{digest}");
        let _ = raw.send(Method::DELETE, "team/app", &manifest).await.expect(202);

        let path = "/v2/team/app/_oci/tag-history/v1";
        let (mut told, mut next) = (Vec::new(), format!("{path}?n=1"));
        while !next.is_empty() {
            let page = raw.send(Method::GET, "team/app", &next).await.expect(200);
            assert_eq!(page.header("content-type"), image::OCI_INDEX);
            for entry in page.json()["manifests"].as_array().unwrap() {
                assert_eq!(
                    (entry["digest"].as_str(), entry["size"].as_u64()),
                    (Some(digest.as_str()), Some(image.len() as u64))
                );
                told.push(entry["annotations"]["org.opencontainers.distribution.tag.event"].clone());
            }
            let link = page.header("link").strip_prefix('<').and_then(|link| link.split_once('>'));
            next = link.map(|(next, _)| next.to_owned()).unwrap_or_default();
        }
        assert_eq!(told, ["deleted", "created"], "{topology:?}");

        let below = raw.send(Method::GET, "team/app", "/v2/team/_oci/repositories").await.expect(200);
        assert_eq!(below.json(), serde_json::json!([{ "name": "team/app" }]), "{topology:?}");
    }
}

#[tokio::test]
async fn what_refers_to_an_image_is_listed_however_it_was_pushed() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let subject = raw.push_image("team/app", "v1", &image::noise(7, 5_000)).await;
        let subject = image::digest(&subject);
        let path = format!("/v2/team/app/referrers/{subject}");
        let empty = raw.send(Method::GET, "team/new", &path.replace("app", "new")).await.expect(200);
        assert_eq!(empty.json()["manifests"], serde_json::json!([]));

        let config = raw.push_blob("team/app", b"{}").await;
        let signature = |subject: Option<&str>| {
            serde_json::json!({
                "schemaVersion": 2, "mediaType": image::OCI_MANIFEST, "artifactType": "application/x-signature",
                "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
                "layers": [], "annotations": { "by": "team" },
                "subject": subject.map(|digest| serde_json::json!({
                    "mediaType": image::OCI_MANIFEST, "digest": digest, "size": 5 })),
            })
            .to_string()
            .into_bytes()
        };
        let new = signature(Some(&subject.to_string()));
        let reference = image::digest(&new).to_string();
        let pushed = raw.put_manifest("team/app", &reference, image::OCI_MANIFEST, &new).await.expect(201);
        assert_eq!(pushed.header("oci-subject"), subject.to_string());
        let old = signature(None);
        let _ = raw.put_manifest("team/app", "old", image::OCI_MANIFEST, &old).await.expect(201);
        let fallback = subject.to_string().replace(':', "-");
        let listing = image::oci_index(&[&old]);
        let _ = raw.put_manifest("team/app", &fallback, image::OCI_INDEX, &listing).await.expect(201);

        let found = raw.send(Method::GET, "team/app", &path).await.expect(200);
        assert_eq!(found.header("content-type"), image::OCI_INDEX);
        let listed = found.json()["manifests"].as_array().unwrap().clone();
        assert_eq!(listed.len(), 2, "{topology:?}: {listed:?}");
        let entry = listed.iter().find(|entry| entry["digest"] == reference).unwrap();
        assert_eq!(entry["annotations"]["by"], "team");
        assert_eq!(entry["size"], new.len());

        let only = format!("{path}?artifactType=application/x-signature");
        let found = raw.send(Method::GET, "team/app", &only).await.expect(200);
        assert_eq!(found.header("oci-filters-applied"), "artifactType");
        assert_eq!(found.json()["manifests"], serde_json::json!([entry]));
    }
}

#[tokio::test]
async fn a_blob_is_mounted_without_a_source_from_where_the_token_may_pull() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let bytes = image::noise(8, 20_000);
        let digest = raw.push_blob("team/from", &bytes).await;
        let path = format!("/v2/team/into/blobs/uploads/?mount={digest}");

        let _ = raw.send(Method::POST, "team/into", &path).await.expect(202);
        let token = raw.token(&["repository:team/into:pull,push", "repository:team/from:pull"]).await;
        let mounted = read(raw.anonymous(Method::POST, &path).bearer_auth(token).send().await.unwrap())
            .await
            .expect(201);
        assert_eq!(mounted.header("docker-content-digest"), digest.to_string());
        assert_eq!(raw.blob("team/into", &digest).await.expect(200).body, bytes);
    }
}

#[tokio::test]
async fn a_tag_is_moved_only_if_nobody_else_has_moved_it() {
    for topology in BOTH {
        let hub = Hub::start(topology);
        let raw = hub.raw();
        let old = raw.push_image("team/app", "v1", &image::noise(9, 2_000)).await;
        let new = raw.push_image("team/app", "v2", &image::noise(10, 2_000)).await;
        let path = "/v2/team/app/manifests/v1";
        let put = async |name: &'static str, value: &str| {
            let request = raw.request(Method::PUT, "team/app", path).await.header(name, value);
            let request = request.header(header::CONTENT_TYPE, image::OCI_MANIFEST).body(new.clone());
            read(request.send().await.unwrap()).await
        };
        let of = |manifest: &[u8]| format!("\"{}\"", image::digest(manifest));

        let refused = put("if-none-match", "*").await.expect_error(412, "DENIED");
        assert!(String::from_utf8_lossy(&refused.body).contains(&image::digest(&old).to_string()));
        let _ = put("if-match", &of(&new)).await.expect_error(412, "DENIED");
        let _ = put("if-match", &of(&old)).await.expect(201);
        let _ = put("if-match", &of(&old)).await.expect_error(412, "DENIED");
        assert_eq!(raw.manifest("team/app", "v1").await.expect(200).body, new, "{topology:?}");

        let delete = async |value: &str| {
            let request = raw.request(Method::DELETE, "team/app", path).await.header("if-match", value);
            read(request.send().await.unwrap()).await
        };
        let _ = delete(&of(&old)).await.expect_error(412, "DENIED");
        let _ = delete(&of(&new)).await.expect(202);
    }
}
