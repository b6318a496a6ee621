//! The id that a request keeps through every process it passes, in logs, answers and calls.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::random::Ulids;

/// Where the id travels, in HTTP and in gRPC.
pub static HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 128;

tokio::task_local! {
    /// The request that this task works for.
    pub static CURRENT: RequestId;
}

/// The request that this task works for, if it works for one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The id of a request: 1 to 128 letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A fresh id.
    pub fn new(ulids: &Ulids) -> Self {
        Self(ulids.next().into())
    }

    /// The id written in `text`, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let valid = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(known);
        valid.then(|| Self(text.into()))
    }

    /// The id that came with a request, if a valid one did.
    pub fn received(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(&HEADER)?.to_str().ok()?)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the id into the headers of a request or an answer.
    pub fn send(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            headers.insert(HEADER.clone(), value);
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("01JH3K", true)]
    #[case("a.b_c-D", true)]
    #[case("", false)]
    #[case("a b", false)]
    #[case("a\nb", false)]
    #[case("ä", false)]
    #[case(&"x".repeat(128), true)]
    #[case(&"x".repeat(129), false)]
    fn only_short_plain_text_is_an_id(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(RequestId::parse(text).is_some(), valid);
    }

    #[tokio::test]
    async fn the_current_id_is_that_of_the_scope() {
        assert_eq!(current(), None);
        let id = RequestId::parse("r-1").unwrap();
        CURRENT.scope(id.clone(), async { assert_eq!(current(), Some(id)) }).await;
    }
}
