//! What a client of a registry does, in as few requests as the protocol allows.

use std::io;

use crate::{
    content::{self, Content},
    http::{Body, Client, Request},
    servers::Server,
};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCTETS: &str = "application/octet-stream";

/// A client that may do everything in one repository.
pub(crate) struct Registry {
    pub(crate) client: Client,
    pub(crate) authorization: String,
    repository: String,
}

/// How a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    /// `POST`, then `PUT` with everything: what containerd does.
    Monolithic,
    /// `POST`, `PATCH` in chunks of HTTP, `PUT`: what docker does.
    Streamed,
}

impl Registry {
    pub(crate) fn new(server: &Server, repository: &str) -> io::Result<Self> {
        let authorization = server.authorization(repository)?;
        Ok(Self {
            client: Client::connect(server.address)?,
            authorization,
            repository: repository.to_owned(),
        })
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repository)
    }

    pub(crate) fn push_blob(&mut self, content: &Content, upload: Upload) -> io::Result<()> {
        let started = self.send(202, "POST", &self.path("blobs/uploads/"), OCTETS, Body::None)?;
        let location = match upload {
            Upload::Monolithic => {
                let put = with_digest(&started, content.digest());
                self.send(201, "PUT", &put, OCTETS, Body::Announced(content))?;
                return Ok(());
            }
            Upload::Streamed => self.send(202, "PATCH", &started, OCTETS, Body::Chunked(content))?,
        };
        let put = with_digest(&location, content.digest());
        self.send(201, "PUT", &put, OCTETS, Body::None)?;
        Ok(())
    }

    /// Whether the blob is there: docker asks before it pushes.
    pub(crate) fn asks_for_blob(&mut self, content: &Content) -> io::Result<()> {
        let path = self.path(&format!("blobs/{}", content.digest()));
        self.client.expect(404, &Request::new("HEAD", &path, &self.authorization)).map(|_| ())
    }

    pub(crate) fn push_manifest(&mut self, reference: &str, manifest: &[u8]) -> io::Result<()> {
        let path = self.path(&format!("manifests/{reference}"));
        self.send(201, "PUT", &path, MANIFEST, Body::Bytes(manifest))?;
        Ok(())
    }

    /// Takes a blob over from another repository.
    pub(crate) fn mount(&mut self, digest: &str, from: &str) -> io::Result<()> {
        let path = self.path(&format!("blobs/uploads/?mount={digest}&from={from}"));
        self.client.expect(201, &Request::new("POST", &path, &self.authorization)).map(|_| ())
    }

    /// Sends a body and answers the path where it goes on.
    fn send(
        &mut self,
        status: u16,
        method: &'static str,
        path: &str,
        media_type: &str,
        body: Body<'_>,
    ) -> io::Result<String> {
        let request = Request::new(method, path, &self.authorization).with(media_type, body);
        let location = self.client.expect(status, &request)?.location.unwrap_or_default();
        // Absolute or not, it is this server's.
        Ok(location.find("/v2/").map_or(location.clone(), |at| location[at..].to_owned()))
    }
}

fn with_digest(location: &str, digest: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// The manifest of an image.
pub(crate) fn manifest(config: &Content, layers: &[&Content]) -> Vec<u8> {
    let descriptor = |media_type: &str, content: &Content| {
        serde_json::json!({
            "mediaType": media_type, "digest": content.digest(), "size": content.size_bytes(),
        })
    };
    let layers: Vec<_> =
        layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)).collect();
    let document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    document.to_string().into_bytes()
}

/// The digest of a manifest.
pub(crate) fn digest(manifest: &[u8]) -> String {
    content::digest(manifest)
}
