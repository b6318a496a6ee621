//! What the head of a request must be before anybody reads it: short enough, and clear about whom it asks. The
//! limit is ours and not the protocol's, because the protocol's answer has no body that says what is wrong.

use http::{HeaderMap, Request, Version, header::HOST};

use super::Refusal;

/// Peers that send nothing but headers must not fill the memory.
pub(super) const MAX_BYTES: u32 = 64 * 1024;
/// Headers that HTTP/1 reads at all: more than any client sends, so that those who send too many get our answer.
pub(super) const MAX_READ: usize = 512;
/// Headers that are passed on, as many as other servers take.
const MAX_HEADERS: usize = 100;

/// Why a request is refused before its handler sees it, if it is.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Refusal> {
    let headers = request.headers();
    if headers.len() > MAX_HEADERS || bytes(headers) > MAX_BYTES as usize {
        return Some(Refusal::HeadersTooLong);
    }
    // RFC 9112 §3.2. Two proxies that read different ones of two hosts can be played against each other.
    let hosts = headers.get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 if hosts != 1 => Some(Refusal::NoOneHost),
        _ if hosts > 1 => Some(Refusal::NoOneHost),
        _ => None,
    }
}

/// As HTTP/2 counts them (RFC 9113 §6.5.2).
fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let start = Request::get("/");
        headers.iter().fold(start, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    #[test]
    fn headers_are_counted_one_by_one_and_together() {
        let most = vec![("x", "y"); MAX_HEADERS - 1];
        let with_host = |more: &[(&'static str, &'static str)]| [&[("host", "a")], &most[..], more].concat();
        assert_eq!(refusal(&request(&with_host(&[]))), None);
        assert_eq!(refusal(&request(&with_host(&[("x", "y")]))), Some(Refusal::HeadersTooLong));

        let long = "x".repeat(MAX_BYTES as usize - 100);
        assert_eq!(refusal(&request(&[("host", "a"), ("x", &long)])), None);
        assert_eq!(
            refusal(&request(&[("host", "a"), ("x", &(long + &"x".repeat(100)))])),
            Some(Refusal::HeadersTooLong)
        );
    }

    #[test]
    fn a_request_of_http_1_1_asks_one_host() {
        assert_eq!(refusal(&request(&[])), Some(Refusal::NoOneHost));
        assert_eq!(refusal(&request(&[("host", "a"), ("host", "a")])), Some(Refusal::NoOneHost));
        let mut older = request(&[]);
        *older.version_mut() = Version::HTTP_10;
        assert_eq!(refusal(&older), None);
    }
}
