//! What is handed off to a proxy: the address of a blob at the handoff port is the grant itself, written as a path and
//! a query, so nothing else has to be signed and it expires as soon. The signature is in the query, which no log shows.

// <store>/<content>/<generation>?repository=<name>&size=<bytes>&expires=<milliseconds>&mac=<hex>

use std::{fmt::Write as _, io};

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use oci::{ByteRange, Locator, Span};
use proto::blob::{BlobError, Grant};
use service_kit::handoff::{Asked, Found, Refused};

use crate::reads::Reads;

/// The grant as an address.
pub(crate) fn path_of(grant: &Grant) -> String {
    let Grant { locator, repository, size_bytes, expires, mac } = grant;
    let expires = expires.as_millisecond();
    let mut path = format!("{locator}?repository={repository}&size={size_bytes}&expires={expires}&mac=");
    for byte in mac {
        // Into memory: it cannot fail.
        let _ = write!(path, "{byte:02x}");
    }
    path
}

/// The grant that an address is; none if it is not one. Whether the grant is worth something is not decided here.
fn grant_of(path: &str, query: &str) -> Option<Grant> {
    let value = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let locator: Locator = path.parse().ok()?;
    Some(Grant {
        locator,
        repository: value("repository")?.parse().ok()?,
        size_bytes: value("size")?.parse().ok()?,
        expires: Timestamp::from_millisecond(value("expires")?.parse().ok()?).ok()?,
        mac: unhexed(value("mac")?)?,
    })
}

/// What is at an address, for a proxy.
pub(crate) async fn find(reads: &Reads, asked: Asked<'_>) -> Result<Found, Refused> {
    let grant = grant_of(asked.path, asked.query).ok_or(Refused::NotGranted)?;
    let size_bytes = grant.size_bytes;
    let range = asked.range.and_then(ByteRange::parse);
    let part = range.map(|range| range.resolve(size_bytes)).transpose();
    let part = part.map_err(|_| Refused::Unsatisfiable { size_bytes })?;

    let span = part.unwrap_or(Span::whole(size_bytes));
    let body = reads.stream(&grant, span).await.map_err(|error| refusal(&error, &grant))?;
    let part = part.map(|span| span.first..=span.last());
    Ok(Found { size_bytes, part, body: Box::pin(body.map_err(io::Error::other)) })
}

fn refusal(error: &BlobError, grant: &Grant) -> Refused {
    match error {
        BlobError::GrantRefused { why } => {
            tracing::warn!(locator = %grant.locator, %why, "a proxy has asked without a valid grant");
            Refused::NotGranted
        }
        BlobError::Missing { .. } => Refused::Missing,
        _ => Refused::Unavailable,
    }
}

fn unhexed(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proto::blob::{Grant, HandoffPath};

    use super::{grant_of, path_of};

    fn grant() -> Grant {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        Grant {
            locator: format!("disk/{digest}+/01ARZ3NDEKTSV4RRFFQ69G5FAV").parse().unwrap(),
            repository: "team/a_pp.x-y".parse().unwrap(),
            size_bytes: u64::MAX,
            expires: Timestamp::from_millisecond(1_767_225_600_123).unwrap(),
            mac: std::array::from_fn(|at| u8::try_from(at * 8).unwrap()),
        }
    }

    #[test]
    fn a_grant_reads_back_from_its_address() {
        let address: HandoffPath = path_of(&grant()).parse().unwrap();
        let (path, query) = address.as_str().split_once('?').unwrap();
        assert_eq!(grant_of(path, query), Some(grant()));
    }

    #[test]
    fn what_is_no_grant_is_none() {
        let address = path_of(&grant());
        let (path, query) = address.split_once('?').unwrap();
        for (path, query) in [
            (path, ""),
            (path, &query[..query.len() - 1]),
            (path, &query.replace("size=", "size=-")),
            (path, &query.replace("mac=00", "mac=+0")),
            ("disk/x", query),
            ("", query),
        ] {
            assert_eq!(grant_of(path, query), None, "{path}?{query}");
        }
    }
}
