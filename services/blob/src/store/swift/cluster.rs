//! What a cluster says of itself at `/info`: how large and how many the segments of an object may be, and which signatures of
//! addresses it knows.

use aws_lc_rs::hmac;
use serde::Deserialize;

use crate::store::object::{Limits, Scale, plan::Plan};

/// What a cluster allows that says nothing: what Swift allows unless it is told otherwise.
const SEGMENTS: usize = 1_000;
const FILE_BYTES: u64 = 5 << 30;

/// Manifests of more than 8 MiB are refused, and an entry of ours has less than 512 bytes.
const MOST_SEGMENTS: usize = 16_000;

/// Swift has no largest object; one with more bytes is refused by us before there are too many segments of them.
const LARGEST_OBJECT_BYTES: u64 = 50 << 40;

/// What is known of a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster {
    pub(super) plan: Plan,
    /// None: it takes no signed addresses.
    pub(super) signing: Option<hmac::Algorithm>,
}

/// It cannot keep blobs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("what it says of itself at /info cannot be read")]
    Unreadable,
    #[error("it joins no segments: its proxies need the middleware `slo`")]
    NoSegments,
}

#[derive(Default, Deserialize)]
struct Info {
    swift: Option<Swift>,
    slo: Option<Slo>,
    tempurl: Option<TempUrl>,
}

#[derive(Default, Deserialize)]
struct Swift {
    max_file_size: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Slo {
    max_manifest_segments: Option<usize>,
    min_segment_size: Option<u64>,
}

#[derive(Default, Deserialize)]
struct TempUrl {
    #[serde(default)]
    methods: Vec<String>,
    /// None before Swift 2.19: SHA-1 only.
    allowed_digests: Option<Vec<String>>,
}

impl Cluster {
    /// What `info` says; without any, what is usual.
    pub(super) fn read(info: Option<&[u8]>) -> Result<Self, Unfit> {
        let info: Info = match info {
            Some(info) => serde_json::from_slice(info).map_err(|_| Unfit::Unreadable)?,
            None => Info { slo: Some(Slo::default()), tempurl: Some(TempUrl::usual()), ..Info::default() },
        };
        let slo = info.slo.ok_or(Unfit::NoSegments)?;
        let limits = Limits {
            smallest_part_bytes: slo.min_segment_size.unwrap_or(1),
            largest_part_bytes: info.swift.and_then(|swift| swift.max_file_size).unwrap_or(FILE_BYTES),
            parts: slo.max_manifest_segments.unwrap_or(SEGMENTS).clamp(1, MOST_SEGMENTS),
            largest_object_bytes: LARGEST_OBJECT_BYTES,
        };
        let plan = Plan::new(limits, Scale::default());
        Ok(Self { plan, signing: info.tempurl.and_then(|tempurl| tempurl.signing()) })
    }
}

impl TempUrl {
    fn usual() -> Self {
        Self { methods: vec!["GET".to_owned()], allowed_digests: Some(vec!["sha256".to_owned()]) }
    }

    /// The best that we know too.
    fn signing(&self) -> Option<hmac::Algorithm> {
        if !self.methods.iter().any(|method| method == "GET") {
            return None;
        }
        let Some(allowed) = &self.allowed_digests else { return Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY) };
        let known = [
            ("sha256", hmac::HMAC_SHA256),
            ("sha512", hmac::HMAC_SHA512),
            ("sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ];
        let best = known.into_iter().find(|(name, _)| allowed.iter().any(|allowed| allowed == name));
        best.map(|(_, algorithm)| algorithm)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::{Cluster, Unfit};

    const MIB: u64 = 1 << 20;

    fn read(info: &str) -> Result<Cluster, Unfit> {
        Cluster::read(Some(info.as_bytes()))
    }

    #[test]
    fn a_thousand_segments_make_hundreds_of_gigabytes() {
        for cluster in
            [Cluster::read(None).unwrap(), read(r#"{"slo":{"max_manifest_segments":1000}}"#).unwrap()]
        {
            let plan = cluster.plan;
            let parts = plan.limits.parts;
            let sizes: Vec<u64> = (0..parts).map(|index| plan.part_bytes(index).unwrap()).collect();
            assert!(sizes.is_sorted() && sizes[0] == 8 * MIB && plan.part_bytes(parts).is_none());
            assert!(sizes.iter().sum::<u64>() > 500 * 1024 * MIB);
        }
    }

    #[test]
    fn a_cluster_is_believed() {
        let info = r#"{"swift":{"max_file_size":16777216},"slo":{"max_manifest_segments":20,"min_segment_size":10485760},
            "tempurl":{"methods":["GET"],"allowed_digests":["sha1","sha512"]}}"#;
        let cluster = read(info).unwrap();
        let sizes = [0, 2, 19, 20].map(|index| cluster.plan.part_bytes(index).map(|bytes| bytes / MIB));
        assert_eq!(sizes, [Some(10), Some(16), Some(16), None]);
        assert_eq!(cluster.signing, Some(hmac::HMAC_SHA512));

        let old = read(r#"{"slo":{},"tempurl":{"methods":["GET"]}}"#).unwrap();
        assert_eq!(old.signing, Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY));
        assert_eq!(read(r#"{"slo":{}}"#).unwrap().signing, None);
        assert_eq!(read(r#"{"swift":{}}"#).unwrap_err(), Unfit::NoSegments);
        assert_eq!(read("<html>").unwrap_err(), Unfit::Unreadable);
    }
}
