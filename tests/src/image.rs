//! What is pushed: bytes that compress badly and differ from test to test, and manifests that name them.

use oci::{Algorithm, Digest};
use serde_json::{Value, json};

/// `length` bytes that follow from `seed` and do not compress.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    // xorshift64*: enough to defeat compression and deduplication, and always the same.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The SHA-256 digest of `bytes`.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// An OCI image manifest over one config and some layers.
pub fn oci_manifest(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let descriptor = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": digest(bytes).to_string(), "size": bytes.len() });
    let layers: Vec<Value> =
        layers.iter().map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer)).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// An OCI index over some manifests.
pub fn oci_index(manifests: &[&[u8]]) -> Vec<u8> {
    let manifests: Vec<Value> = manifests
        .iter()
        .map(|body| json!({ "mediaType": OCI_MANIFEST, "digest": digest(body).to_string(), "size": body.len() }))
        .collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }).to_string().into_bytes()
}

/// Media type of an OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
