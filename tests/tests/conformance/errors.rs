//! How the registry says no.

use reqwest::Method;
use tests::{image, raw::Answer};

use crate::{
    ground::{Ground, answer},
    requirement::requirements,
};

requirements![
    errors_have_the_body_of_the_specification,
    codes_are_of_the_specification_or_of_docker,
    errors_of_head_have_no_body,
    a_name_that_is_none_is_refused,
    a_name_of_the_specification_is_accepted,
    a_tag_that_is_none_is_refused,
    a_tag_of_the_specification_is_accepted,
    a_method_that_is_not_possible_is_405,
    a_path_that_is_none_is_404,
    who_may_not_is_refused_without_a_word_on_what_is_there,
];

/// OCI distribution 1.1, "Error Codes", and main, "Legacy Docker support error codes".
const CODES: [&str; 20] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
    // Docker's.
    "MANIFEST_UNVERIFIED",
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "TAG_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
];

/// One error of each kind that a client can cause.
async fn many(at: &Ground) -> Vec<Answer> {
    at.image("v1").await;
    let (unknown, location) = (image::digest(b"nothing"), at.start().await);
    let config = at.path(&format!("blobs/{}", image::digest(b"v1")));
    vec![
        at.get(&format!("blobs/{unknown}")).await,
        at.get(&format!("manifests/{unknown}")).await,
        at.get("blobs/sha256:abc").await,
        at.get("manifests/-v1").await,
        at.get("tags/list?n=x").await,
        at.beside("none").get("tags/list").await,
        at.get("blobs/uploads/none").await,
        at.get("nothing").await,
        at.get_with(&config, "range", "bytes=99-").await,
        at.chunk(&location, "5-6", b"ab").await,
        at.chunk(&location, "0-6", b"ab").await,
        at.chunk(&location, "x", b"ab").await,
        at.raw.put(&at.repository, &location, &unknown, "other").await,
        at.put_manifest("v2", image::OCI_MANIFEST, b"{").await,
        at.put_manifest("v2", image::OCI_INDEX, &image::oci_index(&[b"unknown"])).await,
        at.delete(&config).await,
        at.send(Method::PUT, "tags/list", &[], "").await,
        answer(at.raw.anonymous(Method::GET, &at.path("tags/list"))).await,
    ]
}

/// OCI distribution 1.1, "Error Codes": a JSON body MUST be `{"errors": [{"code", "message", "detail"}, …]}`,
/// of which `code` alone is required and `message` SHOULD be readable.
async fn errors_have_the_body_of_the_specification(at: &Ground) {
    for error in many(at).await {
        assert!(error.status.is_client_error(), "{error:?}");
        assert!(error.header("content-type").starts_with("application/json"), "{error:?}");
        let body = error.json();
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        let errors = body["errors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{body}");
        for entry in errors {
            let known = |name: &String| ["code", "message", "detail"].contains(&name.as_str());
            assert!(entry.as_object().unwrap().keys().all(known), "{body}");
            assert!(entry["message"].as_str().unwrap().contains(' '), "{body}");
        }
    }
}

/// OCI distribution 1.1, "Error Codes": `code` MUST be one of the list, only upper-case letters and
/// underscores.
async fn codes_are_of_the_specification_or_of_docker(at: &Ground) {
    for error in many(at).await {
        let code = error.code();
        assert!(CODES.contains(&code.as_str()), "{error:?}");
        assert!(code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
    }
}

/// RFC 9110, section 9.3.2: no answer to HEAD has a body.
async fn errors_of_head_have_no_body(at: &Ground) {
    for path in ["blobs/sha256:abc", "manifests/v1", "nothing"] {
        let refused = at.head(path).await;
        assert!(refused.status.is_client_error() && refused.body.is_empty(), "{refused:?}");
    }
}

/// OCI distribution 1.1, "Pulling manifests": `<name>` MUST match the regular expression. "Error Codes":
/// `NAME_INVALID`.
async fn a_name_that_is_none_is_refused(at: &Ground) {
    for name in ["Upper", "team/App", "team/-app", "team/app-", "team/a..b", "team/a___b", "team/a%20b"] {
        let request = at.raw.anonymous(Method::GET, &format!("/v2/{name}/tags/list"));
        let _ = answer(request).await.expect_error(400, "NAME_INVALID");
    }
}

/// OCI distribution 1.1, "Pulling manifests": `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, with slashes between.
async fn a_name_of_the_specification_is_accepted(at: &Ground) {
    for name in ["a.b", "a_b", "a__b", "a-b", "a---b", "0", "a/b/c/d", "a.b_c-d__e/0"] {
        let at = at.beside(name);
        let manifest = at.image("v1").await;
        assert_eq!(at.get("manifests/v1").await.expect(200).body, manifest, "{name}");
    }
}

/// OCI distribution 1.1, "Pulling manifests": a tag MUST have at most 128 characters and match the regular
/// expression.
async fn a_tag_that_is_none_is_refused(at: &Ground) {
    let manifest = at.image("v1").await;
    for tag in ["-a", ".a", "a%20b", "a%C3%BC", "a+b", &"a".repeat(129)] {
        let refused = at.put_manifest(tag, image::OCI_MANIFEST, &manifest).await;
        let _ = refused.expect_error(400, "TAG_INVALID");
    }
}

/// OCI distribution 1.1, "Pulling manifests": `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
async fn a_tag_of_the_specification_is_accepted(at: &Ground) {
    let manifest = at.image("v1").await;
    for tag in ["_", "A", "0", "a.b-c_d", "v1..", "a--", &"a".repeat(128)] {
        let _ = at.put_manifest(tag, image::OCI_MANIFEST, &manifest).await.expect(201);
        assert_eq!(at.get(&format!("manifests/{tag}")).await.expect(200).body, manifest, "{tag}");
    }
}

/// RFC 9110, section 15.5.6: 405 with `Allow`. OCI distribution 1.1, "Error Codes": `UNSUPPORTED`.
async fn a_method_that_is_not_possible_is_405(at: &Ground) {
    let blob = at.blob(b"a blob").await;
    for (method, path) in [
        (Method::PUT, "tags/list"),
        (Method::POST, "manifests/v1"),
        (Method::PATCH, &blob),
        (Method::GET, "blobs/uploads/"),
        (Method::DELETE, "/v2/"),
    ] {
        let refused = at.send(method, path, &[], "").await.expect_error(405, "UNSUPPORTED");
        assert!(!refused.header("allow").is_empty(), "{refused:?}");
    }
}

/// RFC 9110, section 15.5.5: a path of which the specification knows nothing is answered with 404, in its
/// form.
async fn a_path_that_is_none_is_404(at: &Ground) {
    for path in ["nothing", "tags/other", "/v2/nothing", "/v1/_ping"] {
        let _ = at.get(path).await.expect_error(404, "UNSUPPORTED");
    }
}

/// OCI distribution 1.1, "Error Codes": `UNAUTHORIZED`; whether there is such a repository is not told.
async fn who_may_not_is_refused_without_a_word_on_what_is_there(at: &Ground) {
    at.image("v1").await;
    for at in [at, &at.beside("none")] {
        for path in ["manifests/v1", "tags/list"] {
            let request = at.raw.anonymous(Method::GET, &at.path(path));
            let _ = answer(request).await.expect_error(401, "UNAUTHORIZED");
        }
    }
}
