//! Where a requirement is tried: a registry, and a repository in it that no other requirement uses.

use oci::Digest;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::Value;
use tests::{
    image,
    raw::{Answer, Raw, read},
};

/// Headers of a request.
pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

/// A registry and a repository. Paths are those behind `/v2/<name>/`; one with a `/` in front is taken as it
/// is.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) raw: Raw,
    pub(crate) repository: String,
}

impl Ground {
    pub(crate) fn new(raw: Raw, repository: String) -> Self {
        Self { raw, repository }
    }

    /// Another repository that belongs to the same requirement.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self::new(self.raw.clone(), format!("{}/{name}", self.repository))
    }

    /// The path of something in the repository.
    pub(crate) fn path(&self, path: &str) -> String {
        let whole = path.starts_with('/') || path.starts_with("http");
        if whole { path.to_owned() } else { format!("/v2/{}/{path}", self.repository) }
    }

    pub(crate) async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.raw.request(method, &self.repository, &self.path(path)).await
    }

    /// Sends a request that has everything.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: impl Into<Body>,
    ) -> Answer {
        let request = self.request(method, path).await;
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        answer(request.body(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path).await).await
    }

    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        answer(self.request(Method::GET, path).await.header(name, value)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        answer(self.request(Method::HEAD, path).await).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(Method::POST, path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path).await).await
    }

    /// Opens an upload session; answers its location.
    pub(crate) async fn start(&self) -> String {
        self.raw.start(&self.repository).await
    }

    /// Sends a chunk, with the place that it belongs to.
    pub(crate) async fn chunk(&self, location: &str, range: &str, bytes: &[u8]) -> Answer {
        self.send(Method::PATCH, location, &[("content-range", range)], bytes.to_vec()).await
    }

    /// Closes an upload without a last chunk.
    pub(crate) async fn close(&self, location: &str, digest: &Digest) -> Answer {
        self.raw.put(&self.repository, location, digest, "").await
    }

    /// Pushes a blob; answers its path.
    pub(crate) async fn blob(&self, bytes: &[u8]) -> String {
        format!("blobs/{}", self.raw.push_blob(&self.repository, bytes).await)
    }

    /// Pushes an image under a tag; answers its bytes. Its layer holds the tag.
    pub(crate) async fn image(&self, tag: &str) -> Vec<u8> {
        self.raw.push_image(&self.repository, tag, tag.as_bytes()).await
    }

    /// Puts a manifest of some type by tag or digest.
    pub(crate) async fn put_manifest(&self, reference: &str, media_type: &str, body: &[u8]) -> Answer {
        self.raw.put_manifest(&self.repository, reference, media_type, body).await
    }

    /// Puts an image manifest that was made here, by its digest; answers the digest.
    pub(crate) async fn put_image(&self, manifest: &Value) -> String {
        let body = manifest.to_string();
        let digest = image::digest(body.as_bytes()).to_string();
        let _ = self.put_manifest(&digest, image::OCI_MANIFEST, body.as_bytes()).await.expect(201);
        digest
    }

    /// A list, from the page at `first` to its end by the Links alone.
    pub(crate) async fn pages(&self, first: &str, field: &str) -> Vec<Vec<Value>> {
        let (mut pages, mut next) = (Vec::new(), Some(self.path(first)));
        while let Some(path) = next {
            let page = self.get(&path).await.expect(200);
            pages.push(page.json()[field].as_array().unwrap().clone());
            next = link_to_next(&page);
        }
        pages
    }
}

/// Sends a request that is complete.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    read(request.send().await.unwrap()).await
}

/// Where a Link with `rel="next"` leads (RFC 8288, which replaces RFC 5988).
pub(crate) fn link_to_next(page: &Answer) -> Option<String> {
    let link = page.headers.get("link")?;
    let (target, relation) = link.strip_prefix('<').and_then(|link| link.split_once('>')).unwrap();
    assert_eq!(relation.trim_start_matches([';', ' ']), "rel=\"next\"", "{link}");
    Some(target.to_owned())
}

/// The only entry of a list's pages, each a text.
pub(crate) fn texts(pages: Vec<Vec<Value>>) -> Vec<String> {
    pages.into_iter().flatten().map(|entry| entry.as_str().unwrap().to_owned()).collect()
}
