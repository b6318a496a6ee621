//! The registry API as it is on the wire, for what a real client would hide or never do.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci::Digest;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;

use crate::image;

/// The administrator's name in every test hub.
pub const ADMIN: &str = "admin";
/// The administrator's password in every test hub.
pub const PASSWORD: &str = "correct horse battery";

/// A client of one registry, logged in with tokens that it fetches itself.
#[derive(Debug, Clone)]
pub struct Raw {
    client: Client,
    base: String,
}

/// What came back, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Headers by lower-case name; the last of each.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The code of the first error in the body.
    ///
    /// # Panics
    /// If the body is not the specification's.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_else(|| panic!("no code in {self:?}")).to_owned()
    }

    /// Itself, if it has that status.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Itself, if it is that error with a message that a person can act on.
    ///
    /// # Panics
    /// Otherwise.
    #[track_caller]
    #[must_use]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.code(), code, "{answer:?}");
        assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
        let message = answer.json()["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.len() > 15, "the message says too little: {answer:?}");
        answer
    }
}

impl Raw {
    /// A client of the registry at `base` (`http://host:port`).
    ///
    /// # Panics
    /// If the client cannot be built.
    pub fn new(base: &str) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: base.to_owned() }
    }

    /// A client of the registry at `base` (`https://host:port`) that trusts this certificate and no other.
    ///
    /// # Panics
    /// If the client cannot be built.
    pub fn trusting(base: &str, certificate: &std::path::Path) -> Self {
        let trusted = reqwest::Certificate::from_pem(&std::fs::read(certificate).unwrap()).unwrap();
        let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = builder.tls_certs_only([trusted]).build().unwrap();
        Self { client, base: base.to_owned() }
    }

    /// The same client, at another edge of the same hub.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { client: self.client.clone(), base: base.to_owned() }
    }

    /// The registry's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request without a token. `path` may be a whole URL, as Location may.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.client.request(method, url)
    }

    /// A token for the administrator with these scopes.
    ///
    /// # Panics
    /// If there is none.
    pub async fn token(&self, scopes: &[&str]) -> String {
        let query: Vec<_> = scopes.iter().map(|scope| ("scope", *scope)).collect();
        let request = self.anonymous(Method::GET, "/token").query(&query).basic_auth(ADMIN, Some(PASSWORD));
        let answer = read(request.send().await.unwrap()).await.expect(200);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// A request with a token for all that may be done to `repository`.
    ///
    /// # Panics
    /// If there is no token.
    pub async fn request(&self, method: Method, repository: &str, path: &str) -> RequestBuilder {
        let token = self.token(&[&format!("repository:{repository}:pull,push,delete")]).await;
        self.anonymous(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Sends such a request without a body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, method: Method, repository: &str, path: &str) -> Answer {
        read(self.request(method, repository, path).await.send().await.unwrap()).await
    }

    /// Opens an upload session; answers its location.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn start(&self, repository: &str) -> String {
        let answer = self
            .send(Method::POST, repository, &format!("/v2/{repository}/blobs/uploads/"))
            .await
            .expect(202);
        assert!(!answer.header("docker-upload-uuid").is_empty(), "{answer:?}");
        answer.header("location").to_owned()
    }

    /// Sends `bytes` to an upload as one PATCH without Content-Range, as docker does.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn patch(&self, repository: &str, location: &str, bytes: impl Into<Bytes>) -> Answer {
        let request = self.request(Method::PATCH, repository, location).await.body(bytes.into());
        read(request.send().await.unwrap()).await
    }

    /// Closes an upload with `digest` and a last body.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn put(
        &self,
        repository: &str,
        location: &str,
        digest: &Digest,
        last: impl Into<Bytes>,
    ) -> Answer {
        let request = self.request(Method::PUT, repository, location).await;
        let request = request.query(&[("digest", digest.to_string())]).body(last.into());
        read(request.send().await.unwrap()).await
    }

    /// Pushes a blob in one PUT.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = image::digest(bytes);
        let location = self.start(repository).await;
        let answer = self.put(repository, &location, &digest, bytes.to_vec()).await.expect(201);
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        digest
    }

    /// Reads a blob whole.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn blob(&self, repository: &str, digest: &Digest) -> Answer {
        self.send(Method::GET, repository, &format!("/v2/{repository}/blobs/{digest}")).await
    }

    /// Puts a manifest.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        body: &[u8],
    ) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let request = self.request(Method::PUT, repository, &path).await;
        read(request.header(header::CONTENT_TYPE, media_type).body(body.to_vec()).send().await.unwrap()).await
    }

    /// Reads a manifest.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn manifest(&self, repository: &str, reference: &str) -> Answer {
        self.send(Method::GET, repository, &format!("/v2/{repository}/manifests/{reference}")).await
    }

    /// Pushes an image of one config and one layer under a tag; answers the manifest's bytes.
    ///
    /// # Panics
    /// If anything is refused.
    pub async fn push_image(&self, repository: &str, tag: &str, layer: &[u8]) -> Vec<u8> {
        let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        self.push_blob(repository, config).await;
        self.push_blob(repository, layer).await;
        let manifest = image::oci_manifest(config, &[layer]);
        let _ = self.put_manifest(repository, tag, image::OCI_MANIFEST, &manifest).await.expect(201);
        manifest
    }
}

/// Reads an answer to its end.
///
/// # Panics
/// If the connection breaks before.
pub async fn read(response: Response) -> Answer {
    let status = response.status();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = response.bytes().await.unwrap();
    Answer { status, headers, body }
}
