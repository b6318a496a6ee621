//! Who brings a blob to its client: the edge itself, a proxy in front of it, or the store (ARCHITECTURE.md §4, "Pull").
//! Both others read the request again, so they get it only if they cannot read it otherwise than it was read here.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{IF_MATCH, IF_MODIFIED_SINCE, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE},
};
use oci::{ByteRange, Span};
use opentelemetry::{KeyValue, metrics::Counter};
use proto::blob::{Delivery, Handoff, HandoffPath, Opened, Redirect};

use crate::config::{Config, RedirectConfig};

/// In a request: what the proxy reads blobs from. A proxy of ours always sets it, so no client's comes through one.
static OFFER: HeaderName = HeaderName::from_static("x-bucket-handoff");

/// In an answer: where the proxy finds the blob, as nginx calls it.
pub(crate) static ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");

/// nginx keeps these of an answer that it replaces, even if it then replaces it again by an error. So they travel under
/// other names, and its configuration gives them back their own.
pub(crate) static CACHE_CONTROL: HeaderName = HeaderName::from_static("x-bucket-cache-control");
/// See above.
pub(crate) static ACCEPT_RANGES: HeaderName = HeaderName::from_static("x-bucket-accept-ranges");

/// Where deploy/nginx/bucket.conf has the directory of the store, and the handoff ports.
const FILES: &str = "/_bucket/file/";
const REPLICAS: &str = "/_bucket/replica/";

/// Larger numbers in a range mean different things to different programs.
const LARGEST_POSITION: u64 = 1 << 60;

/// What can be done for a request, whatever it asks for.
pub(crate) fn possible(
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    client: Option<IpAddr>,
    config: &Config,
) -> Delivery {
    let trusted = peer.is_some_and(|peer| config.trusted_proxies.contains(peer));
    let handoff = match headers.get(&OFFER).map(HeaderValue::as_bytes) {
        Some(b"file") if trusted => Handoff::File,
        Some(b"replica") if trusted => Handoff::Replica,
        _ => Handoff::Never,
    };
    let redirect = match &config.redirect {
        RedirectConfig::On => Redirect::Allowed,
        RedirectConfig::Networks(networks) if client.is_some_and(|client| networks.contains(client)) => {
            Redirect::Allowed
        }
        RedirectConfig::Off | RedirectConfig::Networks(_) => Redirect::Never,
    };
    Delivery { handoff, redirect }
}

/// What is left of it for a request that was understood to ask for `span`.
pub(crate) fn agreed(possible: Delivery, headers: &HeaderMap, span: Option<Span>) -> Delivery {
    // We do not look at these, others do.
    if [IF_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name)) {
        return Delivery::default();
    }
    let same_range = if span.is_some() { is_plain_range(headers) } else { !headers.contains_key(RANGE) };
    let handoff = if same_range { possible.handoff } else { Handoff::Never };
    // The store's entity tags are not ours.
    let redirect = if headers.contains_key(IF_RANGE) { Redirect::Never } else { possible.redirect };
    Delivery { handoff, redirect: if same_range { redirect } else { Redirect::Never } }
}

/// Whether there is one range, of one condition at most, written as nobody could misread it.
fn is_plain_range(headers: &HeaderMap) -> bool {
    let once = |name: &HeaderName| headers.get_all(name).iter().count() <= 1;
    let text = headers.get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = match ByteRange::parse(text) {
        Some(ByteRange::From { first, last: None }) => format!("bytes={first}-"),
        Some(ByteRange::From { first, last: Some(last @ ..LARGEST_POSITION) }) => {
            format!("bytes={first}-{last}")
        }
        Some(ByteRange::Suffix { length: length @ ..LARGEST_POSITION }) => format!("bytes=-{length}"),
        _ => return false,
    };
    text == plain && once(&RANGE) && once(&IF_RANGE)
}

/// Where the proxy finds the blob.
pub(crate) fn location(handoff: Handoff, path: &HandoffPath) -> String {
    let root = if handoff == Handoff::Replica { REPLICAS } else { FILES };
    format!("{root}{}", path.as_str())
}

/// How blobs were delivered, for operators.
pub(crate) struct Deliveries(Counter<u64>);

impl Deliveries {
    pub(crate) fn new() -> Self {
        let meter = opentelemetry::global::meter("registry-api");
        let counter =
            meter.u64_counter("blob_deliveries").with_description("Blobs delivered, by who does it");
        Self(counter.build())
    }

    /// Counts it; answers what the log calls it.
    pub(crate) fn count(&self, opened: &Opened) -> &'static str {
        let by = match opened {
            Opened::Stream { .. } => "stream",
            Opened::Handoff { .. } => "handoff",
            Opened::Redirect { .. } => "redirect",
        };
        self.0.add(1, &[KeyValue::new("by", by)]);
        by
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, header};
    use oci::Span;
    use proto::blob::{Delivery, Handoff, Redirect};

    use super::agreed;

    const ALL: Delivery = Delivery { handoff: Handoff::File, redirect: Redirect::Allowed };

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn what_everybody_reads_alike_may_be_read_elsewhere() {
        assert_eq!(agreed(ALL, &headers(&[]), None), ALL);
        let some = Some(Span { first: 0, length: 1 });
        for range in ["bytes=0-0", "bytes=5-", "bytes=-7", "bytes=0-9999999999"] {
            assert_eq!(agreed(ALL, &headers(&[(header::RANGE, range)]), some), ALL, "{range}");
        }
        let unchanged = [(header::RANGE, "bytes=0-0"), (header::IF_RANGE, "\"sha256:x\"")];
        let handoff = Delivery { redirect: Redirect::Never, ..ALL };
        assert_eq!(agreed(ALL, &headers(&unchanged), some), handoff);
        let other = [(header::IF_NONE_MATCH, "\"sha256:x\"")];
        assert_eq!(agreed(ALL, &headers(&other), None), ALL);
    }

    #[test]
    fn what_others_might_read_otherwise_is_streamed() {
        let some = Some(Span { first: 0, length: 1 });
        for (range, span) in [
            // Understood here, and written in another way than everybody writes it.
            ("Bytes=0-0", some),
            ("bytes= 0-0", some),
            ("bytes=00-0", some),
            ("bytes=0-99999999999999999999", some),
            ("bytes=-18446744073709551615", some),
            // Passed over here.
            ("bytes=0-0,5-6", None),
            ("bytes=4-2", None),
            ("lines=1-2", None),
        ] {
            let agreed = agreed(ALL, &headers(&[(header::RANGE, range)]), span);
            assert_eq!(agreed, Delivery::default(), "{range}");
        }
        let twice = [(header::RANGE, "bytes=0-0"), (header::RANGE, "bytes=1-1")];
        assert_eq!(agreed(ALL, &headers(&twice), some), Delivery::default());
        for name in [header::IF_MATCH, header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE] {
            assert_eq!(agreed(ALL, &headers(&[(name, "\"x\"")]), None), Delivery::default());
        }
    }
}
